"""A study on a Ray cluster that loses a machine, what Ray costs a trial, and 10 000 trials.

    python benchmarks/cluster.py [proof] [overhead] [plan] [--trials 10000] [--machines 100]

`proof` starts a head and two worker machines as separate processes on this one, trains 24 digits
trials on the two, kills one half-way, and compares every number with the serial executor's.
`overhead` trains one tiny program over and over, by Ray and by a local worker process.
`plan` runs the driver of a large study with everything but the training: it is the real runner,
store and TensorBoard writer, fed by an executor that answers at once. Without a name, all three.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")  # on a busy machine
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^")  # the machine is killed on purpose

from ablate.execution import run as running
from ablate.execution.messages import Done, Finished, Message, Task
from ablate.study.progress import Event, Watcher
from ablate.study.study import Study
from ablate.study.trial import Trial, TrialResult

BN = {"layer": "BatchNormalization", "at": "before_activation"}
DROPOUT = {"layer": "Dropout", "rate": 0.5, "at": "after_activation"}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["proof", "overhead", "plan", []], default=[])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--cores", type=int, default=16, help="of a machine of the plan")
    asked = parser.parse_args()
    what = asked.what or ["proof", "overhead", "plan"]
    with tempfile.TemporaryDirectory(prefix="ablate-cluster-") as folder:
        if "proof" in what:
            proof(Path(folder))
        if "overhead" in what:
            overhead(Path(folder))
        if "plan" in what:
            plan(Path(folder), asked.trials, asked.machines, asked.cores)


# A machine is lost ---------------------------------------------------------------------------


class Killer(Watcher):
    """Looks on, and kills a machine of the cluster when half of the trials are done."""

    def __init__(self, cluster: Any, machine: Any, after: int) -> None:
        self._cluster, self._machine, self._after = cluster, machine, after
        self.starts: dict[str, int] = {}
        self.done = 0

    def begin(self, todo: int, kept: int, dropped: int = 0) -> None:
        print(f"  {todo} trials to train", flush=True)

    def started(self, trial: Trial, epoch: int) -> None:
        self.starts[trial.id] = self.starts.get(trial.id, 0) + 1

    def finished(self, trial: Trial, result: TrialResult, arrays: Any) -> None:
        self.done += 1
        if self.done == self._after:
            print(f"  {self.done} trials done: killing a worker machine", flush=True)
            self._cluster.remove_node(self._machine, allow_graceful=False)

    def lost(self, trial: Trial, reason: str, again: bool) -> None:
        print(f"  lost: {trial.variant} seed {trial.seed}: {reason}", flush=True)


def proof(folder: Path) -> None:
    """24 trials on a head and two workers, one of which is killed half-way."""
    print("Proof: a head and two worker machines, one killed half-way", flush=True)
    study = Study(
        study="proof",
        data={"name": "digits"},
        model={"name": "mlp", "units": [32]},
        train={"epochs": 60, "threads": 1},
        seeds=6,
        variants={
            "plain": {},
            "bn": {"insert": [BN]},
            "dropout": {"insert": [DROPOUT]},
            "both": {"insert": [BN, DROPOUT]},
        },
    )
    serial = running.run(study, logs=folder / "serial", executor="serial", watchers=[])
    cluster, machines = start_cluster(2)
    killer = Killer(cluster, machines[0], after=12)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        found = running.run(study, logs=folder / "ray", executor="ray", watchers=[killer])
    finally:
        del os.environ["RAY_ADDRESS"]
        cluster.shutdown()
    again = [result for result in found.results if result.attempts > 1]
    same = numbers(found.results) == numbers(serial.results)
    print(f"  outcomes: {found.counts()}; begun more than once: {len(again)}")
    print(f"  equal to the serial run, to the last bit: {'yes' if same else 'NO'}", flush=True)
    if not same or found.counts() != {"completed": 24} or not again:
        sys.exit("The proof failed.")


def start_cluster(workers: int) -> tuple[Any, list[Any]]:
    """Start a head that trains nothing and workers of one core, all processes of their own.

    They share this machine's disk, so the work folder is hidden from them: a worker that does
    not know the word in it keeps its files to itself, as on a machine without the disk.
    """
    from ray.cluster_utils import Cluster

    from ablate.execution.ray import RayTasks

    RayTasks._token = lambda self: "a folder that no machine sees"  # type: ignore[method-assign]
    quiet = {"include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **quiet})
    del quiet["include_dashboard"]
    machines = [cluster.add_node(num_cpus=1, **quiet) for _ in range(workers)]
    cluster.wait_for_nodes()
    return cluster, machines


def numbers(results: Any) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Everything of the results that is a number and not a time."""
    return {
        (each.variant, each.seed): (
            each.id,
            each.status,
            dict(each.metrics),
            {name: list(curve) for name, curve in each.curves.items()},
            each.epochs,
            each.steps,
            each.parameters,
            dict(each.rows),
        )
        for each in results
    }


# What Ray costs a trial ----------------------------------------------------------------------


class Clock(Watcher):
    """Notes when trials finish."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def finished(self, trial: Trial, result: TrialResult, arrays: Any) -> None:
        self.times.append(time.perf_counter())

    def pace(self) -> float:
        """Return the seconds between two outcomes once everything is warm."""
        steady = self.times[len(self.times) // 4 :]
        return (steady[-1] - steady[0]) / (len(steady) - 1)


def overhead(folder: Path) -> None:
    """One worker, one program, many tiny trials: by Ray, and by a worker process."""
    print("Overhead: 80 trials of one tiny program, one worker", flush=True)
    study = Study(
        study="overhead",
        data={"name": "digits", "limit": 96},
        model={"name": "mlp", "units": [12]},
        train={"epochs": 3, "threads": 1},
        seeds=80,
        variants={"plain": {}},
    )
    paces = {}
    for executor in ("processes", "ray"):
        clock = Clock()
        running.run(study, logs=folder / executor, executor=executor, workers=1, watchers=[clock])
        paces[executor] = clock.pace()
        print(f"  {executor:10} {1000 * paces[executor]:7.1f} ms a trial", flush=True)
    print(
        f"  Ray costs  {1000 * (paces['ray'] - paces['processes']):7.1f} ms a trial more",
        flush=True,
    )


# A large plan --------------------------------------------------------------------------------


class Immediate:
    """An executor whose workers take no time: what is left is what the driver does."""

    epochs = 20

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._tasks: deque[Task] = deque()
        self.messages = 0

    def warm(self) -> None: ...

    def expect(self, trials: Any) -> list[tuple[Trial, ...]]:
        return []

    def call(self, function: Any, *arguments: Any) -> list[Any]:
        return []

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def poll(self, timeout: float) -> list[Message]:
        said: list[Message] = []
        while self._tasks and len(said) < 500:
            task = self._tasks.popleft()
            for trial in task.trials:
                said += self._trained(trial)
            said.append(Done(task))
        self.messages += len(said)
        return said

    def _trained(self, trial: Trial) -> list[Message]:
        curve = [1 / (1 + epoch) + trial.seed * 1e-3 for epoch in range(self.epochs + 1)]
        logs = {"loss": 0.5, "accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}
        result = TrialResult(
            id=trial.id,
            variant=trial.variant,
            seed=trial.seed,
            status="completed",
            factors=trial.factors,
            spec=trial.spec.model_dump(mode="json", by_alias=True),
            metrics={f"{part}_{name}": curve[-1] for part in ("train", "val", "test")
                     for name in ("loss", "accuracy")},
            curves=dict.fromkeys((*logs, "learning_rate"), curve),
            epochs=self.epochs,
            parameters=1000,
            seconds={"total": 1.0},
        )  # fmt: skip
        told: list[Message] = [
            Event(trial.id, "epoch", epoch, self.epochs, logs) for epoch in range(0, self.epochs, 4)
        ]
        return [Event(trial.id, "started"), *told, Finished(result)]

    def stop(self, task: Task) -> None: ...

    def close(self) -> None: ...


def plan(folder: Path, trials: int, machines: int, cores: int) -> None:
    """Run a driver over a large study without training, and say where it would saturate."""
    slots = machines * cores
    print(f"Plan: {trials} trials on {machines} machines of {cores} cores", flush=True)
    rates = 10
    study = Study(
        study="plan",
        data={"name": "digits"},
        model={"name": "mlp", "units": [32]},
        train={"epochs": Immediate.epochs, "threads": 1},
        seeds=trials // rates,
        variants={f"rate{k}": {"train": {"learning_rate": 0.001 * k}} for k in range(1, rates + 1)},
    )
    before = memory()
    executor = Immediate(slots)
    running.make_executor = lambda *_: executor  # type: ignore[assignment]
    marks = Marks()
    began = time.process_time()
    running.run(study, logs=folder, executor="processes", watchers=[marks])
    ended = time.process_time()
    each = (marks.ended - marks.begun) / trials
    middle = 1000 * statistics.median(marks.gaps)
    print("  computing time of the driver, on one core:")
    print(f"    planned, ready to train      {marks.begun - began:8.1f} s")
    heard = marks.ended - marks.begun
    print(f"    outcomes heard and recorded  {heard:8.1f} s, {1000 * each:.2f} ms a trial")
    print(f"      of {executor.messages / trials:.0f} messages each (median {middle:.2f} ms)")
    print(f"    tables written at the end    {ended - marks.ended:8.1f} s")
    print(
        f"  memory of the driver           {memory():8.0f} MiB, {before:.0f} of them at the start"
    )
    print(f"  saturates at                   {1 / each:8.0f} trials a second: with {slots} at once")
    print(f"    when a trial takes less than {slots * each:8.1f} s", flush=True)


class Marks(Clock):
    """Notes the computing time when training began, and when all had been heard."""

    begun = ended = 0.0

    def begin(self, todo: int, kept: int, dropped: int = 0) -> None:
        self.begun = time.process_time()

    def finished(self, trial: Trial, result: TrialResult, arrays: Any) -> None:
        self.times.append(time.process_time())

    def end(self) -> None:
        self.ended = time.process_time()

    @property
    def gaps(self) -> list[float]:
        """Seconds from one outcome to the next."""
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


def memory() -> float:
    """Return the most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
