"""Where the spread of a score comes from: initialization, batch order, masks, the split.

N base trials have every source of chance drawn anew; beside each stand trials that differ from it
in one source alone (a radial design). For source j,

    T_j = Σ (y_i - y_i^(j))² / (2·N)

is the variance that would be lost if the source were fixed, interactions with the others included;
N·T_j/χ²(N) gives its interval. The parts need not add up to the whole: an interaction counts in
each of its sources. Rankings of sources from eight trials are weak.

Source: Jansen 1999; Bouthillier et al., *Accounting for variance in machine learning benchmarks*,
2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablate.analysis.descriptive import MINIMUM_SEEDS


@dataclass(frozen=True)
class Part:
    """A variance with its interval, in the metric's unit squared, and what it rests on."""

    variance: float
    low: float
    high: float
    degrees: int

    @property
    def deviation(self) -> tuple[float, float, float]:
        """The standard deviation with its interval, in the metric's unit."""
        return self.variance**0.5, self.low**0.5, self.high**0.5


def total(base: np.ndarray, confidence: float) -> Part | None:
    """Return the variance of the base trials, every source drawn anew.

    Args:
        base: (N,) scores; NaN for a trial that was lost.
        confidence: of the interval, right for normal scores.
    """
    kept = base[np.isfinite(base)]
    if len(kept) < MINIMUM_SEEDS:
        return None
    return _part(float(kept.var(ddof=1)), len(kept) - 1, confidence)


def part_of(base: np.ndarray, redrawn: np.ndarray, confidence: float) -> Part | None:
    """Return the variance that one source accounts for, interactions included.

    Args:
        base: (N,) scores of the base trials.
        redrawn: (N,) scores with this source alone drawn anew; NaN where one was lost.
        confidence: of the interval.
    """
    moved = base - redrawn
    moved = moved[np.isfinite(moved)]
    if len(moved) < MINIMUM_SEEDS:
        return None
    return _part(float((moved**2).mean() / 2), len(moved), confidence)


def _part(variance: float, degrees: int, confidence: float) -> Part:
    from scipy import special

    tail = (1 - confidence) / 2
    # chdtri takes the upper tail.
    low = degrees * variance / special.chdtri(degrees, tail)
    high = degrees * variance / special.chdtri(degrees, 1 - tail)
    return Part(variance, float(low), float(high), degrees)
