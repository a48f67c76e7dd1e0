"""What a driver and its executors say to each other.

A `Task` goes down: trials that share a program, in the order in which they are to be trained.
Messages come up: a trial started, an epoch ended, a trial finished; the task is done, or its
worker was lost. All are plain values, so that every executor, local or distant, speaks alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ablate.study.trial import Trial, TrialResult

#: How often a trial, or a call, whose worker died is tried in all.
ATTEMPTS = 3


@dataclass(frozen=True)
class Task:
    """Trials that share a program, handed to one worker."""

    number: int
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Started:
    """A worker began (or took up again) a trial."""

    trial: str
    epoch: int = 0


@dataclass(frozen=True)
class Epoch:
    """A trial ended an epoch; `logs` are Keras's, epoch 0 stands before training."""

    trial: str
    epoch: int
    epochs: int
    logs: Mapping[str, float | None]


@dataclass(frozen=True)
class Step:
    """A trial is inside epoch `epoch` of `epochs`: `step` of its `steps` batches are done."""

    trial: str
    epoch: int
    epochs: int
    step: int
    steps: int


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


#: What is said while a trial trains.
Progress = Started | Epoch | Step

Message = Started | Epoch | Step | Finished | Done | Lost


class Executor(Protocol):
    """Where tasks run. None of them changes a number (law 1)."""

    slots: int  # tasks that run at once

    def warm(self) -> None:
        """Begin to start workers, while the driver still plans."""

    def expect(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Learn what is to be trained; return the groups that are under way already.

        What this executor cannot train is refused here, before anything starts.
        """

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a worker and return what it returns, or raise what it raises."""

    def submit(self, task: Task) -> None:
        """Take a task; it starts when a slot is free."""

    def poll(self, timeout: float) -> list[Message]:
        """Return what has been said since, waiting up to `timeout` seconds for something."""

    def stop(self, task: Task) -> None:
        """End a task's worker; a `Lost` follows."""

    def close(self) -> None:
        """End all workers, at once, whatever they do."""
