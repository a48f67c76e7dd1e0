"""The logs folder: whole files, locks, results that come back as they went in."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ablate.errors import StoreError
from ablate.store import Store, studies, write_text
from ablate.study.data import Data
from ablate.study.model import Model
from ablate.study.tables import results_table
from ablate.study.train import Train
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


def test_a_spoilt_record_is_no_result(store):
    store.save(RESULT)
    store.result_file(RESULT.id).write_text('{"id": "aaa", "sta')
    assert store.load(RESULT.id) is None
    assert store.results() == {}


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
