"""The progress of trials: one value per event, from the worker to whoever watches a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ablate.study.pace import Pace
from ablate.study.trial import Trial, TrialResult


@dataclass(frozen=True)
class Event:
    """Something happened to a trial.

    `kind` is "started" (`epoch` is the one it goes on from, 0 when it begins), "epoch" (`epoch`
    of `epochs` has ended, 0 being the evaluation before training) or "step" (inside a long epoch,
    `step` of `steps` are done). `logs` are Keras's, by history name.
    """

    trial: str
    kind: Literal["started", "epoch", "step"]
    epoch: int = 0
    epochs: int = 0
    logs: Mapping[str, float | None] = field(default_factory=dict)
    step: int = 0
    steps: int = 0


class Watcher:
    """Someone who looks on while trials are trained: a display, the live TensorBoard files."""

    def stage(self, what: str) -> None:
        """A part of a run of several begins, `what` in a sentence; it begins trials of its own."""

    def preparing(self, what: str) -> None:
        """Something is done before trials can train, `what` in a few words."""

    def expected(self, trials: Sequence[Trial], pace: Pace) -> None:
        """The trials that are to be trained, and how fast such were trained before."""

    def begin(self, todo: int, kept: int, dropped: int = 0) -> None:
        """Trials to train, already done, and on disk but no longer planned."""

    def built(self, lines: Sequence[str]) -> None:
        """The variants to train were built: which weights they start from, in words."""

    def planned(self, plan: Any, todo: int) -> None:
        """Trials were added: `plan` has them all, `todo` counts what this run trains."""

    def started(self, trial: Trial, epoch: int) -> None:
        """A trial began, or goes on from `epoch`."""

    def epoch(self, trial: Trial, event: Event) -> None:
        """A trial ended an epoch."""

    def step(self, trial: Trial, event: Event) -> None:
        """A trial is inside a long epoch."""

    def finished(self, trial: Trial, result: TrialResult, arrays: Mapping[str, Any]) -> None:
        """A trial came to an outcome."""

    def lost(self, trial: Trial, reason: str, again: bool) -> None:
        """A trial's worker was lost; `again` if the trial is tried again."""

    def end(self) -> None:
        """Nothing more is trained, whatever the reason."""


def tell(watchers: Iterable[Any], what: str, *arguments: Any) -> None:
    """Call the method `what` of every watcher that has it."""
    for watcher in watchers:
        if (method := getattr(watcher, what, None)) is not None:
            method(*arguments)
