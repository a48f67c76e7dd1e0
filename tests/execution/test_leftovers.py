"""What `ablate gc` finds and deletes, and what it never touches."""

from __future__ import annotations

import json

import pytest

from ablate.cli import run_cli
from ablate.errors import StoreError
from ablate.execution.leftovers import find_leftovers
from ablate.execution.plan import plan, write_study
from ablate.store import Store
from tests.execution.finished import finish, small


@pytest.fixture
def logs(tmp_path):
    """A study of two seeds that once had three, with one of each kind of leftover."""
    store = finish(small(study="mine", seeds=3), tmp_path)
    write_study(plan(small(study="mine"), store), store)
    for place in ("mine/work/abc/x", "mine/tensorboard/e", "mine.20260101-000000/study.yaml"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(b"12345")
    (store.trials / "x.json.unsound").write_bytes(b"123")
    return tmp_path


def test_each_kind_is_found_with_its_size(logs):
    found = {each.kind: each for each in find_leftovers(logs)}
    assert {kind: each.size for kind, each in found.items() if kind != "trials"} == {
        "work": 5,
        "events": 5,
        "unsound": 3,
        "archives": 5,
    }
    store = Store(logs, "mine")
    planned = {trial.id for trial in plan(small(study="mine"), store).trials}
    dropped = sorted(store.results().keys() - planned)
    assert [place.name for place in found["trials"].places] == [f"{each}.json" for each in dropped]


def test_what_is_asked_for_is_deleted_and_nothing_else(logs, capsys):
    before = {place for place in logs.rglob("*") if place.is_file()}
    chosen = ["--delete", "trials", "--delete", "work"]
    assert run_cli(["gc", "mine", "--logs", str(logs), *chosen]) == 0
    out = capsys.readouterr().out
    assert "work folders of trials that are done or no longer planned (deleted)" in out
    assert f"ablate gc mine --logs {logs} --delete events" in out
    gone = before - set(logs.rglob("*"))
    assert {place.name for place in gone} == {"x", *(p.name for p in gone if p.suffix == ".json")}
    assert len(gone) == 3
    assert run_cli(["status", "mine", "--logs", str(logs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["todo"] == 0


def test_nothing_is_deleted_without_being_asked(logs, capsys):
    before = sorted(logs.rglob("*"))
    assert run_cli(["gc", "--logs", str(logs), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["leftovers"]
    assert {(each["kind"], each["deleted"]) for each in listed} == {
        (kind, False) for kind in ("work", "events", "unsound", "archives", "trials")
    }
    assert set(before) <= set(logs.rglob("*"))


def test_a_network_that_another_study_starts_from_is_kept(logs):
    first, second = next(e.places for e in find_leftovers(logs) if e.kind == "trials")
    other = Store(logs, "other")
    other.root.mkdir()
    other.write_study(f"study: other\n# file: {first.with_suffix('.keras')}\n")
    with pytest.warns(match="other is left alone"):
        found = find_leftovers(logs)
    assert next(each.places for each in found if each.kind == "trials") == (second,)


def test_a_study_that_is_being_run_is_left_alone(logs):
    with Store(logs, "mine").lock(), pytest.warns(match="being run by process"):
        assert {each.kind for each in find_leftovers(logs)} == {"archives"}


def test_an_unknown_study_is_named(logs):
    with pytest.raises(StoreError, match="No study 'yours'"):
        find_leftovers(logs, "yours")
