"""Purity and nothing lost, on real worker processes (laws 1 and 6 of the design).

One small study is trained once as the reference; every other way of running it must give the
same numbers to the last bit.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from functools import partial

import pytest

from ablate.config import dump_study, load_study
from ablate.errors import StoreError
from ablate.execution import run as running
from ablate.execution.plan import plan
from ablate.execution.run import run
from ablate.store import Store
from ablate.study.study import Study
from ablate.study.trial import TrialResult
from tests.execution.processes import alive, wait_for, workers_of


def study(**changes) -> Study:
    return Study(
        **{
            "study": "laws",
            "data": {"name": "digits", "limit": 96},
            "model": {"name": "mlp", "units": [12]},
            "train": {"epochs": 3, "threads": 1},
            "seeds": 2,
            "variants": {
                "plain": {},
                "bn": {"insert": [{"layer": "BatchNormalization", "at": "before_activation"}]},
                "dropout": {
                    "insert": [{"layer": "Dropout", "rate": 0.5, "at": "after_activation"}]
                },
                "fast": {"train": {"learning_rate": 1e30}},
            },
            **changes,
        }
    )


def numbers(results) -> dict[tuple[str, int], tuple]:
    """What law 1 speaks of: everything of a result that is a number and not a time."""
    return {(result.variant, result.seed): _numbers(result) for result in results}


def _numbers(result: TrialResult) -> tuple:
    return (
        result.id,
        result.status,
        dict(result.metrics),
        {name: list(curve) for name, curve in result.curves.items()},
        result.epochs,
        result.steps,
        result.diverged,
        result.parameters,
        dict(result.rows),
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The study run serially, in one fresh worker."""
    return numbers(run(study(), logs=tmp_path_factory.mktemp("logs"), executor="serial").results)


def test_the_reference_has_outcomes_of_both_kinds(reference):
    statuses = {name: each[1] for (name, _), each in reference.items()}
    assert statuses == {
        "plain": "completed", "bn": "completed", "dropout": "completed", "fast": "diverged",
    }  # fmt: skip
    assert reference["fast", 0][6]["epoch"] == 1
    assert reference["plain", 0] != reference["plain", 1]


def test_a_pool_of_any_size_in_any_order(reference, tmp_path, monkeypatch):
    """Two workers, groups torn apart and shuffled, so that programs come and go."""

    def torn(trials, slots):
        pieces = [(trial,) for trial in trials]
        random.Random(5).shuffle(pieces)
        return pieces

    monkeypatch.setattr(running, "groups", torn)
    results = run(study(), logs=tmp_path, workers=2)
    assert numbers(results.results) == reference


@pytest.mark.slow
def test_more_workers_than_cores_and_alone(reference, tmp_path):
    """Four workers for a part of the study; then the study grows and keeps what stands."""
    part = study(variants={"bn": study().variants["bn"]}, baseline="bn")
    few = numbers(run(part, logs=tmp_path, workers=4).results)
    assert few == {key: value for key, value in reference.items() if key[0] == "bn"}
    store = Store(tmp_path, "laws")
    written = {each.name: each.stat().st_mtime_ns for each in store.trials.iterdir()}
    assert numbers(run(study(), logs=tmp_path, workers=1).results) == reference
    for name, time_ns in written.items():
        assert (store.trials / name).stat().st_mtime_ns == time_ns, "trained again"


def test_a_killed_worker_costs_its_trial_a_try_and_nobody_else(tmp_path):
    victim = study(
        study="victim",
        train={"epochs": 3, "threads": 1, "callbacks": [{"call": "deadly:KillOnce"}]},
        variants={"plain": {}, "bn": study().variants["bn"]},
    )
    (tmp_path / "deadly.py").write_text(
        "import os, signal, pathlib, keras\n"
        "class KillOnce(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        f"        mark = pathlib.Path({str(tmp_path / 'killed')!r})\n"
        "        if not mark.exists():\n"
        "            mark.touch()\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        results = run(victim, logs=tmp_path / "logs", workers=2).results
        again = run(victim, logs=tmp_path / "undisturbed", workers=2).results
    finally:
        sys.path.remove(str(tmp_path))
    assert [result.status for result in results] == ["completed"] * 4
    assert sorted(result.attempts for result in results) == [1, 1, 1, 2]
    assert numbers(results) == numbers(again)


@pytest.mark.slow
def test_a_trial_that_raises_is_recorded_and_the_rest_goes_on(tmp_path):
    (tmp_path / "moody.py").write_text(
        "import keras\n"
        "class Raise(keras.callbacks.Callback):\n"
        "    def on_train_begin(self, logs=None):\n"
        "        raise RuntimeError('out of sorts')\n"
    )
    moody = study(
        study="moody",
        variants={"plain": {}, "moody": {"train": {"callbacks": [{"call": "moody:Raise"}]}}},
    )
    sys.path.insert(0, str(tmp_path))
    try:
        results = run(moody, logs=tmp_path / "logs", workers=1)
    finally:
        sys.path.remove(str(tmp_path))
    assert results.counts() == {"completed": 2, "failed": 2}
    failed = next(result for result in results.results if result.status == "failed")
    assert "RuntimeError: out of sorts" in failed.error and "Traceback" in failed.error


@pytest.mark.slow
def test_a_killed_driver_leaves_no_orphan_and_a_plain_run_goes_on(reference, tmp_path):
    file = tmp_path / "laws.yaml"
    file.write_text(dump_study(study()))
    command = [sys.executable, "-m", "ablate", "run", str(file), "--logs", str(tmp_path / "logs"),
               "--workers", "2"]  # fmt: skip
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = Store(tmp_path / "logs", "laws")
    assert wait_for(lambda: store.works.is_dir() and any(store.works.iterdir()))
    workers = workers_of(driver.pid)
    with pytest.raises(StoreError, match=f"process {driver.pid} on"):
        run(study(), logs=tmp_path / "logs")
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert workers
    assert wait_for(lambda: not any(alive(worker) for worker in workers))
    assert numbers(run(load_study(file), logs=tmp_path / "logs", workers=1).results) == reference
    assert not store.works.exists()


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(tmp_path):
    file = tmp_path / "long.yaml"
    file.write_text(dump_study(study(study="long", train={"epochs": 2000, "threads": 1})))
    command = [sys.executable, "-m", "ablate", "run", str(file), "--logs", str(tmp_path / "logs")]
    driver = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell without job control starts what is in its background deaf to Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    store = Store(tmp_path / "logs", "long")
    assert wait_for(lambda: store.works.is_dir() and any(store.works.rglob("events.jsonl")))
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to the whole group
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Run the same command again to go on from here." in err
    assert "Traceback" not in err + out
    assert {each.status for each in store.results().values()} >= {"interrupted"}


def test_the_files_of_data_are_noticed_when_they_change(tmp_path):
    import numpy as np

    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(40, 3)).astype("float32"), np.arange(40) % 2
    file = tmp_path / "rows.npz"
    np.savez(file, x_train=x, y_train=y)
    mine = study(data={"path": str(file)})
    store = Store(tmp_path / "logs", "laws")
    before = [trial.id for trial in plan(mine, store).trials]
    assert [trial.id for trial in plan(mine, store).trials] == before
    np.savez(file, x_train=x + 1, y_train=y)
    assert set(before).isdisjoint(trial.id for trial in plan(mine, store).trials)
