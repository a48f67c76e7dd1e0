"""Worker processes of this machine, each at the end of a pipe of its own.

A call goes down a worker's pipe, its answer comes up. No pipe and no lock is shared, so a worker
that is killed, at whatever moment, harms no other. One that dies while it starts or waits is
started again, a bounded number of times in a row; one that dies at work is reported, and started
again for what comes next.
"""

from __future__ import annotations

import ast
import atexit
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import Any

from ablate.execution import worker
from ablate.execution.messages import ATTEMPTS

_CONTEXT = get_context("spawn")


@dataclass(frozen=True)
class Answer:
    """What a call came to: what it returned, or what it raised."""

    value: Any
    raised: bool = False


@dataclass(frozen=True)
class Death:
    """How a worker ended that should not have: its exit code, negative for a signal."""

    code: int | None

    def __str__(self) -> str:
        if self.code is None:
            return "it could not be started"
        if self.code < 0:
            hint = ", as when memory runs out" if self.code == -signal.SIGKILL else ""
            return f"signal {-self.code}{hint}"
        return f"exit status {self.code}"


class Worker:
    """A place for a worker process.

    Attributes:
        ready: whether it waits for a call.
        gone: why it is not started again, None while it is.
    """

    def __init__(self, settings: worker.Settings) -> None:
        self.settings = settings
        self.ready = False
        self.gone: Death | None = None
        self._busy = False
        self._failures = 0  # deaths in a row, none of them at work
        self._process: Any = None
        self._pipe: Any = None

    def start(self) -> None:
        """Start the process; it imports while its driver goes on."""
        here, there = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=worker.serve, args=(there, self.settings))
        self._process, self._pipe = process, here
        self.ready = self._busy = False
        _STARTED.add(self)
        try:
            with _undisturbed(), _main_hidden():
                process.start()
        except OSError:  # no process to be had, or killed while it started
            pass
        there.close()

    def send(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Hand a call to a worker that is ready; `look` brings its answer."""
        self.ready, self._busy = False, True
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just died: `look` tells
            self._pipe.send((function, arguments))

    def look(self) -> Answer | Death | None:
        """Return what the last call came to, if that is known by now; never waits.

        Only a worker at work gives a `Death`.
        """
        if self.gone is not None:
            return None
        alive = self._process.pid is not None and self._process.is_alive()
        with suppress(EOFError, OSError):
            if self._pipe.poll():  # after asking whether it lives: what it said last counts
                said = self._pipe.recv()
                self.ready = True
                if self._busy:
                    self._busy, self._failures = False, 0
                    return Answer(*said)
                return None
        if alive:
            return None
        died, was_busy = Death(self._process.exitcode), self._busy
        self.kill()
        self._failures += not was_busy
        if self._failures < ATTEMPTS:
            self.start()
        else:
            self.gone = died
        return died if was_busy else None

    def kill(self) -> None:
        """End the process at once, whatever it does."""
        self.ready = False
        if self._process is not None and self._process.pid is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()


#: Those that have a process: none outlives its driver's interpreter.
_STARTED: weakref.WeakSet[Worker] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for each in list(_STARTED):
        each.kill()


def main_module() -> tuple[str, str] | None:
    """Return how a worker finds the script that is being run: ("path" or "module", its name).

    What that script defines is known in a worker only if it is imported there. None where there
    is no script, or one without `if __name__ == "__main__"`, which would run its study again.
    """
    main = sys.modules.get("__main__")
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if path is None or not _guarded(path):
        return None
    if spec is None:
        return "path", str(Path(path).resolve())
    is_package = spec.name == "__main__" or spec.name.endswith(".__main__")
    return None if is_package else ("module", spec.name)


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


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Keep a fresh process from importing the main script before its threads are fixed.

    `multiprocessing` would do so first of all; `worker.serve` does it afterwards.
    """
    main = sys.modules["__main__"]
    hidden = {name: vars(main)[name] for name in ("__file__", "__spec__") if vars(main).get(name)}
    try:
        for name in hidden:
            setattr(main, name, None)
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: it inherits the mask of its starter.

    Ctrl-C goes to the whole process group, also to a worker whose interpreter has just begun
    to start and would print a traceback; the driver alone decides what it means. The mask is this
    thread's: a signal that another thread takes would still interrupt the start in the middle, and
    the new process would find half of what it is sent. So signals wait until it is started.
    """
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    resource_tracker.ensure_running()  # when it is started it lifts the mask
    waiting: list[int] = []
    handlers: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            if callable(signal.getsignal(each)):
                handlers[each] = signal.signal(each, lambda number, _: waiting.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        if waiting:
            signal.raise_signal(waiting[0])
