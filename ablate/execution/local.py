"""The executors of one machine, `processes`, `serial` and `inline`, and what clusters share.

`processes` keeps worker processes for each pool of the machine; `serial` is the same with one
worker; `inline` trains in this very process, for debugging and tests. A worker that is killed
loses its own task and no other's. Executors of clusters plan in one such process.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.execution import worker
from ablate.execution.devices import WorkerPool
from ablate.execution.file_channel import FileReader, Reporter, forget_events
from ablate.execution.messages import ATTEMPTS, Done, Executor, Finished, Lost, Message, Task
from ablate.execution.workers import Answer, Death, Worker, main_module
from ablate.reasons import reason
from ablate.study.progress import Event


class Processes(Executor):
    """Run tasks in worker processes, of which each pool of the machine has its own."""

    def __init__(self, works: Path, *, threads: int, worker_pools: list[WorkerPool]) -> None:
        self.slots = sum(pool.workers for pool in worker_pools)
        self._works = works
        self._pools = [
            [_worker(threads, pool) for _ in range(pool.workers)] for pool in worker_pools
        ]
        self._workers = [worker for pool in self._pools for worker in pool]
        self._running: dict[Worker, tuple[Task, FileReader]] = {}
        self._waiting: deque[Task] = deque()
        self._stopped: set[int] = set()
        self._warm = False

    def warm(self) -> None:
        """Start the workers now, so that they import while the driver still plans."""
        if not self._warm:
            self._warm = True
            for each in self._workers:
                each.start()

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
                time.sleep(self.pause)
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

    def receive(self) -> list[Message]:
        """Return the messages that are new.

        Raises:
            AblateError: there is something to train and no worker can be started any more.
        """
        messages = [message for each in self._workers for message in self._look(each)]
        self._launch()
        return messages

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""
        for each, (flying, _) in self._running.items():
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
            self._running[free[0]] = (
                task,
                FileReader(self._works, tuple(t.id for t in task.trials)),
            )
            free[0].send(worker.train, task, self._works)

    def _free(self) -> list[Worker]:
        """Return the workers that are ready, those of the pool with the most of them first."""
        ready = [[each for each in pool if each.ready] for pool in self._pools]
        return [each for pool in sorted(ready, key=len, reverse=True) for each in pool]

    def _first_ready(self) -> Worker:
        self.warm()
        while not (free := self._free()):
            for each in self._workers:
                if each not in self._running:
                    each.look()
            self._check_some_left()
            time.sleep(self.pause)
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
        if at not in self._running:
            if self._waiting:
                self._check_some_left()
            return []
        task, reader = self._running[at]
        messages = reader.read()
        if ended is None:
            return messages
        del self._running[at]
        return [*messages, self._ending(task, ended, reader.current is None)]

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


def _worker(threads: int, pool: WorkerPool) -> Worker:
    return Worker(
        worker.Settings(
            threads=threads,
            gpus=pool.gpus,
            paths=tuple(path for path in sys.path if path),
            main=main_module(),
            parent=os.getpid(),
        )
    )


class Inline(Executor):
    """Train in this process: for debugging and tests."""

    slots = 1

    def __init__(self, works: Path, *, threads: int) -> None:
        self._works = works
        self._threads = threads
        self._tasks: deque[Task] = deque()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call the function here."""
        self._configure()
        return function(*arguments)

    def submit(self, task: Task) -> None:
        """Take a task."""
        self._tasks.append(task)

    def poll(self, timeout: float) -> list[Message]:
        """Train the next task whole and return all its messages."""
        return self.receive()

    def receive(self) -> list[Message]:
        """Train the next task whole and return all its messages."""
        if not self._tasks:
            return []
        self._configure()
        task = self._tasks.popleft()
        reporter = _MemoryReporter(self._works, pause=0.0)
        worker.train(task, self._works, reporter)
        return [*reporter.messages, Done(task)]

    def stop(self, task: Task) -> None:
        """Nothing runs between two polls."""

    def close(self) -> None:
        """Forget what is left."""
        self._tasks.clear()

    def _configure(self) -> None:
        from ablate.training import configure

        configure(self._threads)


class _MemoryReporter(Reporter):
    """Keeps the messages, where worker and driver are one process."""

    def __init__(self, works: Path, pause: float) -> None:
        super().__init__(works, pause)
        self.messages: list[Message] = []

    def finished(self, outcome: Finished) -> None:
        self.messages.append(outcome)

    def _send(self, event: Event) -> None:
        self.messages.append(event)


class ClusterExecutor(Executor):
    """Trains on other machines and plans in a process of this one."""

    def __init__(self, works: Path, threads: int) -> None:
        self._works = works
        self._threads = threads
        self._planner: Processes | None = None

    def warm(self) -> None:
        """Start the process that plans; a cluster starts its workers when it has room."""
        if self._planner is None:
            self._planner = Processes(
                self._works, threads=self._threads, worker_pools=[WorkerPool(1)]
            )
            self._planner.warm()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in the process that plans."""
        self.warm()
        assert self._planner is not None
        return self._planner.call(function, *arguments)

    def close(self) -> None:
        """End the process that plans."""
        if self._planner is not None:
            self._planner.close()
            self._planner = None
