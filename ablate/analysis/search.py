"""What a search found, as values: points with their scores, the rates that work, importance.

Whatever proposed the points, `Searched` is what a report, a plot or a program reads of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ablate.analysis.analysis import Analysis
from ablate.analysis.budget import Tolerance
from ablate.analysis.effects import Direction, Effect


@dataclass(frozen=True)
class SearchPoint:
    """One point of one variant: its parameters and what its seeds scored.

    `scores` has the objective of every seed that completed, `lost` counts the others.
    """

    variant: str
    values: Mapping[str, Any]
    scores: tuple[float, ...] = ()
    lost: int = 0
    epochs: int = 0  # trained, over all its seeds
    eligible: bool = True  # all its seeds have ended, after as many epochs as others: it may win

    @property
    def score(self) -> float | None:
        """The mean over the seeds; None unless every seed completed."""
        return None if self.lost or not self.scores else float(np.mean(self.scores))


@dataclass(frozen=True)
class Tolerated:
    """The learning rates within `tolerance` of each variant's own best, seed by seed.

    `rates` are those that were tried, `ranges` the result per variant (rows are `seeds`),
    `effects` the paired comparison of the widths with the baseline's.
    """

    metric: str
    tolerance: float
    seeds: tuple[int, ...]
    rates: Mapping[str, tuple[float, ...]]
    ranges: Mapping[str, Tolerance]
    effects: tuple[Effect, ...] = ()
    confidence: float = 0.95

    @property
    def words(self) -> list[str]:
        """The comparisons as sentences."""
        return [_sentence(each) for each in self.effects]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "metric": self.metric,
            "tolerance": self.tolerance,
            "seeds": list(self.seeds),
            "ranges": {
                name: {key: _numbers(getattr(each, key)) for key in ("low", "high", "decades")}
                for name, each in self.ranges.items()
            },
            "effects": [
                {
                    "variant": each.variant, "baseline": each.baseline, "n": each.n,
                    "mean": each.mean, "low": each.low, "high": each.high, "p_holm": each.p_holm,
                    "verdict": each.verdict, "words": each.words,
                }
                for each in self.effects
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class Searched:
    """All that a search found.

    `log` names the parameters that were sampled on a log scale; `confirmed` is the analysis of
    the winners on fresh seeds; `importance` a parameter's share in the spread, by variant;
    `text` whatever must be said of the budget and the oracle.
    """

    objective: str
    direction: Direction
    points: tuple[SearchPoint, ...]
    log: frozenset[str] = frozenset()
    confirmed: Analysis | None = None
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    tolerated: Tolerated | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in the order of their first points."""
        return tuple(dict.fromkeys(each.variant for each in self.points))

    def of(self, variant: str) -> list[SearchPoint]:
        """Return the points of a variant, in the order they were tried."""
        return [each for each in self.points if each.variant == variant]

    def best(self, variant: str) -> SearchPoint | None:
        """Return the best point of a variant on the objective, None if all were lost."""
        scored = [each for each in self.of(variant) if each.score is not None and each.eligible]
        if not scored:
            return None
        chosen = max if self.direction == "max" else min
        return chosen(scored, key=lambda each: each.score or 0.0)


def _sentence(effect: Effect) -> str:
    words = effect.words
    if not words.startswith(effect.variant):  # a variant's name stays as it is written
        words = words[:1].upper() + words[1:]
    return f"{words}."


def _numbers(array: np.ndarray) -> list[float | None]:
    return [float(each) if np.isfinite(each) else None for each in array]
