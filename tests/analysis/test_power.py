import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis.power import detectable, power, seeds_needed


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
