import numpy as np
import pytest
from scipy import stats

from ablate.analysis import analyze
from ablate.analysis.effects import Expectation
from ablate.analysis.replication import replication
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
        ((0.93, 0.97), "consistent"),
        ((0.97, 0.99), "inconsistent"),
        ((0.90, 0.93), "inconsistent"),
        ((0.952, 0.99), "too imprecise"),
    ],
)
def test_a_value_is_held_against_its_range(range_: tuple[float, float], verdict: str) -> None:
    found = judged({"claim": "value", "range": range_})
    expected = stats.ttest_1samp(BN, 0).confidence_interval()
    assert found.verdict == verdict
    assert (found.ours_low, found.ours_high) == pytest.approx(tuple(expected))
    assert (found.published_low, found.published_high) == (None, None)
    assert (found.consistent_low, found.consistent_high) == range_
    assert (found.seeds_needed is not None) == (verdict == "too imprecise")


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"value": 0.955, "sd": 0.004, "n": 7, "margin": 0.02}, "consistent"),
        ({"value": 0.98, "sd": 0.004, "n": 7, "margin": 0.02}, "inconsistent"),
        ({"value": 0.955, "sd": 0.004, "n": 7, "margin": 0.001}, "too imprecise"),
        ({"value": 0.955, "n": 1, "margin": 0.1}, "consistent"),
    ],
)
def test_a_margin_is_held_against_the_interval_of_the_difference(
    claim: dict[str, object], verdict: str
) -> None:
    found = judged({"claim": "value", **claim})
    sides = (BN.mean(), BN.std(ddof=1), 5), (claim["value"], claim.get("sd"), claim["n"])
    expected = replication(*sides, claim["margin"])  # type: ignore[arg-type]
    assert (found.verdict, expected.verdict) == (verdict, verdict)
    assert (found.difference, found.difference_low, found.difference_high) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )


@pytest.mark.parametrize("more", [{"n": 1}, {"n": 7, "sd": 0.1}, {"n": 2}, {}])
def test_without_margin_or_range_nothing_is_called_near(more: dict[str, object]) -> None:
    found = judged({"claim": "value", "value": float(BN.mean()), **more})
    assert (found.verdict, found.seeds_needed) == ("not judged", None)
    assert found.reason == "neither a margin nor a range says how near a consistent result lies"


@pytest.mark.parametrize(
    ("claim", "weak"),
    [
        ({"value": 0.95, "margin": 0.2, "n": 1}, "1 published run"),
        ({"value": 0.95, "margin": 0.2, "n": 2}, "2 published runs"),
        ({"value": 0.95, "margin": 0.2, "n": 3}, ""),
        ({"value": 0.95, "margin": 0.2}, "published runs not given, taken as one"),
        ({"range": (0.9, 0.97), "n": 2}, "2 published runs"),
        ({"range": (0.9, 0.97)}, ""),  # a formula has no runs
    ],
)
def test_one_or_two_published_runs_are_called_weak(claim: dict[str, object], weak: str) -> None:
    found = judged({"claim": "value", **claim})
    assert (found.verdict, found.weak) == ("consistent", weak)
    assert found.text.endswith(f"; weak evidence ({weak}).") == bool(weak)


def test_what_a_profile_changed_leaves_a_claim_without_verdict() -> None:
    found = judged(
        {"claim": "ordering", "than": "plain", "changed_by": "--profile quick: train.epochs"}
    )
    assert (found.verdict, found.seeds_needed) == ("not judged", None)
    assert found.ours == pytest.approx((BN - PLAIN).mean())
    assert found.text.endswith(
        "; the claim is about other settings than those trained here "
        "(--profile quick: train.epochs)."
    )


UNDERFIT = {"curves": {"val_accuracy": [0.1, 0.5, 0.9], "val_loss": [2.0, 1.0, 0.5]}}


@pytest.mark.parametrize(
    ("claim", "results", "reason"),
    [
        ({}, {"steps": 10}, "a warning concerns it: moving averages"),
        ({"metric": "curve/loss"}, {"steps": 10}, ""),  # measured in training mode
        ({"variant": "same"}, {"steps": 10}, ""),  # has no moving averages
        ({"metric": "collapse_rate", "claim": "collapse_rate"}, {"steps": 10}, "a warning"),
        ({"variant": "drop"}, UNDERFIT, "a warning concerns it: baseline never overfits"),
        ({"variant": "drop", "metric": "train_accuracy"}, UNDERFIT, ""),  # rows it is fitted to
    ],
)
def test_a_guard_on_its_variants_leaves_a_claim_without_verdict(
    claim: dict[str, object], results: dict[str, object], reason: str
) -> None:
    drop = arm("drop", insert=[{"layer": "Dropout", "rate": 0.1}])
    resolved = [arm("plain"), arm("bn", insert=[{"layer": "BatchNormalization"}]), arm("same")]
    names = ("test_accuracy", "val_accuracy", "train_accuracy", "curve/loss")
    trials = [
        result(name, seed, metrics=dict.fromkeys(names, value), **results)
        for name, own in (("plain", PLAIN), ("bn", BN), ("same", SAME), ("drop", SAME))
        for seed, value in enumerate(own)
    ]
    filled = {
        "claim": "value", "variant": "bn", "metric": "test_accuracy", "source": "x",
        "range": (0.0, 1.0),
    } | claim  # fmt: skip
    resolved += [drop] if filled["variant"] == "drop" else []
    (found,) = analyze(trials, resolved, "plain", expect=[Expect(**filled)]).expectations  # type: ignore[arg-type]
    assert (found.verdict == "not judged") == bool(reason)
    assert found.reason.startswith(reason)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("diverged", "1 of 5 trials of bn have no metric, which flatters it"),
        ("at chance", "1 of 5 trials of bn ended at chance, so that a mean tells of neither kind"),
    ],
)
def test_trials_lost_leave_a_claim_of_a_mean_without_verdict(status: str, reason: str) -> None:
    trials = study({"plain": list(PLAIN), "bn": list(BN), "same": list(SAME)})
    lost = result("bn", 0, status="diverged")
    if status == "at chance":
        metrics = {"test_accuracy": 0.1, "val_accuracy": 0.1}
        lost = result("bn", 0, metrics=metrics, rows={"validation": 100}, majority=0.1)
    found = judged(
        {"claim": "ordering", "than": "plain"},
        [lost if each.variant == "bn" and each.seed == 0 else each for each in trials],
    )
    assert (found.verdict, found.reason) == ("not judged", reason)


def test_rows_of_one_pool_have_nadeau_and_bengios_interval() -> None:
    resolved = [arm(name, data={"name": "digits", "split": "per_seed"}) for name in ("plain", "bn")]
    trials = [
        result(name, seed, metrics={"test_accuracy": value}, rows={"train": 80, "test": 20})
        for name, own in (("plain", PLAIN), ("bn", BN))
        for seed, value in enumerate(own)
    ]
    shared = {"variant": "bn", "metric": "test_accuracy", "source": "x"}
    claims = [
        Expect(claim="value", range=(0.0, 1.0), **shared),  # type: ignore[arg-type]
        Expect(claim="ordering", than="plain", **shared),  # type: ignore[arg-type]
        Expect(claim="value", value=0.95, margin=0.1, n=9, sd=0.0, **shared),  # type: ignore[arg-type]
    ]
    found = analyze(trials, resolved, "plain", expect=claims).expectations
    t, wider = stats.t.ppf(0.975, 4), np.sqrt(1 / 5 + 20 / 80)
    for each, values in zip(found, (BN, BN - PLAIN), strict=False):
        half = t * wider * values.std(ddof=1)
        assert (each.ours_low, each.ours_high) == pytest.approx(
            (values.mean() - half, min(values.mean() + half, 1.0))
        )
    summary = analyze(trials, resolved, "plain").variant("bn").metrics["test_accuracy"]
    assert (summary.low, summary.high) == (found[0].ours_low, found[0].ours_high)
    assert found[2].difference_high - found[2].difference_low == pytest.approx(  # type: ignore[operator]
        2 * t * wider * BN.std(ddof=1)
    )


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
        ({"variant": "bn", "than": "plain"}, "consistent"),
        ({"variant": "plain", "than": "bn"}, "inconsistent"),
        ({"variant": "same", "than": "plain"}, "too imprecise"),
        ({"variant": "bn", "than": "plain", "value": 0.001}, "consistent"),
        ({"variant": "bn", "than": "plain", "value": 0.05}, "inconsistent"),
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
    assert judged(claim, results).verdict == "consistent"


def test_under_three_seeds_nothing_is_decided() -> None:
    found = judged({"claim": "ordering", "than": "plain"}, study({"plain": [0.9], "bn": [0.95]}))
    assert (found.verdict, found.seeds_needed) == ("not judged", 3)


def lost(diverged: dict[str, int], of: int) -> list[TrialResult]:
    return [
        result(name, seed, status="diverged" if seed < count else "completed")
        for name, count in diverged.items()
        for seed in range(of)
    ]


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ({"range": (0.5, 1.0)}, "consistent"),
        ({"range": (0.0, 0.3)}, "inconsistent"),
        ({"value": 0.48, "n": 218}, "inconsistent"),
        ({"value": 0.9, "n": 20}, "too imprecise"),
        ({"value": 1.0}, "not judged"),
        ({"than": "plain"}, "inconsistent"),
        ({"variant": "plain", "than": "bn"}, "consistent"),
    ],
)
def test_collapse_rates_are_wilsons(claim: dict[str, object], verdict: str) -> None:
    filled = {"claim": "collapse_rate", "metric": "collapse_rate", **claim}
    found = judged(filled, lost({"bn": 8, "plain": 0}, 8))
    assert found.verdict == verdict
    if found.variant == "bn":
        expected = stats.binomtest(8, 8).proportion_ci(method="wilson")
        assert (found.ours_low, found.ours_high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("confidence", "verdict"), [(0.9, "inconsistent"), (0.95, "too imprecise")]
)
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
    assert found.verdict == "too imprecise"
    needed = found.seeds_needed
    assert needed is not None
    enough = stats.binomtest(0, needed).proportion_ci(method="wilson").high
    assert enough <= stats.binomtest(0, 216).proportion_ci(method="wilson").high


@pytest.mark.parametrize(
    ("range_", "verdict"), [((1.005, 1.03), "consistent"), ((1.1, 1.4), "inconsistent")]
)
def test_a_ratio_is_the_geometric_mean_over_seeds(
    range_: tuple[float, float], verdict: str
) -> None:
    found = judged({"claim": "ratio", "than": "plain", "range": range_})
    logs = stats.ttest_1samp(np.log(BN / PLAIN), 0).confidence_interval()
    assert found.verdict == verdict
    assert found.ours == pytest.approx(stats.gmean(BN / PLAIN))
    assert (found.ours_low, found.ours_high) == pytest.approx((np.exp(logs.low), np.exp(logs.high)))
    assert (found.consistent_low, found.consistent_high) == range_


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
    assert found.verdict == "not judged"
    assert text in found.text


def shown(value: float | None, sign: str = "") -> str:
    return f"{100 * (value or 0):{sign}.1f}".replace("-", "−")


def test_the_text_tells_both_sides() -> None:
    found = judged({"claim": "value", "metric": "accuracy", "range": (0.93, 0.97)})
    assert found.text == (
        f"consistent: test accuracy of bn {shown(float(BN.mean()))} % (95 % interval "
        f"{shown(found.ours_low)} to {shown(found.ours_high)} %, 5 seeds); range set by this study "
        "93.0 to 97.0 %; the interval lies within the range."
    )
    found = judged({"claim": "value", "value": 0.97, "sd": 0.002, "n": 2, "margin": 0.02})
    assert found.text == (
        f"inconsistent: test accuracy of bn {shown(float(BN.mean()))} % (95 % interval "
        f"{shown(found.ours_low)} to {shown(found.ours_high)} %, 5 seeds); published 97.0 % (SD "
        f"0.2 points, 2 runs); difference {shown(found.difference, '+')} points "
        f"({shown(found.difference_low, '+')} to {shown(found.difference_high, '+')}); surely not "
        "0, and not surely within the margin of 2.0 points; weak evidence (2 published runs)."
    )
    found = judged({"claim": "ordering", "than": "plain"})
    assert found.text == (
        "consistent: test accuracy of bn minus that of plain "
        f"{shown(found.ours, '+')} points (95 % interval {shown(found.ours_low, '+')} to "
        f"{shown(found.ours_high, '+')}, 5 seeds); the interval lies above 0, as claimed."
    )
