"""The rows that a call of data returns: read once, known by their digest ever after."""

from __future__ import annotations

import sys

import pytest

from ablate.errors import DataError, Notice
from ablate.execution import plan as planning
from ablate.execution.plan import plan, resolved_before, write_study
from ablate.execution.run import run
from ablate.store import Store
from ablate.study import identity
from tests.execution.finished import record, small

MODULE = """
import numpy as np, tensorflow as tf

def load(rows=60):
    x = np.random.normal(size=(rows, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(rows).batch(16)

def file():
    return np.load("rows.npy"), np.arange(60) % 2
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of one's own beside the study."""
    (tmp_path / "own_rows.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    from ablate.data.load import forget

    forget()
    yield
    forget()
    sys.modules.pop("own_rows", None)


def study(**changes):
    return small(data={"call": "own_rows:load"}, **changes)


class Reader:
    """Reads digests from a list, and counts."""

    def __init__(self, *digests: str):
        self.digests = list(digests)
        self.specs = []

    def __call__(self, spec):
        self.specs.append(spec)
        return self.digests.pop(0)


def finish(made, store):
    write_study(made, store)
    for trial in made.trials:
        store.save(record(trial), {})


def ids(made) -> set[str]:
    return {trial.id for trial in made.trials}


def digests(made) -> set[str | None]:
    return {trial.spec.data.digest for trial in made.trials}


def test_rows_are_read_once_and_their_digest_is_in_every_trial(module, tmp_path):
    store = Store(tmp_path, "small")
    quick = plan(study(), store)
    assert digests(quick) == {None}
    reader = Reader("aa")
    first = plan(study(), store, read=reader)
    assert digests(first) == {"aa"} and len(reader.specs) == 1 and len(first.todo) == 4
    assert not ids(quick) & ids(first)
    finish(first, store)
    again = plan(study(), store, read=Reader(), earlier=resolved_before(store))
    assert again.todo == () and ids(again) == ids(first)
    assert (store.logs / ".digests.json").is_file()


def test_all_variants_share_one_reading_and_other_arguments_have_their_own(module, tmp_path):
    reader = Reader("aa", "bb")
    few = study(variants={"plain": {}, "few": {"data": {"limit": 20}}})
    assert digests(plan(few, Store(tmp_path, "small"), read=reader)) == {"aa"}
    other = small(data={"call": "own_rows:load", "rows": 40})
    assert digests(plan(other, Store(tmp_path, "small"), read=reader)) == {"bb"}
    assert len(reader.specs) == 2
    pinned = small(data={"call": "own_rows:load", "digest": "cc"})
    assert digests(plan(pinned, Store(tmp_path, "small"), read=reader)) == {"cc"}


def test_a_study_keeps_the_rows_it_was_trained_on(module, tmp_path):
    """Its own records tell, also where .digests.json is gone or another study has read anew."""
    store = Store(tmp_path, "small")
    finish(plan(study(), store, read=Reader("aa")), store)
    (tmp_path / ".digests.json").unlink(missing_ok=True)
    for options in ({}, {"read": Reader()}, {"recorded": True}):
        made = plan(study(), store, earlier=resolved_before(store), **options)
        assert digests(made) == {"aa"} and made.todo == ()
    other = plan(study(study="other"), Store(tmp_path, "other"), read=Reader("bb"), anew=True)
    assert digests(other) == {"bb"}
    assert digests(plan(study(), store, read=Reader())) == {"aa"}
    assert digests(plan(study(study="third"), Store(tmp_path, "third"))) == {"aa"}


def test_what_is_read_is_remembered_for_other_studies_until_one_begins_anew(module, tmp_path):
    plan(study(), Store(tmp_path, "small"), read=Reader("aa"))
    assert digests(plan(study(), Store(tmp_path, "next"), read=Reader())) == {"aa"}
    assert digests(plan(study(), Store(tmp_path, "small"), read=Reader("bb"), anew=True)) == {"bb"}
    assert digests(plan(study(), Store(tmp_path, "next"), read=Reader())) == {"bb"}
    (tmp_path / "own_rows.py").write_text(MODULE + "\n# changed\n")
    assert digests(plan(study(), Store(tmp_path, "next"), read=Reader("cc"))) == {"cc"}


def test_a_study_of_the_first_version_stays_readable_and_is_trained_again(
    module, tmp_path, monkeypatch
):
    """It was read without seeds, and nobody knows what."""
    for place in (identity, planning):
        monkeypatch.setattr(place, "NUMERICS", 1)
    store = Store(tmp_path, "small")
    finish(plan(study(), store), store)
    for place in (identity, planning):
        monkeypatch.setattr(place, "NUMERICS", 2)
    with pytest.warns(Notice, match="under numerics 1"):
        assert plan(study(), store, earlier=resolved_before(store), recorded=True).kept == 4
    with pytest.warns(Notice, match="a run trains its trials again"):
        made = plan(study(), store, earlier=resolved_before(store), read=Reader("aa"))
    assert (made.kept, len(made.todo), digests(made)) == (0, 4, {"aa"})


def test_two_runs_of_one_study_give_the_same_and_a_change_is_refused(module, tmp_path):
    import numpy as np

    from ablate.data.load import forget

    def go(logs, call):
        forget()
        sys.modules.pop("own_rows", None)
        given = small(data={"call": f"own_rows:{call}", "load": "memory"})
        found = run(given, logs=logs, executor="inline", watchers=[])
        return {(r.variant, r.seed): (r.id, r.metrics) for r in found.results}

    assert go(tmp_path / "a", "load") == go(tmp_path / "b", "load")
    np.save("rows.npy", np.random.default_rng(0).normal(size=(60, 3)))
    before = go(tmp_path / "c", "file")
    np.save("rows.npy", np.random.default_rng(1).normal(size=(60, 3)))
    assert go(tmp_path / "c", "file") == before  # nothing is left to train, nothing is read
    with pytest.raises(DataError, match="returns other rows than when they were first read"):
        run(
            small(data={"call": "own_rows:file"}, seeds=3),
            logs=tmp_path / "c", executor="inline", watchers=[],
        )  # fmt: skip
    found = run(
        small(data={"call": "own_rows:file"}),
        logs=tmp_path / "c", executor="inline", watchers=[], fresh=True,
    )  # fmt: skip
    assert not {result.id for result in found.results} & {each for each, _ in before.values()}


def test_rows_of_a_live_function_are_the_same_in_every_run(tmp_path):
    """They used to be drawn anew, so that each run trained all trials again on other rows."""
    import numpy as np

    def rows():
        return np.random.normal(size=(60, 3)), np.arange(60) % 2

    def go():
        given = small(data=rows, seeds=1, variants={"plain": {}})
        return run(given, logs=tmp_path, executor="inline", watchers=[])

    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    first = go()
    assert np.random.random() == expected
    again = go()
    assert [each.id for each in again.results] == [each.id for each in first.results]
    assert len(list((tmp_path / "small" / "trials").glob("*.json"))) == 1
