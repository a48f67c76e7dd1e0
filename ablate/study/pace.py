"""How fast trials train, and how long the rest of them takes by that.

The first trial of a network is built and traced, which later ones of it are not: that is a time of
its own, paid once for each network. A trial of a variant that none is known of is taken to be as
fast as the median of the others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ablate.study.trial import TrialResult


@dataclass(frozen=True)
class Pace:
    """Seconds per epoch by variant, and seconds until a variant's first trial trains."""

    rates: Mapping[str, float] = field(default_factory=dict)
    start: float = 0.0

    @classmethod
    def of(cls, results: Iterable[TrialResult]) -> Pace:
        """Return the pace of trials that have ended, by the median."""
        rates: dict[str, list[float]] = {}
        starts = []
        for each in results:
            begun = each.seconds.get("build", 0.0) + each.seconds.get("trace", 0.0)
            trained = each.seconds.get("total", 0.0) - begun
            if each.final and each.epochs and trained > 0:
                rates.setdefault(each.variant, []).append(trained / each.epochs)
            if each.seconds.get("trace"):
                starts.append(begun)
        return cls(
            {variant: statistics.median(found) for variant, found in rates.items()},
            statistics.median(starts) if starts else 0.0,
        )

    def updated(self, other: Pace) -> Pace:
        """Return this pace with what `other` knows in its place."""
        return Pace({**self.rates, **other.rates}, other.start or self.start)

    def left(
        self, epochs: Iterable[tuple[str, float]], workers: int, starting: int = 0
    ) -> float | None:
        """Return the seconds until all of it is trained, None where no pace is known.

        Args:
            epochs: the variant of each trial and the epochs that are left of it.
            workers: how many train at once.
            starting: variants of which no trial was begun yet.

        >>> Pace({"bn": 2.0, "plain": 1.0}, start=5.0).left([("bn", 10), ("new", 4)], 2, 1)
        15.5
        """
        if not self.rates:
            return None
        other = statistics.median(self.rates.values())
        total = sum(self.rates.get(variant, other) * left for variant, left in epochs)
        return (total + self.start * starting) / max(workers, 1)
