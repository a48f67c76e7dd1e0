from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis.budget import Tolerance, compare_tolerance, expected_best, tolerated

NAN = float("nan")


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=7), st.sampled_from(["max", "min"]))
def test_expected_best_is_the_mean_over_all_subsets(values: list[float], direction: str) -> None:
    pick = max if direction == "max" else min
    expected = [
        np.mean([pick(subset) for subset in combinations(values, k)])
        for k in range(1, len(values) + 1)
    ]
    assert expected_best(values, direction) == pytest.approx(expected, abs=1e-12)  # type: ignore[arg-type]


def test_expected_best_is_unbiased_for_independent_draws() -> None:
    """The expected maximum of 3 uniform draws is 3/4, whatever the number of points."""
    points = np.random.default_rng(0).random((4000, 8))
    estimates = np.array([expected_best(each)[2] for each in points])
    assert estimates.mean() == pytest.approx(0.75, abs=3 * estimates.std() / np.sqrt(4000))


def test_failed_points_count_as_the_worst_or_as_told() -> None:
    assert expected_best([0.9, NAN, 0.5]) == pytest.approx(expected_best([0.9, 0.5, 0.5]))
    assert expected_best([0.9, NAN], failed=0.1) == pytest.approx([0.5, 0.9])
    assert expected_best([0.2, NAN], "min", failed=2.3) == pytest.approx([1.25, 0.2])
    assert expected_best([NAN, NAN]).size == 0
    assert expected_best([NAN, NAN], failed=0.1).tolist() == [0.1, 0.1]


def test_range_is_the_unbroken_run_around_the_best_of_each_seed() -> None:
    rates = [1.0, 0.001, 0.1, 0.01]
    values = np.array(
        [
            [NAN, 0.90, 0.97, 0.965],
            [0.975, 0.98, 0.96, 0.985],
            [NAN, NAN, NAN, NAN],
            [0.1, 0.1, 0.9, 0.1],
        ]
    )
    found = tolerated(rates, values, tolerance=0.01)
    np.testing.assert_array_equal(found.low, [0.01, 0.001, NAN, 0.1])
    np.testing.assert_array_equal(found.high, [0.1, 0.01, NAN, 0.1])
    np.testing.assert_allclose(found.decades, [1, 1, NAN, 0], atol=1e-12)
    np.testing.assert_array_equal(found.best, [0.97, 0.985, NAN, 0.9])


def test_a_point_exactly_one_tolerance_below_counts() -> None:
    found = tolerated([0.1, 1.0], np.array([[0.97, 0.96]]), tolerance=0.01)
    assert found.high.tolist() == [1.0]


@pytest.mark.parametrize(
    ("best", "other", "near"),
    [
        (0.97, 0.96, True),
        (0.7, 0.69, True),  # 0.7 - 0.01 is a hair more than 0.69 in binary
        (0.97, 0.9599, False),
        (0.7, 0.689999, False),
        (float(np.float32(0.97)), float(np.float32(0.96)), True),
    ],
)
def test_the_slack_is_a_hair(best: float, other: float, near: bool) -> None:
    found = tolerated([0.1, 1.0], [[best, other]], tolerance=0.01)
    assert found.high.tolist() == [1.0 if near else 0.1]
    turned = tolerated([0.1, 1.0], [[-best, -other]], tolerance=0.01, direction="min")
    assert turned.high.tolist() == found.high.tolist()


def test_where_less_is_better_the_range_is_around_the_smallest() -> None:
    found = tolerated(
        [0.1, 1.0, 10.0], np.array([[0.3, 0.2, 2.3]]), tolerance=0.15, direction="min"
    )
    assert (found.low[0], found.high[0], found.best[0]) == (0.1, 1.0, 0.2)


@pytest.mark.parametrize(
    ("rates", "shape", "text"), [([0.1, 0.0], (1, 2), "positive"), ([0.1], (1, 2), "per seed")]
)
def test_bad_searches_are_refused(rates: list[float], shape: tuple[int, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        tolerated(rates, np.zeros(shape), tolerance=0.01)


def width(*decades: float) -> Tolerance:
    ones = np.ones(len(decades))
    return Tolerance(ones, 10 ** np.array(decades), np.array(decades), ones)


def test_widths_that_differ_by_rounding_are_the_same() -> None:
    found, wider = compare_tolerance(
        {
            "plain": width(1.0, 1.5, 1.2),
            "bn": width(1.0 + 1e-7, 1.5 + 2e-7, 1.2 + 1.5e-7),
            "dropout": width(1.0 + 1e-3, 1.5 + 2e-3, 1.2 + 1.5e-3),
        },
        "plain",
        seeds=[0, 1, 2],
        rng=np.random.default_rng(0),
    )
    assert (found.mean, found.p) == (0.0, 1.0)
    assert wider.mean == pytest.approx(1.5e-3)
    assert wider.p == pytest.approx(stats.ttest_1samp([1, 2, 1.5], 0).pvalue, rel=1e-6)


def test_widths_are_compared_by_seed() -> None:
    (found,) = compare_tolerance(
        {"plain": width(1.0, 1.5, 1.2), "bn": width(2.0, 2.4, 2.5)},
        "plain",
        seeds=[0, 1, 2],
        rng=np.random.default_rng(0),
    )
    expected = stats.ttest_rel([2.0, 2.4, 2.5], [1.0, 1.5, 1.2])
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.mean == pytest.approx(16 / 15)
    assert (found.variant, found.baseline, found.verdict) == ("bn", "plain", "better")
    assert found.words.startswith(
        "bn against plain: the usable range of learning rates +1.07 decades ("
    )


def test_a_search_without_seeds_or_variants_compares_nothing() -> None:
    empty = tolerated([0.1, 1.0], np.empty((0, 2)), tolerance=0.01)
    assert empty.decades.size == 0
    rng = np.random.default_rng(0)
    assert compare_tolerance({"plain": empty}, "plain", seeds=[], rng=rng) == []
    (found,) = compare_tolerance({"plain": empty, "bn": empty}, "plain", seeds=[], rng=rng)
    assert found.verdict == "missing"
