"""Better, worse, equivalent or inconclusive: four verdicts under one error rate.

A margin m says which differences do not matter. Beside "the mean is zero" a second hypothesis is
tested for each variant, "the mean is at least m away from zero", by two one-sided tests. The two
cannot both be true, so that of 2K hypotheses at most K hold, and each may be tested at α divided
by the number of variants that are not yet rejected on both: one rule, at most α of studies with
any wrong verdict.

Source: Schuirmann 1987 (two one-sided tests); Shaffer, *Modified sequentially rejective multiple
test procedures*, 1986.
"""

from __future__ import annotations

import numpy as np

from ablate.analysis.descriptive import MINIMUM_SEEDS

#: More seeds than this are not proposed.
MOST_SEEDS = 10_000


def equivalence_p(n: np.ndarray, mean: np.ndarray, sd: np.ndarray, margin: float) -> np.ndarray:
    """Return the p of "the true mean is `margin` or more away from zero", per comparison.

    The larger of the two one-sided p of the paired t test against -margin and +margin.

    Args:
        n, mean, sd: of the differences; NaN under three seeds, and without any spread (differences
            that are all equal are a matter of rounding, not of evidence).
        margin: in the metric's unit, above 0.
    """
    from scipy import special

    n, mean, sd = (np.asarray(each, float) for each in (n, mean, sd))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = sd / np.sqrt(n)
        degrees = np.maximum(n - 1, 1)
        low = special.stdtr(degrees, -(mean + margin) / error)
        high = special.stdtr(degrees, (mean - margin) / error)
    usable = (n >= MINIMUM_SEEDS) & (sd > 0)
    return np.where(usable, np.maximum(low, high), np.nan)


def reject(
    p_difference: np.ndarray, p_equivalence: np.ndarray, alpha: float, size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Decide both hypotheses of every comparison at once.

    Args:
        p_difference: (comparisons,) two-sided p of a zero mean, NaN where there is no test.
        p_equivalence: (comparisons,), NaN likewise.
        alpha: the chance of any wrong verdict.
        size: the comparisons declared, if there are more than have come so far.

    Returns:
        Which means differ from zero, and which are nearer to zero than the margin.
    """
    size = max(size or 0, len(p_difference))
    pending = size - len(p_difference)
    differs = np.zeros(len(p_difference), bool)
    equal = np.zeros(len(p_difference), bool)
    while True:
        level = alpha / max(1, pending + int((~(differs & equal)).sum()))
        more_differs = differs | (p_difference <= level)
        more_equal = equal | (p_equivalence <= level)
        if (more_differs == differs).all() and (more_equal == equal).all():
            return differs, equal
        differs, equal = more_differs, more_equal


def seeds_for_equivalence(sd: float, margin: float, level: float, power: float) -> int | None:
    """Return the seeds with which equal variants are shown equivalent.

    The smallest n with P(both one-sided tests reject | true mean 0) ≥ power, by the bivariate
    noncentral t reduced to one integral over the spread (Owen 1965).

    Args:
        sd: standard deviation of the per-seed differences, in the metric's unit.
        margin: in the same unit.
        level: of each one-sided test.
        power: the share of studies that should succeed.

    Returns:
        At least 3; None where more than `MOST_SEEDS` would be needed.
    """
    if not sd > 0 or not margin > 0:
        return None
    low, high = MINIMUM_SEEDS, MINIMUM_SEEDS
    while equivalence_power(high, sd, margin, level) < power:
        low, high = high, 2 * high
        if high > 2 * MOST_SEEDS:
            return None
    while low < high:
        middle = (low + high) // 2
        if equivalence_power(middle, sd, margin, level) >= power:
            high = middle
        else:
            low = middle + 1
    return low if low <= MOST_SEEDS else None


def equivalence_power(n: int, sd: float, margin: float, level: float) -> float:
    """Return the chance that `n` seeds show equivalence when the true mean is 0.

    E over s of P(|mean| < margin - t·s/√n), with s² ~ sd²·χ²/(n - 1).
    """
    from scipy import special

    critical = special.stdtrit(n - 1, 1 - level)
    # Chi quantiles on a fine grid of probabilities: a plain and stable quadrature.
    shares = (np.arange(4000) + 0.5) / 4000
    s = sd * np.sqrt(2 * special.gammaincinv((n - 1) / 2, shares) / (n - 1))
    room = np.maximum(margin - critical * s / np.sqrt(n), 0.0)
    return float(np.mean(2 * special.ndtr(room * np.sqrt(n) / sd) - 1))
