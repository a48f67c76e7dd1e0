from dataclasses import replace

import numpy as np
import pytest

from ablate.analysis import Analysis, Guard, analyze
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.placement import Placement
from ablate.study.trial import TrialResult
from tests.analysis.simulated import BN, DROPOUT, arm, noisy, result, study

PLAIN, WITH_BN, WITH_DROPOUT = (
    arm("plain"),
    arm("bn", insert=[BN]),
    arm("dropout", insert=[DROPOUT]),
)
VALUES = {"plain": noisy(0.94, 0.005, 5, 0), "bn": noisy(0.95, 0.005, 5, 1)}


def guards(
    results: list[TrialResult], resolved: list[ResolvedVariant], **more: object
) -> dict[str, Guard]:
    found: Analysis = analyze(results, resolved, "plain", **more)  # type: ignore[arg-type]
    return {each.kind: each for each in found.guards}


def both(**more: object) -> list[TrialResult]:
    """Return five seeds of plain as usual and of bn with `more`."""
    plain = [result("plain", seed, value) for seed, value in enumerate(VALUES["plain"])]
    return plain + [result("bn", s, v, **more) for s, v in enumerate(VALUES["bn"])]


def test_an_undisturbed_study_has_only_the_note_on_its_one_split() -> None:
    found = guards(study(VALUES), [PLAIN, WITH_BN])
    assert set(found) <= {"one split", "pairing"}
    assert {each.severity for each in found.values()} == {"note"}
    assert "360 test rows" in found["one split"].text
    error = 100 * np.sqrt(np.mean(VALUES["plain"]) * (1 - np.mean(VALUES["plain"])) / 360)
    assert f"about {error:.1f} points" in found["one split"].text


def test_a_redrawn_split_needs_no_such_note() -> None:
    resolved = [arm(name, data={"split": "per_seed"}) for name in ("plain", "bn")]
    assert "one split" not in guards(study(VALUES), resolved)


@pytest.mark.parametrize(
    ("split", "drawn", "remedy"),
    [
        ("fixed", ("train", "test"), "To include it, set data.split to per_seed."),
        (
            "fixed",
            ("train", "validation"),
            "The source brings its own test part, which no split redraws: only more test rows make "
            "it smaller.",
        ),
        (
            "fixed",
            None,
            "To include it, set data.split to per_seed, which redraws the test rows unless the "
            "source brings its own.",
        ),
        (
            "per_seed",
            ("train", "validation"),
            "The source brings its own test part, which no split redraws: only more test rows make "
            "it smaller.",
        ),
        ("per_seed", ("train", "validation", "test"), None),
        ("per_seed", None, None),
    ],
)
def test_the_note_on_one_split_recommends_what_can_help(
    split: str, drawn: tuple[str, ...] | None, remedy: str | None
) -> None:
    resolved = [arm(name, data={"split": split}) for name in ("plain", "bn")]
    found = guards(study(VALUES, drawn=drawn), resolved).get("one split")
    assert (found is None) == (remedy is None)
    if found is not None:
        assert found.text.split(" other rows may shift every variant. ")[1] == remedy


def test_a_split_of_which_the_test_part_stays_is_told_so() -> None:
    resolved = [arm(name, data={"split": "per_seed"}) for name in ("plain", "bn")]
    found = analyze(study(VALUES, drawn=("train", "validation")), resolved, "plain")
    assert found.coverage == (
        "The intervals cover the draw of training and validation rows, initialization and batch "
        "order, on these 360 test rows."
    )


def test_few_seeds_and_an_unfinished_plan() -> None:
    found = guards(study({"plain": [0.9, 0.9]}), [PLAIN, WITH_BN], planned={"plain": 2, "bn": 2})
    assert "2 seeds" in found["few seeds"].text
    assert "2 trials of the plan have not ended" in found["unfinished"].text


def test_unequal_failures_name_both_counts() -> None:
    values = {"plain": VALUES["plain"], "bn": [None, None, *VALUES["bn"][2:]]}
    found = guards(study(values), [PLAIN, WITH_BN])["unequal failures"]
    assert "0 of 5 of plain" in found.text
    assert "2 of 5 of bn (Fisher's p = 0.44); chance could explain it" in found.text
    assert found.variants == ("plain", "bn")
    sure = guards(study(VALUES | {"bn": [None] * 5}), [PLAIN, WITH_BN])["unequal failures"]
    assert "chance alone hardly explains bn" in sure.text


@pytest.mark.parametrize(("confidence", "sure"), [(0.9, True), (0.95, False)])
def test_unequal_failures_are_no_chance_at_the_level_of_the_study(
    confidence: float, sure: bool
) -> None:
    """Four of eight against none of eight: Fisher's p is 0.077."""
    values = {"plain": [0.9] * 8, "bn": [None] * 4 + [0.9] * 4}
    found = guards(study(values), [PLAIN, WITH_BN], settings=Settings(confidence=confidence))
    text = found["unequal failures"].text
    assert "4 of 8 of bn (Fisher's p = 0.077)" in text
    assert ("chance alone hardly explains bn" in text) == sure
    assert ("chance could explain it" in text) != sure


def test_many_reasons_are_counted_and_not_called_the_same() -> None:
    reasons = ["no disk", "no memory", "no disk", "no light", "no time", "no rows", "no luck"]
    results = study({"plain": VALUES["plain"]}) + [
        result("bn", seed, status="failed", error=f"ValueError: {text}")
        for seed, text in enumerate(reasons)
    ]
    found = analyze(results, [PLAIN, WITH_BN], "plain").guards
    assert [each.text for each in found if each.kind == "failed"] == [
        "bn (seeds 0 and 2) failed: ValueError: no disk.",
        "bn (seed 1) failed: ValueError: no memory.",
        "bn (seed 3) failed: ValueError: no light.",
        "bn (seed 4) failed: ValueError: no time.",
        "2 more trials of bn failed for 2 more reasons.",
    ]


def test_that_chance_is_not_judged_is_said_where_accuracy_is_not_the_metric() -> None:
    metrics = {"val_auc": 0.9, "test_auc": 0.9, "val_accuracy": 0.1, "test_accuracy": 0.1}
    results = [result("plain", seed, metrics=metrics) for seed in range(3)]

    def said(**settings: object) -> str:
        given = Settings(**settings)  # type: ignore[arg-type]
        found = analyze(results, [PLAIN], "plain", given)
        return "".join(each.words for each in found.guards if each.kind == "chance not judged")

    assert said(metric="auc") == (
        "Note: Whether trials ended at chance is not judged: by itself only accuracy tells, and "
        "the metric is test AUC. To judge by it, set analysis.collapse to what a guess gives."
    )
    assert said(metric="accuracy") == ""
    assert said(metric="auc", collapse="none") == ""
    assert said(metric="auc", collapse=0.5) == ""
    results = [replace(each, majority=None) for each in results]
    assert said(metric="auc") == ""  # a regression has no chance


def test_equal_numbers_of_rows_with_other_labels_are_other_data() -> None:
    found = guards(both(majority=0.3), [PLAIN, WITH_BN])["data"]
    assert found.text == (
        "bn and plain did not see the same data with seed 0, though no difference was declared: "
        "1200 train, 200 validation and 360 test rows with 30.0 % of the validation rows in the "
        "commonest class against 1200 train, 200 validation and 360 test rows with 10.0 % of the "
        "validation rows in the commonest class."
    )
    assert found.variants == ("bn", "plain")
    assert "data" not in guards(both(majority=0.1), [PLAIN, WITH_BN])


def test_a_collapse_is_told_by_what_it_was_judged_by() -> None:
    def said(collapse: str | float) -> str:
        trials = both(metrics={"val_accuracy": 0.1, "test_accuracy": 0.1})
        settings = Settings(collapse=collapse)  # type: ignore[arg-type]
        return guards(trials, [PLAIN, WITH_BN], settings=settings)["at chance"].text

    assert said("auto").endswith(
        "(seeds 0, 1, 2, 3 and 4). A one-sided binomial test at 5 % does not tell their validation "
        "accuracy from that of always naming the commonest class. They count in means and "
        "intervals, which suppose one cluster of values: look at every seed."
    )
    assert (
        ". Their validation metric is no better than analysis.collapse, 20.0 %. They count"
        in said(0.2)
    )


def test_equal_failures_are_no_guard() -> None:
    values = {name: [None, *each[1:]] for name, each in VALUES.items()}
    assert "unequal failures" not in guards(study(values), [PLAIN, WITH_BN])


def test_a_metric_at_chance() -> None:
    found = guards(study(VALUES | {"bn": [0.1, 0.12, 0.94, 0.95, 0.96]}), [PLAIN, WITH_BN])
    assert "ended at chance: 2 of 5 completed trials of bn (seeds 0 and 1)" in (
        found["at chance"].text
    )


@pytest.mark.parametrize(
    ("insert", "count", "severity"),
    [
        ([DROPOUT], 1001, "warning"),
        ([BN], 1001, None),
        ([BN], 1100, "note"),
        ([], 900, "warning"),
        ([DROPOUT], 1000, None),
        ([Placement(layer="EarlyDropout", rate=0.1, steps=9)], 1001, None),
    ],
)
def test_parameters_that_differ_without_a_word(
    insert: list[Placement], count: int, severity: str | None
) -> None:
    found = guards(both(parameters=count), [PLAIN, arm("bn", insert=insert)])
    assert (found["parameters"].severity if "parameters" in found else None) == severity


def test_parameters_that_differ_between_seeds() -> None:
    results = [result("plain", s, 0.9 + s / 99, parameters=1000 + s) for s in range(3)]
    found = guards(results, [PLAIN])["parameters"]
    assert "1000, 1001 and 1002" in found.text


def test_epochs_that_differ_without_a_word() -> None:
    found = guards(both(epochs=7), [PLAIN, WITH_BN])["epochs"]
    assert found.severity == "warning"
    assert "bn 7.0 epochs on average, plain 10.0" in found.text
    declared = arm("bn", insert=[BN], train={"epochs": 7})
    assert "epochs" not in guards(both(epochs=7), [PLAIN, declared])


def test_epochs_that_early_stopping_chose_are_a_note() -> None:
    stopping = {"early_stopping": {"patience": 2}}
    resolved = [arm("plain", train=stopping), arm("bn", insert=[BN], train=stopping)]
    assert guards(both(epochs=7), resolved)["epochs"].severity == "note"


def test_data_that_differ_without_a_word() -> None:
    rows = {"train": 500, "validation": 200, "test": 360}
    found = guards(both(rows=rows), [PLAIN, WITH_BN])["data"]
    assert "500 train, 200 validation and 360 test rows" in found.text
    limited = arm("bn", data={"limit": 500})
    assert "data" not in guards(both(rows=rows), [PLAIN, limited])


def test_a_baseline_that_never_overfits_in_a_dropout_study() -> None:
    def flat(name: str, seed: int) -> TrialResult:
        metrics = {"train_accuracy": 0.9, "test_accuracy": 0.9 + 0.001 * (-1) ** seed}
        curves = {"val_loss": [2.3, 1, 0.8, 0.6, 0.5, 0.49, 0.48, 0.48, 0.47, 0.47, 0.47]}
        return result(name, seed, metrics=metrics, curves=curves)

    results = [flat(name, seed) for name in ("plain", "dropout") for seed in range(5)]
    found = guards(results, [PLAIN, WITH_DROPOUT])["baseline never overfits"]
    assert found.variants == ("plain", "dropout")
    kind = "baseline never overfits"
    assert kind not in guards(
        [result(each.variant, each.seed, 0.9) for each in results], [PLAIN, WITH_DROPOUT]
    )
    as_bn = [result("bn", s, metrics=results[s].metrics) for s in range(5)]
    assert kind not in guards(results[:5] + as_bn, [PLAIN, WITH_BN])


def rising(seed: int, last: float) -> dict[str, list[float]]:
    wobble = 0.002 * np.sin(seed)
    return {"val_accuracy": [0.1, 0.5, 0.6, 0.7, 0.8, 0.85, 0.88, 0.9, 0.9 + wobble, 0.9, last]}


def test_a_metric_still_improving_at_the_last_epoch() -> None:
    def trials(last: float) -> list[TrialResult]:
        return [result("plain", s, 0.9, curves=rising(s, last)) for s in range(5)]

    assert "plain" in guards(trials(0.95), [PLAIN])["still improving"].text
    assert "still improving" not in guards(trials(0.9), [PLAIN])
    assert "still improving" not in guards(trials(0.8), [PLAIN])


@pytest.mark.parametrize(("confidence", "sure"), [(0.95, True), (0.99, False)])
def test_late_gains_are_real_at_the_level_of_the_study(confidence: float, sure: bool) -> None:
    """Gains of 1 to 5 points in five seeds: t = 4.24, p = 0.013."""
    results = [
        result("plain", s, 0.9, curves={"val_accuracy": [0.1, *[0.9] * 8, 0.9 + gain, 0.9 + gain]})
        for s, gain in enumerate((0.01, 0.03, 0.05, 0.02, 0.04))
    ]
    found = guards(results, [PLAIN], settings=Settings(confidence=confidence))
    assert ("still improving" in found) == sure


def test_one_lucky_last_epoch_is_not_improvement() -> None:
    results = [
        result("plain", s, 0.9, curves=rising(s, 0.94 if s == 2 else 0.9 - 0.01 * s))
        for s in range(5)
    ]
    assert "still improving" not in guards(results, [PLAIN])


@pytest.mark.parametrize(
    ("momentum", "steps", "left"),
    [(None, 100, "37 %"), (None, 400, None), (0.9, 100, None), (0.999, 400, "67 %")],
)
def test_moving_averages_that_have_not_converged(
    momentum: float | None, steps: int, left: str | None
) -> None:
    more = {} if momentum is None else {"momentum": momentum}
    placement = Placement(layer="BatchNormalization", at="before_activation", **more)
    found = guards(both(steps=steps), [PLAIN, arm("bn", insert=[placement])])
    assert ("moving averages" in found) is (left is not None)
    if left is not None:
        assert f"still hold {left} of their initial values" in found["moving averages"].text


@pytest.mark.parametrize(("weights", "warned"), [("fresh", True), ("keep", False)])
def test_averages_of_the_base_model_count_unless_they_came_with_its_weights(
    weights: str, warned: bool
) -> None:
    own = {"model": {"name": None, "file": "mine.keras", "weights": weights}}
    resolved = [arm("plain", **own), arm("bn", **own)]
    found = guards(both(steps=100, bn_momentum=0.99), resolved)
    assert ("moving averages" in found) is warned


def test_calibrated_averages_hold_their_calibration() -> None:
    calibrated = Placement(layer="BatchNormalization", at="before_activation", calibrate=True)
    found = guards(both(steps=10), [PLAIN, arm("bn", insert=[calibrated])])
    assert "of their calibration" in found["moving averages"].text


def test_early_stopping_at_the_last_epoch() -> None:
    stopping = {"early_stopping": {"patience": 5}}
    resolved = [arm("plain", train=stopping), arm("bn", insert=[BN], train=stopping)]
    found = guards(both(best_epoch=10), resolved)["early stopping at the last epoch"]
    assert "5 of 5 trials of bn" in found.text
    assert "early stopping at the last epoch" not in guards(both(best_epoch=9), resolved)


def test_validation_equal_to_test() -> None:
    def trial(seed: int, shift: float, test_rows: int = 200) -> TrialResult:
        metrics = {"val_loss": 0.3 + seed, "test_loss": 0.3 + seed + shift, "test_accuracy": 0.9}
        rows = {"train": 1200, "validation": 200, "test": test_rows}
        return result("plain", seed, metrics=metrics | {"val_accuracy": 0.9}, rows=rows)

    kind = "validation equal to test"
    assert kind in guards([trial(seed, 0) for seed in range(3)], [PLAIN])
    assert kind not in guards([trial(seed, 0.01) for seed in range(3)], [PLAIN])
    assert kind not in guards([trial(seed, 0, test_rows=360) for seed in range(3)], [PLAIN])


def test_mixed_environments_are_named_but_hosts_may_differ() -> None:
    results = [
        result("plain", s, 0.9 + s / 99, environment={"keras": f"3.1{s}", "hostname": f"n{s}"})
        for s in range(2)
    ]
    assert "keras (3.10 and 3.11)" in guards(results, [PLAIN])["environment"].text
    assert "hostname" not in guards(results, [PLAIN])["environment"].text


def test_skewed_differences_are_reported_with_the_coverage_to_expect() -> None:
    base = np.array(noisy(0.94, 0.005, 12, 0))
    skewed = base + np.array([0.001, -0.001] * 5 + [0.0, 0.09])
    found = guards(study({"plain": list(base), "bn": list(skewed)}), [PLAIN, WITH_BN])
    assert "81 to 93 % of studies" in found["skewed differences"].text
    looked = guards(
        study({"plain": list(base), "bn": list(skewed)}), [PLAIN, WITH_BN], looks="seeds were added"
    )
    assert "5 % (skewness 1) to 13 % (skewness 2)" in looked["skewed differences"].text
    even = base + np.linspace(-0.01, 0.02, 12)
    found = guards(study({"plain": list(base), "bn": list(even)}), [PLAIN, WITH_BN])
    assert "skewed differences" not in found


def test_pairing_that_bought_nothing_is_said() -> None:
    rng = np.random.default_rng(0)
    base = np.array([0.93, 0.95, 0.94, 0.96, 0.92])
    apart = {"plain": list(base), "bn": list(1.88 - base)}
    assert guards(study(apart), [PLAIN, WITH_BN])["pairing"].text == (
        "Sharing seeds shows no gain here: between a variant and plain with the same seed the "
        "correlation is −1.00, which from 5 seeds may as well be −0.98."
    )
    few = {name: own[:4] for name, own in apart.items()}
    assert "pairing" not in guards(study(few), [PLAIN, WITH_BN])
    together = {"plain": list(base), "bn": list(base + rng.normal(0, 0.001, 5))}
    assert "pairing" not in guards(study(together), [PLAIN, WITH_BN])


def test_metrics_without_a_direction_are_said_not_to_be_compared() -> None:
    results = [result("plain", s, metrics={"test_accuracy": 0.9, "charm": s}) for s in range(3)]
    found = analyze(results, [PLAIN], "plain")
    assert {"charm", "test_accuracy"} == set(found.variant("plain").metrics)
    assert any(each.kind == "unknown direction" and "charm" in each.text for each in found.guards)


def test_warnings_come_first_and_a_hundred_of_a_kind_are_one() -> None:
    names = [f"v{index}" for index in range(100)]
    resolved = [PLAIN, *(arm(name) for name in names)]
    results = [result("plain", 0)] + [result(name, 0, parameters=7) for name in names]
    found = analyze(results, resolved, "plain").guards
    severities = [each.severity for each in found]
    assert severities == sorted(severities, reverse=True)
    parameters = [each for each in found if each.kind == "parameters"]
    assert len(parameters) == 1
    names_in_text = parameters[0].text.removeprefix("Parameters: ").split(" have ")[0]
    assert names_in_text == ", ".join(f"v{index}" for index in range(12)) + " and 88 more"
    assert " have 7 (−99.3 %); plain has 1000, though" in parameters[0].text
    assert len(parameters[0].variants) == 100


def test_one_warning_of_a_kind_names_every_variant() -> None:
    names = ("bn", "wide", "deep")
    resolved = [PLAIN, *(arm(name, insert=[BN]) for name in names)]
    low = {"val_accuracy": 0.1, "test_accuracy": 0.1}
    results = [result("plain", seed) for seed in range(3)]
    results += [
        result(name, seed, metrics=low, steps=10) for name in names for seed in range(3)
    ]  # fmt: skip
    found = analyze(results, resolved, "plain").guards
    kinds = [each.kind for each in found]
    assert kinds.count("at chance") == kinds.count("moving averages") == 1
    assert all(set(names) <= set(each.variants) for each in found if each.kind == "at chance")


def test_trials_of_one_seed_that_saw_other_rows_are_a_failed_pairing() -> None:
    plain = [result("plain", s, v, seen=("aa", f"b{s}")) for s, v in enumerate(VALUES["plain"])]
    same = [result("bn", s, v, seen=("aa", f"b{s}")) for s, v in enumerate(VALUES["bn"])]
    assert "unlike rows" not in guards([*plain, *same], [PLAIN, WITH_BN])
    other = [*same[:1], result("bn", 1, VALUES["bn"][1], seen=("aa", "ff", "00")), *same[2:]]
    found = guards([*plain, *other], [PLAIN, WITH_BN])["unlike rows"]
    assert (found.severity, found.variants) == ("warning", ("bn",))
    assert "bn (seed 1 from epoch 2 on)" in found.text
