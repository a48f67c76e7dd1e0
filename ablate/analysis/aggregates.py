"""Scores of several data sets taken together: interquartile mean, profile, improvement.

Scores are (runs, data sets) on one scale, such as accuracies. Intervals are of the seeds alone:
runs are drawn anew within each data set (a stratified bootstrap), the data sets stay.

Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
NeurIPS 2021 (the paper behind rliable).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Draws of the bootstrap.
DRAWS = 2000


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half of all runs of all data sets.

    Args:
        scores: (…, runs, data sets).

    Returns:
        (…).
    """
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return np.asarray(flat[..., cut : flat.shape[-1] - cut].mean(axis=-1))


def performance_profile(scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the share of runs whose score is above each level.

    Args:
        scores: (…, runs, data sets).
        levels: (levels,).

    Returns:
        (…, levels).
    """
    return np.asarray((scores[..., None] > levels).mean(axis=(-3, -2)))


def probability_of_improvement(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how often a run is better than one of the others on the same data set.

    Mann and Whitney's share of pairs, ties half, averaged over data sets.

    Args:
        scores: (…, runs, data sets).
        others: (…, runs, data sets).
    """
    pairs = scores[..., :, None, :] - others[..., None, :, :]
    return np.asarray(((pairs > 0) + 0.5 * (pairs == 0)).mean(axis=(-3, -2, -1)))


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *scores: np.ndarray,
    confidence: float = 0.95,
    draws: int = DRAWS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of a statistic, runs drawn anew within each data set.

    Args:
        statistic: of arrays (draws, runs, data sets), one for each of `scores`.
        scores: each (runs, data sets).
        confidence: of the interval.
        draws: of the bootstrap; they are the same every time.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    again = []
    for each in scores:
        runs, sets = each.shape
        which = rng.integers(0, runs, (draws, runs, sets))
        again.append(np.take_along_axis(np.broadcast_to(each, (draws, runs, sets)), which, axis=1))
    ends = np.quantile(statistic(*again), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return ends[0], ends[1]
