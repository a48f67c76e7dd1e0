import numpy as np
import pytest
from scipy import stats

from ablate.analysis import analyze
from ablate.analysis.effects import Expectation
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.analysis import Expect
from ablate.study.trial import TrialResult
from tests.analysis.simulated import arm, noisy, result, study

PLAIN = np.array(noisy(0.94, 0.004, 5, 0))
BN = PLAIN + noisy(0.012, 0.003, 5, 1)
SAME = PLAIN + noisy(0.0005, 0.006, 5, 2)


def judged(claim: dict[str, object], results: list[TrialResult] | None = None) -> Expectation:
    if results is None:
        results = study({"plain": list(PLAIN), "bn": list(BN), "same": list(SAME)})
    resolved = [arm("plain"), arm("bn"), arm("same")]
    filled = {"variant": "bn", "metric": "test_accuracy", "source": "A paper, table 1"} | claim
    (found,) = analyze(results, resolved, "plain", expect=[Expect(**filled)]).expectations  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("range_", "verdict"),
    [
        ((0.93, 0.97), "reproduced"),
        ((0.97, 0.99), "refuted"),
        ((0.90, 0.93), "refuted"),
        ((0.952, 0.99), "undecided"),
    ],
)
def test_a_value_is_held_against_its_range(range_: tuple[float, float], verdict: str) -> None:
    found = judged({"claim": "value", "range": range_})
    expected = stats.ttest_1samp(BN, 0).confidence_interval()
    assert found.verdict == verdict
    assert (found.ours_low, found.ours_high) == pytest.approx(tuple(expected))
    assert (found.published_low, found.published_high) == range_
    assert (found.seeds_needed is not None) == (verdict == "undecided")


def test_a_mean_with_deviation_and_n_has_the_t_interval_of_its_mean() -> None:
    found = judged({"claim": "value", "value": 0.97, "sd": 0.002, "n": 7})
    half = stats.t.ppf(0.975, 6) * 0.002 / np.sqrt(7)
    assert (found.published_low, found.published_high) == pytest.approx((0.97 - half, 0.97 + half))
    assert found.verdict == "refuted"


@pytest.mark.parametrize("more", [{"n": 1}, {"n": 1, "sd": 0.1}, {"n": 2}, {}])
def test_nothing_is_held_equal_to_a_single_number(more: dict[str, object]) -> None:
    found = judged({"claim": "value", "value": float(BN.mean()), **more})
    assert (found.verdict, found.seeds_needed) == ("undecided", None)
    assert "nothing can be held to it" in found.text


def test_seeds_that_would_decide_have_the_power_to() -> None:
    found = judged({"claim": "value", "range": (0.952, 0.99)})
    distance = abs(BN.mean() - 0.952) / BN.std(ddof=1)
    critical = stats.t.ppf(0.975, np.arange(3, 10_000) - 1)
    n = np.arange(3, 10_000)
    power = stats.nct.sf(critical, n - 1, distance * np.sqrt(n))
    assert found.seeds_needed == n[np.argmax(power >= 0.8)]


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"variant": "bn", "than": "plain"}, "reproduced"),
        ({"variant": "plain", "than": "bn"}, "refuted"),
        ({"variant": "same", "than": "plain"}, "undecided"),
        ({"variant": "bn", "than": "plain", "value": 0.001}, "reproduced"),
        ({"variant": "bn", "than": "plain", "value": 0.05}, "refuted"),
    ],
)
def test_an_ordering_is_paired_by_seed(claim: dict[str, object], verdict: str) -> None:
    assert judged({"claim": "ordering", **claim}).verdict == verdict


def test_an_ordering_of_losses_asks_for_the_smaller() -> None:
    results = [
        result(name, seed, metrics={"test_loss": loss + 0.01 * seed + jitter * seed**2})
        for name, loss, jitter in (("bn", 0.2, 0.001), ("plain", 0.4, 0.0))
        for seed in range(4)
    ]
    claim = {"claim": "ordering", "than": "plain", "metric": "test_loss"}
    assert judged(claim, results).verdict == "reproduced"


def test_under_three_seeds_nothing_is_decided() -> None:
    found = judged({"claim": "ordering", "than": "plain"}, study({"plain": [0.9], "bn": [0.95]}))
    assert (found.verdict, found.seeds_needed) == ("undecided", 3)


def lost(diverged: dict[str, int], of: int) -> list[TrialResult]:
    return [
        result(name, seed, status="diverged" if seed < count else "completed")
        for name, count in diverged.items()
        for seed in range(of)
    ]


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"range": (0.5, 1.0)}, "reproduced"),
        ({"range": (0.0, 0.3)}, "refuted"),
        ({"value": 0.48, "n": 218}, "refuted"),
        ({"value": 0.9, "n": 20}, "undecided"),
        ({"value": 1.0}, "undecided"),
        ({"than": "plain"}, "refuted"),
        ({"variant": "plain", "than": "bn"}, "reproduced"),
    ],
)
def test_collapse_rates_are_wilsons(claim: dict[str, object], verdict: str) -> None:
    filled = {"claim": "collapse_rate", "metric": "collapse_rate", **claim}
    found = judged(filled, lost({"bn": 8, "plain": 0}, 8))
    assert found.verdict == verdict
    if found.variant == "bn":
        expected = stats.binomtest(8, 8).proportion_ci(method="wilson")
        assert (found.ours_low, found.ours_high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("confidence", "verdict"), [(0.9, "refuted"), (0.95, "undecided")])
def test_rates_are_told_apart_at_the_level_of_the_study(confidence: float, verdict: str) -> None:
    """Four of eight against none of eight: Fisher's p is 0.077."""
    claim = Expect(
        claim="collapse_rate", metric="collapse_rate", variant="bn", than="plain", source="x"
    )
    settings = Settings(confidence=confidence)
    results = lost({"bn": 4, "plain": 0}, 8)
    analysis = analyze(results, [arm("plain"), arm("bn")], "plain", settings, expect=[claim])
    assert [each.verdict for each in analysis.expectations] == [verdict]


def test_trials_that_would_decide_a_rate_do() -> None:
    claim = {"claim": "collapse_rate", "metric": "collapse_rate", "value": 0.0, "n": 216}
    found = judged(claim, lost({"bn": 0}, 5))
    assert found.verdict == "undecided"
    needed = found.seeds_needed
    assert needed is not None
    enough = stats.binomtest(0, needed).proportion_ci(method="wilson").high
    assert enough <= stats.binomtest(0, 216).proportion_ci(method="wilson").high


@pytest.mark.parametrize(
    ("range_", "verdict"), [((1.005, 1.03), "reproduced"), ((1.1, 1.4), "refuted")]
)
def test_a_ratio_is_the_geometric_mean_over_seeds(
    range_: tuple[float, float], verdict: str
) -> None:
    found = judged({"claim": "ratio", "than": "plain", "range": range_})
    logs = stats.ttest_1samp(np.log(BN / PLAIN), 0).confidence_interval()
    assert found.verdict == verdict
    assert found.ours == pytest.approx(stats.gmean(BN / PLAIN))
    assert (found.ours_low, found.ours_high) == pytest.approx((np.exp(logs.low), np.exp(logs.high)))
    assert (found.published_low, found.published_high) == range_


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ({"claim": "value", "variant": "nn"}, "no variant 'nn'"),
        ({"claim": "ordering", "than": "nn"}, "no variant 'nn'"),
        ({"claim": "ordering"}, "needs 'than'"),
        ({"claim": "ratio"}, "needs 'than'"),
        ({"claim": "value", "metric": "charm"}, "no completed trial reports 'charm'"),
    ],
)
def test_a_claim_that_cannot_be_judged_says_why(claim: dict[str, object], text: str) -> None:
    found = judged(claim)
    assert found.verdict == "undecided"
    assert text in found.text


def test_the_text_tells_both_sides() -> None:
    found = judged({"claim": "value", "metric": "accuracy", "range": (0.93, 0.97)})
    low, high = (100 * each for each in (found.ours_low or 0, found.ours_high or 0))
    assert found.text == (
        f"reproduced: test accuracy of bn is {100 * BN.mean():.1f} % (interval {low:.1f} to "
        f"{high:.1f} %) with 5 seeds; published 93.0 to 97.0 %."
    )
