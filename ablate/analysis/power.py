"""How small an effect some seeds can find, and how many seeds an effect or equivalence asks for.

All follow from the power of the interval under normal differences: with n seeds, a true effect of
d standard deviations and a standard error of e deviations (1/√n, more for overlapping splits),
T = mean / (sd·e) has a noncentral t distribution with n - 1 degrees of freedom and noncentrality
d/e, and an interval of half-width c·sd excludes zero where |T| > c/e. An always-valid interval is
taken as if one looked at the end alone, so that its power is at least this.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.analysis.intervals import FIXED, Interval

#: The share of studies that should find an effect that is there.
POWER = 0.8

#: More seeds than this are not proposed.
MOST_SEEDS = 10_000

_TABLE = np.arange(MINIMUM_SEEDS, 401)


def power(
    n: np.ndarray | int,
    d: np.ndarray | float,
    alpha: float = 0.05,
    interval: Interval = FIXED,
) -> np.ndarray:
    """Return the power of the two-sided paired test.

    P(|T| > c/e), T as above; for the t interval c/e = t(1 - α/2; n - 1) and d/e = d·√n.

    Args:
        n: seeds, at least 2.
        d: the true effect in standard deviations of the difference, at least 0.
        alpha: the level of the test.
        interval: the kind.
    """
    from scipy import special

    degrees = np.asarray(n, float) - 1
    error = interval.standard_error(n)
    shift = np.asarray(d, float) / error
    critical = interval.half_width(n, alpha) / error
    with np.errstate(invalid="ignore"):
        below = special.nctdtr(degrees, shift, np.minimum(critical, 1e12))
        beyond = special.nctdtr(degrees, shift, -np.minimum(critical, 1e12))
    return np.where(np.isfinite(critical), 1 - below + np.nan_to_num(beyond), 0.0)


def detectable(
    n: int, alpha: float = 0.05, target: float = POWER, interval: Interval = FIXED
) -> float | None:
    """Return the smallest effect, in standard deviations of the difference, that n seeds find.

    Args:
        n: seeds; below 3 nothing is tested and None returned.
        alpha: the level of the two-sided test.
        target: the power asked for.
        interval: the kind.

    >>> [round(detectable(n), 1) for n in (3, 5, 10)]
    [3.3, 1.7, 1.0]
    """
    if n < _TABLE[0]:
        return None
    if n <= _TABLE[-1]:
        found = float(_detectable_table(alpha, target, interval)[n - _TABLE[0]])
    else:
        found = float(_smallest(np.asarray([n]), alpha, target, interval)[0])
    return found if np.isfinite(found) else None


def seeds_needed(
    d: float | None, alpha: float = 0.05, target: float = POWER, interval: Interval = FIXED
) -> int | None:
    """Return the smallest number of seeds with which an effect of `d` deviations is found.

    Returns:
        At least 3; None when `d` is 0 or unknown, or when more than 10 000 (400 where the interval
        is no t interval) would be needed.

    >>> seeds_needed(1.0), seeds_needed(0.5), seeds_needed(0.0)
    (10, 34, None)
    """
    if d is None or not np.isfinite(d) or d == 0:
        return None
    table = _detectable_table(alpha, target, interval)
    d = abs(d)
    if d >= table[-1]:
        # The table falls with n: the first entry that does not exceed d.
        return int(_TABLE[np.searchsorted(-table, -d)])
    if interval != FIXED:
        return None
    from scipy import special

    normal = (special.ndtri(1 - alpha / 2) + special.ndtri(target)) / d
    n = int(np.ceil(normal**2 + special.ndtri(1 - alpha / 2) ** 2 / 2))
    return n if n <= MOST_SEEDS else None


def spread_interval(n: int, confidence: float) -> tuple[float, float]:
    """Return by what the deviation of `n` values is multiplied to give its interval.

    √((n - 1)/χ²) at both ends, n - 1 degrees of freedom.

    >>> [round(end, 2) for end in spread_interval(5, 0.95)]
    [0.6, 2.87]
    """
    from scipy import special

    tail = (1 - confidence) / 2
    chi = [2 * float(special.gammaincinv((n - 1) / 2, each)) for each in (1 - tail, tail)]
    low, high = (((n - 1) / each) ** 0.5 for each in chi)
    return low, high


def effect_size_interval(
    n: int, d: float, confidence: float, interval: Interval = FIXED
) -> tuple[float, float]:
    """Return the interval of the size of a true effect: the noncentral t, inverted.

    Args:
        n: seeds, at least 3.
        d: the observed effect in standard deviations of the difference.
        confidence: of the interval.
        interval: the kind, which says what the standard error is.

    Returns:
        In deviations; the lower end is 0 where the interval holds an effect of 0.
    """
    from scipy import special

    error = float(interval.standard_error(n))
    tail = (1 - confidence) / 2
    t = abs(d) / error
    if special.stdtr(n - 1, t) <= 1 - tail:
        low = 0.0
    else:
        low = float(special.nctdtrinc(n - 1, 1 - tail, t)) * error
    return low, float(special.nctdtrinc(n - 1, tail, t)) * error


def seeds_for_equivalence(
    sd: float, margin: float, level: float, power: float, interval: Interval = FIXED
) -> int | None:
    """Return the seeds with which equal variants are shown equivalent: power at a true mean of 0.

    Args:
        sd: standard deviation of the per-seed differences, in the metric's unit.
        margin: in the same unit.
        level: of each one-sided test.
        power: the share of studies that should succeed.
        interval: the kind.

    Returns:
        At least 3; None where more than `MOST_SEEDS` would be needed.
    """
    if not sd > 0 or not margin > 0:
        return None
    room = margin / sd
    low, high = MINIMUM_SEEDS, MINIMUM_SEEDS
    while equivalence_power(high, room, level, interval) < power:
        low, high = high, 2 * high
        if high > 2 * MOST_SEEDS:
            return None
    while low < high:
        middle = (low + high) // 2
        if equivalence_power(middle, room, level, interval) >= power:
            high = middle
        else:
            low = middle + 1
    return low if low <= MOST_SEEDS else None


@lru_cache(maxsize=1024)
def margin_shown(n: int, level: float, power: float, interval: Interval = FIXED) -> float | None:
    """Return the smallest margin within which `n` seeds show equal variants equivalent.

    Args:
        n: seeds; under 3 nothing is shown, and None returned.
        level: of each one-sided test.
        power: the share of studies that should succeed.
        interval: the kind.

    Returns:
        In standard deviations of the difference; None where no margin would do.
    """
    if not np.isfinite(interval.half_width(n, 2 * level)):
        return None
    low, high = 0.0, 1.0
    while equivalence_power(n, high, level, interval) < power:
        low, high = high, 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        if equivalence_power(n, middle, level, interval) >= power:
            high = middle
        else:
            low = middle
    return high


def equivalence_power(n: int, margin: float, level: float, interval: Interval = FIXED) -> float:
    """Return the chance that `n` seeds show equivalence when the true mean is 0.

    E over s of P(|mean| < margin - c·s), with s² ~ χ²/(n - 1) and c the half-width of the interval
    at 1 - 2·level; in standard deviations of the difference, as `margin` is (Owen 1965).
    """
    from scipy import special

    room = np.maximum(margin - float(interval.half_width(n, 2 * level)) * _spreads(n), 0.0)
    return float(np.mean(2 * special.ndtr(room / interval.standard_error(n)) - 1))


@lru_cache(maxsize=256)
def _spreads(n: int) -> np.ndarray:
    """Return quantiles of s over sigma on a fine grid: a plain and stable quadrature."""
    from scipy import special

    shares = (np.arange(4000) + 0.5) / 4000
    return np.asarray(np.sqrt(2 * special.gammaincinv((n - 1) / 2, shares) / (n - 1)))


@lru_cache(maxsize=64)
def _detectable_table(alpha: float, target: float, interval: Interval) -> np.ndarray:
    return _smallest(_TABLE, alpha, target, interval)


def _smallest(n: np.ndarray, alpha: float, target: float, interval: Interval) -> np.ndarray:
    """Bisect for the effect whose power is `target`, for every n at once; infinite for none."""
    never = ~np.isfinite(interval.half_width(n, alpha))
    low, high = np.zeros(n.shape), np.full(n.shape, 1.0)
    while np.any(short := (power(n, high, alpha, interval) < target) & ~never):
        high = np.where(short, 2 * high, high)
        if high.max() > 1e6:
            break
    for _ in range(40):
        middle = (low + high) / 2
        enough = power(n, middle, alpha, interval) >= target
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(never, np.inf, high)
