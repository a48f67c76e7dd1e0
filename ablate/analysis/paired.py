"""Paired comparisons: per-seed differences in, all that may be said of them out.

Pairs are the seeds that completed on both sides. The paired t interval is the headline at every n
from three, and its p alone enters Holm; everything else in a `Comparison` stands beside it, each
from the number of seeds that allows it. Arrays: rows seeds, columns comparisons, NaN no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from ablate.analysis import power, resampling
from ablate.analysis.descriptive import MINIMUM_SEEDS, Moments, by_seed, moments, number, snapped
from ablate.analysis.effects import Comparison, Direction, Verdict

Kind = TypeVar("Kind", bound=Comparison)


@dataclass(frozen=True)
class Family:
    """The tests that Holm takes together: what they are called, and how many were declared."""

    name: str
    size: int


def compare(
    differences: np.ndarray,
    *,
    seeds: Sequence[int],
    metric: str,
    direction: Direction,
    confidence: float,
    family: Family,
    rng: np.random.Generator,
    noise: np.ndarray | float = 0.0,
    correlations: np.ndarray | None = None,
) -> list[Comparison]:
    """Compare: one `Comparison` per column of differences.

    Args:
        differences: (seeds, comparisons), variant minus baseline, NaN where there is no pair.
        seeds: the rows' seeds.
        metric: what was measured.
        direction: "max" or "min", which way is better.
        confidence: of every interval, per comparison; α = 1 - confidence for tests.
        family: the family that Holm corrects over. Comparisons that have too few pairs to be
            tested count as tests that did not reject, so that p_holm of a study that is still
            running does not depend on what has come so far being all.
        rng: for the bootstrap.
        noise: what of each difference may be rounding alone, (seeds, comparisons) or what
            broadcasts to it (`descriptive.rounding`): smaller differences and means are taken as
            0, a smaller spread as none.
        correlations: (comparisons,), between the two sides.

    Returns:
        The comparisons, in the order of the columns.
    """
    alpha = 1 - confidence
    differences = snapped(differences, noise)
    stats = moments(differences, confidence, noise)
    p = t_test(stats)
    adjusted = holm(p, family.size)
    checks: list[dict[str, Any]] = _checks(differences, direction, confidence, family, rng, noise)
    found = []
    for column in range(differences.shape[1]):
        n, mean, sd = int(stats.n[column]), number(stats.mean[column]), number(stats.sd[column])
        tested = bool(np.isfinite(p[column]))
        inferring = n >= MINIMUM_SEEDS and sd is not None and sd > 0 and mean is not None
        d = mean / sd if inferring and mean is not None and sd else None
        smallest = power.detectable(n, alpha)
        found.append(
            Comparison(
                metric=metric,
                direction=direction,
                n=n,
                differences=by_seed(differences[:, column], seeds),
                mean=mean,
                sd=sd,
                low=number(stats.low[column]),
                high=number(stats.high[column]),
                p=number(p[column]),
                p_holm=number(adjusted[column]) if tested else None,
                family=family.name,
                family_size=family.size,
                verdict=verdict(n, mean, number(adjusted[column]), alpha, direction),
                cohens_d=d,
                correlation=None if correlations is None else number(correlations[column]),
                detectable=smallest * sd if inferring and smallest and sd else None,
                detectable_d=smallest,
                seeds_needed=power.seeds_needed(d, alpha),
                **checks[column],
            )
        )
    return found


def t_test(stats: Moments) -> np.ndarray:
    """Return the two-sided p of a zero mean for each column, from three seeds on.

    p = 2·P(T > |mean| / (sd/√n)), T with n - 1 degrees of freedom. Without spread there is no
    test: differences that are all 0 have p = 1, others that are all equal have none, as equal
    accuracies on few rows are a matter of rounding.
    """
    from scipy import special

    allowed = stats.n >= MINIMUM_SEEDS
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.abs(stats.mean) / (stats.sd / np.sqrt(stats.n))
        p = 2 * special.stdtr(np.maximum(stats.n - 1, 1), -t)
    constant = allowed & (stats.sd == 0)
    p = np.where(constant, np.where(stats.mean == 0, 1.0, np.nan), p)
    return np.where(allowed, p, np.nan)


def holm(p: np.ndarray, size: int | None = None) -> np.ndarray:
    """Return Holm's adjusted p values; NaN stays NaN.

    With p sorted ascending, p_holm(i) = max over j ≤ i of min(1, (m - j + 1) · p(j)).

    Args:
        p: (tests,), NaN for a test that could not be made; it counts as one that did not reject.
        size: m, the tests declared; at least those in `p`.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    size = max(size or 0, len(p))
    order = np.argsort(np.where(np.isnan(p), np.inf, p), kind="stable")
    steps = np.minimum(1.0, (size - np.arange(len(p))) * p[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.fmax.accumulate(steps) if len(p) else steps
    return np.where(np.isnan(p), np.nan, adjusted)


def verdict(
    n: int, mean: float | None, p_holm: float | None, alpha: float, direction: Direction
) -> Verdict:
    """Return what may be said: see `findings.Verdict`."""
    if n == 0 or mean is None:
        return "missing"
    if n < MINIMUM_SEEDS:
        return "described"
    if p_holm is None or p_holm > alpha or mean == 0:
        return "undecided"
    return "better" if (mean > 0) == (direction == "max") else "worse"


def correlate(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return each column's Pearson correlation over the pairs, NaN under three or no spread.

    Args:
        left: (seeds, columns) or (seeds, 1), NaN for missing.
        right: (seeds, columns).
    """
    left, right = np.broadcast_arrays(left, right)
    both = np.isfinite(left) & np.isfinite(right)
    a = moments(np.where(both, left, np.nan))
    b = moments(np.where(both, right, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        products = np.where(both, (left - a.mean) * (right - b.mean), 0.0).sum(axis=0)
        found = products / (a.n - 1) / (a.sd * b.sd)
    usable = (a.n >= MINIMUM_SEEDS) & (a.sd > 0) & (b.sd > 0)
    return np.where(usable, np.clip(found, -1, 1), np.nan)


def specialize(comparison: Comparison, kind: type[Kind], **more: Any) -> Kind:
    """Return `comparison` as its subclass `kind`, with the fields that it adds."""
    own = {each.name: getattr(comparison, each.name) for each in fields(Comparison)}
    return kind(**(own | more))


def _checks(
    differences: np.ndarray,
    direction: Direction,
    confidence: float,
    family: Family,
    rng: np.random.Generator,
    noise: np.ndarray | float,
) -> list[dict[str, Any]]:
    """Return the sensitivity checks that each column's n allows."""
    found: list[dict[str, Any]] = [{} for _ in range(differences.shape[1])]
    present = np.isfinite(differences)
    blur = np.where(present, noise, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    by_count: dict[int, list[int]] = {}
    for column in range(differences.shape[1]):
        sample = _present(differences, column)
        if len(sample) < MINIMUM_SEEDS:
            continue
        by_count.setdefault(len(sample), []).append(column)
    for n, columns in sorted(by_count.items()):
        samples = np.stack([_present(differences, column) for column in columns], axis=1)
        if resampling.sign_flip_allowed(n, family.size, 1 - confidence):
            flips = resampling.sign_flip(samples, rng, blur[columns])
            for index, column in enumerate(columns):
                found[column]["sign_flip_p"] = float(flips[index])
        if n < resampling.BOOTSTRAP_SEEDS:
            continue
        low, high = resampling.bca(samples, confidence, rng, blur[columns])
        for index, column in enumerate(columns):
            share, below, above = resampling.improvement(samples[:, index], direction, confidence)
            found[column] |= {
                "improvement": share,
                "improvement_low": below,
                "improvement_high": above,
            }
            if np.isfinite(low[index]):
                found[column] |= {"bca_low": float(low[index]), "bca_high": float(high[index])}
    return found


def _present(differences: np.ndarray, column: int) -> np.ndarray:
    sample = differences[:, column]
    return sample[np.isfinite(sample)]
