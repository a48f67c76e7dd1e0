import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis.descriptive import moments, rounding, spread, summarize, t_quantile, wilson
from ablate.analysis.effects import MetricSummary, Spread

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("n", [3, 5, 20])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_of_the_mean_is_that_of_scipy(n: int, confidence: float) -> None:
    values = RNG.normal(0.9, 0.02, (n, 4))
    found = moments(values, confidence)
    for column in range(4):
        sample = values[:, column]
        expected = stats.ttest_1samp(sample, 0).confidence_interval(confidence)
        assert found.mean[column] == pytest.approx(sample.mean(), rel=1e-12)
        assert found.sd[column] == pytest.approx(stats.tstd(sample), rel=1e-12)
        assert (found.low[column], found.high[column]) == pytest.approx(expected, rel=1e-10)


def test_missing_rows_are_left_out_column_by_column() -> None:
    values = RNG.normal(size=(6, 2))
    gappy = values.copy()
    gappy[[1, 4], 0] = np.nan
    found = moments(gappy)
    alone = moments(values[[0, 2, 3, 5], :1])
    assert found.n.tolist() == [4, 6]
    assert found.low[0] == pytest.approx(alone.low[0], rel=1e-12)


def test_no_interval_under_three_seeds_and_none_without_spread() -> None:
    one, two = summarize(np.array([[0.5, 0.5], [np.nan, 0.7]]), [0, 1], 0.95)
    assert one == MetricSummary({0: 0.5}, 1, 0.5, None, None, None)
    assert two.sd == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert (two.low, two.high) == (None, None)
    (same,) = summarize(np.full((5, 1), 0.1), [0, 1, 2, 3, 4], 0.95)
    assert (same.sd, same.low, same.high) == (0.0, None, None)


def test_the_interval_of_a_share_ends_where_shares_end() -> None:
    values = np.array([[0.99, 0.01, 0.5], [1.0, 0.0, 0.6], [0.98, 0.03, 0.55], [np.nan] * 3])
    whole, ended = moments(values), moments(values, share=True)
    assert whole.high[0] > 1 and whole.low[1] < 0
    assert ended.high[0] == 1 and ended.low[1] == 0
    assert ended.low[0] == whole.low[0] and ended.high[1] == whole.high[1]
    assert (ended.low[2], ended.high[2]) == (whole.low[2], whole.high[2])
    assert np.isnan(moments(values[:2], share=True).high).all()


def test_single_precision_leaves_no_spread() -> None:
    rows = np.array([[341, 340], [344, 343], [337, 336]]) / 360
    rounded = rows.astype(np.float32).astype(float)
    difference = rounded[:, :1] - rounded[:, 1:]
    assert moments(difference).sd[0] > 0
    assert moments(difference, noise=rounding(rounded)).sd[0] == 0


def test_empty_columns_and_no_rows_describe_nothing() -> None:
    assert summarize(np.full((3, 1), np.nan), [0, 1, 2], 0.95) == [MetricSummary()]
    assert summarize(np.empty((0, 1)), [], 0.95) == [MetricSummary()]


def test_t_quantiles_are_those_of_scipy() -> None:
    expected = stats.t.ppf(0.975, [2, 4, 99])
    assert t_quantile(np.array([3, 5, 100]), 0.95) == pytest.approx(expected, rel=1e-10)
    assert np.isnan(t_quantile(1, 0.95))


@given(
    st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_wilson_is_that_of_scipy(pair: tuple[int, int], confidence: float) -> None:
    count, of = pair
    expected = stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    found = wilson(count, of, confidence)
    assert found == pytest.approx((expected.low, expected.high), rel=1e-10, abs=1e-12)


def test_wilson_of_nothing_is_none() -> None:
    assert wilson(0, 0) is None


def test_spread_is_median_and_quartiles() -> None:
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == Spread(5, 3.0, 2.0, 4.0, 1.0, 5.0)
    assert spread([]) is None
    assert spread([float("nan")]) is None
