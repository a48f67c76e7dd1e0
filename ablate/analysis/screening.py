"""What each site contributes, from a screening: main effects, lack of fit, the pick.

A table of scores (runs, seeds) and the runs' levels come in. The effect of a site is the mean
score of the runs in which it is on minus that of the runs in which it is off; seeds are blocks, so
that what a seed does to all runs alike costs no precision:

    effect_j = 2/N · Σ_i x_ij · ȳ_i,   Var = 4·s²/(N·n),   s² = run-by-seed mean square,

(N - 1)(n - 1) degrees of freedom. Lack of fit asks whether effects that simply add up explain the
runs; where they do not, interactions of sites are there, and an effect is an average over them.

A site that may help is picked: in a screening of two seeds, keeping only significant sites drops
real ones (regret 2.0 against 0.6 noise deviations in worlds with interactions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.paired import holm


@dataclass(frozen=True)
class SiteEffects:
    """Per factor, in the metric's unit; `better` is the effect turned so that more is better.

    `lack_of_fit` is the p of "effects simply add up", None where no run is left to tell (full
    designs of one factor, designs without spare runs). `curvature` compares the mean of all-on and
    all-off with the mean of all runs: sites that saturate show there.
    """

    effects: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    p_holm: np.ndarray
    sd: float  # of a single score about what its run and its seed explain
    degrees: int
    lack_of_fit: float | None
    curvature: float


def site_effects(runs: Sequence[Sequence[int]], scores: np.ndarray, confidence: float) -> (
    SiteEffects | None
):  # fmt: skip
    """Return the main effects of a screening.

    Args:
        runs: (N, k) levels -1 and +1; orthogonal columns, as `study.design` makes them.
        scores: (N, n) of every run with every seed; no gaps.
        confidence: of the intervals, per effect.

    Returns:
        None under two seeds, when nothing tells the effects from noise.
    """
    from scipy import special

    x, y = np.asarray(runs, float), np.asarray(scores, float)
    total, seeds = y.shape
    if seeds < 2 or total < 2:
        return None
    mean = y.mean()
    by_run = y.mean(axis=1)
    effects = 2 / total * x.T @ by_run
    degrees = (total - 1) * (seeds - 1)
    left = y - by_run[:, None] - y.mean(axis=0) + mean
    square = float((left**2).sum() / degrees)
    error = 2 * np.sqrt(square / (total * seeds))
    half = special.stdtrit(degrees, 0.5 + confidence / 2) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(degrees, -np.abs(effects) / error)
    p = np.where(np.isfinite(p), p, np.where(effects == 0, 1.0, np.nan))
    ends = np.all(x == 1, axis=1) | np.all(x == -1, axis=1)
    return SiteEffects(
        effects=effects,
        low=effects - half,
        high=effects + half,
        p=p,
        p_holm=holm(p),
        sd=float(np.sqrt(square)),
        degrees=degrees,
        lack_of_fit=_lack_of_fit(x, by_run, effects, square, seeds, degrees),
        curvature=float(by_run[ends].mean() - mean) if ends.any() else 0.0,
    )


def picked(effects: np.ndarray, direction: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the pick and its runner-up: which sites are on in each.

    The pick holds every site whose effect points the good way. The runner-up differs from it in
    the one site about which the screening says least: the smallest effect in size.
    """
    good = effects > 0 if direction == "max" else effects < 0
    other = good.copy()
    doubtful = int(np.argmin(np.abs(effects)))
    other[doubtful] = ~other[doubtful]
    return good, other


def half_width(runs: int, seeds: int, sd: float, confidence: float) -> float:
    """Return half the width that every effect's interval will have, before anything is trained.

    Args:
        runs, seeds: of the screening, at least two each.
        sd: of a score about what its run and its seed explain, from a pilot or an earlier study.
    """
    from scipy import special

    degrees = (runs - 1) * (seeds - 1)
    return float(special.stdtrit(degrees, 0.5 + confidence / 2) * 2 * sd / np.sqrt(runs * seeds))


def one_at_a_time(factors: int, runs: int, seeds: int) -> int:
    """Return the trainings that one-at-a-time needs for the same precision of every effect.

    A difference of two means of m seeds has variance 2·s²/m, an effect of the screening
    4·s²/(N·n): m = N·n/2, for each of the k + 1 networks.
    """
    return (factors + 1) * -(-runs * seeds // 2)


def _lack_of_fit(
    x: np.ndarray, by_run: np.ndarray, effects: np.ndarray, square: float, seeds: int, degrees: int
) -> float | None:
    from scipy import special

    total, factors = x.shape
    spare = total - 1 - factors
    if spare < 1 or square <= 0:
        return None
    unexplained = by_run - by_run.mean() - x @ effects / 2
    ratio = seeds * float((unexplained**2).sum()) / spare / square
    return float(special.fdtrc(spare, degrees, ratio))
