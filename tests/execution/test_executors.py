"""One suite for every executor: order, failures, retries, cancellation, progress, divergence,
resume, and numbers that equal the serial executor's to the last bit (law 1 of the design).

A study with a variant for each kind of trouble is run once by each executor; the tests read
what came of it. The data are a file and the callbacks a module, so that both have to travel.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ablate.config import load_study
from ablate.execution.messages import Done, Finished, Lost, Task
from ablate.execution.plan import plan
from ablate.execution.run import make_executor, run
from ablate.store import Store
from ablate.study.progress import Event
from ablate.study.study import Study

KINDS = ("processes", "inline", "ray", "slurm-local", "slurm-debug")

#: These train in the test's own process, which nothing may kill or stop.
HERE = {"inline", "slurm-debug"}

TROUBLE = """
import os, pathlib, signal
import keras

class Kill(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        mark = pathlib.Path({mark!r})
        if epoch == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

class Raise(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise RuntimeError("out of sorts in " + __file__)
"""


STREAM = """
import keras
import numpy as np

SPOILED = []

def load():
    draw = np.random.default_rng(0)
    y = np.arange(96) % 2
    x = (draw.normal(size=(96, 5)) + y[:, None]).astype("float32")

    def batches():
        order = np.random.permutation(64)
        for start in range(0, 64, 16):
            if start == 32 and SPOILED:
                SPOILED.clear()
                raise OSError("sector 7 is gone")
            yield x[order[start : start + 16]], y[order[start : start + 16]]

    return {"train": batches(), "validation": (x[64:80], y[64:80]), "test": (x[80:], y[80:])}

class Spoil(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            SPOILED.append(True)
"""


@dataclass
class Notes:
    """A watcher that writes down what it hears."""

    begun: list[tuple[int, int]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    epochs: dict[str, list[int]] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    lost: list[tuple[str, bool]] = field(default_factory=list)

    def begin(self, todo, kept, dropped=0):
        self.begun.append((todo, kept))

    def started_(self, trial, epoch):
        self.started.append(trial.id)

    def epoch(self, trial, said):
        self.epochs.setdefault(trial.id, []).append(said.epoch)

    def finished_(self, trial, result, arrays):
        self.finished.append(trial.id)

    def lost_(self, trial, reason, again):
        self.lost.append((trial.variant, again))

    def end(self):
        pass


class Watcher:
    """The protocol's names over `Notes`, whose fields have them."""

    def __init__(self, notes: Notes) -> None:
        self.begin, self.epoch, self.end = notes.begin, notes.epoch, notes.end
        self.started, self.finished, self.lost = notes.started_, notes.finished_, notes.lost_


@dataclass
class Ran:
    """What a run left behind."""

    kind: str
    place: Path
    study: Study
    results: dict
    notes: Notes


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data and the module of callbacks, on the import path."""
    folder = tmp_path_factory.mktemp("executors")
    digits = load_digits()
    x = (digits.images[:96, ..., None] / 16).astype("float32")
    np.savez(folder / "rows.npz", x_train=x, y_train=digits.target[:96])
    (folder / "executor_trouble.py").write_text(TROUBLE.format(mark=str(folder / "killed")))
    (folder / "executor_stream.py").write_text(STREAM)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


BN = {"layer": "BatchNormalization", "at": "before_activation"}


def study(place: Path, **changes) -> Study:
    return Study(
        **{
            "study": "executors",
            "data": {"path": str(place / "rows.npz")},
            "model": {"name": "mlp", "units": [12]},
            "train": {"epochs": 3, "threads": 1},
            "seeds": 2,
            "variants": {
                "plain": {},
                "bn": {"insert": [BN]},
                "fast": {"train": {"learning_rate": 1e30}},
                "deadly": {"train": {"callbacks": [{"call": "executor_trouble:Kill"}]}},
                "moody": {"train": {"callbacks": [{"call": "executor_trouble:Raise"}]}},
            },
            **changes,
        }
    )


def without(trouble: Study, *names: str) -> Study:
    variants = {name: each for name, each in trouble.variants.items() if name not in names}
    return trouble.model_copy(update={"variants": variants})


def numbers(results) -> dict[tuple[str, int], tuple]:
    """What law 1 speaks of: everything of a result that is a number and not a time."""
    return {
        (each.variant, each.seed): (
            each.id,
            each.status,
            dict(each.metrics),
            {name: list(curve) for name, curve in each.curves.items()},
            each.epochs,
            each.steps,
            each.diverged,
            each.parameters,
            dict(each.rows),
            each.spec["data"],
        )
        for each in results
    }


@pytest.fixture(scope="module")
def cluster():
    """A small Ray on this machine, which the executors join as a caller's own session."""
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # on a busy machine
    ray = pytest.importorskip("ray")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=100 * 2**20,
    )
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def reference(place):
    """The study run serially, in one fresh worker; nobody is killed."""
    (place / "killed").touch()
    return run(study(place), logs=place / "serial", executor="serial", watchers=[])


@pytest.fixture(
    scope="module",
    # The distant ones start a cluster or a process for every group of trials.
    params=[
        pytest.param(kind, marks=[] if kind in ("processes", "inline") else pytest.mark.slow)
        for kind in KINDS
    ],
)
def kind(request, reference):
    """An executor; the one that `ablate` would make under this name."""
    kind = request.param
    if kind == "ray":
        request.getfixturevalue("cluster")
    if kind in HERE:
        from ablate.training import configure

        configure(1)
    with pytest.MonkeyPatch.context() as patch:
        if kind.startswith("slurm"):
            pytest.importorskip("submitit")
            patch.setenv("ABLATE_SLURM_CLUSTER", kind.partition("-")[2])
        if kind == "ray":
            # The cluster's machines are this one, but act as if they shared no disk.
            from ablate.execution.ray import RayTasks

            patch.setattr(RayTasks, "_token", lambda self: "another folder")
        yield kind


@pytest.fixture(scope="module")
def ran(kind, place) -> Ran:
    """The study run by this executor; the first of the deadly trials is killed."""
    mark = place / "killed"
    mark.touch()
    if kind not in HERE:
        mark.unlink()
    mine, notes = study(place), Notes()
    name = kind.partition("-")[0]
    found = run(mine, logs=place / kind, executor=name, watchers=[Watcher(notes)])
    return Ran(kind, place / kind, mine, {r.id: r for r in found.results}, notes)


def test_the_numbers_are_the_serial_executors_to_the_last_bit(ran, reference):
    assert numbers(ran.results.values()) == numbers(reference.results)


def test_every_kind_of_outcome_is_recorded(ran):
    statuses = {each.variant: each.status for each in ran.results.values()}
    assert statuses == {
        "plain": "completed", "bn": "completed", "fast": "diverged", "deadly": "completed",
        "moody": "failed",
    }  # fmt: skip
    moody = next(each for each in ran.results.values() if each.status == "failed")
    assert "RuntimeError: out of sorts in" in moody.error and "Traceback" in moody.error
    if ran.kind == "ray":
        assert "ablate-code-" in moody.error, "the module did not travel"


def test_a_killed_worker_costs_its_trial_one_try_and_a_failure_none(ran):
    attempts = dict.fromkeys(ran.study.variants, 0)
    for each in ran.results.values():
        attempts[each.variant] += each.attempts
    deadly = 2 if ran.kind in HERE else 3
    assert attempts == {"plain": 2, "bn": 2, "fast": 2, "deadly": deadly, "moody": 2}
    assert all(again and variant == "deadly" for variant, again in ran.notes.lost)


def test_progress_is_told(ran):
    notes, trials = ran.notes, set(ran.results)
    assert notes.begun == [(10, 0)]
    moody = {each.id for each in ran.results.values() if each.variant == "moody"}
    assert set(notes.started) == trials - moody  # these fail before they begin to train
    assert sorted(notes.finished) == sorted(trials)
    for trial, epochs in notes.epochs.items():
        if ran.results[trial].attempts == 1:
            assert epochs == sorted(set(epochs)) and set(epochs) <= {0, 1, 2, 3}
    assert notes.epochs


def test_nothing_is_left_behind(ran):
    store = Store(ran.place, "executors")
    assert [each.name for each in store.trials.glob("*.json")]
    # An engine may keep its own logs in a hidden folder; nothing of a trial stays.
    left = list(store.works.iterdir()) if store.works.exists() else []
    assert [each.name for each in left if not each.name.startswith(".")] == []


def test_a_second_run_trains_nothing(ran, reference):
    notes = Notes()
    name = ran.kind.partition("-")[0]
    again = run(without(ran.study, "moody"), logs=ran.place, executor=name,
                watchers=[Watcher(notes)])  # fmt: skip
    assert (notes.begun, notes.started) == ([(0, 8)], [])
    wanted = numbers(reference.results)
    assert numbers(again.results) == {key: wanted[key] for key in wanted if key[0] != "moody"}


def test_a_task_ends_in_order_and_another_can_be_stopped(kind, place, tmp_path):
    """Order within a task, then cancellation: the executor alone, without a runner."""
    mine = study(place, study="order", seeds=3, variants={"plain": {}, "long": {
        "train": {"epochs": 10**6, "time_limit": 3600}}})  # fmt: skip
    store = Store(tmp_path, "order")
    trials = plan(mine, store).trials
    short = tuple(trial for trial in trials if trial.variant == "plain")[::-1]
    long = next(trial for trial in trials if trial.variant == "long")
    execution = mine.execution.model_copy(update={"executor": kind.partition("-")[0], "workers": 1})
    executor = make_executor(execution, store, threads=1)
    try:
        assert executor.expect(short) == []
        task = Task(1, short)
        executor.submit(task)
        said = listen(executor, lambda said: isinstance(said, Done | Lost))
        assert said[-1] == Done(task)
        ended = [each.result.id for each in said if isinstance(each, Finished)]
        assert ended == [trial.id for trial in short]
        begun = [each.trial for each in said if isinstance(each, Event) and each.kind == "started"]
        assert begun == [trial.id for trial in short]
        if kind in HERE:
            return
        other = Task(2, (long,))
        executor.submit(other)
        said = listen(executor, lambda said: isinstance(said, Event) and said.kind == "epoch")
        assert said[-1].kind == "epoch"
        executor.stop(other)
        lost = listen(executor, lambda said: isinstance(said, Done | Lost))[-1]
        assert isinstance(lost, Lost) and lost.task == other
    finally:
        executor.close()


SCRIPT = """
import keras, numpy as np
x = np.random.rand(40, 3).astype("float32")
m = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dropout(0.2),
                      keras.layers.Dense(1)])
class Doubled(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["double"] = 2.0 * epoch
        open("noted.txt", "a").write(f"{epoch} ")
m.compile("adam", lambda y, p: keras.ops.mean((y - p) ** 2, axis=-1))
m.fit(x, x.sum(1), epochs=2, validation_split=0.2, callbacks=[Doubled()])
"""


@pytest.fixture(scope="module")
def scripted(place):
    """The study of a script with a loss and a callback of its own."""
    file = place / "own_script.py"
    file.write_text(SCRIPT)
    return load_study(file, {"seeds": 1}, logs=place / "captured")


@pytest.mark.slow
def test_what_a_script_defines_goes_where_its_trials_go(kind, place, scripted):
    name, logs = kind.partition("-")[0], place / f"scripted-{kind}"
    found = run(scripted, logs=logs, executor=name, watchers=[])
    assert [each.status for each in found.results] == ["completed"] * 2, found.results[0].error
    for each in found.results:
        assert each.curves["double"] == [None, 0.0, 2.0]
        written = Store(logs, "own_script").files_of(each.id) / "noted.txt"
        assert written.read_text() == "0 1 "


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "ray", "slurm-local"], indirect=True)
def test_pipelines_are_the_same_everywhere_and_one_that_breaks_ends_its_trial_alone(kind, place):
    spoil = {"train": {"callbacks": [{"call": "executor_stream:Spoil"}]}}
    mine = study(
        place, study="streams", seeds=1, data={"call": "executor_stream:load"},
        variants={"spoiled": spoil, "plain": {}, "bn": {"insert": [BN]}},
    )  # fmt: skip
    found = {}
    for executor in ("serial", kind.partition("-")[0]):
        results = run(mine, logs=place / f"{kind}-{executor}", executor=executor, watchers=[])
        found[executor] = {each.variant: each for each in results.results}
        spoiled = found[executor].pop("spoiled")
        assert (spoiled.status, spoiled.epochs) == ("failed", 2)
        assert "executor_stream:load: train: element 2 (from 0) cannot be read" in spoiled.error
        assert "sector 7 is gone (epoch 3, batch 2)" in spoiled.error
    serial, other = found.values()
    assert numbers(serial.values()) == numbers(other.values())
    assert [each.seen for each in serial.values()] == [each.seen for each in other.values()]
    assert len(set(serial["plain"].seen)) == 3  # another order in each epoch


def listen(executor, until, seconds: float = 200.0) -> list:
    """Poll until something wanted is said; return all that was said."""
    heard: list = []
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        heard += executor.poll(0.2)
        if any(until(said) for said in heard):
            return heard
    raise AssertionError(f"not said within {seconds:g} s; heard {heard}")


def test_an_executor_whose_engine_is_not_installed_names_the_extra(tmp_path, monkeypatch, place):
    from ablate.errors import MissingExtraError

    for engine, module in (("ray", "ray"), ("slurm", "submitit")):
        with monkeypatch.context() as patch:
            for name in [each for each in sys.modules if each.split(".")[0] == module]:
                patch.delitem(sys.modules, name)
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtraError, match=rf"keras-ablate\[{engine}\]"):
                run(study(place), logs=tmp_path, executor=engine, watchers=[])
    with suppress(FileNotFoundError):
        assert not [each for each in os.listdir(tmp_path / "executors") if each == "trials"]
