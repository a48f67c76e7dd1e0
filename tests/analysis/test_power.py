import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis.equivalence import equivalence_p
from ablate.analysis.intervals import Interval
from ablate.analysis.power import (
    detectable,
    effect_size_interval,
    equivalence_power,
    margin_shown,
    power,
    seeds_for_equivalence,
    seeds_needed,
    spread_interval,
)


@pytest.mark.parametrize(("n", "d"), [(3, 1.0), (5, 1.7), (12, 0.3), (50, 0.5)])
def test_power_is_that_of_the_noncentral_t(n: int, d: float) -> None:
    critical = stats.t.ppf(0.975, n - 1)
    shifted = stats.nct(n - 1, d * np.sqrt(n))
    expected = shifted.sf(critical) + shifted.cdf(-critical)
    assert power(n, d) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_power_is_what_simulated_studies_reject(n: int) -> None:
    d = detectable(n)
    assert d is not None
    differences = np.random.default_rng(5).normal(d, 1, (20_000, n))
    rejected = (stats.ttest_1samp(differences, 0, axis=1).pvalue <= 0.05).mean()
    assert rejected == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 20_000))


def test_smallest_effects_are_those_known() -> None:
    known = {3: 3.3, 5: 1.7, 8: 1.2, 10: 1.0, 20: 0.66}
    assert {n: detectable(n) for n in known} == pytest.approx(known, abs=0.05)
    assert detectable(2) is None
    assert detectable(1000) == pytest.approx(2.8016 / np.sqrt(1000), rel=2e-3)


@given(st.floats(0.02, 10))
def test_seeds_needed_reach_the_power_and_one_fewer_does_not(d: float) -> None:
    n = seeds_needed(d)
    if n is None:
        assert power(10_000, d) < 0.81
        return
    assert n >= 3
    assert power(n, d) >= 0.8 - 1e-4
    if n > 3:
        assert power(n - 1, d) < 0.8 + 1e-4


@pytest.mark.parametrize("d", [0.0, None, float("nan"), 0.001])
def test_no_number_of_seeds_is_proposed_for_no_effect(d: float | None) -> None:
    assert seeds_needed(d) is None


def test_the_sign_of_an_effect_does_not_matter() -> None:
    assert seeds_needed(-0.7) == seeds_needed(0.7)


def test_power_is_the_share_of_studies_that_show_equivalence():
    rng = np.random.default_rng(5)
    d = rng.normal(size=(20_000, 11))
    p = equivalence_p(np.full(20_000, 11), d.mean(axis=1), d.std(axis=1, ddof=1), 1.0)
    assert equivalence_power(11, 1.0, 0.05) == pytest.approx(np.mean(p <= 0.05), abs=0.01)


@pytest.mark.parametrize(
    ("margin", "for_80", "for_90"), [(0.5, 36, 45), (1.0, 11, 13), (1.5, 6, 7), (2.0, 4, 5)]
)
def test_seeds_that_equivalence_asks_for(margin, for_80, for_90):
    assert seeds_for_equivalence(1.0, margin, 0.05, 0.8) == for_80
    assert seeds_for_equivalence(1.0, margin, 0.05, 0.9) == for_90
    assert seeds_for_equivalence(0.0, margin, 0.05, 0.8) is None


@pytest.mark.parametrize("margin", [1.0, 1.5])
def test_the_margin_that_seeds_could_show_is_the_one_that_asks_for_them(margin):
    n = seeds_for_equivalence(1.0, margin, 0.05, 0.8)
    assert margin_shown(n, 0.05, 0.8) <= margin < margin_shown(n - 1, 0.05, 0.8)
    assert margin_shown(2, 0.05, 0.8) is None


def test_intervals_of_a_spread_and_of_an_effect_size_cover():
    rng = np.random.default_rng(6)
    sample = rng.normal(0.8, 1, (4000, 6))
    sd = sample.std(axis=1, ddof=1)
    low, high = spread_interval(6, 0.95)
    assert np.mean((sd * low < 1) & (sd * high > 1)) == pytest.approx(0.95, abs=0.012)
    ends = [effect_size_interval(6, each, 0.9) for each in sample.mean(axis=1) / sd]
    # The size is that of an effect of either sign: the interval is two-sided in |d|.
    assert np.mean([a <= 0.8 <= b for a, b in ends]) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("kind", [Interval("always_valid"), Interval("overlapping_splits", 0.25)])
def test_wider_intervals_find_less(kind):
    assert detectable(10, interval=kind) > 1.5 * detectable(10)
    d = detectable(10, interval=kind)
    assert float(power(10, d, interval=kind)) == pytest.approx(0.8, abs=1e-4)
    assert margin_shown(10, 0.05, 0.8, kind) > margin_shown(10, 0.05, 0.8)


def test_no_number_of_overlapping_splits_finds_a_small_effect():
    assert seeds_needed(1.0, interval=Interval("overlapping_splits", 0.25)) is None
