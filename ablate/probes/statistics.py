"""Summaries of activations and parameters: percentiles, histograms, saturation.

The first axis of an array is rows, the last is units. Values that are not finite are left out, and
where nothing is left the answer is NaN: a diverged network is still measured.
"""

from __future__ import annotations

import numpy as np

#: The percentiles of the BN paper's Figure 1.
PERCENTILES = (15, 50, 85)

#: Where activations that are bounded end: (lowest, highest), NaN where they do not.
BOUNDS: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (np.nan, 6.0),
}

#: How near to a bound counts as saturated, as a share of the distance between the bounds.
NEAR = 0.05


def sorted_finite(values: np.ndarray) -> np.ndarray:
    """Return all finite values in ascending order: percentiles and histograms are read off it."""
    flat = np.sort(np.asarray(values, "float32"), axis=None)
    return flat[np.searchsorted(flat, -np.inf, "right") : np.searchsorted(flat, np.inf, "left")]


def percentiles(ordered: np.ndarray, shares: tuple[int, ...] = PERCENTILES) -> np.ndarray:
    """Return percentiles of values in order, between neighbours as `numpy.percentile` does."""
    if not ordered.size:
        return np.full(len(shares), np.nan)
    at = np.array(shares) / 100 * (ordered.size - 1)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, ordered.size - 1)
    low, high = ordered[below].astype("float64"), ordered[above].astype("float64")
    return low + (high - low) * (at - below)


def histogram(ordered: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (bins,) and edges (bins + 1,) of values in order, from least to greatest."""
    if not ordered.size:
        return np.zeros(bins), np.full(bins + 1, np.nan)
    low, high = float(ordered[0]), float(ordered[-1])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    at = np.searchsorted(ordered, edges[1:-1], "left")
    return np.diff(np.concatenate([[0], at, [ordered.size]])).astype("float64"), edges


def histograms(series: str, ordered: np.ndarray, bins: int) -> dict[str, np.ndarray]:
    """Return the histogram of values in order as the two arrays that a probe stores of it."""
    counts, edges = histogram(ordered, bins)
    return {f"counts/{series}": counts, f"edges/{series}": edges}


def by_unit(values: np.ndarray) -> np.ndarray:
    """Return (rows · places, units): every axis but the last made one."""
    return values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(-1, 1)


def dead_share(outputs: np.ndarray) -> float:
    """Return the share of units whose output is 0 for every row, at every place."""
    return float(np.mean(~np.any(by_unit(outputs), axis=0)))


def saturated_share(outputs: np.ndarray, activation: str) -> float:
    """Return the share of values near a bound of their activation; NaN where it has none."""
    if activation not in BOUNDS:
        return float("nan")
    low, high = BOUNDS[activation]
    near = NEAR * (high - np.nan_to_num(low))
    return float(np.mean((outputs <= low + near) | (outputs >= high - near)))


def zero_share(outputs: np.ndarray) -> float:
    """Return the share of values that are exactly 0."""
    return float(np.mean(outputs == 0))


def root_mean_square(values: np.ndarray) -> float:
    """Return √(mean of squares), NaN of nothing."""
    return float(np.sqrt(np.mean(np.square(values, dtype="float64")))) if values.size else np.nan


def relative_change(before: np.ndarray, after: np.ndarray) -> float:
    """Return ‖after − before‖ / ‖before‖, NaN where `before` is 0."""
    before, after = np.asarray(before, "float64"), np.asarray(after, "float64")
    norm = float(np.linalg.norm(before))
    return float(np.linalg.norm(after - before)) / norm if norm else float("nan")
