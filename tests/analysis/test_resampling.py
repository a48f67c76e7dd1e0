import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis.resampling import bca, improvement, share_below, sign_flip, sign_flip_allowed


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n", [2, 5, 6, 11])
def test_sign_flip_is_scipys_exact_permutation_test(n: int) -> None:
    samples = rng(n).normal(0.4, 1, (n, 3))
    expected = [
        stats.permutation_test(
            (samples[:, column],), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        for column in range(3)
    ]
    assert sign_flip(samples, rng()) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_sign_flip_counts_ties_as_beyond(rows: list[int]) -> None:
    sample = np.array(rows) / 360
    flips = itertools.product([1, -1], repeat=len(rows))
    sums = [abs(sum(s * r for s, r in zip(signs, rows, strict=True))) for signs in flips]
    expected = np.mean([each >= abs(sum(rows)) for each in sums])
    assert sign_flip(sample[:, None], rng())[0] == pytest.approx(expected, rel=1e-12)


def test_sign_flip_of_many_seeds_draws_flips_and_never_gives_zero() -> None:
    sample = rng(3).normal(1.0, 1, (60, 1))
    assert sign_flip(sample, rng())[0] == 1 / 10_000
    weak = rng(4).normal(0.15, 1, (60, 1))
    t = stats.ttest_1samp(weak[:, 0], 0).pvalue
    assert sign_flip(weak, rng())[0] == pytest.approx(t, abs=0.015)
    assert sign_flip(weak, rng(1)) == sign_flip(weak, rng(1))


@pytest.mark.parametrize(
    ("n", "comparisons", "allowed"),
    [(5, 1, False), (6, 1, True), (6, 2, False), (7, 3, True), (1, 1, False), (20, 1000, True)],
)
def test_sign_flip_is_allowed_only_where_it_can_reject(
    n: int, comparisons: int, allowed: bool
) -> None:
    assert sign_flip_allowed(n, comparisons, 0.05) is allowed


@pytest.mark.parametrize("n", [20, 35])
def test_bca_is_scipys_with_the_same_draws(n: int) -> None:
    samples = np.stack([rng(1).normal(0.3, 1, n), rng(2).lognormal(size=n)], axis=1)
    low, high = bca(samples, 0.95, rng(7))
    for column in range(2):
        expected = stats.bootstrap(
            (samples[:, column],), np.mean, n_resamples=9999, method="BCa", rng=rng(7)
        ).confidence_interval
        assert (low[column], high[column]) == pytest.approx(tuple(expected), rel=1e-9)


def test_bca_counts_half_of_the_ties_as_below() -> None:
    """Whole numbers: sums are exact in SciPy's resamples, and many are the sample's own."""
    samples = np.stack([np.resize([1.0, 0.0, 0.0, -1.0, 2.0], 20), np.resize([0.0, 3.0], 20)], 1)
    means = np.array([samples[rng(s).integers(0, 20, 20)].mean(axis=0) for s in range(200)])
    assert (np.abs(means - samples.mean(axis=0)) < 1e-9).mean(axis=0).min() > 0.05  # ties
    low, high = bca(samples, 0.9, rng(7))
    for column in range(2):
        expected = stats.bootstrap(
            (samples[:, column],), np.mean, n_resamples=9999, confidence_level=0.9, method="BCa",
            rng=rng(7),
        ).confidence_interval  # fmt: skip
        assert (low[column], high[column]) == pytest.approx(tuple(expected), rel=1e-9)


@pytest.mark.parametrize(
    ("off", "noise", "share"),
    [
        (0.0, 0.0, 0.5),  # one of five below, three ties: (1 + 3 / 2) / 5
        (-1e-14, 0.0, 0.5),  # summed in another order
        (+1e-14, 0.0, 0.5),
        (-3e-8, 0.0, 0.8),  # no ties: four of five are below
        (-3e-8, 4e-7, 0.5),  # but for single precision they are
        (+3e-8, 4e-7, 0.5),
        (+3e-8, 0.0, 0.2),
    ],
)
def test_ties_are_half_below_with_a_hair_of_slack(off: float, noise: float, share: float) -> None:
    sample = np.array([[0.1], [0.3]])
    means = np.array([[0.1], [0.2 + off], [0.2 + off], [0.2 + off], [0.3]])
    assert share_below(means, sample, noise) == pytest.approx([share])


def test_bca_of_a_symmetric_sample_is_the_percentile_interval() -> None:
    """Eleven ups, eleven downs: half the ties below make the bias 0; the acceleration is 0."""
    sample = np.resize([1.0, -1.0], 22)
    sums = 2 * rng(3).integers(0, 22, (9999, 22)).__mod__(2).sum(axis=1)
    means = np.sort((22 - sums) / 22)
    share = (means < 0).mean() + (means == 0).mean() / 2
    z = stats.norm.ppf(share)
    ends = stats.norm.cdf(2 * z + stats.norm.ppf([0.025, 0.975]))
    low, high = bca(sample[:, None], 0.95, rng(3))
    assert (low[0], high[0]) == pytest.approx(tuple(np.quantile(means, ends)), abs=1e-12)


def test_bca_has_no_interval_without_spread() -> None:
    samples = np.stack([np.full(20, 0.1), np.arange(20.0)], axis=1)
    low, high = bca(samples, 0.95, rng())
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert low[1] < 9.5 < high[1]


def test_improvement_counts_ties_half_and_knows_the_direction() -> None:
    sample = np.array([1.0] * 14 + [0.0] * 2 + [-1.0] * 4)
    share, low, high = improvement(sample, "max", 0.95)
    expected = stats.binomtest(15, 20).proportion_ci(method="wilson")
    assert share == 0.75
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-9)
    assert improvement(sample, "min", 0.95) == pytest.approx((0.25, 1 - high, 1 - low))
