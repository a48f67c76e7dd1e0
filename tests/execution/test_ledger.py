"""A ledger from the plan to the report, on an executor that makes up outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.execution import run as running
from ablate.execution import worker
from ablate.execution.plan import plan
from ablate.execution.run import run
from ablate.execution.runner import Interrupted
from ablate.execution.status import preview, progress
from ablate.report import report_of
from ablate.store import Store
from tests.execution.finished import BN, record, small
from tests.execution.pretending import Pretending, previews

ANSWERS = {worker.preview: previews("test_accuracy", "test_loss")}
DROP = {"insert": [{"layer": "Dropout", "rate": 0.2, "at": "after_activation"}]}
VARIANTS = {"drop": DROP, "bn": BN}


def study(**changes):
    return small(**{"seeds": 3, "ledger": {"runs": 6}, "variants": VARIANTS, **changes})


def outcome(trial):
    """Return a made-up outcome: a split moves it by 3 points, an order by one, the rest not."""
    made, moved = record(trial), trial.spec.reseed
    shift = 0.0
    if moved is not None:
        sign = (-1) ** trial.seed
        shift = 0.03 * sign if moved.split else 0.01 * sign if moved.order else 0.0
    accuracy = made.metrics["test_accuracy"] + shift
    return replace(made, metrics={**made.metrics, "test_accuracy": accuracy}, drawn=("test",))


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    def go(made, stop_after=None):
        executor = Pretending(outcome, ANSWERS, stop_after)
        monkeypatch.setattr(running, "make_executor", lambda *_: executor)
        try:
            return run(made, logs=tmp_path, watchers=[]), executor.trained
        except Interrupted:
            return None, executor.trained

    return go


def test_the_baseline_s_own_seeds_are_not_trained_twice(pretend):
    results, trained = pretend(study())
    assert len(trained) == len(set(trained)) == 2 * 3 + 3 + 4 * 6 + 3
    assert ("ledger~base", 0) not in trained and ("ledger~base", 3) in trained
    assert results.planned["ledger~rerun"] == 3 and results.planned["drop"] == 3


def test_a_ledger_that_was_stopped_goes_on(pretend, tmp_path):
    nothing, first = pretend(study(), stop_after=20)
    assert nothing is None
    _, rest = pretend(study())
    assert set(first).isdisjoint(rest) and len({*first, *rest}) == 36
    seen = progress(study(), logs=tmp_path)
    (row,) = [each for each in seen.rows if "ledger" in each.variant]
    assert row.variant == "drop, one source of chance drawn anew (ledger)"
    assert (row.trials, row.done, seen.todo) == (33, 33, 0)


def test_it_is_no_part_of_the_comparisons(pretend):
    with_ledger, without = report_of(pretend(study())[0]), None
    assert [each.name for each in with_ledger.analysis.variants] == ["drop", "bn"]
    without = report_of(pretend(study(study="other", ledger=None))[0])
    assert with_ledger.analysis.effects == without.analysis.effects
    assert with_ledger.analysis.trials == without.analysis.trials
    assert "ledger" not in without.documents and not without.sections


def test_the_report_says_what_each_source_does(pretend):
    report = report_of(pretend(study())[0])
    (section,) = report.sections
    text = " ".join(section.text)
    assert "Drawn anew alone: batch order 0.7 points." in text
    assert "Drawing the initialization anew changed nothing in 6 trials" in text
    assert "other rows would add a standard deviation of 3.3 points" in text
    assert "3 unchanged re-runs gave the same score to the last bit." in text
    assert "Pairing by seed: differences of bn" in text
    (table,) = section.tables
    assert [row[0] for row in table.rows] == [
        "everything", "split of the rows (beyond the spread)", "initialization", "batch order",
        "masks and augmentation",
    ]  # fmt: skip
    scores = 0.01 * np.arange(6) + 0.002 * (-1.0) ** np.arange(6)
    assert table.rows[0][2] == f"{100 * scores.std(ddof=1):.1f}"
    assert len(section.plots) == 1 and report.documents["ledger"]["reruns"] == 3


def test_sources_that_are_not_there_are_not_trained_but_named(pretend):
    variants = {"plain": {}, "bn": BN}
    made = study(variants=variants, data={"name": "digits", "limit": 64, "split": "ordered"})
    results, _ = pretend(made)
    assert {each for each in results.planned if "~" in each} == {
        "ledger~base", "ledger~initialization", "ledger~order", "ledger~rerun",
    }  # fmt: skip
    text = " ".join(report_of(results).sections[0].text)
    assert "Not a source here: split of the rows (data.split: ordered" in text
    assert "Not a source here: masks and augmentation (nothing in the baseline" in text


def test_without_a_spread_nothing_is_said_of_sources(pretend, monkeypatch):
    same = {"test_accuracy": 0.1, "test_loss": 2.3, "val_accuracy": 0.1, "val_loss": 2.3}
    monkeypatch.setattr(
        "tests.execution.test_ledger.outcome",
        lambda trial: replace(record(trial), metrics=same, drawn=("test",)),
    )
    (text,) = report_of(pretend(study())[0]).sections[0].text
    assert text.startswith("All 6 trials of drop have the same test accuracy")


def test_parts_that_the_data_bring_are_no_source(pretend, monkeypatch):
    made = outcome

    monkeypatch.setattr(
        "tests.execution.test_ledger.outcome", lambda trial: replace(made(trial), drawn=())
    )
    text = " ".join(report_of(pretend(study())[0]).sections[0].text)
    assert "Not a source here: split of the rows (the data bring all of their parts)." in text


def test_a_split_that_seeds_draw_is_part_of_the_spread(pretend):
    made = study(data={"name": "digits", "limit": 64, "split": "per_seed"})
    text = " ".join(report_of(pretend(made)[0]).sections[0].text)
    # sqrt(0.03² / 2) and sqrt(0.01² / 2)
    assert "Drawn anew alone: split of the rows 2.1 points and batch order 0.7 points." in text


def test_seeds_until_decided_leave_the_ledger_alone(pretend, tmp_path):
    made = study(seeds={"until": "decided", "at_least": 4, "at_most": 8})
    results, _ = pretend(made)
    assert results.planned["ledger~order"] == 6
    assert preview(made, logs=tmp_path, build=False).todo == 0


def test_trials_that_are_missing_are_counted(pretend, tmp_path):
    made = study()
    pretend(made, stop_after=12)
    store = Store(tmp_path, made.study)
    planned = plan(made, store)
    text = report_of(planned.outcome(planned.results, store)).sections[0].text
    assert "of the ledger without a score: lost, or still to be trained." in text[0]


@pytest.mark.parametrize("runs", [5, 101])
def test_too_few_and_too_many_runs_are_refused(runs):
    with pytest.raises(StudyError, match="runs"):
        study(ledger={"runs": runs})


def test_a_screening_has_none():
    screen = {"placements": [{"layer": "BatchNormalization", "at": "before_activation"}]}
    with pytest.raises(StudyError, match="ledger: 'screen' says what is compared"):
        study(variants={}, screen=screen)
