"""What a worker says while it trains: one small value per event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Event:
    """Something happened to a trial.

    `kind` is "started" (`epoch` is the one it goes on from, 0 when it begins), "epoch" (`epoch`
    of `epochs` has ended, 0 being the evaluation before training), "step" (inside a long epoch,
    `step` of `steps` are done) or "finished". `logs` are Keras's, by history name.
    """

    trial: str
    kind: Literal["started", "epoch", "step", "finished"]
    epoch: int = 0
    epochs: int = 0
    logs: Mapping[str, float | None] = field(default_factory=dict)
    step: int = 0
    steps: int = 0
