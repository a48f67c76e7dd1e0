"""What each site contributes, from a screening: main effects, lack of fit, the pick.

A table of scores (runs, seeds) and the runs' levels come in. The effect of a site is the mean
score of the runs in which it is on minus that of the runs in which it is off; seeds are blocks, so
that what a seed does to all runs alike costs no precision. With every score there

    effect_j = 2/N · Σ_i x_ij · ȳ_i,   Var = 4·s²/(N·n),   s² = run-by-seed mean square,

with (N - 1)(n - 1) degrees of freedom. Where scores are missing the same comes from least squares
on those that are there. Lack of fit asks whether effects that simply add up explain the runs; where
they do not, interactions of sites are there, and an effect is an average over them.

A site that may help is picked: in a screening of two seeds, keeping only significant sites drops
real ones (regret 2.0 against 0.6 noise deviations in worlds with interactions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ablate.analysis.paired import holm
from ablate.analysis.result_table import collect, headline
from ablate.analysis.site_interactions import Interaction, interactions
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.screen_design import POSITION, Design
from ablate.study.trial import TrialResult

#: Below this p, effects that simply add up do not explain the runs.
_LACKING = 0.05


@dataclass(frozen=True)
class SiteEffects:
    """Per factor, in the metric's unit: the change when the site is on.

    `lack_of_fit` is the p of "effects simply add up", None where no run is left to tell (full
    designs of one factor, designs without spare runs). `curvature` compares the mean of all-on and
    all-off with the mean of all runs: sites that saturate show there; `curvature_half` is half the
    width of its interval.
    """

    effects: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    p_holm: np.ndarray
    sd: float  # of a single score about what its run and its seed explain
    degrees: int
    lack_of_fit: float | None
    curvature: float | None
    curvature_half: float


def site_effects(
    runs: Sequence[Sequence[float]] | np.ndarray, scores: np.ndarray, confidence: float
) -> SiteEffects | None:
    """Return the main effects of a screening.

    Args:
        runs: (N, k) levels -1 and +1, as `study.design` makes them; 0 where a factor means nothing.
        scores: (N, n) of every run with every seed; NaN where there is none.
        confidence: of the intervals, per effect.

    Returns:
        None under two seeds, when nothing tells the effects from noise, and where too few scores
        are there to tell the effects from each other.
    """
    from scipy import special

    x, y = np.asarray(runs, float), np.asarray(scores, float)
    there = np.isfinite(y)
    own, blocks = np.nonzero(there)
    seeds = there.any(axis=0)
    if seeds.sum() < 2:
        return None
    values = y[there]
    block = (blocks[:, None] == np.flatnonzero(seeds)).astype(float)
    trained = np.flatnonzero(there.any(axis=1))
    # What a run and its seed explain together leaves pure error behind.
    saturated = np.column_stack([own[:, None] == trained, block[:, 1:]]).astype(float)
    means, error, rank = _fit(saturated, values)
    degrees = len(values) - rank
    additive = np.column_stack([block, x[own] / 2])
    found, unexplained, additive_rank = _fit(additive, values)
    if degrees < 1 or additive_rank < additive.shape[1]:
        return None
    rounding = 1e-12 * float(np.abs(values).max(initial=0))
    square = error / degrees if error / degrees > rounding**2 else 0.0
    effects = found[block.shape[1] :]
    effects = np.where(np.abs(effects) > rounding, effects, 0.0)
    spread = np.linalg.inv(additive.T @ additive).diagonal()[block.shape[1] :]
    deviation = np.sqrt(square * spread)
    half = special.stdtrit(degrees, 0.5 + confidence / 2) * deviation
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.stdtr(degrees, -np.abs(effects) / deviation)
    p = np.where(np.isfinite(p), p, np.where(effects == 0, 1.0, np.nan))
    spare = rank - additive_rank
    lack = None
    if spare > 0 and square > 0:
        ratio = max(unexplained - error, 0.0) / spare / square
        lack = float(special.fdtrc(spare, degrees, ratio))
    by_run = means[: len(trained)]
    ends = np.all(x[trained] >= 0, axis=1) | np.all(x[trained] <= 0, axis=1)
    contrast = np.zeros(saturated.shape[1])
    contrast[: len(trained)] = ends / max(ends.sum(), 1) - 1 / len(trained)
    variance = square * contrast @ np.linalg.pinv(saturated.T @ saturated) @ contrast
    return SiteEffects(
        effects=effects,
        low=effects - half,
        high=effects + half,
        p=p,
        p_holm=holm(p),
        sd=float(np.sqrt(square)),
        degrees=int(degrees),
        lack_of_fit=lack,
        curvature=float(by_run[ends].mean() - by_run.mean()) if ends.sum() == 2 else None,
        curvature_half=float(special.stdtrit(degrees, 0.5 + confidence / 2) * np.sqrt(variance)),
    )


def _fit(design: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Return least squares' coefficients, its residual sum of squares and the rank."""
    found, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    return found, float(((values - design @ found) ** 2).sum()), int(rank)


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


@dataclass(frozen=True)
class Factor:
    """A factor of a screening: its effect on the metric with its interval, and what it costs.

    `effect` is None where it could not be told. `parameters` and `inference` (seconds for 1000
    examples) are what the site adds on average, `inference_half` half the width of that one's
    interval; `lost` are the trainings without a score among those with the site on, and off.
    """

    name: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_holm: float | None = None
    parameters: float | None = None
    inference: float | None = None
    inference_half: float | None = None
    lost: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Screening:
    """What a screening found on validation rows: for choosing, not for reporting.

    `picked` and `runner_up` say which sites are on; `position` which of the compared positions is
    picked. `ends` are the means of the runs with every site and with none. `reason` says why there
    are no effects, where there are none.
    """

    metric: str
    direction: str
    confidence: float
    factors: tuple[Factor, ...]
    runs: int
    seeds: tuple[int, ...]
    trials: Mapping[str, int] = field(default_factory=dict)  # planned, completed, lost
    sd: float | None = None
    degrees: int = 0
    lack_of_fit: float | None = None
    interactions: tuple[Interaction, ...] = ()
    curvature: float | None = None
    curvature_half: float | None = None
    ends: tuple[float | None, float | None] = (None, None)
    picked: tuple[bool, ...] | None = None
    runner_up: tuple[bool, ...] | None = None
    position: int = 0
    reason: str = ""

    @property
    def sites(self) -> tuple[Factor, ...]:
        """The factors that are sites."""
        return tuple(each for each in self.factors if each.name != POSITION)

    @property
    def interacts(self) -> bool:
        """Whether effects that simply add up do not explain the runs."""
        return self.lack_of_fit is not None and self.lack_of_fit < _LACKING

    def to_json(self) -> dict[str, Any]:
        """Return the screening as a JSON document."""
        return asdict(self)


def screen(
    design: Design,
    resolved: Sequence[ResolvedVariant],
    results: Sequence[TrialResult],
    settings: Settings,
    planned: int,
) -> Screening:
    """Return what the runs of a design say about each of its factors.

    Args:
        design: the factors and runs.
        resolved: the variant of each run, in order.
        results: the trials of the runs; those that are missing count as not there.
        settings: the study's `analysis` section. The metric is taken on validation rows.
        planned: trials planned.

    Raises:
        StudyError: no trial reports the metric on validation rows, or its direction is not known.
    """
    table = collect(results, resolved)
    names = [name for name in table.metrics if name.startswith("val_")]
    wish = settings.metric.removeprefix("test_").removeprefix("val_")
    metric, direction = headline(names, wish, settings.direction, table.declared)
    metric = metric if metric.startswith("val_") else f"val_{metric.removeprefix('test_')}"
    seeds = table.seeds
    scores = table.values(metric).T if names else np.full((len(resolved), len(seeds)), np.nan)
    scores = np.array(scores)
    x, twins = _levels(design)
    scores[twins] = np.nan
    found = site_effects(x, scores, settings.confidence) if len(seeds) > 1 else None
    ended = [each for each in results if each.final or each.status == "failed"]
    lost = [each for each in ended if each.metrics.get(metric) is None]
    counts = {"planned": planned, "completed": len(ended) - len(lost), "lost": len(lost)}
    row = {variant.name: index for index, variant in enumerate(resolved)}
    factors = []
    for index, name in enumerate(design.factors):
        on = [design.runs[row[each.variant]][index] > 0 for each in lost]
        factors.append(Factor(name, lost=(sum(on), len(on) - sum(on))))
    blank = Screening(
        metric, direction, settings.confidence, tuple(factors), len(design.runs), seeds, counts
    )
    if found is None:
        why = "too few trainings have a score to tell the sites' effects from each other"
        return replace(blank, reason=why)
    counts_by_run = {each.variant: each.parameters for each in results}
    parameters = [counts_by_run.get(each.name) for each in resolved]
    added = (
        [None] * len(factors)
        if None in parameters
        else (2 / len(parameters) * np.asarray(design.runs).T @ np.array(parameters)).tolist()
    )
    times = np.full(scores.shape, np.nan)
    for each in results:
        if each.inference:
            times[row[each.variant], seeds.index(each.seed)] = min(each.inference)
    times[twins] = np.nan
    inference = site_effects(x, times, settings.confidence)
    turned = found.effects if direction == "max" else -found.effects
    count = len(design.sites)
    good, other = picked(turned[:count], "max")
    with np.errstate(invalid="ignore"):
        ends = [float(np.nanmean(scores[at])) if np.isfinite(scores[at]).any() else None
                for at in (0, -1)]  # fmt: skip
    return replace(
        blank,
        factors=tuple(
            replace(
                each,
                effect=float(found.effects[i]),
                low=float(found.low[i]),
                high=float(found.high[i]),
                p_holm=float(found.p_holm[i]),
                parameters=added[i],
                inference=None if inference is None else float(inference.effects[i]),
                inference_half=None
                if inference is None
                else float(inference.high[i] - inference.effects[i]),
            )
            for i, each in enumerate(factors)
        ),
        sd=found.sd,
        degrees=found.degrees,
        lack_of_fit=found.lack_of_fit,
        curvature=found.curvature,
        curvature_half=found.curvature_half,
        ends=(ends[0], ends[1]),
        picked=tuple(bool(each) for each in good),
        runner_up=tuple(bool(each) for each in other),
        position=int(len(turned) > count and turned[count] < 0),
        interactions=_interactions(design, x, scores, found),
    )


def _levels(design: Design) -> tuple[np.ndarray, list[int]]:
    """Return the runs' levels, and the runs that are the last one again.

    Where positions are compared, a network without any layer has none: in the small designs that
    hold it twice it counts once, and for neither position.
    """
    x, count = np.asarray(design.runs, float), len(design.sites)
    bare = np.flatnonzero((x[:, :count] < 0).all(axis=1))
    if len(bare) > 1:
        x[bare, count:] = 0.0
    return x, bare[:-1].tolist()


def _interactions(
    design: Design, x: np.ndarray, scores: np.ndarray, found: SiteEffects
) -> tuple[Interaction, ...]:
    trained = np.isfinite(scores).any(axis=1)
    there = scores[trained]
    lacking = found.lack_of_fit is not None and found.lack_of_fit < _LACKING
    if not lacking or not np.isfinite(there).all():
        return ()
    error = found.sd / np.sqrt(there.shape[1])
    return interactions(design.factors, x[trained], there.mean(axis=1), error, found.degrees)
