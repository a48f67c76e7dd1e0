"""The points of one variant, proposed one after the other: the only code that talks to an oracle.

`advance` asks for as many points as may be under way and tells the oracle what became of the
oldest, always in the order of proposal. So the points depend on scores alone, never on which
trial happened to finish first, on the number of workers or on an interruption: a search that was
killed proposes the same points again and finds their trials in the store.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ablate.search.oracles import STEADY, oracle_of
from ablate.search.search_table import Point
from ablate.study.metrics import direction_of
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Search
from ablate.study.trial import TrialResult

#: Points of a variant under way at once where the next one depends on what became of the last.
AHEAD = 4

#: Given a variant's name, a point's number and its values, returns the trials' ids by seed.
Trials = Callable[[str, Mapping[str, Any]], Mapping[int, str]]


@dataclass
class Proposals:
    """The points of a variant, as far as they have been proposed."""

    variant: ResolvedVariant
    search: Search
    trials: Trials
    points: list[Point] = field(default_factory=list)
    _running: deque[tuple[Any, Point]] = field(default_factory=deque)
    _reported: list[float] = field(default_factory=list)
    _waits: bool = False  # the oracle waits for a score first
    _exhausted: bool = False

    def __post_init__(self) -> None:
        self._oracle = oracle_of(self.variant, self.search)
        self._ahead = math.inf if self.search.oracle in STEADY else AHEAD

    @property
    def finished(self) -> bool:
        """Whether every point has ended and no other will come."""
        return self._exhausted and not self._running

    def advance(self, results: Mapping[str, TrialResult]) -> list[Point]:
        """Tell the oracle what has ended, and return the points that it proposes now.

        Args:
            results: outcomes that stand (or failed for good) by trial id.
        """
        proposed: list[Point] = []
        while True:
            if not self._exhausted and not self._waits and len(self._running) < self._ahead:
                point = self._propose()
                if point is not None:
                    proposed.append(point)
                continue
            if not self._running or not self._ended(self._running[0][1], results):
                return proposed
            self._tell(*self._running.popleft(), results)

    def _propose(self) -> Point | None:
        number = len(self.points)
        trial = self._oracle.create_trial(f"{number}")
        if trial.status == "IDLE" and self._running:
            self._waits = True
            return None
        if trial.status != "RUNNING":
            self._exhausted = True
            return None
        values = {
            path: value
            for path, value in trial.hyperparameters.values.items()
            if not path.startswith("tuner/")
        }
        if "tuner/epochs" in trial.hyperparameters.values:  # a rung of hyperband
            values["train.epochs"] = int(trial.hyperparameters.values["tuner/epochs"])
        point = Point(
            self.variant.name, f"p{number:03d}", values, self.trials(self.variant.name, values)
        )
        self.points.append(point)
        self._running.append((trial, point))
        return point

    def _ended(self, point: Point, results: Mapping[str, TrialResult]) -> bool:
        return all(trial in results for trial in point.trials.values())

    def _tell(self, trial: Any, point: Point, results: Mapping[str, TrialResult]) -> None:
        outcomes = [results[each] for each in point.trials.values()]
        score = reported_score(outcomes, self.search, self._reported)
        if score is None:
            trial.status, trial.message = "FAILED", "a trial failed"
        else:
            self._reported.append(score)
            self._oracle.update_trial(trial.trial_id, {self.search.objective: score})
            trial.status = "COMPLETED"
        self._oracle.end_trial(trial)
        self._waits = False


def reported_score(
    outcomes: Sequence[TrialResult], search: Search, before: Sequence[float] = ()
) -> float | None:
    """Return the score of a point for its oracle: the mean objective over its seeds, always finite.

    A seed that diverged counts as the worse of its objective before training and the worst that
    was reported `before`; never an earlier epoch's score. None if a seed failed, or if nothing is
    known of it: that is no outcome of the experiment.
    """
    name = search.objective
    worse = min if direction_of(name, search.direction) == "max" else max
    scores = []
    for each in outcomes:
        value = each.metrics.get(name) if each.status == "completed" else None
        if each.status == "diverged":
            curve = each.curves.get(name) or [None]
            known = [each for each in (curve[0], *before) if each is not None]
            value = worse(known, default=None)
        if value is None or not math.isfinite(value):
            return None
        scores.append(value)
    return sum(scores) / len(scores)
