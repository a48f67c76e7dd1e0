"""The executors of one machine: `processes`, `serial` and `inline`.

Tasks go in, messages come out (`ablate.execution.messages`). `processes` keeps fresh worker
processes for each lane of the machine; `serial` is the same with one worker; `inline` trains in
this very process, for debugging and tests. When a worker was killed only its own task is lost:
the others never notice.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablate.errors import AblateError
from ablate.execution import worker
from ablate.execution.devices import WorkerPool
from ablate.execution.file_channel import Mailbox, Reporter, forget_events
from ablate.execution.messages import (
    ATTEMPTS,
    Done,
    Finished,
    Lost,
    Message,
    Progress,
    Task,
)
from ablate.execution.workers import Answer, Death, Worker, main_module
from ablate.reasons import reason
from ablate.study.trial import Trial, TrialResult

#: How often the work folders are looked at, in seconds.
LOOK = 0.05


class Processes:
    """Run tasks in worker processes, of which each lane of the machine has its own."""

    def __init__(self, works: Path, *, threads: int, worker_pools: list[WorkerPool]) -> None:
        self.slots = sum(lane.workers for lane in worker_pools)
        self._works = works
        self._lanes = [
            [_worker(threads, lane) for _ in range(lane.workers)] for lane in worker_pools
        ]
        self._workers = [worker for lane in self._lanes for worker in lane]
        self._flying: dict[Worker, tuple[Task, Mailbox]] = {}
        self._waiting: deque[Task] = deque()
        self._stopped: set[int] = set()
        self._warm = False

    def warm(self) -> None:
        """Start the workers now, so that they import while the driver still plans."""
        if not self._warm:
            self._warm = True
            for each in self._workers:
                each.start()

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Nothing is under way: workers end with their driver."""
        return []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker and return what it returns, or raise what it raises.

        Raises:
            AblateError: every worker that tried it died, or none could be started.
        """
        ended: Answer | Death | None = None
        for _ in range(ATTEMPTS):
            chosen = self._first_ready()
            chosen.send(function, *arguments)
            while (ended := chosen.look()) is None:
                time.sleep(LOOK)
            if isinstance(ended, Answer):
                if ended.raised:
                    raise ended.value
                return ended.value
        raise AblateError(
            f"{ATTEMPTS} worker processes in a row ended while they planned the study ({ended}). "
            "If memory ran out, take a smaller model or a machine with more memory. What earlier "
            "runs finished is kept."
        )

    def submit(self, task: Task) -> None:
        """Take a task; it starts when a worker is free."""
        self.warm()
        for trial in task.trials:
            forget_events(self._works, trial.id)
        self._waiting.append(task)
        self._launch()

    def poll(self, timeout: float) -> list[Message]:
        """Return what has been said since, waiting up to `timeout` seconds.

        Raises:
            AblateError: there is something to train and no worker can be started any more.
        """
        until = time.monotonic() + timeout
        while True:
            messages = [said for each in self._workers for said in self._look(each)]
            self._launch()
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(LOOK, left))

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""
        for each, (flying, _) in self._flying.items():
            if flying.number == task.number:
                self._stopped.add(task.number)
                each.kill()

    def close(self) -> None:
        """End all workers, at once."""
        for each in self._workers:
            each.kill()

    def _launch(self) -> None:
        while self._waiting and (free := self._free()):
            task = self._waiting.popleft()
            self._flying[free[0]] = (task, Mailbox(self._works, tuple(t.id for t in task.trials)))
            free[0].send(worker.train, task, self._works)

    def _free(self) -> list[Worker]:
        """Return the workers that are ready, those of the lane with the most of them first."""
        ready = [[each for each in lane if each.ready] for lane in self._lanes]
        return [each for lane in sorted(ready, key=len, reverse=True) for each in lane]

    def _first_ready(self) -> Worker:
        self.warm()
        while not (free := self._free()):
            for each in self._workers:
                if each not in self._flying:
                    each.look()
            self._check_some_left()
            time.sleep(LOOK)
        return free[0]

    def _check_some_left(self) -> None:
        """Raise where no worker is left to wait for."""
        if all(each.gone is not None for each in self._workers):
            raise AblateError(
                "No worker process can be started here: each ended "
                f"{ATTEMPTS} times in a row before it was ready ({self._workers[0].gone}). What is "
                "finished is kept; run the same command again to go on, with fewer workers "
                "(--workers 1) if memory ran out."
            )

    def _look(self, at: Worker) -> list[Message]:
        ended = at.look()  # before reading: what was written until then is there
        if at not in self._flying:
            if self._waiting:
                self._check_some_left()
            return []
        task, box = self._flying[at]
        messages = box.read()
        if ended is None:
            return messages
        del self._flying[at]
        return [*messages, self._ending(task, ended, box.current is None)]

    def _ending(self, task: Task, ended: Answer | Death, complete: bool) -> Done | Lost:
        if complete:
            return Done(task)
        if task.number in self._stopped:
            return Lost(task, "its worker was stopped")
        if isinstance(ended, Death):
            return Lost(task, f"its worker died ({ended})")
        if ended.raised:
            return Lost(task, reason(ended.value), again=False)
        return Lost(task, "its worker returned without it")


def _worker(threads: int, lane: WorkerPool) -> Worker:
    return Worker(
        worker.Settings(
            threads=threads,
            gpus=lane.gpus,
            paths=tuple(path for path in sys.path if path),
            main=main_module(),
            parent=os.getpid(),
        )
    )


class Inline:
    """Train in this process: for debugging and tests."""

    slots = 1

    def __init__(self, works: Path, *, threads: int) -> None:
        self._works = works
        self._threads = threads
        self._tasks: deque[Task] = deque()

    def warm(self) -> None:
        """Nothing to start."""

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Nothing is under way: workers end with their driver."""
        return []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the function here."""
        self._configure()
        return function(*arguments)

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._tasks.append(task)

    def poll(self, timeout: float) -> list[Message]:
        """Train the next task whole and return all that it said."""
        if not self._tasks:
            return []
        self._configure()
        task = self._tasks.popleft()
        said = _Said(self._works, pause=0.0)
        worker.train(task, self._works, said)
        return [*said.messages, Done(task)]

    def stop(self, task: Task) -> None:
        """Nothing runs between two polls."""

    def close(self) -> None:
        """Forget what is left."""
        self._tasks.clear()

    def _configure(self) -> None:
        from ablate.training import configure

        configure(self._threads)


class _Said(Reporter):
    """Keeps what is told, where worker and driver are one process."""

    def __init__(self, works: Path, pause: float) -> None:
        super().__init__(works, pause)
        self.messages: list[Message] = []

    def finished(
        self, result: TrialResult, arrays: Mapping[str, np.ndarray], model: Path | None
    ) -> None:
        self.messages.append(Finished(result, arrays, model))

    def _say(self, what: Progress) -> None:
        self.messages.append(what)
