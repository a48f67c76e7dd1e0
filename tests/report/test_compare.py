"""Studies beside each other: joined where the baseline is the same trials, else kept apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ablate.errors import StudyError
from ablate.report.compare import compared
from ablate.report.html import as_html
from ablate.report.tables import headline
from ablate.study.schema.analysis import Analysis as Settings
from tests.report.studies import BN, DIGITS, arm, report_of, result, study

FIRST = {name: DIGITS[name] for name in ("plain", "bn")}
SECOND = {name: DIGITS[name] for name in ("plain", "dropout", "both")}


def names(material):
    return [each.name for each in material.analysis.variants]


def test_studies_that_share_a_baseline_are_analysed_as_one():
    whole = study(DIGITS)
    joint = compared([study(FIRST, name="a"), study(SECOND, name="b")])
    assert joint.name == "a and b"
    assert names(joint) == ["plain", "bn", "dropout", "both"]
    for variant in ("bn", "dropout", "both"):
        ours, alone = joint.analysis.effect(variant), whole.analysis.effect(variant)
        assert (ours.mean, ours.p_holm, ours.family_size) == (
            alone.mean, alone.p_holm, alone.family_size,
        )  # fmt: skip
    assert joint.warnings == ()
    assert joint.analysis.trials["planned"] == 20  # the baseline's trials count once


def test_variants_of_one_name_and_another_spec_are_told_apart():
    other = {"plain": DIGITS["plain"], "bn": ([BN], 0.0, {"learning_rate": 0.5})}
    joint = compared([study(FIRST, name="a"), study(other, name="b")])
    assert names(joint) == ["plain", "bn", "b:bn"]
    assert [row[0] for row in headline(joint).rows] == ["plain", "bn", "b:bn"]


def elsewhere(material):
    """The same study as other trials: other ids."""
    return replace(
        material, results=tuple(replace(each, id=f"x{each.id}") for each in material.results)
    )


def test_another_baseline_keeps_each_study_to_itself():
    slow = {name: (insert, up, {"batch_size": 64}) for name, (insert, up, _) in FIRST.items()}
    second = elsewhere(study(slow, name="b"))
    joint = compared([study(FIRST, name="a"), second])
    assert names(joint) == ["a:plain", "a:bn", "b:plain", "b:bn"]
    assert joint.analysis.effect("b:bn").mean == second.analysis.effect("bn").mean
    assert joint.analysis.effect("b:plain") is None
    assert "train.batch_size (32 and 64)" in joint.warnings[0]
    rows = headline(joint).rows
    assert [row[-1] for row in rows] == ["baseline", "better", "baseline", "better"]
    assert [each.split(":")[0] for each in joint.analysis.answer] == ["a", "b"]
    assert "b:bn" in as_html(joint)


def test_other_settings_data_and_versions_are_said():
    base, bn = arm("plain", [], {"batch_size": 64}), arm("bn", [BN], {"batch_size": 64})
    results = [
        replace(each, id=f"other-{each.id}", environment={"keras": "3.16.0"},
                rows={"train": 10, "validation": 2, "test": 3})
        for each in (result(part, seed, 0) for part in (base, bn) for seed in range(5))
    ]  # fmt: skip
    joint = compared(
        [study(FIRST, name="a"), report_of([base, bn], results, seeds=range(5), name="b")]
    )
    apart, versions = joint.warnings
    assert "train.batch_size (32 and 64)" in apart
    assert "rows (1222 train, 215 validation, 360 test and 10 train, 2 validation, 3 test)" in apart
    assert "no variant is compared across them" in apart
    assert "different keras: 3.15.1 and 3.16.0" in versions


def test_equal_settings_and_other_trials_are_said():
    moved = elsewhere(study(FIRST, name="b"))
    joint = compared([study(FIRST, name="a"), moved])
    assert "have equal settings but are not the same trials" in joint.warnings[0]


def test_the_second_study_is_read_on_the_first_ones_metric():
    moved = elsewhere(study(FIRST, name="b", settings=Settings(metric="test_loss")))
    joint = compared([study(FIRST, name="a"), moved])
    assert {each.metric for each in joint.analysis.effects if each.variant == "b:bn"} >= {
        "test_accuracy"
    }
    bare = tuple(replace(each, metrics={"test_mae": 1.0}) for each in moved.results)
    with pytest.raises(StudyError, match="b cannot be compared on test_accuracy"):
        compared([study(FIRST, name="a"), replace(
            moved, results=bare, analysis=replace(moved.analysis, metric="test_mae"))])  # fmt: skip


def test_two_studies_of_one_name_are_numbered():
    joint = compared([study(FIRST, name="a"), study(SECOND, name="a")])
    assert joint.name == "a and a#2"
