from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.analysis.anytime import p_values
from ablate.analysis.descriptive import rounding
from ablate.analysis.effects import Comparison, Direction, Effect
from ablate.analysis.intervals import Interval
from ablate.analysis.paired import Family, compare, correlate, holm, specialize


def compared(
    differences: np.ndarray,
    direction: Direction = "max",
    *,
    size: int = 0,
    confidence: float = 0.95,
    seeds: Sequence[int] = (),
    **more: np.ndarray,
) -> list[Comparison]:
    family = Family(
        "variants",
        size or differences.shape[1],
        seeds=seeds or range(len(differences)),
        metric="test_accuracy",
        direction=direction,
        confidence=confidence,
        rng=np.random.default_rng(0),
    )
    return compare(differences, family, **more)


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_headline_is_scipys_paired_t_test(n: int) -> None:
    rng = np.random.default_rng(n)
    baseline = rng.normal(0.9, 0.02, n)
    variant = baseline + rng.normal(0.01, 0.01, n)
    (found,) = compared(
        (variant - baseline)[:, None], correlations=correlate(baseline[:, None], variant[:, None])
    )
    expected = stats.ttest_rel(variant, baseline)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)
    assert found.cohens_d == pytest.approx(expected.statistic / np.sqrt(n), rel=1e-9)
    assert found.correlation == pytest.approx(stats.pearsonr(baseline, variant).statistic, rel=1e-9)
    assert found.differences == dict(enumerate(variant - baseline))


def test_what_each_n_allows() -> None:
    rng = np.random.default_rng(1)
    checks = ("p", "low", "cohens_d", "sign_flip_p", "bca_low", "improvement")
    allowed = {}
    for n in (0, 1, 2, 3, 5, 6, 20):
        (found,) = compared(rng.normal(0.1, 1, (n, 1)))
        allowed[n] = [name for name in checks if getattr(found, name) is not None]
    t_test = ["p", "low", "cohens_d"]
    assert allowed == {
        0: [],
        1: [],
        2: [],
        3: t_test,
        5: t_test,
        6: [*t_test, "sign_flip_p"],
        20: [*t_test, "sign_flip_p", "bca_low", "improvement"],
    }


def test_pairs_are_the_seeds_completed_in_both() -> None:
    differences = np.array([[0.1], [np.nan], [0.3], [0.2], [np.nan]])
    (found,) = compared(differences, seeds=[7, 8, 9, 10, 11])
    assert (found.n, found.differences) == (3, {7: 0.1, 9: 0.3, 10: 0.2})
    assert found.p == pytest.approx(stats.ttest_1samp([0.1, 0.3, 0.2], 0).pvalue)


@pytest.mark.parametrize(
    ("differences", "direction", "verdict"),
    [
        ([], "max", "missing"),
        ([0.1, 0.2], "max", "described"),
        ([0.1, 0.11, 0.12], "max", "better"),
        ([0.1, 0.11, 0.12], "min", "worse"),
        ([-0.1, -0.11, -0.12], "min", "better"),
        ([0.1, -0.11, 0.02], "max", "inconclusive"),
        ([0.0, 0.0, 0.0], "max", "inconclusive"),
        ([0.1, 0.1, 0.1], "max", "inconclusive"),
    ],
)
def test_verdict_follows_holms_p_and_the_direction(
    differences: list[float], direction: str, verdict: str
) -> None:
    column = np.array(differences).reshape(-1, 1)
    assert compared(column, direction)[0].verdict == verdict


def test_equal_differences_are_no_evidence_even_in_single_precision() -> None:
    rows = np.array([[341, 342], [344, 345], [337, 338], [350, 351]], np.float32) / np.float32(360)
    values = rows.astype(float)
    difference = values[:, [1]] - values[:, [0]]
    (found,) = compared(difference, noise=rounding(values[:, [0]], values[:, [1]]))
    assert (found.sd, found.p, found.low, found.verdict) == (0.0, None, None, "inconclusive")
    (zero,) = compared(np.zeros((4, 1)))
    assert (zero.p, zero.p_holm, zero.seeds_needed) == (1.0, 1.0, None)


def test_a_family_larger_than_what_has_come_is_corrected_in_full() -> None:
    differences = np.random.default_rng(2).normal(1, 0.5, (5, 1))
    (alone,) = compared(differences)
    (of_four,) = compared(differences, size=4)
    assert alone.p is not None
    assert alone.p_holm == alone.p
    assert of_four.p_holm == pytest.approx(4 * alone.p)


def holm_by_hand(p: list[float]) -> list[float]:
    """Reject in order while p(i) ≤ α / (m - i): the smallest α that rejects each."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, worst = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, (len(p) - rank) * p[index])
        adjusted[index] = min(1.0, worst)
    return adjusted


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_procedure(p: list[float]) -> None:
    found = holm(np.array(p))
    assert found.tolist() == pytest.approx(holm_by_hand(p))
    assert np.all(found >= np.array(p))
    bonferroni = np.minimum(1, len(p) * np.array(p))
    assert np.all(found <= bonferroni + 1e-15)


def test_holm_counts_untested_comparisons_as_not_rejected() -> None:
    found = holm(np.array([0.01, np.nan, 0.02]))
    assert found[[0, 2]] == pytest.approx([0.03, 0.04])
    assert np.isnan(found[1])
    assert holm(np.array([])).size == 0


def test_power_is_told_at_the_observed_spread() -> None:
    (found,) = compared(np.random.default_rng(4).normal(0.5, 1, (5, 1)))
    assert found.sd is not None
    assert found.detectable_d == pytest.approx(1.68, abs=0.01)
    assert found.detectable == pytest.approx(found.detectable_d * found.sd)
    assert found.seeds_needed is not None
    assert found.seeds_needed > 5


def test_correlation_needs_three_pairs_and_spread_on_both_sides() -> None:
    left = np.array([[1.0], [2.0], [3.0], [np.nan]])
    right = np.array([[2.0, 1.0, 5.0], [4.0, np.nan, 5.0], [6.1, 2.0, 5.0], [0.0, 1.0, 5.0]])
    found = correlate(left, right)
    assert found[0] == pytest.approx(np.corrcoef([1, 2, 3], [2, 4, 6.1])[0, 1])
    assert np.isnan(found[1:]).all()


def test_a_comparison_becomes_an_effect_with_all_its_numbers() -> None:
    (found,) = compared(np.random.default_rng(4).normal(0.2, 1, (5, 1)))
    effect = specialize(found, Effect, variant="bn", baseline="plain")
    assert (effect.variant, effect.baseline, effect.p, effect.n) == ("bn", "plain", found.p, 5)


#: Five differences whose paired t test has p = 0.0352: better at 95 % alone, not at 99 %.
FIVE = np.array([0.010, 0.002, 0.014, 0.006, 0.003])


@pytest.mark.parametrize(
    ("confidence", "family", "verdict"),
    [
        (0.9, 1, "better"), (0.95, 1, "better"), (0.99, 1, "inconclusive"),
        (0.9, 2, "better"), (0.95, 2, "inconclusive"), (0.8, 5, "better"), (0.9, 5, "inconclusive"),
    ],
)  # fmt: skip
def test_every_threshold_is_one_minus_the_confidence(
    confidence: float, family: int, verdict: str
) -> None:
    (found,) = compared(FIVE[:, None], confidence=confidence, size=family)
    p = stats.ttest_1samp(FIVE, 0).pvalue
    assert p == pytest.approx(0.0352, abs=1e-4)
    assert found.p == pytest.approx(p)
    assert found.p_holm == pytest.approx(family * p)
    assert found.verdict == verdict
    half = stats.t.ppf(0.5 + confidence / 2, 4) * FIVE.std(ddof=1) / np.sqrt(5)
    assert (found.low, found.high) == pytest.approx((FIVE.mean() - half, FIVE.mean() + half))


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_power_is_told_at_the_level_of_the_verdict(confidence: float) -> None:
    """The noncentral t of SciPy: with this effect, 80 % of studies would reject at this level."""
    (found,) = compared(FIVE[:, None], confidence=confidence)
    d, needed = found.detectable_d, found.seeds_needed
    assert d is not None
    assert needed is not None

    def power(n: int, effect: float) -> float:
        critical = stats.t.ppf(0.5 + confidence / 2, n - 1)
        shift = effect * np.sqrt(n)
        return stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)

    assert power(5, d) == pytest.approx(0.8, abs=1e-4)
    observed = FIVE.mean() / FIVE.std(ddof=1)
    assert power(needed, observed) >= 0.8 > power(needed - 1, observed)


def test_the_sign_flip_test_is_made_where_it_can_reject_at_this_level() -> None:
    allowed = {
        confidence: compared(FIVE[:, None], confidence=confidence)[0].sign_flip_p is not None
        for confidence in (0.9, 0.95)
    }
    assert allowed == {0.9: True, 0.95: False}  # 2^-4 = 0.0625


def test_bca_and_the_share_of_seeds_have_the_confidence() -> None:
    differences = np.random.default_rng(0).normal(0.3, 1, (20, 1))
    (wide,), (narrow,) = (compared(differences, confidence=c) for c in (0.99, 0.8))
    assert wide.bca_high - wide.bca_low > 1.5 * (narrow.bca_high - narrow.bca_low)  # type: ignore
    for found, confidence in ((wide, 0.99), (narrow, 0.8)):
        wins = int((differences > 0).sum())
        expected = stats.binomtest(wins, 20).proportion_ci(confidence, method="wilson")
        assert (found.improvement_low, found.improvement_high) == pytest.approx(
            (expected.low, expected.high)
        )


def test_always_valid_p_take_seeds_in_the_order_in_which_they_were_seen():
    differences = np.array([[0.5], [0.4], [0.6], [-3.0], [0.5], [0.55], [0.45], [0.5]])
    family = Family(
        "variants", 1, tuple(range(8)), "test_accuracy", "max", 0.95, np.random.default_rng(0),
        interval=Interval("always_valid"), order=(4, 5, 6, 7),
    )  # fmt: skip
    (found,) = compare(differences, family)
    expected = p_values(differences[[4, 5, 6, 7, 0, 1, 2, 3]])
    assert found.p == expected[0]
    assert found.p < p_values(differences)[0]
    assert list(found.differences) == list(range(8))
