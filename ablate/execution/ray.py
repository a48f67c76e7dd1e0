"""The Ray executor: tasks on a Ray cluster, one Ray task for each group of trials.

The driver's half: `ray_cluster` joins the cluster, `ray_worker` is what its machines do.

Tasks go in, messages come out, as for every executor. What a trial needs travels through the
object store, put there once: this package, the user's modules, the files that trials name.
Workers tell an actor what happens, and the driver fetches it there; no disk is shared. Where
the logs folder does happen to be visible, a lost trial goes on from its checkpoint in it.
Placing, retrying after a lost machine, authentication and priorities are Ray's.
"""

from __future__ import annotations

import os
import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.execution import packaging
from ablate.execution.devices import WorkerPool
from ablate.execution.file_channel import QUIET
from ablate.execution.local import Processes
from ablate.execution.messages import Done, Lost, Message, Progress, Started, Task
from ablate.execution.ray_bootstrap import travelling
from ablate.execution.ray_cluster import connect, imported, room
from ablate.execution.ray_worker import SHARED, ResultPayload
from ablate.reasons import reason
from ablate.study.schema.execution import Execution
from ablate.study.trial import Trial

#: Ray begins a task whose worker or machine was lost again this many times.
RETRIES = 2

#: Pause between two looks into the actor, in seconds.
LOOK = 0.05

#: All workers together tell of about this many epochs a second, so that a large cluster does not
#: drown its driver in progress; the results have every epoch.
TOLD = 500.0


@dataclass
class _RayTask:
    """A task on its way: Ray's reference, and what has been heard of it."""

    task: Task
    reference: Any
    finished: set[str]
    started: Counter[str]


class RayTasks:
    """Run tasks on the Ray cluster at `execution.address` (or Ray's own RAY_ADDRESS).

    Without either, a cluster that runs on this machine is joined, else one is started for as
    long as the run takes.

    Raises:
        MissingExtraError: Ray is not installed.
        StudyError: no cluster answers at the address, or none of its machines has room.
    """

    def __init__(self, works: Path, *, threads: int, execution: Execution) -> None:
        self._ray = imported()
        self._works = works
        self._threads = threads
        self._began = connect(self._ray, execution.address)
        self._room = room(self._ray.nodes(), execution, threads)
        self.slots = self._room.slots
        self._waiting: deque[Task] = deque()
        self._flying: dict[int, _RayTask] = {}
        self._errands = 0
        self._files: dict[str, Any] = {}
        self._sent: set[Path] = set()
        self._code: dict[str, Any] = {}
        self._post: Any = None
        self._land: Any = None
        self._planner: Processes | None = None

    def warm(self) -> None:
        """Start the process that plans; Ray starts its workers as tasks come."""
        self._planner = Processes(self._works, threads=self._threads, worker_pools=[WorkerPool(1)])
        self._planner.warm()

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Refuse what cannot travel before anything starts; nothing is under way by itself.

        Raises:
            StudyError: a file is too large to send, or a call lives in the main script.
        """
        packaging.named_files(trials)
        packaging.called_modules(trials)
        return []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker process of this machine: plans need no cluster."""
        if self._planner is None:
            self.warm()
        assert self._planner is not None
        return self._planner.call(function, *arguments)

    def submit(self, task: Task) -> None:
        """Take a task; it starts when the cluster has room."""
        self._waiting.append(task)
        self._launch()

    def poll(self, timeout: float) -> list[Message]:
        """Return what has been said since, waiting up to `timeout` seconds.

        Raises:
            AblateError: the cluster went away, the driver's part of it included.
        """
        until = time.monotonic() + timeout
        while True:
            try:
                messages = self._look()
            except (self._ray.exceptions.RayError, ConnectionError) as error:
                raise AblateError(
                    f"The Ray cluster went away ({type(error).__name__}). What is finished is "
                    "kept: run the same command again when the cluster is back."
                ) from None
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(LOOK, left))

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""
        for errand in self._flying.values():
            if errand.task is task:
                self._ray.cancel(errand.reference, force=True)

    def close(self) -> None:
        """Cancel what runs, and leave the cluster."""
        if self._planner is not None:
            self._planner.close()
            self._planner = None
        with suppress(self._ray.exceptions.RayError, ConnectionError):
            for errand in self._flying.values():
                self._ray.cancel(errand.reference, force=True)
            if self._post is not None:
                self._ray.kill(self._post)
        self._flying.clear()
        self._waiting.clear()
        self._post = None
        if self._began:
            self._began = False
            self._ray.shutdown()
        with suppress(OSError):
            (self._works / SHARED).unlink(missing_ok=True)
            self._works.rmdir()  # unless a checkpoint stays in it

    def _launch(self) -> None:
        while self._waiting and len(self._flying) < self._room.most:
            task = self._waiting.popleft()
            self._prepare(task)
            self._errands += 1
            paths = tuple(str(path) for path in packaging.named_files(task.trials))
            works, pause = str(self._works.resolve()), max(QUIET, self.slots / TOLD)
            parcel = pickle.dumps((self._errands, task, works, self._token(), pause))
            contents = [*self._code.values(), *(self._files[path] for path in paths)]
            reference = self._land.remote(parcel, self._post, tuple(self._code), paths, *contents)
            self._flying[self._errands] = _RayTask(task, reference, set(), Counter())

    def _prepare(self, task: Task) -> None:
        """Put what all tasks share where the cluster has it: the actor, the code, the files."""
        ray = self._ray
        if self._post is None:
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            # On the driver's machine, which the loss of no other can take away.
            land, post = travelling(ray, {"num_cpus": 0, "scheduling_strategy": here})
            self._post = post.remote()
            self._land = land.options(
                name="ablate",
                num_cpus=self._room.cpus,
                num_gpus=self._room.gpus,
                max_retries=RETRIES,
                retry_exceptions=False,
                # Ray hands a worker on to the next task with the same environment: tasks with
                # other threads never meet a TensorFlow that has already begun.
                runtime_env={"env_vars": {"ABLATE_THREADS": str(self._threads)}},
            )
        for place in packaging.code(task.trials):
            if place not in self._sent:
                name, content = packaging.archive(place)
                self._sent.add(place)
                self._code[name] = ray.put(content)
        for path in packaging.named_files(task.trials):
            if str(path) not in self._files:
                self._files[str(path)] = ray.put(packaging.pack(path))

    def _token(self) -> str:
        """Leave a word in the work folder, by which a worker knows that it sees the same one."""
        self._works.mkdir(parents=True, exist_ok=True)
        token = self._works / SHARED
        if not token.is_file():
            token.write_text(os.urandom(16).hex(), encoding="utf-8")
        return token.read_text(encoding="utf-8")

    def _look(self) -> list[Message]:
        if not self._flying:
            return []
        # Which tasks ended is asked before the actor: what they said last is there by then.
        by_reference = {errand.reference: number for number, errand in self._flying.items()}
        ended, _ = self._ray.wait(list(by_reference), num_returns=len(by_reference), timeout=0)
        messages: list[Message] = []
        for number, letter in self._ray.get(self._post.drain.remote()):
            errand = self._flying.get(number)
            if errand is not None:  # else the last words of a worker given up
                messages += self._heard(errand, pickle.loads(letter))
        for reference in ended:
            number = by_reference[reference]
            messages.append(self._ending(self._flying.pop(number)))
            self._post.forget.remote(number)
        self._launch()
        return messages

    def _heard(self, errand: _RayTask, said: Progress | ResultPayload) -> list[Message]:
        if isinstance(said, ResultPayload):
            if said.result.id in errand.finished:
                return []  # begun again by Ray after it had been handed in
            errand.finished.add(said.result.id)
            trial = next(each for each in errand.task.trials if each.id == said.result.id)
            return [said.opened(self._works, trial)]
        if isinstance(said, Started):
            errand.started[said.trial] += 1
            if errand.started[said.trial] > RETRIES + 1:
                # Ray has its own, larger idea of retries where memory ran out.
                self._ray.cancel(errand.reference, force=True)
                return []
        return [said]

    def _ending(self, errand: _RayTask) -> Message:
        task, exceptions = errand.task, self._ray.exceptions
        complete = all(trial.id in errand.finished for trial in task.trials)
        try:
            self._ray.get(errand.reference)
        except exceptions.RayTaskError as error:
            why = reason(error.cause or str(error))
            return Done(task) if complete else Lost(task, why, again=False)
        except exceptions.TaskCancelledError:
            return Done(task) if complete else Lost(task, "its worker was stopped")
        except exceptions.OutOfMemoryError:
            return Done(task) if complete else Lost(task, "its machine ran out of memory")
        except exceptions.RayError as error:
            what = f"its worker or machine was lost ({type(error).__name__})"
            return Done(task) if complete else Lost(task, what)
        return Done(task) if complete else Lost(task, "its worker returned without it")
