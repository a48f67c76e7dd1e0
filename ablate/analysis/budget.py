"""Compare searches fairly: the expected best of k draws, and the range of rates that work.

A variant that was searched harder looks better. `expected_best` says what k points would have
found, for every k, so that variants are compared at one budget. `tolerated` says how wide the
range of learning rates is within which a variant comes close to its own best, seed by seed, so
that "Batch Normalization allows higher learning rates" becomes a number with an interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.descriptive import ROUNDING
from ablate.analysis.effects import Direction, Effect
from ablate.analysis.formatting import DECADES
from ablate.analysis.paired import Family, compare_sides, specialize
from ablate.analysis.sentences import worded


def expected_best(
    values: Sequence[float] | np.ndarray,
    direction: Direction = "max",
    failed: float | None = None,
) -> np.ndarray:
    """Return the expected best of k of the N points, for k = 1 … N: the search's own curve.

    The mean, over all subsets of k of the N points, of their best; that is unbiased for k
    independent draws, where drawing with replacement is not. With x(1) ≤ … ≤ x(N):

        E_k = Σ_i  C(i - 1, k - 1) / C(N, k) · x(i)

    Args:
        values: (N,), one per point (over its seeds, their mean); NaN for a point that failed.
        direction: "max" or "min", which way is better.
        failed: what a failed point is worth; by default as much as the worst that did not fail.

    Returns:
        (N,): entry k - 1 belongs to k draws. Empty when every point failed and `failed` is None.

    >>> expected_best([0.7, 0.8, 0.9]).round(3).tolist()
    [0.8, 0.867, 0.9]

    Source: J. Dodge et al., Show your work, EMNLP 2019; the unbiased estimator is that of
    R. Tang et al., Showing your work doesn't always work, ACL 2020, equation 3.
    """
    sign = 1.0 if direction == "max" else -1.0
    points = sign * np.asarray(values, float)
    good = points[np.isfinite(points)]
    if failed is None and not good.size:
        return np.empty(0)
    worth = sign * failed if failed is not None else good.min()
    ordered = np.sort(np.where(np.isfinite(points), points, worth))[::-1]
    best = np.empty(ordered.size)
    for k in range(1, ordered.size + 1):
        best[k - 1] = _weights(ordered.size, k) @ ordered
    return sign * best


@dataclass(frozen=True)
class Tolerance:
    """The learning rates near a variant's best, seed by seed; NaN where nothing completed.

    Attributes:
        low, high: (seeds,), ends of the unbroken run of rates around the best one in which every
            point is within the tolerance of that best.
        decades: (seeds,), log10(high / low).
        best: (seeds,), the best metric of each seed.
    """

    low: np.ndarray
    high: np.ndarray
    decades: np.ndarray
    best: np.ndarray


def tolerated(
    rates: Sequence[float] | np.ndarray,
    values: np.ndarray | Sequence[Sequence[float]],
    *,
    tolerance: float,
    direction: Direction = "max",
) -> Tolerance:
    """Return the range of learning rates within `tolerance` of the best, per seed.

    Nothing is interpolated: the ends are rates that were tried, so a range can be 0 decades wide,
    and it cannot reach beyond what was searched. A failed point ends the run.

    Args:
        rates: (points,) positive learning rates, in any order.
        values: (seeds, points), the metric; NaN where the trial failed.
        tolerance: in the metric's unit (0.01: one point of accuracy), at least 0.
        direction: "max" or "min".

    >>> found = tolerated([0.01, 0.1, 1.0], [[0.95, 0.97, 0.965]], tolerance=0.01)
    >>> found.low.tolist(), found.high.tolist(), found.decades.tolist()
    ([0.1], [1.0], [1.0])

    Raises:
        ValueError: a rate is not positive, or the shapes do not fit.
    """
    rates = np.asarray(rates, float)
    values = np.atleast_2d(np.asarray(values, float))
    if np.any(~(rates > 0)):
        raise ValueError(f"Learning rates must be positive. Received: {rates.tolist()}")
    if values.shape[1] != rates.size:
        raise ValueError(f"Expected {rates.size} values per seed. Received: {values.shape}")
    order = np.argsort(rates, kind="stable")
    rates, values = rates[order], values[:, order]
    sign = 1.0 if direction == "max" else -1.0
    rows = [_run(rates, sign * row, tolerance) for row in values]
    low, high, best = np.asarray(rows, float).reshape(-1, 3).T
    return Tolerance(low, high, np.log10(high / low), sign * best)


def compare_tolerance(
    ranges: Mapping[str, Tolerance],
    baseline: str,
    *,
    seeds: Sequence[int],
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> list[Effect]:
    """Compare the widths in decades with the baseline's, paired by seed: wider is better.

    Args:
        ranges: each variant's range, by name, of the same seeds in the same order.
        baseline: one of those names.
        seeds: the seeds of the rows.
        confidence: of the intervals.
        rng: for the bootstrap, from 20 seeds.

    Returns:
        One effect per other variant, with its sentence.
    """
    names = [name for name in ranges if name != baseline]
    if not names:
        return []
    reference = ranges[baseline].decades[:, None]
    own = np.stack([ranges[name].decades for name in names], axis=1)
    family = Family("range of learning rates", len(names), seeds, DECADES, "max", confidence, rng)
    compared = compare_sides(own, reference, family)
    effects = (
        specialize(each, Effect, variant=name, baseline=baseline)
        for each, name in zip(compared, names, strict=True)
    )
    return [*worded(effects, confidence)]


def _weights(n: int, k: int) -> np.ndarray:
    """Return, for points from best to worst, the share of k-subsets whose best they are."""
    # Of the subsets without the i best, k / (n - i) have the next one.
    weights = np.zeros(n)
    left = 1.0
    for i in range(n - k + 1):
        weights[i] = left * k / (n - i)
        left -= weights[i]
    return weights


def _run(rates: np.ndarray, row: np.ndarray, tolerance: float) -> tuple[float, float, float]:
    if not np.isfinite(row).any():
        return np.nan, np.nan, np.nan
    at = int(np.nanargmax(row))
    # A hair of slack: 0.97 - 0.96 is a little more than 0.01 in single precision.
    slack = ROUNDING * abs(row[at])
    near = np.nan_to_num(row, nan=-np.inf) >= row[at] - tolerance - slack
    first = last = at
    while first > 0 and near[first - 1]:
        first -= 1
    while last < rates.size - 1 and near[last + 1]:
        last += 1
    return float(rates[first]), float(rates[last]), float(row[at])
