"""Looks in the store: who notes one, and what becomes of the intervals of a study that was seen."""

from __future__ import annotations

import json

import pytest

from ablate.cli import run_cli
from ablate.execution.plan import plan, resolved_before
from ablate.report import report_of
from ablate.store import Store
from tests.execution.finished import BN, finish, small


def outcome(store, study):
    made = plan(study, store, earlier=resolved_before(store))
    return made.outcome(made.results, store)


@pytest.fixture
def finished(tmp_path):
    """Return the store of a study with `seeds` seeds, all of them trained."""

    def make(seeds=3, **changes):
        study = small(seeds=seeds, **changes)
        return finish(study, tmp_path), study

    return make


def test_a_report_is_a_look_and_the_same_report_no_other(finished):
    store, study = finished()
    assert store.looks() == ()
    report_of(outcome(store, study))
    (look,) = store.looks()
    assert look.by == "report"
    assert set(look.planned.values()) == set(look.seen.values()) == {(0, 1, 2)}
    report_of(outcome(store, study))
    assert len(store.looks()) == 1


def test_more_seeds_after_a_look_make_intervals_that_hold_at_every_look(finished):
    store, study = finished()
    assert report_of(outcome(store, study)).analysis.effect("bn").interval == "fixed_n"
    store, study = finished(seeds=5)
    found = report_of(outcome(store, study)).analysis
    assert found.effect("bn").interval == "always_valid"
    assert "3 planned then, 5 now" in found.looks
    assert "They hold however often one looks, and are wider for it" in found.coverage
    # The number first planned is no way back: more was seen.
    store, study = finished(seeds=3)
    assert report_of(outcome(store, study)).analysis.effect("bn").interval == "always_valid"


def test_more_seeds_without_a_look_change_nothing(finished):
    finished()
    store, study = finished(seeds=5)
    assert report_of(outcome(store, study)).analysis.effect("bn").interval == "fixed_n"


def test_other_trials_are_another_study(finished):
    store, study = finished()
    report_of(outcome(store, study))
    store, study = finished(seeds=5, train={"epochs": 2, "threads": 1})
    assert report_of(outcome(store, study)).analysis.effect("bn").interval == "fixed_n"
    store, study = finished(seeds=5, variants={"base": {}, "normalized": BN})
    assert report_of(outcome(store, study)).analysis.effect("normalized").interval == "always_valid"


def test_a_report_before_the_end_holds_at_every_look(finished, tmp_path):
    store, study = finished()
    last = plan(study, store, earlier=study).trials[-1]
    store.result_file(last.id).unlink()
    found = report_of(outcome(store, study)).analysis
    assert found.effect("bn").interval == "always_valid"
    assert found.looks == "the study is not finished"
    store, study = finished()
    assert report_of(outcome(store, study)).analysis.effect("bn").interval == "fixed_n"


def test_lines_that_are_cut_off_or_none_cost_themselves_alone(finished):
    store, study = finished()
    report_of(outcome(store, study))
    with store.looks_file.open("a") as file:
        file.write('3\n{"time":"2026","by":"rep')
    store, study = finished(seeds=4)
    report_of(outcome(store, study))
    assert [len(next(iter(each.planned.values()))) for each in store.looks()] == [3, 4]
    assert store.looks_file.read_text().count("\n") == 4


def test_where_nothing_can_be_written_a_look_is_not_noted(finished):
    store, study = finished()
    store.looks_file.mkdir()
    assert report_of(outcome(store, study)).analysis.effect("bn").mean
    assert store.looks() == ()


def test_the_commands_that_show_differences_note_them(finished, tmp_path, capsys):
    store, _ = finished()
    logs = ["--logs", str(tmp_path)]
    assert run_cli(["status", "small", *logs]) == 0
    assert run_cli(["plan", "small", "--quick", *logs]) == 0
    assert store.looks() == ()
    assert run_cli(["run", "small", *logs, "--quiet"]) == 0
    assert [each.by for each in store.looks()] == ["run"]
    capsys.readouterr()
    assert run_cli(["report", "small", *logs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["looks"] == ""
    assert len(store.looks()) == 1


def test_a_study_that_begins_anew_has_no_looks(finished, tmp_path):
    store, study = finished()
    report_of(outcome(store, study))
    kept = store.set_aside()
    assert Store(tmp_path, "small").looks() == ()
    assert len(Store(tmp_path, kept.name).looks()) == 1
