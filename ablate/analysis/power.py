"""How small an effect some seeds can find, and how many seeds an effect asks for.

Both follow from the paired t test's power under normal differences: with n seeds and a true
effect of d standard deviations of the difference, T = mean / (sd/√n) has a noncentral t
distribution with n - 1 degrees of freedom and noncentrality d·√n.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: The share of studies that should find an effect that is there.
POWER = 0.8

#: More seeds than this are not proposed.
MOST_SEEDS = 10_000

_TABLE = np.arange(3, 401)


def power(n: np.ndarray | int, d: np.ndarray | float, alpha: float = 0.05) -> np.ndarray:
    """Return the power of the two-sided paired t test.

    P(|T| > t(1 - α/2; n - 1)) with T noncentral t, n - 1 degrees of freedom, noncentrality d·√n.

    Args:
        n: seeds, at least 2.
        d: the true effect in standard deviations of the difference, at least 0.
        alpha: the level of the test.
    """
    from scipy import special

    degrees = np.asarray(n, float) - 1
    shift = np.asarray(d, float) * np.sqrt(n)
    critical = special.stdtrit(degrees, 1 - alpha / 2)
    below = special.nctdtr(degrees, shift, critical)
    beyond = special.nctdtr(degrees, shift, -critical)
    return 1 - below + np.nan_to_num(beyond)


def detectable(n: int, alpha: float = 0.05, target: float = POWER) -> float | None:
    """Return the smallest effect, in standard deviations of the difference, that n seeds find.

    Args:
        n: seeds; below 3 nothing is tested and None returned.
        alpha: the level of the two-sided test.
        target: the power asked for.

    >>> [round(detectable(n), 1) for n in (3, 5, 10)]
    [3.3, 1.7, 1.0]
    """
    if n < _TABLE[0]:
        return None
    if n <= _TABLE[-1]:
        return float(_detectable_table(alpha, target)[n - _TABLE[0]])
    return float(_smallest(np.asarray([n]), alpha, target)[0])


def seeds_needed(d: float | None, alpha: float = 0.05, target: float = POWER) -> int | None:
    """Return the smallest number of seeds with which an effect of `d` deviations is found.

    Returns:
        At least 3; None when `d` is 0 or unknown, or when more than 10 000 would be needed.

    >>> seeds_needed(1.0), seeds_needed(0.5), seeds_needed(0.0)
    (10, 34, None)
    """
    if d is None or not np.isfinite(d) or d == 0:
        return None
    table = _detectable_table(alpha, target)
    d = abs(d)
    if d >= table[-1]:
        # The table falls with n: the first entry that does not exceed d.
        return int(_TABLE[np.searchsorted(-table, -d)])
    from scipy import special

    normal = (special.ndtri(1 - alpha / 2) + special.ndtri(target)) / d
    n = int(np.ceil(normal**2 + special.ndtri(1 - alpha / 2) ** 2 / 2))
    return n if n <= MOST_SEEDS else None


@lru_cache(maxsize=16)
def _detectable_table(alpha: float, target: float) -> np.ndarray:
    return _smallest(_TABLE, alpha, target)


def _smallest(n: np.ndarray, alpha: float, target: float) -> np.ndarray:
    """Bisect for the effect whose power is `target`, for every n at once."""
    low, high = np.zeros(n.shape), np.full(n.shape, 1.0)
    while np.any(short := power(n, high, alpha) < target):
        high = np.where(short, 2 * high, high)
        if high.max() > 1e6:
            break
    for _ in range(50):
        middle = (low + high) / 2
        enough = power(n, middle, alpha) >= target
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
