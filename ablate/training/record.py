"""A trial's curves, times and notes while it trains, and the `TrialResult` made of them."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from ablate.errors import AblateError
from ablate.study.trial import Trial, TrialResult
from ablate.training import setup
from ablate.training.loop import Clock
from ablate.training.rows import Rows, majority

#: How many timed evaluations of the validation rows a result keeps.
_TIMED = 5


@dataclass
class Record:
    """A trial's curves, times and notes so far."""

    trial: Trial
    clock: Clock = field(default_factory=Clock)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    epochs: int = 0
    diverged: dict[str, int] | None = None
    notes: list[str] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    before: float = 0.0  # seconds of earlier attempts, from a checkpoint

    def append(self, logs: dict[str, Any], rate: float) -> None:
        """Add an entry to every curve: None for what was not measured or is no number."""
        length = max((len(each) for each in self.curves.values()), default=0)
        entry = {**numbers(logs), "learning_rate": rate}
        for name in entry:
            self.curves.setdefault(name, [None] * length)
        for name, curve in self.curves.items():
            curve.append(entry.get(name))

    @property
    def names(self) -> list[str]:
        """The metrics that training has reported, without `val_`."""
        known = [name.removeprefix("val_") for name in self.curves if name != "learning_rate"]
        return list(dict.fromkeys(known)) or ["loss"]

    @property
    def elapsed(self) -> float:
        """Seconds spent on the trial, those before an interruption included."""
        return self.before + time.perf_counter() - self.began

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        clock = (self.clock.seconds, self.clock.inference)
        return {
            "epochs": self.epochs,
            "curves": self.curves,
            "clock": clock,
            "before": self.elapsed,
            "said": (self.notes, self.cautions),
        }

    def takes(self, state: Any) -> bool:
        """Whether `restore` can go on from `state`."""
        return (
            isinstance(state, dict)
            and state.keys() == {"epochs", "curves", "clock", "before", "said"}
            and isinstance(state["epochs"], int)
            and 0 < state["epochs"] < self.trial.spec.train.epochs
            and isinstance(state["curves"], dict)
            and all(isinstance(each, list) for each in state["curves"].values())
            and isinstance(state["before"], float)
            and [type(each) for each in state["clock"]] == [dict, list]
            and [type(each) for each in state["said"]] == [list, list]
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.epochs, self.curves, self.before = state["epochs"], state["curves"], state["before"]
        self.clock.seconds.update(state["clock"][0])
        self.clock.inference = state["clock"][1]
        self.notes = [*state["said"][0], *self.notes]  # those of phases before, too
        self.cautions = [*state["said"][1], *self.cautions]

    def result(self, rows: Rows, **fields: Any) -> TrialResult:
        """Return the result of a trial that came to its end."""
        return TrialResult(
            **self._common(),
            diverged=self.diverged,
            rows=rows.counts,
            drawn=rows.splits.drawn,
            majority=majority(rows.splits),
            inference=tuple(self.clock.inference[-_TIMED:]),
            **fields,
        )

    def failed(self, error: Exception) -> TrialResult:
        """Return the result of a trial that raised `error`."""
        return TrialResult(**self._common(), status="failed", error=_error_text(error))

    def _common(self) -> dict[str, Any]:
        seconds = {**self.clock.seconds, "total": self.elapsed}
        return {
            "id": self.trial.id,
            "variant": self.trial.variant,
            "seed": self.trial.seed,
            "factors": self.trial.factors,
            "spec": self.trial.spec.model_dump(mode="json", by_alias=True),
            "curves": self.curves,
            "epochs": self.epochs,
            "seconds": {name: round(value, 4) for name, value in seconds.items()},
            "environment": setup.environment(),
            "notes": tuple(dict.fromkeys(self.notes)),
            "cautions": tuple(dict.fromkeys(self.cautions)),
        }


def numbers(logs: dict[str, Any]) -> dict[str, float | None]:
    """Return the logs that are single numbers, None for those that are not finite."""
    single = {k: v for k, v in logs.items() if v is not None and np.ndim(v) == 0}
    return {name: float(v) if np.isfinite(v) else None for name, v in single.items()}


def _error_text(error: Exception) -> str:
    """Return what a record says of an error: its own words where it was raised on purpose."""
    if isinstance(error, AblateError):
        return str(error)
    text = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return (
            "Out of memory. A smaller train.batch_size, fewer workers (--workers) or fewer rows "
            f"(data.limit) need less.\n\n{text}"
        )
    return text
