"""The interface of executors, and the messages between a driver and its executors.

The driver submits tasks: trials that share a program, in the order in which they are to be
trained. It polls for messages: a trial's progress, a finished trial, a task that is done or whose
worker was lost. All are plain values, the same for every executor, local or distant.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.study.progress import Event
from ablate.study.trial import Trial, TrialResult

if TYPE_CHECKING:
    import numpy as np

#: How often a trial, or a call, whose worker died is tried in all.
ATTEMPTS = 3


@dataclass(frozen=True)
class Task:
    """Trials that share a program, handed to one worker."""

    number: int
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Finished:
    """A trial came to an outcome."""

    result: TrialResult
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    model: Path | None = None


@dataclass(frozen=True)
class Done:
    """A task ended; every trial of it has finished."""

    task: Task


@dataclass(frozen=True)
class Lost:
    """A task's worker is gone; trials of it that have not finished are without an outcome."""

    task: Task
    reason: str
    again: bool = True  # false where the worker itself raised: another try would do the same


Message = Event | Finished | Done | Lost


class Executor(ABC):
    """Where tasks run. None of them changes a number (law 1).

    Attributes:
        slots: tasks that run at once.
        pause: seconds between two looks for new messages.
    """

    slots: int
    pause: float = 0.05

    def warm(self) -> None:  # noqa: B027
        """Begin to start workers, while the driver still plans."""

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Learn what is to be trained; return the groups that are under way already.

        What this executor cannot train is refused here, before anything starts.
        """
        return []

    @abstractmethod
    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker and return what it returns, or raise what it raises."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Take a task; it starts when a slot is free."""

    def poll(self, timeout: float) -> list[Message]:
        """Return the messages that are new, waiting up to `timeout` seconds for some.

        Raises:
            AblateError: what is left can no longer be trained.
        """
        until = time.monotonic() + timeout
        while True:
            messages = self.receive()
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(self.pause, left))

    @abstractmethod
    def receive(self) -> list[Message]:
        """Return the messages that are new, without waiting."""

    @abstractmethod
    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""

    @abstractmethod
    def close(self) -> None:
        """End all workers, at once, whatever they do."""
