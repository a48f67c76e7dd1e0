"""Describe one sample: mean, standard deviation, the t interval, quartiles, rates.

Arrays have seeds as rows and variants as columns, NaN where no trial completed; each column is
described over the rows it has. Nothing here compares; `paired` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ablate.analysis.effects import MetricSummary, Spread

#: Gives the standard error of means of n values each, in their deviations.
StandardError = Callable[[np.ndarray], np.ndarray]

#: Seeds from which an interval is given; below, everything is description.
MINIMUM_SEEDS = 3

#: What rounding can make of a difference of two metrics, as a share of their size. Metrics are
#: computed in single precision: 7/12 minus 6/12 comes out a few 1e-8 off 1/12.
ROUNDING = 4e-7


@dataclass(frozen=True)
class Moments:
    """Per column: the count and, NaN where the count does not allow it, mean, sd, interval."""

    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


def moments(
    values: np.ndarray,
    confidence: float = 0.95,
    noise: np.ndarray | float = 0.0,
    *,
    share: bool = False,
    error: StandardError | None = None,
) -> Moments:
    """Return each column's count, mean, standard deviation and t interval of the mean.

    mean ± t(1 - α/2; n - 1) · sd / √n, with α = 1 - confidence. The mean needs one value, the
    deviation two, the interval three; a column whose values are all the same has a deviation of
    exactly 0 and, as nothing can be inferred from no spread, no interval. A mean that is no larger
    than the noise of the values on average is exactly 0.

    Args:
        values: (seeds, variants), NaN for missing.
        confidence: of the interval, in (0, 1).
        noise: of differences, (seeds, variants) or what broadcasts to it: what of each value may
            be rounding alone (see `rounding`).
        share: whether the values are shares of 1. The interval of their mean then ends at 0 and
            1, which no mean lies beyond: it covers as often as the whole one.
        error: the standard error of a mean of n values, in their deviations; 1/√n by default.

    Returns:
        Arrays of length `variants`.
    """
    present = np.isfinite(values)
    n = present.sum(axis=0)
    filled = np.where(present, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / n
        blur = np.where(present, noise, 0.0)
        of_mean = blur.sum(axis=0) / n
        centred = np.where(present, values - mean, 0.0)
        sd = np.sqrt((centred**2).sum(axis=0) / (n - 1))
        mean = np.where(np.abs(mean) <= of_mean, 0.0, mean)
        exact = 1e-12 * np.abs(filled).max(axis=0, initial=0.0)
        least = np.maximum(np.maximum(blur, of_mean), exact)
        sd = np.where((np.abs(centred) <= least).all(axis=0), 0.0, sd)
        half = t_quantile(n, confidence) * sd * (1 / np.sqrt(n) if error is None else error(n))
    mean = np.where(n >= 1, mean, np.nan)
    sd = np.where(n >= 2, sd, np.nan)
    half = np.where((n >= MINIMUM_SEEDS) & (sd > 0), half, np.nan)
    low, high = mean - half, mean + half
    if share:
        low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
    return Moments(n, mean, sd, low, high)


def rounding(*arrays: np.ndarray) -> np.ndarray:
    """Return, entry by entry, what of a difference of values of this size may be rounding alone.

    Three differences of exactly one row in 360 come out with a spread of 1e-8, which a t test would
    believe; two that cancel, with a mean of 1e-8, which a sentence would report.
    """
    sizes = [np.abs(np.nan_to_num(each)) for each in arrays]
    return ROUNDING * np.max(np.broadcast_arrays(*sizes), axis=0)


def snapped(differences: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
    """Return the differences with exactly 0 where they may be rounding alone."""
    return np.where(np.abs(differences) <= noise, 0.0, differences)


def close(left: float, right: float) -> bool:
    """Whether two metrics differ by no more than rounding."""
    return abs(left - right) <= ROUNDING * max(abs(left), abs(right))


def t_quantile(n: np.ndarray | int, confidence: float) -> np.ndarray:
    """Return Student's t(1 - α/2) with n - 1 degrees of freedom; NaN for n < 2."""
    from scipy import special

    degrees = np.asarray(n, float) - 1
    return np.where(
        degrees >= 1, special.stdtrit(np.maximum(degrees, 1), 0.5 + confidence / 2), np.nan
    )


def summarize(
    values: np.ndarray,
    seeds: Sequence[int],
    confidence: float,
    noise: np.ndarray | float = 0.0,
    *,
    share: bool = False,
    error: StandardError | None = None,
) -> list[MetricSummary]:
    """Return the summary of each column of a (seeds, variants) array.

    `noise`, `share` and `error` are as in `moments`.
    """
    stats = moments(values, confidence, noise, share=share, error=error)
    return [
        MetricSummary(by_seed(column, seeds), int(n), *map(number, rest))
        for column, n, *rest in zip(
            values.T, stats.n, stats.mean, stats.sd, stats.low, stats.high, strict=True
        )
    ]


def spread(values: Sequence[float]) -> Spread | None:
    """Return median, quartiles and extremes of what was measured, or None of nothing."""
    found = np.asarray([each for each in values if each is not None and np.isfinite(each)], float)
    if not found.size:
        return None
    least, low, median, high, most = np.quantile(found, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return Spread(found.size, median, low, high, least, most)


@lru_cache(maxsize=4096)
def wilson(count: float, of: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return Wilson's interval of a rate, or None of no trials; a tie counts half.

    >>> [round(end, 3) for end in wilson(0, 5)]
    [0.0, 0.434]

    Source: E. B. Wilson, Probable inference, JASA 22, 1927. Written out, since importing
    `scipy.stats` takes longer than all else that a report of a small study does.
    """
    if not of:
        return None
    from scipy import special

    z = float(special.ndtri(0.5 + confidence / 2))
    center = count + z * z / 2
    half = z * (count * (of - count) / of + z * z / 4) ** 0.5
    total = of + z * z
    low = 0.0 if count == 0 else max(0.0, (center - half) / total)
    return low, 1.0 if count == of else min(1.0, (center + half) / total)


def by_seed(column: np.ndarray, seeds: Sequence[int]) -> dict[int, float]:
    """Return the finite entries of a column, by seed."""
    return {
        seed: float(value) for seed, value in zip(seeds, column, strict=True) if np.isfinite(value)
    }


def number(value: float) -> float | None:
    """Return a plain float, or None for what is not finite."""
    return float(value) if np.isfinite(value) else None
