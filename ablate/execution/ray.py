"""The Ray executor: tasks on a Ray cluster, one Ray task for each group of trials.

The driver's half: `ray_cluster` joins the cluster, `ray_worker` is what its machines do.

What a trial needs travels through the object store, put there once: this package, the user's
modules, the files that trials name. Workers report to an actor, where the driver fetches messages;
no disk is shared. Where the logs folder does happen to be visible, a lost trial goes on from its
checkpoint in it. Placing, retrying after a lost machine, authentication and priorities are Ray's.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.execution import packaging
from ablate.execution.file_channel import QUIET
from ablate.execution.local import ClusterExecutor
from ablate.execution.messages import Done, Lost, Message, Task
from ablate.execution.ray_bootstrap import by_value
from ablate.execution.ray_cluster import connect, imported, room
from ablate.execution.ray_worker import SHARED, ResultPayload
from ablate.reasons import reason
from ablate.study.progress import Event
from ablate.study.schema.execution import Execution
from ablate.study.trial import Trial

#: Ray begins a task whose worker or machine was lost again this many times.
RETRIES = 2

#: All workers together report about this many epochs a second, so that a large cluster does not
#: drown its driver in progress; the results have every epoch.
EPOCH_RATE = 500.0


@dataclass
class _RayTask:
    """A task on its way: Ray's reference, and what has been heard of it."""

    task: Task
    reference: Any
    finished: set[str]
    started: Counter[str]


class RayTasks(ClusterExecutor):
    """Run tasks on the Ray cluster at `execution.address` (or Ray's own RAY_ADDRESS).

    Without either, a cluster that runs on this machine is joined, else one is started for as
    long as the run takes.

    Raises:
        MissingExtraError: Ray is not installed.
        StudyError: no cluster answers at the address, or none of its machines has room.
    """

    def __init__(self, works: Path, *, threads: int, execution: Execution) -> None:
        super().__init__(works, threads)
        self._ray = imported()
        self._began = connect(self._ray, execution.address)
        self._room = room(self._ray.nodes(), execution, threads)
        self.slots = self._room.slots
        self._waiting: deque[Task] = deque()
        self._running: dict[int, _RayTask] = {}
        self._last = 0
        self._files: dict[str, Any] = {}
        self._sent: set[Path] = set()
        self._code: dict[str, Any] = {}
        self._queue: Any = None
        self._land: Any = None

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Refuse what cannot travel before anything starts; nothing is under way by itself.

        Raises:
            StudyError: a file is too large to send, or a call lives in the main script.
        """
        packaging.named_files(trials)
        packaging.called_modules(trials)
        return []

    def submit(self, task: Task) -> None:
        """Take a task; it starts when the cluster has room."""
        self._waiting.append(task)
        self._launch()

    def receive(self) -> list[Message]:
        """Return the messages that are new.

        Raises:
            AblateError: the cluster went away, the driver's part of it included.
        """
        try:
            return self._look()
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise AblateError(
                f"The Ray cluster went away ({type(error).__name__}). What is finished is "
                "kept: run the same command again when the cluster is back."
            ) from None

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""
        for running in self._running.values():
            if running.task is task:
                self._ray.cancel(running.reference, force=True)

    def close(self) -> None:
        """Cancel what runs, and leave the cluster."""
        super().close()
        with suppress(self._ray.exceptions.RayError, ConnectionError):
            for running in self._running.values():
                self._ray.cancel(running.reference, force=True)
            if self._queue is not None:
                self._ray.kill(self._queue)
        self._running.clear()
        self._waiting.clear()
        self._queue = None
        if self._began:
            self._began = False
            self._ray.shutdown()
        with suppress(OSError):
            (self._works / SHARED).unlink(missing_ok=True)
            self._works.rmdir()  # unless a checkpoint stays in it

    def _launch(self) -> None:
        while self._waiting and len(self._running) < self._room.most:
            task = self._waiting.popleft()
            self._prepare(task)
            self._last += 1
            paths = tuple(str(path) for path in packaging.named_files(task.trials))
            works, pause = str(self._works.resolve()), max(QUIET, self.slots / EPOCH_RATE)
            payload = pickle.dumps((self._last, task, works, self._token(), pause))
            contents = [*self._code.values(), *(self._files[path] for path in paths)]
            reference = self._land.remote(payload, self._queue, tuple(self._code), paths, *contents)
            self._running[self._last] = _RayTask(task, reference, set(), Counter())

    def _prepare(self, task: Task) -> None:
        """Put what all tasks share where the cluster has it: the actor, the code, the files."""
        ray = self._ray
        if self._queue is None:
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            # On the driver's machine, which the loss of no other can take away.
            land, queue = by_value(ray, {"num_cpus": 0, "scheduling_strategy": here})
            self._queue = queue.remote()
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
        if not self._running:
            return []
        # Which tasks ended is asked before the actor: their last messages are there by then.
        by_reference = {running.reference: number for number, running in self._running.items()}
        ended, _ = self._ray.wait(list(by_reference), num_returns=len(by_reference), timeout=0)
        messages: list[Message] = []
        for number, message in self._ray.get(self._queue.drain.remote()):
            running = self._running.get(number)
            if running is not None:  # else from a worker given up
                messages += self._heard(running, pickle.loads(message))
        for reference in ended:
            number = by_reference[reference]
            messages.append(self._ending(self._running.pop(number)))
            self._queue.forget.remote(number)
        self._launch()
        return messages

    def _heard(self, running: _RayTask, message: Event | ResultPayload) -> list[Message]:
        if isinstance(message, ResultPayload):
            if message.result.id in running.finished:
                return []  # begun again by Ray after it had been handed in
            running.finished.add(message.result.id)
            trial = next(each for each in running.task.trials if each.id == message.result.id)
            return [message.opened(self._works, trial)]
        if message.kind == "started":
            running.started[message.trial] += 1
            if running.started[message.trial] > RETRIES + 1:
                # Ray has its own, larger idea of retries where memory ran out.
                self._ray.cancel(running.reference, force=True)
                return []
        return [message]

    def _ending(self, running: _RayTask) -> Message:
        task, exceptions = running.task, self._ray.exceptions
        why, again = "its worker returned without it", True
        try:
            self._ray.get(running.reference)
        except exceptions.RayTaskError as error:
            why, again = reason(error.cause or str(error)), False
        except exceptions.TaskCancelledError:
            why = "its worker was stopped"
        except exceptions.OutOfMemoryError:
            why = "its machine ran out of memory"
        except exceptions.RayError as error:
            why = f"its worker or machine was lost ({type(error).__name__})"
        complete = all(trial.id in running.finished for trial in task.trials)
        return Done(task) if complete else Lost(task, why, again)
