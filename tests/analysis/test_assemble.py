import json
import subprocess
import sys
from dataclasses import replace

import pytest
from scipy import stats

from ablate.analysis import SCHEMA_VERSION, Analysis, analyze
from ablate.errors import StudyError
from ablate.study.schema.analysis import Analysis as Settings
from tests.analysis.simulated import BN, DROPOUT, arm, noisy, result, study

ARMS = [arm("plain"), arm("bn", insert=[BN]), arm("dropout", insert=[DROPOUT])]
NAMES = [each.name for each in ARMS]
VALUES = {name: noisy(0.93 + 0.01 * index, 0.004, 5, index) for index, name in enumerate(NAMES)}


def document(analysis: Analysis) -> dict:  # type: ignore[type-arg]
    return json.loads(json.dumps(analysis.to_json(), allow_nan=False))


def test_effects_of_every_metric_against_the_baseline() -> None:
    analysis = analyze(study(VALUES), ARMS, "plain", study="digits")
    headline = [each for each in analysis.effects if each.metric == "test_accuracy"]
    assert [each.variant for each in headline] == ["bn", "dropout"]
    raw = [stats.ttest_rel(VALUES[name], VALUES["plain"]).pvalue for name in ("bn", "dropout")]
    assert [each.p for each in headline] == pytest.approx(raw, rel=1e-8)
    assert [each.p_holm for each in headline] == pytest.approx(
        [max(2 * min(raw), p) if p > min(raw) else 2 * p for p in raw], rel=1e-8
    )
    assert {each.metric for each in analysis.effects} == {
        f"{split}_{name}" for split in ("train", "val", "test") for name in ("accuracy", "loss")
    }
    assert analysis.effect("bn") == headline[0]
    assert analysis.effect("plain") is None


def test_the_same_results_in_any_order_give_the_same_analysis() -> None:
    values = {name: noisy(0.93, 0.01, 25, index) for index, name in enumerate(NAMES)}
    results = study(values)
    first = analyze(results, ARMS, "plain")
    assert first == analyze(results[::-1], ARMS, "plain")
    assert first.effects[0].bca_low is not None


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"plain": [0.9]},
        {"bn": [0.9, 0.8, 0.85]},
        {"plain": [None] * 3, "bn": [None] * 3, "dropout": [None] * 3},
        {"plain": [0.9] * 3, "bn": [None] * 3, "dropout": [0.9, None, 0.8]},
        {"plain": [0.9], "bn": [0.95], "dropout": [0.9]},
        VALUES,
    ],
    ids=["nothing", "one trial", "no baseline", "all failed", "some failed", "one seed", "all"],
)
def test_every_state_of_a_study_has_an_analysis(values: dict[str, list[float | None]]) -> None:
    analysis = analyze(study(values), ARMS, "plain", planned=dict.fromkeys(NAMES, 5))
    assert [each.name for each in analysis.variants] == NAMES
    assert len(analysis.answer) >= 2
    assert all(sentence.endswith(".") for sentence in analysis.answer)
    assert all(each.words for each in analysis.effects)
    ended = sum(len(each) for each in values.values())
    assert analysis.trials["planned"] == 15
    assert analysis.trials["pending"] == 15 - ended
    found = document(analysis)
    assert found["schema_version"] == SCHEMA_VERSION
    assert [each["name"] for each in found["variants"]] == NAMES


def test_the_json_document_has_the_documented_keys() -> None:
    found = document(analyze(study(VALUES), ARMS, "plain", study="digits"))
    assert list(found) == [
        "schema_version",
        "study",
        "baseline",
        "metric",
        "direction",
        "confidence",
        "answer",
        "coverage",
        "seeds",
        "trials",
        "variants",
        "effects",
        "guards",
        "costs",
        "factors",
        "pairs",
        "best",
        "contributions",
        "speeds",
        "gaps",
        "expectations",
        "looks",
        "answers",
    ]
    assert [each for part in found["answers"].values() for each in part] == found["answer"]
    assert list(found["answers"]) == ["variants", "coverage", "trials"]
    assert list(found["variants"][1])[:4] == ["name", "n", "failures", "metrics"]
    metric = found["variants"][1]["metrics"]["test_accuracy"]
    assert set(metric) == {"values", "n", "mean", "sd", "low", "high"}
    assert metric["values"] == {str(seed): value for seed, value in enumerate(VALUES["bn"])}
    effect = found["effects"][0]
    needed = ["variant", "baseline", "metric", "n", "mean", "low", "high", "p", "p_holm"]
    assert (effect["study"] if "study" in effect else found["study"]) == "digits"
    assert [key for key in needed if key not in effect] == []
    assert (effect["variant"], effect["baseline"]) == ("bn", "plain")


def test_infinite_and_missing_metrics_are_null() -> None:
    results = [result("plain", 0, metrics={"test_accuracy": None, "test_loss": float("inf")})]
    found = document(analyze(results, ARMS, "plain"))
    assert found["variants"][0]["metrics"]["test_accuracy"]["mean"] is None


def test_aliases_are_told_but_not_counted_or_tested_twice() -> None:
    resolved = [
        *ARMS,
        arm("again", alias_of="bn", origin="leave_one_out", left_out=("dropout", "x")),
    ]
    analysis = analyze(study(VALUES), resolved, "plain")
    again, bn = analysis.variant("again"), analysis.variant("bn")
    assert again.metrics == bn.metrics
    assert again.alias_of == "bn"
    assert analysis.trials["planned"] == 15
    assert analysis.effect("again") is analysis.effect("bn")
    assert [each.variant for each in analysis.effects if each.metric == "test_accuracy"] == [
        "bn", "dropout",
    ]  # fmt: skip
    assert analysis.contributions[0].without == "again"


def test_the_trials_of_the_baseline_are_not_held_against_themselves() -> None:
    resolved = [
        *ARMS,
        arm("again", alias_of="bn", origin="leave_one_out", left_out=("dropout", "x")),
    ]
    analysis = analyze(study(VALUES), resolved, "again")
    of_accuracy = [each for each in analysis.effects if each.metric == "test_accuracy"]
    assert {each.variant: each.family_size for each in of_accuracy} == {"plain": 2, "dropout": 2}
    assert analysis.effect("bn") is None


def test_left_out_variants_are_a_family_of_their_own() -> None:
    resolved = [*ARMS[:2], arm("dropout", origin="leave_one_out", left_out=("bn", "x"))]
    analysis = analyze(study(VALUES), resolved, "plain")
    families = {each.variant: (each.family, each.family_size) for each in analysis.effects}
    assert families == {"bn": ("variants", 1), "dropout": ("leave one out", 1)}


def test_settings_choose_metric_level_and_collapse() -> None:
    settings = Settings(metric="loss", confidence=0.9, collapse=0.3)
    analysis = analyze(study(VALUES), ARMS, "plain", settings)
    assert (analysis.metric, analysis.direction, analysis.confidence) == ("test_loss", "min", 0.9)
    assert analysis.variant("plain").failures.collapsed.count == 5
    values = VALUES["bn"]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = analysis.variant("bn").metrics["test_accuracy"]
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_learning_speed_is_measured_to_the_target_that_is_set() -> None:
    curves = {"val_accuracy": [0.1, 0.5, 0.7, 0.9]}
    results = [
        replace(each, curves=curves, epochs=3, steps=30) for each in study({"plain": [0.9, 0.9]})
    ]
    speed = analyze(results, ARMS[:1], "plain", Settings(target=0.6)).speeds[0]
    assert (speed.target, speed.target_kind, speed.median_epochs) == (0.6, "given", 2)


def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(StudyError, match=r"no variant 'plian'.*Did you mean 'plain'"):
        analyze([], ARMS, "plian")
    with pytest.raises(StudyError, match=r"analysis.margin: 1 is no margin of test_accuracy"):
        analyze(study(VALUES), ARMS, "plain", Settings(margin=1))
    assert analyze(study(VALUES), ARMS, "plain", Settings(metric="loss", margin=1)).answer
    with pytest.raises(StudyError, match="no trial reports 'f1'"):
        analyze(study(VALUES), ARMS, "plain", Settings(metric="f1"))


def test_importing_the_analysis_imports_neither_scipy_nor_keras() -> None:
    code = (
        "import sys, ablate.analysis; "
        "print([m for m in ('scipy', 'keras', 'tensorflow', 'pandas') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_thousand_trials_are_analysed_whatever_their_shape() -> None:
    for variants, seeds in ((200, 5), (10, 100)):
        names = [f"v{index}" for index in range(variants)]
        values = {name: noisy(0.9, 0.01, seeds, index) for index, name in enumerate(names)}
        analysis = analyze(study(values), [arm(name) for name in names], "v0")
        assert len(analysis.effects) == 6 * (variants - 1)
        assert analysis.trials["completed"] == 1000
