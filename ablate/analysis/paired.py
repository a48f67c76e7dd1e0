"""Paired comparisons of per-seed differences.

Pairs are the seeds that completed on both sides. The interval of the family's kind (`intervals`) is
the headline at every n from three, and its p alone enters the correction for several comparisons;
everything else in a `Comparison` supplements it, each from the number of seeds that allows it.
Arrays: rows seeds, columns comparisons, NaN no pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ablate.analysis import power, resampling
from ablate.analysis.descriptive import (
    MINIMUM_SEEDS,
    by_seed,
    moments,
    number,
    rounding,
    snapped,
)
from ablate.analysis.effects import Comparison, Direction, Verdict
from ablate.analysis.equivalence import adjust
from ablate.analysis.intervals import FIXED, Interval

Kind = TypeVar("Kind", bound=Comparison)


@dataclass(frozen=True)
class Family:
    """Comparisons that are made alike, and that are corrected together.

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
        interval: how intervals and tests are made.
        margin: differences nearer to zero do not matter, in the metric's unit; None: not said.
        order: seeds in the order in which they were first looked at; all others come after them.
    """

    name: str
    size: int
    seeds: Sequence[int]
    metric: str
    direction: Direction
    confidence: float
    rng: np.random.Generator
    interval: Interval = FIXED
    margin: float | None = None
    order: tuple[int, ...] = ()

    @property
    def alpha(self) -> float:
        """The level of the tests."""
        return 1 - self.confidence

    @property
    def added(self) -> list[int]:
        """The rows in the order in which their seeds were added."""
        place = {seed: at for at, seed in enumerate(self.order)}
        return sorted(
            range(len(self.seeds)), key=lambda row: place.get(self.seeds[row], len(place))
        )

    @property
    def level(self) -> float:
        """The level at which each comparison is sure to be decided, whatever the others show."""
        return self.alpha / max(self.size, 1)


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
    interval, none = family.interval, np.full(stats.n.shape, np.nan)
    low, high = interval.ends(stats, family.alpha)
    added = differences[family.added]
    p = interval.p_difference(added, stats)
    if family.margin is None:
        corrected, equivalence = holm(p, family.size), none
    else:
        equivalence = interval.p_equivalence(added, stats, family.margin)
        corrected, equivalence = adjust(p, equivalence, family.size)
    measured = {
        "mean": stats.mean,
        "sd": stats.sd,
        "low": low,
        "high": high,
        "p": p,
        "p_holm": corrected,
        "p_equivalence": equivalence,
        "correlation": none if correlations is None else correlations,
        **_checks(differences, family, noise),
    }
    found = []
    for column, n in enumerate(stats.n.tolist()):
        own: dict[str, Any] = {name: number(each[column]) for name, each in measured.items()}
        found.append(
            Comparison(
                metric=family.metric,
                direction=family.direction,
                n=n,
                differences=by_seed(differences[:, column], family.seeds),
                interval=interval.kind,
                margin=family.margin,
                family=family.name,
                family_size=family.size,
                verdict=verdict(n, own["mean"], own["p_holm"], own["p_equivalence"], family),
                **own,
                **_planning(n, own["mean"], own["sd"], family),
            )
        )
    return found


def _planning(n: int, mean: float | None, sd: float | None, family: Family) -> dict[str, Any]:
    """Return what these seeds could find, and how many would do: fields of `Comparison`."""
    smallest = power.detectable(n, family.level, interval=family.interval)
    found: dict[str, Any] = {"detectable_d": smallest}
    if n < MINIMUM_SEEDS or not sd or mean is None:
        return found
    d, rule = mean / sd, family.interval
    found["cohens_d"] = d
    if smallest is not None:
        factors = power.spread_interval(n, family.confidence)
        ends = [smallest * sd * each for each in (1.0, *factors)]
        found["detectable"], found["detectable_low"], found["detectable_high"] = ends
    least, most = power.effect_size_interval(n, d, family.confidence, rule)
    for name, size in (("", d), ("_low", most), ("_high", least)):
        found[f"seeds_needed{name}"] = power.seeds_needed(size, family.level, interval=rule)
    shown = power.margin_shown(n, family.level, power.POWER, rule)
    found["margin_shown"] = None if shown is None else shown * sd
    if family.margin is not None:
        found["equivalence_seeds"] = power.seeds_for_equivalence(
            sd, family.margin, family.level, power.POWER, rule
        )
    return found


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
    n: int, mean: float | None, p: float | None, p_equivalence: float | None, family: Family
) -> Verdict:
    """Return what may be said of p values that are corrected: see `effects.Verdict`."""
    if n == 0 or mean is None:
        return "missing"
    if n < MINIMUM_SEEDS:
        return "described"
    if p_equivalence is not None and p_equivalence <= family.alpha:
        return "equivalent"
    if p is None or p > family.alpha or mean == 0:
        return "inconclusive"
    return "better" if (mean > 0) == (family.direction == "max") else "worse"


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
    if family.interval != FIXED:
        return found  # They take the seeds for independent, and their number for fixed.
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
