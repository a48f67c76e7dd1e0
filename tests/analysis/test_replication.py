import numpy as np
import pytest
from scipy import stats

from ablate.analysis.replication import replication


@pytest.mark.parametrize(
    ("published", "error", "degrees"),
    [
        ((0.5, None, 1), np.sqrt(1 / 10 + 1), 9),
        ((0.5, None, 4), np.sqrt(1 / 10 + 1 / 4), 9),
        ((0.5, 2.0, 2), np.sqrt((9 + 4) / 10 * (1 / 10 + 1 / 2)), 10),
    ],
)
def test_the_error_of_the_difference(published, error, degrees):
    found = replication((1.0, 1.0, 10), published, margin=0.1)
    half = stats.t.ppf(0.975, degrees) * error
    assert (found.difference, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))


def test_from_five_runs_on_it_is_welchs():
    ours, theirs = np.arange(8.0), np.array([1.0, 5.0, 2.0, 9.0, 3.0])
    found = replication(
        (ours.mean(), ours.std(ddof=1), 8), (theirs.mean(), theirs.std(ddof=1), 5), 1.0
    )
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize(
    ("mean", "sd", "verdict"),
    [(0.97, 0.001, "consistent"), (0.99, 0.001, "inconsistent"), (0.97, 0.05, "too imprecise")],
)
def test_three_verdicts(mean, sd, verdict):
    assert replication((mean, sd, 10), (0.9695, 0.001, 10), 0.01).verdict == verdict


def share(rng, shift, n, n0, margin, verdict, worlds=1500):
    hits = 0
    for _ in range(worlds):
        ours, theirs = rng.normal(shift, 1, n), rng.normal(0, 1, n0)
        sd0 = theirs.std(ddof=1) if n0 > 1 else None
        found = replication((ours.mean(), ours.std(ddof=1), n), (theirs.mean(), sd0, n0), margin)
        hits += found.verdict == verdict
    return hits / worlds


@pytest.mark.parametrize(
    ("n", "n0", "margin", "expected"), [(10, 1, 3, 0.69), (10, 2, 3, 0.95), (10, 5, 2, 0.90)]
)
def test_how_often_the_same_truth_is_called_consistent(n, n0, margin, expected):
    found = share(np.random.default_rng(5), 0, n, n0, margin, "consistent")
    assert found == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("n0", [1, 2, 5])
def test_a_difference_as_large_as_the_margin_is_rarely_called_consistent(n0):
    assert share(np.random.default_rng(8), 2.0, 10, n0, 2.0, "consistent") < 0.075
