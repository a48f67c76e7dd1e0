"""The logs folder: whole files, locks, results that come back as they went in."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from ablate.disk import write_text
from ablate.errors import Notice, StoreError
from ablate.store import Store, studies
from ablate.study.digests import digest
from ablate.study.record_check import FIELDS, UnsoundRecord
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.tables import results_table
from ablate.study.trial import Spec, Trial, TrialResult

SPEC = Spec(data=Data(name="digits"), model=Model(name="cnn"), train=Train(threads=1))
RESULT = TrialResult(
    id="a" * 64,
    variant="bn",
    seed=3,
    status="completed",
    metrics={"train_loss": 0.25, "test_accuracy": 0.9375, "test_loss": 0.5},
    curves={"loss": [None, 1.5, 0.25]},
    epochs=2,
    parameters=10,
    seconds={"total": 1.5},
    rows={"train": 7, "validation": 2, "test": 3},
    notes=("one",),
    inference=(0.1, 0.2),
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "logs", "mine")


def test_a_result_comes_back_as_it_went_in(store):
    store.save(RESULT, {"gamma": np.arange(3.0)})
    assert store.load(RESULT.id) == RESULT
    assert store.results() == {RESULT.id: RESULT}
    assert store.results(["b" * 64, RESULT.id]) == {RESULT.id: RESULT}
    np.testing.assert_array_equal(store.arrays(RESULT.id)["gamma"], np.arange(3.0))


def test_what_is_not_there_is_none_or_empty(store):
    assert store.load("nothing") is None
    assert store.results() == {}
    assert store.arrays("nothing") == {}


def test_a_non_finite_number_is_null_in_the_file(store):
    store.save(replace(RESULT, metrics={"val_loss": math.nan, "test_loss": math.inf}))
    assert store.load(RESULT.id).metrics == {"val_loss": None, "test_loss": None}
    assert "NaN" not in store.result_file(RESULT.id).read_text()


def test_a_write_that_fails_leaves_the_old_file_whole(store, monkeypatch):
    store.save(RESULT)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="disk is full"):
        store.save(replace(RESULT, epochs=99))
    monkeypatch.undo()
    assert store.load(RESULT.id) == RESULT
    assert [each.name for each in store.trials.iterdir()] == [f"{RESULT.id}.json"]


def test_a_folder_that_cannot_be_made_names_the_remedy(tmp_path):
    (tmp_path / "logs").write_text("a file stands where the folder should")
    with pytest.raises(StoreError, match="cannot be written"):
        write_text(tmp_path / "logs" / "study.yaml", "x")


def test_the_lock_names_who_holds_it(store):
    code = (
        "import sys; from ablate.store import Store\n"
        f"store = Store({str(store.logs)!r}, 'mine')\n"
        "with store.lock():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"process {other.pid} on"), store.lock():
        pass
    other.kill()
    other.wait()
    with store.lock():  # the kernel freed it: a stale lock is no lock
        assert f"process {os.getpid()}" in (store.root / ".owner").read_text()
    other.stdin.close()
    other.stdout.close()


def test_setting_aside_renames_and_deletes_nothing(store):
    store.save(RESULT)
    first = store.set_aside()
    store.save(RESULT)
    second = store.set_aside()
    assert not store.root.exists()
    assert first != second
    assert (first / "trials").is_dir() and (second / "trials").is_dir()
    assert store.set_aside() is None


def test_studies_are_listed_and_missing_ones_named(store):
    store.write_study("study: mine\n")
    assert studies(store.logs) == ["mine"]
    with pytest.raises(StoreError, match=r"No study 'other'.*There are: mine"):
        Store(store.logs, "other").read_study()


def test_results_csv_has_a_row_per_trial_and_ordered_columns():
    trials = [
        Trial(id=RESULT.id, variant="bn", seed=3, spec=SPEC, factors={"bn": "on"}),
        Trial(id="b" * 64, variant="plain", seed=3, spec=SPEC, factors={"bn": "off"}),
    ]
    rows = list(csv.reader(results_table(trials, {RESULT.id: RESULT}).splitlines()))
    assert rows == [
        ["variant", "seed", "bn", "status", "epochs", "seconds", "parameters",
         "train_loss", "test_loss", "test_accuracy"],
        ["bn", "3", "on", "completed", "2", "1.5", "10", "0.25", "0.5", "0.9375"],
    ]  # fmt: skip


def test_a_record_stays_small(store):
    """A hundred epochs of six curves fit into ten kilobytes."""
    curve = [0.123456789] * 101
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    store.save(replace(RESULT, curves=dict.fromkeys(names, curve)))
    assert store.result_file(RESULT.id).stat().st_size < 10_000


SOUND = RESULT.to_json()

#: name -> (bytes in a record's place, what a person is told)
UNSOUND = {
    "truncated": (json.dumps(SOUND).encode()[:200], "not JSON"),
    "empty": (b"", "not JSON"),
    "null": (b"null", "expected the record of a trial, received null"),
    "a list": (b"[1,2]", r"received a list \(\[1, 2\]"),
    "a number": (b"3", "received 3"),
    "nothing in it": (b"{}", r"received \{\}|has no 'id'"),
    "a text": (b'"x"', "received 'x'"),
    "no text": (b"\xff\xfe{}", "not JSON"),
    "zeros": (bytes(64), "not JSON"),
    "NaN": (b"NaN", "not JSON"),
    "NaN inside": (json.dumps(SOUND | {"bn_momentum": math.nan}).encode(), "not JSON"),
    "brackets": (b"[" * 100_000, "not JSON"),
    "no id": (json.dumps({k: v for k, v in SOUND.items() if k != "id"}).encode(), "no 'id'"),
    "metrics null": (json.dumps(SOUND | {"metrics": None}).encode(), "'metrics' is null, expected"),
    "metrics text": (json.dumps(SOUND | {"metrics": "x"}).encode(), "'metrics' is 'x', expected"),
    "curves null": (json.dumps(SOUND | {"curves": None}).encode(), "'curves' is null, expected"),
    "a curve null": (json.dumps(SOUND | {"curves": {"loss": None}}).encode(), "'curves' is a map"),
    "a curve of texts": (json.dumps(SOUND | {"curves": {"loss": ["x"]}}).encode(), "'curves'"),
    "a metric true": (json.dumps(SOUND | {"metrics": {"val_loss": True}}).encode(), "'metrics'"),
    "seed a text": (json.dumps(SOUND | {"seed": "3"}).encode(), "'seed' is '3', expected a whole"),
    "another's": (json.dumps(SOUND | {"id": "b" * 64}).encode(), "of another trial, bbbbbbbbbbbb"),
    "of a later version": (
        json.dumps(SOUND | {"status": "paused"}).encode(),
        "status is 'paused'.*a later version of ablate",
    ),
    "of a later version, by its own word": (
        json.dumps(SOUND | {"curves": 1, "environment": {"ablate": "999.0"}}).encode(),
        "'curves' is 1.*a later version of ablate",
    ),
}


@pytest.mark.parametrize("damage", UNSOUND)
def test_a_record_that_is_unsound_is_named_and_set_aside_by_who_has_the_lock(store, damage):
    content, reason = UNSOUND[damage]
    other = replace(RESULT, id="c" * 64)
    store.save(other)
    store.result_file(RESULT.id).write_bytes(content)
    with pytest.warns(Notice, match=f"{RESULT.id}.json is no sound record: .*{reason}") as told:
        assert store.results() == {other.id: other}
    assert len(told) == 1 and "`ablate run` sets it aside" in str(told[0].message)
    assert store.result_file(RESULT.id).read_bytes() == content  # who only reads renames nothing
    kept = store.trials / f"{RESULT.id}.json.unsound"
    with store.lock(), pytest.warns(Notice, match=f"kept as {kept.name}, and its trial is trained"):
        assert store.load(RESULT.id) is None
    assert kept.read_bytes() == content
    assert store.load(RESULT.id) is None and store.results() == {other.id: other}
    store.save(RESULT)
    assert store.load(RESULT.id) == RESULT and kept.read_bytes() == content


def test_a_folder_or_a_link_to_nothing_is_no_record(store):
    for name, place in zip("de", map(store.result_file, ("d" * 64, "e" * 64)), strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if name == "d" else place.symlink_to("nowhere")
    with store.lock(), pytest.warns(Notice) as told:
        assert store.results() == {}
    said = sorted(str(each.message) for each in told)
    assert "Is a directory" in said[0] and "a link to nothing" in said[1]
    assert sorted(each.suffix for each in store.trials.iterdir()) == [".unsound"] * 2


def test_what_is_set_aside_twice_is_kept_twice(store):
    for content in (b"one", b"two"):
        store.result_file(RESULT.id).parent.mkdir(parents=True, exist_ok=True)
        store.result_file(RESULT.id).write_bytes(content)
        with store.lock(), pytest.warns(Notice):
            store.load(RESULT.id)
    kept = sorted(store.trials.iterdir())
    assert [each.read_bytes() for each in kept] == [b"one", b"two"]


def test_every_field_of_a_record_is_checked():
    """A new field of `TrialResult` gets its line in `record_check.FIELDS`."""
    assert {each.name for each in fields(TrialResult)} == FIELDS.keys()
    full = replace(
        RESULT, best_epoch=1, diverged={"epoch": 1, "step": 2}, bn_momentum=0.9, majority=0.5,
        environment={"ablate": "0"}, error="x", cautions=("x",), probes=("x",), saved="final",
        factors={"bn": "on"}, spec={"data": {}, "insert": []}, drawn=("train", "test"),
    )  # fmt: skip
    assert TrialResult.from_json(full.to_json()) == full
    for name in FIELDS:
        with pytest.raises(UnsoundRecord, match=f"'{name}'"):
            TrialResult.from_json(full.to_json() | {name: object()})


def test_arrays_are_on_the_disk_before_the_record_that_names_them(store, monkeypatch):
    """A machine that loses its power leaves no record without what it names."""
    done: list[str] = []
    flush, replaced = os.fsync, os.replace

    def flushed(handle):
        done.append("flushed")
        flush(handle)

    def moved(source, target):
        done.append(os.path.splitext(target)[1])
        replaced(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", moved)
    store.save(RESULT, {"gamma": np.arange(3.0)})
    assert done == ["flushed", ".npz", "flushed", ".json"]


def test_a_record_is_not_there_when_its_arrays_could_not_be_written(store, monkeypatch, tmp_path):
    replaced = os.replace

    def full(source, target):
        if str(target).endswith(".npz"):
            raise OSError(28, "No space left on device")
        replaced(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="disk is full"):
        store.save(RESULT, {"gamma": np.arange(3.0)})
    assert store.load(RESULT.id) is None
    with pytest.raises(StoreError, match=r"model_that_is_not_there|No such file"):
        store.save(RESULT, model=tmp_path / "model_that_is_not_there.keras")
    assert store.load(RESULT.id) is None


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "spoilt", "folder", "link"])
def test_arrays_that_are_damaged_are_none_and_are_set_aside(store, damage):
    store.save(RESULT, {"gamma": np.random.default_rng(0).normal(size=500)})
    place = store.arrays_file(RESULT.id)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 255
    place.unlink()
    if damage == "folder":
        place.mkdir()
    elif damage == "link":
        place.symlink_to("nowhere")
    else:
        whole = bytes(content)
        place.write_bytes(
            {"truncated": whole[:200], "empty": b"", "text": b"arrays", "spoilt": whole}[damage]
        )
    with pytest.warns(Notice, match=f"{place.name} is damaged"):
        assert store.arrays(RESULT.id) == {}
    with store.lock(), pytest.warns(Notice, match="kept as .*npz.unsound"):
        assert not store.has_arrays(RESULT.id)
    store.save(RESULT, {"gamma": np.arange(3.0)})
    assert store.has_arrays(RESULT.id)


def test_a_folder_in_the_place_of_a_file_is_set_aside(store):
    (store.root / "results.csv" / "inside").mkdir(parents=True)
    with pytest.warns(Notice, match="is a folder, and a file belongs there.*results.csv.unsound"):
        store.write_results([], {})
    assert store.results_csv.is_file()
    assert (store.root / "results.csv.unsound" / "inside").is_dir()


def test_what_lies_in_the_place_of_the_lock_does_not_stop_it(store):
    (store.root / ".lock").mkdir(parents=True)
    (store.root / ".owner").mkdir()
    with pytest.warns(Notice), store.lock():
        assert (store.root / ".owner").is_file()
    (store.root / ".lock").write_bytes(b"\xff\0 spoilt")
    (store.root / ".owner").write_bytes(b"\xff\0 spoilt")
    other = Store(store.logs, store.name)
    with store.lock(), pytest.raises(StoreError, match="is being run by process"), other.lock():
        pass


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2]", b"3", b"null", b'[["a", 1]]', b"\xff", b"[" * 100_000, b'{"a": 3}']
)
def test_a_spoilt_memory_of_digests_costs_time_alone(store, tmp_path, content):
    file = tmp_path / "rows.npz"
    file.write_bytes(b"rows")
    store.logs.mkdir()
    (store.logs / ".digests.json").write_bytes(content)
    memory = store.read_digests()
    assert digest(file, memory) == digest(file)
    for spoilt in (3, "x", [1], [4, file.stat().st_mtime_ns], [4, file.stat().st_mtime_ns, 7]):
        assert digest(file, {str(file): spoilt}) == digest(file)


def test_digests_that_cannot_be_remembered_stop_nothing(store, monkeypatch):
    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    store.write_digests({"a": 1})
    assert store.read_digests() == {}


SEARCHED = "variant,point,seed,train.learning_rate,status,epochs,seconds,parameters,trial\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no column 'variant'"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"\0\0", "no table|no column"),
        (b"a,b\n1,2\n", "no column 'variant'"),
        (f"{SEARCHED}bn,0,x,0.1,,,,,abc\n".encode(), "line 2 is not whole"),
        (f"{SEARCHED}bn,0,10000,0.1,,,,,abc\nbn,1".encode(), "line 3 is not whole"),
        (f"{SEARCHED}bn,0,10000,0.1,,,,,abc,d\n".encode(), "line 2 is not whole"),
    ],
)
def test_a_spoilt_table_of_a_search_is_none(store, content, reason):
    store.root.mkdir(parents=True)
    store.search_csv.write_bytes(content)
    with pytest.warns(Notice, match=f"search.csv does not say what was searched.*{reason}"):
        assert store.read_search() == []
    with store.lock(), pytest.warns(Notice, match="kept as search.csv.unsound"):
        assert store.searched() == {}
    assert not store.search_csv.exists()


def test_a_table_of_a_search_comes_back(store):
    store.write_search([])
    assert store.read_search() == []
    rows = [{"variant": "bn", "point": "0", "seed": 10000, "status": None, "trial": "abc"}]
    store.write_search(rows)
    assert store.searched() == {"abc": "0"}
