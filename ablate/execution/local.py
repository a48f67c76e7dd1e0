"""The executors of one machine: `processes`, `serial` and `inline`.

Tasks go in, messages come out (`ablate.execution.messages`). `processes` keeps a pool of fresh
worker processes for each lane of the machine; `serial` is the same with one worker; `inline`
trains in this very process, for debugging and tests. After one worker was killed the pool
loses only that worker's task: the others never notice.
"""

from __future__ import annotations

import ast
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
import pebble
from pebble import ProcessFuture, ProcessPool

from ablate.errors import AblateError
from ablate.execution import worker
from ablate.execution.devices import Lane
from ablate.execution.mailbox import Mailbox, Teller, forget_events
from ablate.execution.messages import Done, Epoch, Finished, Lost, Message, Started, Task
from ablate.reasons import reason
from ablate.study.trial import Trial, TrialResult

#: How often the work folders are looked at, in seconds.
LOOK = 0.05


class Processes:
    """Run tasks in pools of worker processes, one pool for each lane."""

    def __init__(self, works: Path, *, threads: int, lanes: list[Lane]) -> None:
        self.slots = sum(lane.workers for lane in lanes)
        self._works = works
        self._lanes = [_Pool(lane, threads) for lane in lanes]
        self._flying: dict[int, tuple[Task, Mailbox, ProcessFuture, _Pool]] = {}
        self._waiting: deque[Task] = deque()

    def warm(self) -> None:
        """Start the workers now, so that they import while the driver still plans."""
        for pool in self._lanes:
            pool.start()

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Nothing is under way: workers end with their driver."""
        return []

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker and return what it returns, or raise what it raises."""
        try:
            return self._lanes[0].schedule(function, *arguments).result()
        except pebble.ProcessExpired as error:
            raise AblateError(
                f"A worker process ended while it planned the study ({_death(error)}). "
                "If memory ran out, take a smaller model or machine with more memory."
            ) from None

    def submit(self, task: Task) -> None:
        """Take a task; it starts when a worker is free."""
        for trial in task.trials:
            forget_events(self._works, trial.id)
        self._waiting.append(task)
        self._launch()

    def poll(self, timeout: float) -> list[Message]:
        """Return what has been said since, waiting up to `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            messages = [said for number in list(self._flying) for said in self._look(number)]
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(LOOK, left))

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""
        flying = self._flying.get(task.number)
        if flying is not None:
            flying[2].cancel()

    def close(self) -> None:
        """End all workers, at once."""
        for _, _, future, _ in self._flying.values():
            future.cancel()
        for pool in self._lanes:
            pool.close()

    def _launch(self) -> None:
        while self._waiting:
            free = [pool for pool in self._lanes if pool.free > 0]
            if not free:
                return
            pool = max(free, key=lambda each: each.free)
            task = self._waiting.popleft()
            future = pool.schedule(worker.train, task, self._works)
            pool.busy += 1
            box = Mailbox(self._works, tuple(trial.id for trial in task.trials))
            self._flying[task.number] = (task, box, future, pool)

    def _look(self, number: int) -> list[Message]:
        task, box, future, pool = self._flying[number]
        ended = future.done()  # before reading: what was written until then is there
        messages = box.read()
        if not ended:
            return messages
        messages += box.read()
        del self._flying[number]
        pool.busy -= 1
        self._launch()
        return [*messages, _ending(task, future, box.current is None)]


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


class _Said(Teller):
    """Keeps what is told, where worker and driver are one process."""

    def __init__(self, works: Path, pause: float) -> None:
        super().__init__(works, pause)
        self.messages: list[Message] = []

    def finished(
        self, result: TrialResult, arrays: Mapping[str, np.ndarray], model: Path | None
    ) -> None:
        self.messages.append(Finished(result, arrays, model))

    def _say(self, what: Started | Epoch) -> None:
        self.messages.append(what)


class _Pool:
    """A lane's workers."""

    def __init__(self, lane: Lane, threads: int) -> None:
        self._lane = lane
        self.busy = 0
        settings = worker.Settings(
            threads=threads,
            gpus=lane.gpus,
            paths=tuple(path for path in sys.path if path),
            parent=os.getpid(),
        )
        self._pool = ProcessPool(
            max_workers=lane.workers,
            initializer=worker.start,
            initargs=(settings,),
            context=_WorkerContext(),
        )

    @property
    def free(self) -> int:
        """Workers without a task."""
        return self._lane.workers - self.busy

    def start(self) -> None:
        """Start the workers without a task: the pool does so when asked for its state."""
        _ = self._pool.active

    def schedule(self, function: Callable[..., Any], *arguments: Any) -> ProcessFuture:
        """Hand a call to the first free worker."""
        return self._pool.schedule(function, args=arguments)

    def close(self) -> None:
        """Stop the workers without waiting for what they do."""
        self._pool.stop()
        self._pool.join()


def _ending(task: Task, future: ProcessFuture, complete: bool) -> Done | Lost:
    try:
        future.result()
    except CancelledError:
        return Done(task) if complete else Lost(task, "its worker was stopped")
    except pebble.ProcessExpired as error:
        return Done(task) if complete else Lost(task, f"its worker died ({_death(error)})")
    except Exception as error:
        return Done(task) if complete else Lost(task, reason(error), again=False)
    return Done(task) if complete else Lost(task, "its worker returned without it")


def _death(error: pebble.ProcessExpired) -> str:
    code = error.exitcode
    if code is not None and code < 0:
        hint = ", as when memory runs out" if code == -9 else ""
        return f"signal {-code}{hint}"
    return f"exit status {code}"


class _WorkerProcess(SpawnProcess):
    """A fresh process that does not run an unguarded main script a second time."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        with _main_hidden():
            return SpawnProcess._Popen(process_obj)  # type: ignore[attr-defined]


class _WorkerContext(SpawnContext):
    Process = _WorkerProcess  # type: ignore[assignment]


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Hide a script that has no `if __name__ == "__main__"` from the worker's start.

    A fresh process imports its parent's main script, which is how it learns of classes that
    are defined there; a script without the guard would run its study again instead.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if main is None or path is None or _guarded(path):
        yield
        return
    spec = getattr(main, "__spec__", None)
    try:
        main.__spec__ = None
        del main.__file__
        yield
    finally:
        main.__file__ = path
        main.__spec__ = spec


def _guarded(path: str) -> bool:
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False
    return any(
        isinstance(node, ast.If)
        and any(
            isinstance(name, ast.Name) and name.id == "__name__" for name in ast.walk(node.test)
        )
        for node in tree.body
    )
