"""What is left to do of a study: numerics, and records that are looked for."""

from __future__ import annotations

import pytest

from ablate.cli import run_cli
from ablate.config import dump_study, load_study, parse_study
from ablate.errors import Notice
from ablate.execution import plan as planning
from ablate.execution.plan import plan, resolved_before, write_study
from ablate.study import identity
from tests.execution.finished import finish, small


@pytest.fixture
def risen(monkeypatch):
    """From then on trials are trained under higher numerics."""

    def rise(numerics: int) -> None:
        monkeypatch.setattr(identity, "NUMERICS", numerics)
        monkeypatch.setattr(planning, "NUMERICS", numerics)

    return rise


def test_a_study_says_the_numerics_it_was_trained_under(tmp_path, risen):
    store = finish(small(), tmp_path)
    assert resolved_before(store).numerics == identity.NUMERICS
    risen(7)
    later = finish(small(study="later"), tmp_path)
    assert "numerics: 7\n" in later.read_study()


def test_a_study_trained_before_stays_readable(tmp_path, risen, capsys):
    store = finish(small(), tmp_path)
    risen(identity.NUMERICS + 1)
    with pytest.warns(Notice, match=r"was trained under numerics \d; this version trains under"):
        made = plan(small(), store, earlier=resolved_before(store), recorded=True)
    assert (made.kept, made.todo, made.dropped) == (4, (), ())
    for command in (["status", "small"], ["report", "small"], ["report", "small", "--json"]):
        assert run_cli([*command, "--logs", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert err.count("was trained under numerics") == 1
        assert "4 completed" in out or "bn" in out


def test_a_study_of_the_first_version_does_not_say_and_means_one(tmp_path, risen):
    risen(identity.UNRECORDED_NUMERICS)
    store = finish(small(), tmp_path)
    text = store.read_study()
    store.write_study(text.replace("numerics: 1\n", ""))
    assert "numerics" not in store.read_study() != text
    risen(9)
    with pytest.warns(Notice, match="under numerics 1"):
        made = plan(small(), store, earlier=resolved_before(store), recorded=True)
    assert made.kept == 4


def test_a_rise_that_does_not_concern_a_study_leaves_it_as_it_is(tmp_path, risen, recwarn):
    """Numerics 2 changed how some folders of images are read; this study has none."""
    risen(1)
    store = finish(small(), tmp_path)
    risen(2)
    made = plan(small(), store, earlier=resolved_before(store))
    assert (made.kept, made.todo, made.replaces, made.study.numerics) == (4, (), None, 2)
    plan(small(), store, earlier=resolved_before(store), recorded=True)
    assert not [each for each in recwarn if issubclass(each.category, Notice)]


def test_a_run_trains_again_says_so_and_keeps_what_was(tmp_path, risen, capsys):
    """Nothing of then is mixed with now, and the study's former file still finds it."""
    store, former = finish(small(), tmp_path), identity.NUMERICS
    before = {each.name: each.read_bytes() for each in store.trials.iterdir()}
    risen(9)
    with pytest.warns(Notice, match="a run trains its trials again"):
        made = plan(small(), store, earlier=resolved_before(store))
    assert (len(made.todo), made.kept, len(made.dropped)) == (4, 0, 4)
    write_study(made, store)
    finished = finish(small(), tmp_path)
    assert len(finished.results()) == 8
    assert {name: (store.trials / name).read_bytes() for name in before} == before
    assert plan(small(), store, earlier=resolved_before(store)).todo == ()
    kept = store.root / f"study.numerics-{former}.yaml"
    with pytest.warns(Notice, match=f"under numerics {former}"):
        then = plan(load_study(kept), store, earlier=resolved_before(store), recorded=True)
    assert {f"{trial.id}.json" for trial in then.trials} == before.keys()
    assert run_cli(["report", str(kept), "--logs", str(tmp_path)]) == 0
    assert "lie in" in capsys.readouterr().out  # the four of now, not counted there


def test_a_file_that_was_never_run_is_planned_as_of_today(tmp_path, risen, recwarn):
    risen(5)
    made = plan(small(), finish(small(study="other"), tmp_path), recorded=True)
    assert made.study.numerics == 5
    assert not [each for each in recwarn if issubclass(each.category, Notice)]
    assert parse_study(dump_study(made.study)).numerics == 5


def test_a_study_set_aside_is_read_where_it_lies(tmp_path, capsys):
    store = finish(small(), tmp_path)
    place = store.set_aside()
    assert run_cli(["status", place.name, "--logs", str(tmp_path)]) == 0
    assert "4 completed" in capsys.readouterr().out


def test_a_trial_whose_arrays_are_gone_or_damaged_is_trained_again_when_a_probe_asks(tmp_path):
    asks = small(probes=["activations"])
    store = finish(asks, tmp_path)
    assert plan(asks, store).todo == ()
    first, second = (plan(asks, store).trials[index] for index in (0, 3))
    store.arrays_file(first.id).unlink()
    store.arrays_file(second.id).write_bytes(b"PK spoilt")
    with pytest.warns(Notice) as said:
        made = plan(asks, store)
    assert made.todo == (first, second)
    told = [str(note.message).split(" ")[0] for note in said]
    assert sorted(told) == sorted(str(store.arrays_file(each.id)) for each in (first, second))
    assert plan(small(), store).todo == ()  # nothing asks for them


def test_a_resolved_study_that_cannot_be_read_is_kept_and_resolved_anew(tmp_path):
    store = finish(small(), tmp_path)
    store.study_file.write_text("study: [")
    with pytest.warns(Notice, match=r"resolved anew\. .*study\.yaml"):
        assert resolved_before(store) is None
    with store.lock(), pytest.warns(Notice, match="kept as study.yaml.unsound"):
        assert resolved_before(store) is None
    assert (store.root / "study.yaml.unsound").read_text() == "study: ["
