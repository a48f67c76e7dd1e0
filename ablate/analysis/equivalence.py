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


def equivalence_p(
    n: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    margin: float,
    standard_error: np.ndarray | None = None,
) -> np.ndarray:
    """Return the p of "the true mean is `margin` or more away from zero", per comparison.

    The larger of the two one-sided p of the paired t test against -margin and +margin.

    Args:
        n, mean, sd: of the differences; NaN under three seeds, and without any spread (differences
            that are all equal are a matter of rounding, not of evidence).
        margin: in the metric's unit, above 0.
        standard_error: of a mean of `n`, in deviations; by default 1/√n.
    """
    from scipy import special

    n, mean, sd = (np.asarray(each, float) for each in (n, mean, sd))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = sd * (1 / np.sqrt(n) if standard_error is None else standard_error)
        degrees = np.maximum(n - 1, 1)
        low = special.stdtr(degrees, -(mean + margin) / error)
        high = special.stdtr(degrees, (mean - margin) / error)
    usable = (n >= MINIMUM_SEEDS) & (sd > 0)
    return np.where(usable, np.maximum(low, high), np.nan)


def adjust(
    p_difference: np.ndarray, p_equivalence: np.ndarray, size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return both p of every comparison, corrected for all of them: reject where it is at most α.

    Step down: the smallest p that is left counts as many times as there are variants which are not
    yet rejected on both sides.

    Args:
        p_difference: (comparisons,) two-sided p of a zero mean, NaN where there is no test.
        p_equivalence: (comparisons,), NaN likewise.
        size: the comparisons declared, if there are more than have come so far.
    """
    raw = np.stack([p_difference, p_equivalence]).astype(float)
    found = np.full(raw.shape, np.nan)
    unsettled = max(size or 0, raw.shape[1])
    worst = 0.0
    for index in np.argsort(raw, axis=None, kind="stable")[: np.isfinite(raw).sum()]:
        side, column = np.unravel_index(index, raw.shape)
        worst = max(worst, unsettled * raw[side, column])
        found[side, column] = min(1.0, worst)
        unsettled -= np.isfinite(found[:, column]).all()
    return found[0], found[1]


def reject(
    p_difference: np.ndarray, p_equivalence: np.ndarray, alpha: float, size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which means differ from zero, and which are nearer to zero than the margin.

    `alpha` is the chance of any wrong verdict; the rest is as in `adjust`.
    """
    differs, equal = adjust(p_difference, p_equivalence, size)
    return differs <= alpha, equal <= alpha
