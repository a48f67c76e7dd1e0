"""Where the spread of a score comes from: initialization, batch order, masks, the split.

N base trials have every source of chance drawn anew; beside each stand trials that differ from it
in one source alone (a radial design). For source j,

    T_j = Σ (y_i - y_i^(j))² / (2·N)

is the variance that would be lost if the source were fixed, interactions with the others included;
N·T_j/χ²(N) gives its interval. The parts need not add up to the whole: an interaction counts in
each of its sources. Rankings of sources from eight trials are weak.

With `data.split: fixed` all base trials have one split, so that it is no part of their spread. Then
the variance of the differences y_i^(split) - y_i around their mean is what other rows would add; an
interaction of the rows with the rest counts twice in it.

Source: Jansen 1999; Bouthillier et al., *Accounting for variance in machine learning benchmarks*,
2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ablate.analysis.analysis import Analysis
from ablate.analysis.descriptive import MINIMUM_SEEDS, close
from ablate.analysis.power import seeds_needed
from ablate.study.ledger import PREFIX, SOURCES, absent, baseline_of
from ablate.study.metrics import is_share
from ablate.study.results import StudyResults
from ablate.study.trial import TrialResult


@dataclass(frozen=True)
class Part:
    """A variance with its interval, in the metric's unit squared, and what it rests on."""

    variance: float
    low: float
    high: float
    degrees: int

    @property
    def deviation(self) -> tuple[float, float, float]:
        """The standard deviation with its interval, in the metric's unit."""
        return self.variance**0.5, self.low**0.5, self.high**0.5


@dataclass(frozen=True)
class Source:
    """A source of chance: what it accounts for, and what it asks for.

    `part` is None where trials are missing, or where drawing it anew changed nothing in any of `n`
    trials (`idle`). `beyond`: it is no part of the study's spread, and would come on top of it.
    `seeds` are what a difference of the ledger's `target` between two variants without pairing
    asks for, were this the only source: 80 % power at the study's level.
    """

    name: str
    n: int
    part: Part | None = None
    idle: bool = False
    beyond: bool = False
    seeds: int | None = None


@dataclass(frozen=True)
class Pairing:
    """What pairing by seed is worth to one comparison: unpaired seeds for one pair of trials."""

    variant: str
    unpaired: float  # standard deviation of a difference of two trials of different seeds
    paired: float

    @property
    def worth(self) -> float:
        """(sd unpaired / sd paired)²."""
        return (self.unpaired / self.paired) ** 2 if self.paired else float("inf")


@dataclass(frozen=True)
class Ledger:
    """Where the spread of the baseline's score comes from.

    `total` is the spread of the base trials; `absent` the sources that there are not, with the
    reason; `reruns` how many unchanged re-runs there were, and `largest` how far the farthest was
    from its base trial.
    """

    metric: str
    variant: str
    confidence: float
    target: float
    base: int
    total: Part | None
    sources: tuple[Source, ...]
    absent: Mapping[str, str]
    reruns: int
    largest: float | None
    pairing: tuple[Pairing, ...]
    missing: int  # trials without a score: to come, or lost
    seeds: int | None = None  # asked for by the whole spread, unpaired


def find_ledger(results: StudyResults, analysis: Analysis) -> Ledger | None:
    """Return the ledger of a study, None where it asks for none.

    Args:
        results: with the records of the ledger's trials.
        analysis: of the study, which says the metric, the level and what pairing did.
    """
    study = results.study
    if study.ledger is None or not results.resolved:
        return None
    baseline = baseline_of(study, results.resolved)
    planned = {name: count for name, count in results.planned.items() if name.startswith(PREFIX)}
    scores = {name: _scores(results.results, name, analysis.metric) for name in planned}
    base = scores.get(f"{PREFIX}base", {})
    gone = dict(absent(baseline.spec))
    values = np.array(list(base.values()))
    if all(close(values[0], each) for each in values):  # a variance of rounding is none
        values = np.zeros(len(values))
    whole = total(values, analysis.confidence)
    target = study.analysis.margin or (0.01 if is_share(analysis.metric) else None)
    if target is None:
        target = whole.variance**0.5 if whole is not None else float("nan")

    def asked(part: Part | None) -> int | None:
        if part is None or not part.variance > 0:
            return None
        return seeds_needed(target / (2 * part.variance) ** 0.5, 1 - analysis.confidence)

    sources = []
    for name in SOURCES:
        if name in gone:
            continue
        own = scores.get(PREFIX + name, {})
        seeds = [seed for seed in own if seed in base]
        pairs = np.array([[base[seed], own[seed]] for seed in seeds]).reshape(-1, 2)
        if name == "split" and seeds and not _drawn(results.results):
            gone[name] = "the data bring all of their parts"
            continue
        idle = bool(seeds) and all(close(*pair) for pair in pairs)
        beyond = name == "split" and not baseline.spec.data.redrawn
        part = None
        if not idle:
            part = (spread_of if beyond else part_of)(pairs[:, 0], pairs[:, 1], analysis.confidence)
        sources.append(Source(name, len(seeds), part, idle, beyond, asked(part)))
    again = scores.get(f"{PREFIX}rerun", {})
    apart = [abs(again[seed] - base[seed]) for seed in again if seed in base]
    return Ledger(
        metric=analysis.metric,
        variant=baseline.name,
        confidence=analysis.confidence,
        target=target,
        base=len(base),
        total=whole,
        sources=tuple(sources),
        absent=gone,
        reruns=len(apart),
        largest=max(apart, default=None),
        pairing=tuple(_pairings(analysis)),
        missing=sum(planned.values()) - sum(map(len, scores.values())),
        seeds=asked(whole),
    )


def _scores(results: Iterable[TrialResult], variant: str, metric: str) -> dict[int, float]:
    found = {
        each.seed: each.metrics.get(metric)
        for each in results
        if each.variant == variant and each.status == "completed"
    }
    return {seed: value for seed, value in found.items() if value is not None}


def _drawn(results: Iterable[TrialResult]) -> bool:
    """Whether trials whose split was drawn anew had other rows."""
    own = [each for each in results if each.variant == f"{PREFIX}split"]
    return any(each.drawn is None or each.drawn for each in own)


def _pairings(analysis: Analysis) -> Iterable[Pairing]:
    for effect in analysis.effects:
        if effect.metric != analysis.metric or effect.sd is None or effect.n < MINIMUM_SEEDS:
            continue
        own, base = (
            analysis.variant(name).metrics[analysis.metric].sd
            for name in (effect.variant, effect.baseline)
        )
        if own is not None and base is not None:
            yield Pairing(effect.variant, (own**2 + base**2) ** 0.5, effect.sd)


def total(base: np.ndarray, confidence: float) -> Part | None:
    """Return the variance of the base trials, every source drawn anew.

    Args:
        base: (N,) scores; NaN for a trial that was lost.
        confidence: of the interval, right for normal scores.
    """
    kept = base[np.isfinite(base)]
    if len(kept) < MINIMUM_SEEDS:
        return None
    return _part(float(kept.var(ddof=1)), len(kept) - 1, confidence)


def part_of(base: np.ndarray, redrawn: np.ndarray, confidence: float) -> Part | None:
    """Return the variance that one source accounts for, interactions included.

    Args:
        base: (N,) scores of the base trials.
        redrawn: (N,) scores with this source alone drawn anew; NaN where one was lost.
        confidence: of the interval.
    """
    moved = base - redrawn
    moved = moved[np.isfinite(moved)]
    if len(moved) < MINIMUM_SEEDS:
        return None
    return _part(float((moved**2).mean() / 2), len(moved), confidence)


def spread_of(base: np.ndarray, redrawn: np.ndarray, confidence: float) -> Part | None:
    """Return the variance of what one source changes, where all base trials share one draw of it.

    Arguments as in `part_of`.
    """
    moved = redrawn - base
    moved = moved[np.isfinite(moved)]
    if len(moved) < MINIMUM_SEEDS:
        return None
    return _part(float(moved.var(ddof=1)), len(moved) - 1, confidence)


def _part(variance: float, degrees: int, confidence: float) -> Part:
    from scipy import special

    tail = (1 - confidence) / 2
    # chdtri takes the upper tail.
    low = degrees * variance / special.chdtri(degrees, tail)
    high = degrees * variance / special.chdtri(degrees, 1 - tail)
    return Part(variance, float(low), float(high), degrees)
