"""The Ray executor: tasks on a Ray cluster, one Ray task for each group of trials.

Tasks go in, messages come out, as for every executor. What a trial needs travels: the package
and the user's modules by Ray's runtime environment, files through the object store, put once.
Workers tell an actor what happens, and the driver fetches it there; no disk is shared. Where
the logs folder does happen to be visible, a lost trial goes on from its checkpoint in it.
Placing, retrying after a lost node, authentication and priorities are Ray's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ablate
from ablate.errors import MissingExtraError, StudyError
from ablate.execution import cargo, worker
from ablate.execution.devices import Lane
from ablate.execution.local import Processes
from ablate.execution.mailbox import QUIET
from ablate.execution.messages import Done, Epoch, Finished, Lost, Message, Started, Task
from ablate.study.study import Execution
from ablate.study.trial import TrialResult

#: Ray begins a task whose worker or node was lost again this many times.
RETRIES = 2

#: Pause between two looks into the actor, in seconds.
LOOK = 0.05


class RayTasks:
    """Run tasks on the Ray cluster at `execution.address` (or Ray's own RAY_ADDRESS).

    Raises:
        MissingExtraError: Ray is not installed.
        StudyError: no cluster answers at the address.
    """

    def __init__(self, works: Path, *, threads: int, execution: Execution) -> None:
        self._ray = _ray()
        self._works = works
        self._threads = threads
        self._execution = execution
        self._began = _connect(self._ray, execution.address)
        total = self._ray.cluster_resources()
        per_trial = execution.cpus_per_trial or threads
        self.slots = max(1, int(total.get("CPU", 1) // per_trial))
        if execution.gpus_per_trial:
            self.slots = max(1, int(total.get("GPU", 0) // execution.gpus_per_trial))
        self._flying: dict[int, tuple[Task, Any]] = {}
        self._finished: set[str] = set()
        self._cargo: dict[str, tuple[str, Any]] = {}
        self._post: Any = None
        self._train: Any = None
        self._planner: Processes | None = None

    def warm(self) -> None:
        """Nothing to start: Ray starts workers as tasks come."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker process of this machine: plans need no cluster."""
        if self._planner is None:
            self._planner = Processes(self._works, threads=self._threads, lanes=[Lane(1)])
        return self._planner.call(function, *arguments)

    def submit(self, task: Task) -> None:
        """Take a task; it starts when the cluster has room."""
        if self._planner is not None:
            self._planner.close()
            self._planner = None
        self._load(task)
        files = {path: self._cargo[path] for path in self._paths(task)}
        names = {path: name for path, (name, _) in files.items()}
        contents = [content for _, content in files.values()]
        reference = self._train.remote(
            task, names, self._post, str(self._works.resolve()), self._token(), *contents
        )
        self._flying[task.number] = (task, reference)

    def poll(self, timeout: float) -> list[Message]:
        """Return what has been said since, waiting up to `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            messages = self._look()
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(LOOK, left))

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""
        if task.number in self._flying:
            self._ray.cancel(self._flying[task.number][1], force=True)

    def close(self) -> None:
        """Cancel what runs, and leave the cluster."""
        if self._planner is not None:
            self._planner.close()
        for _, reference in self._flying.values():
            self._ray.cancel(reference, force=True)
        self._flying.clear()
        if self._post is not None:
            self._ray.kill(self._post)
        if self._began:
            self._ray.shutdown()

    def _load(self, task: Task) -> None:
        """Make what all tasks share: the actor, the remote function, the files in the store."""
        ray = self._ray
        if self._post is None:
            modules = [str(Path(ablate.__file__).parent), *cargo.called_modules(task.trials)]
            environment = {
                "py_modules": modules,
                "env_vars": {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONHASHSEED": "0"},
            }
            # The post office stays on the driver's machine, which no other loss can take away.
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            self._post = (
                ray.remote(Post)
                .options(num_cpus=0, scheduling_strategy=here, runtime_env=environment)
                .remote()
            )
            self._train = ray.remote(train).options(
                num_cpus=self._execution.cpus_per_trial or self._threads,
                num_gpus=self._execution.gpus_per_trial or 0,
                max_retries=RETRIES,
                retry_exceptions=False,
                runtime_env=environment,
            )
        for path in self._paths(task):
            if path not in self._cargo:
                name, content = cargo.pack(Path(path))
                self._cargo[path] = (name, ray.put(content))

    def _paths(self, task: Task) -> list[str]:
        return [str(path) for path in cargo.named_files(task.trials)]

    def _token(self) -> str:
        """Leave a word in the work folder, by which a worker knows that it sees the same one."""
        self._works.mkdir(parents=True, exist_ok=True)
        token = self._works / ".shared"
        if not token.is_file():
            token.write_text(os.urandom(16).hex(), encoding="utf-8")
        return token.read_text(encoding="utf-8")

    def _look(self) -> list[Message]:
        if self._post is None:
            return []
        # Which tasks ended is asked before the actor: what they said last is there by then.
        references = {number: each for number, (_, each) in self._flying.items()}
        ended, _ = (
            self._ray.wait(
                list(references.values()), num_returns=max(len(references), 1), timeout=0
            )
            if references
            else ([], [])
        )
        messages: list[Message] = []
        for said in self._ray.get(self._post.drain.remote()):
            if isinstance(said, Parcel):
                if said.result.id in self._finished:
                    continue  # begun again by Ray after it had been handed in
                self._finished.add(said.result.id)
                messages.append(said.opened(self._works))
            else:
                messages.append(said)
        over = set(ended)
        for number, reference in references.items():
            if reference in over:
                task, _ = self._flying.pop(number)
                messages.append(self._ending(task, reference))
        return messages

    def _ending(self, task: Task, reference: Any) -> Message:
        try:
            self._ray.get(reference)
        except self._ray.exceptions.TaskCancelledError:
            return Lost(task, "its worker was stopped")
        except self._ray.exceptions.RayTaskError as error:
            return Lost(task, str(error.cause or error).strip().splitlines()[-1])
        except self._ray.exceptions.RayError as error:
            return Lost(task, f"its worker or node was lost ({type(error).__name__})")
        complete = all(trial.id in self._finished for trial in task.trials)
        return Done(task) if complete else Lost(task, "its worker returned without it")


@dataclass(frozen=True)
class Parcel:
    """An outcome on its way: a trained model travels as its bytes."""

    result: TrialResult
    arrays: Mapping[str, np.ndarray]
    model: bytes | None

    def opened(self, works: Path) -> Finished:
        """Return the outcome with its model as a file here."""
        if self.model is None:
            return Finished(self.result, self.arrays)
        place = works / self.result.id
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.keras").write_bytes(self.model)
        return Finished(self.result, self.arrays, place / "model.keras")


class Post:
    """The actor that workers tell and the driver asks."""

    def __init__(self) -> None:
        self._said: list[Any] = []
        self._finished: set[str] = set()

    def say(self, messages: list[Any]) -> None:
        """Keep messages for the driver."""
        self._said += messages
        self._finished |= {each.result.id for each in messages if isinstance(each, Parcel)}

    def drain(self) -> list[Any]:
        """Return what was said since the last time."""
        said, self._said = self._said, []
        return said

    def finished(self) -> set[str]:
        """Return the trials handed in: a task that is begun again leaves them out."""
        return self._finished


def train(
    task: Task, names: dict[str, str], post: Any, works: str, token: str, *contents: bytes
) -> None:
    """Train a task's trials on a machine of the cluster."""
    import ray

    there = cargo.unpack(
        {
            path: (name, content)
            for (path, name), content in zip(names.items(), contents, strict=True)
        }
    )
    done = ray.get(post.finished.remote())
    left = cargo.pointed((trial for trial in task.trials if trial.id not in done), there)
    letters = _Letters(post, _folder(Path(works), token))
    threads = left[0].spec.train.threads if left else 1
    assert isinstance(threads, int)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    worker.prepare(threads)
    from ablate.training import run_group

    for result, arrays, model in run_group(
        left, work=letters.folder, report=worker.reporter(letters)
    ):
        letters.finished(result, arrays, None if model is None else Path(model))
    letters.flush()


class _Letters:
    """Tells the actor what happens; several short epochs go in one message."""

    def __init__(self, post: Any, works: Path) -> None:
        self._post = post
        self._works = works
        self._kept: list[Any] = []
        self._sent = 0.0

    def folder(self, trial: str) -> Path:
        place = self._works / trial
        place.mkdir(parents=True, exist_ok=True)
        return place

    def started(self, trial: str, epoch: int) -> None:
        self._kept.append(Started(trial, epoch))
        self.flush()

    def epoch(self, trial: str, epoch: int, epochs: int, logs: Mapping[str, float | None]) -> None:
        if time.monotonic() - self._sent >= QUIET:
            self._kept.append(Epoch(trial, epoch, epochs, dict(logs)))
            self.flush()

    def finished(
        self, result: TrialResult, arrays: Mapping[str, np.ndarray], model: Path | None
    ) -> None:
        import ray

        content = None if model is None else model.read_bytes()
        self._kept.append(Parcel(result, dict(arrays), content))
        # An outcome is waited for: once this returns, no loss of this machine can lose it.
        ray.get(self.flush())

    def flush(self) -> Any:
        kept, self._kept = self._kept, []
        self._sent = time.monotonic()
        return self._post.say.remote(kept)


def _folder(works: Path, token: str) -> Path:
    """Return the driver's work folder if this machine sees it, else one of its own."""
    try:
        if (works / ".shared").read_text(encoding="utf-8") == token:
            return works
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="ablate-work-"))


def _ray() -> Any:
    try:
        import ray
        import ray.exceptions
        import ray.util.scheduling_strategies
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--executor ray needs Ray: pip install 'keras-ablate[ray]'."
        ) from None
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Join the cluster; return whether this call did (else the caller's session is used)."""
    if ray.is_initialized():
        return False
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as error:
        told = str(error).strip().splitlines()
        raise StudyError(
            f"No Ray cluster answers at '{address}': {told[-1] if told else error}. Start one with "
            "'ray start --head', or leave --address out to use this machine."
        ) from None
    return True
