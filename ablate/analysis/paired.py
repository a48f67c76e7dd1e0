"""Paired comparisons of per-seed differences.

Pairs are the seeds that completed on both sides. The paired t interval is the headline at every n
from three, and its p alone enters Holm; everything else in a `Comparison` supplements it, each
from the number of seeds that allows it. Arrays: rows seeds, columns comparisons, NaN no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ablate.analysis import power, resampling
from ablate.analysis.descriptive import (
    MINIMUM_SEEDS,
    Moments,
    by_seed,
    moments,
    number,
    rounding,
    snapped,
)
from ablate.analysis.effects import Comparison, Direction, Verdict

Kind = TypeVar("Kind", bound=Comparison)


@dataclass(frozen=True)
class Family:
    """Comparisons that are made alike, and that Holm takes together.

    Attributes:
        name: what they are called.
        size: how many were declared. Comparisons that have too few pairs to be tested count as
            tests that did not reject, so that p_holm of a study that is still running does not
            depend on what has come so far being all.
        seeds: of the rows.
        metric: what was measured.
        direction: "max" or "min", which way is better.
        confidence: of every interval, per comparison; α = 1 - confidence for tests.
        rng: for the bootstrap.
    """

    name: str
    size: int
    seeds: Sequence[int]
    metric: str
    direction: Direction
    confidence: float
    rng: np.random.Generator

    @property
    def alpha(self) -> float:
        """The level of the tests."""
        return 1 - self.confidence


def compare_sides(own: np.ndarray, base: np.ndarray, family: Family) -> list[Comparison]:
    """Compare (seeds, comparisons) with what each is held against, (seeds, comparisons or 1)."""
    return compare(own - base, family, rounding(base, own), correlate(base, own))


def compare(
    differences: np.ndarray,
    family: Family,
    noise: np.ndarray | float = 0.0,
    correlations: np.ndarray | None = None,
) -> list[Comparison]:
    """Compare: one `Comparison` per column of differences.

    Args:
        differences: (seeds, comparisons), variant minus baseline, NaN where there is no pair.
        family: what they have in common.
        noise: what of each difference may be rounding alone, (seeds, comparisons) or what
            broadcasts to it (`descriptive.rounding`): smaller differences and means are taken as
            0, a smaller spread as none.
        correlations: (comparisons,), between the two sides.

    Returns:
        The comparisons, in the order of the columns.
    """
    differences = snapped(differences, noise)
    stats = moments(differences, family.confidence, noise)
    p = t_test(stats)
    measured = {
        "mean": stats.mean,
        "sd": stats.sd,
        "low": stats.low,
        "high": stats.high,
        "p": p,
        "p_holm": holm(p, family.size),
        "correlation": np.full(p.shape, np.nan) if correlations is None else correlations,
        **_checks(differences, family, noise),
    }
    found = []
    for column, n in enumerate(stats.n.tolist()):
        own: dict[str, Any] = {name: number(each[column]) for name, each in measured.items()}
        mean, sd = own["mean"], own["sd"]
        d = mean / sd if n >= MINIMUM_SEEDS and sd and mean is not None else None
        smallest = power.detectable(n, family.alpha)
        found.append(
            Comparison(
                metric=family.metric,
                direction=family.direction,
                n=n,
                differences=by_seed(differences[:, column], family.seeds),
                family=family.name,
                family_size=family.size,
                verdict=verdict(n, mean, own["p_holm"], family.alpha, family.direction),
                cohens_d=d,
                detectable=smallest * sd if smallest and sd else None,
                detectable_d=smallest,
                seeds_needed=power.seeds_needed(d, family.alpha),
                **own,
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
    """Return what may be said: see `effects.Verdict`."""
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
    return kind(**(vars(comparison) | more))


def _checks(
    differences: np.ndarray, family: Family, noise: np.ndarray | float
) -> dict[str, np.ndarray]:
    """Return the sensitivity checks by name, (comparisons,): NaN where n does not allow one."""
    names = ("sign_flip_p", "bca_low", "bca_high")
    shares = ("improvement", "improvement_low", "improvement_high")
    found = {name: np.full(differences.shape[1], np.nan) for name in (*names, *shares)}
    present = np.isfinite(differences)
    counts = present.sum(axis=0)
    blur = np.where(present, noise, 0.0).sum(axis=0) / np.maximum(counts, 1)
    for n in np.unique(counts[counts >= MINIMUM_SEEDS]).tolist():
        columns = np.flatnonzero(counts == n)
        samples = np.stack([differences[present[:, each], each] for each in columns], axis=1)
        if resampling.sign_flip_allowed(n, family.size, family.alpha):
            found["sign_flip_p"][columns] = resampling.sign_flip(samples, family.rng, blur[columns])
        if n >= resampling.BOOTSTRAP_SEEDS:
            found["bca_low"][columns], found["bca_high"][columns] = resampling.bca(
                samples, family.confidence, family.rng, blur[columns]
            )
            improved = [
                resampling.improvement(each, family.direction, family.confidence)
                for each in samples.T
            ]
            for name, values in zip(shares, np.transpose(improved), strict=True):
                found[name][columns] = values
    return found
