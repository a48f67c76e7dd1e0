"""Which seeds a study with `seeds: {until: decided}` asks for, given what has been trained.

One pure function from records to decisions. Seeds are looked at in their order and at fixed
numbers of them, never in the order in which trials happened to end, so that a study that was
interrupted, or ran on other machines, decides the same. A variant is decided when it is better,
worse or (with a margin) equivalent by the always-valid intervals of the report; it then gets no
more seeds. The baseline has as many as the variant with the most.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ablate.analysis.descriptive import moments, rounding, snapped
from ablate.analysis.effects import Direction
from ablate.analysis.equivalence import adjust
from ablate.analysis.intervals import Interval
from ablate.analysis.paired import holm
from ablate.analysis.result_table import ResultTable, collect, headline
from ablate.errors import StudyError
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.seeds import Until
from ablate.study.trial import TrialResult


@dataclass(frozen=True)
class Replay:
    """What the records so far decide.

    Attributes:
        asked: how many seeds each variant has to have by now, the baseline's among them; no fewer
            than it had at any earlier time with fewer records.
        decided: why a variant gets no more seeds: "better", "worse", "equivalent"; "inconclusive"
            with `at_most` seeds; "lost", where none of its first seeds gave a pair.
    """

    asked: Mapping[str, int]
    decided: Mapping[str, str] = field(default_factory=dict)


def replay(
    results: Iterable[TrialResult],
    resolved: Sequence[ResolvedVariant],
    baseline: str,
    settings: Settings,
    until: Until,
    seeds: Sequence[int],
) -> Replay:
    """Return what the records decide, and the seeds that they ask for.

    Args:
        results: the records there are. One that is final, or failed, is an outcome; all others
            are still to come.
        resolved: the variants.
        baseline: the name of the one that the others are compared with.
        settings: the study's `analysis` section.
        until: when to stop.
        seeds: the first `at_most` seeds, in the order in which they are added.
    """
    ended = [each for each in results if each.final or each.status == "failed"]
    table = collect(ended, resolved)
    try:
        metric, direction = headline(
            table.metrics, settings.metric, settings.direction, table.declared
        )
    except StudyError:
        metric, direction = settings.metric, "max"  # nothing can be decided, and a report says so
    asked: dict[str, int] = {table.source(baseline): until.at_least}
    decided: dict[str, str] = {}
    for base, names, size in _families(table, baseline):
        found = _Family(
            _scores(table, base, metric, seeds),
            {name: _scores(table, name, metric, seeds) for name in names},
            until, 1 - settings.confidence, settings.margin, direction, size,
        ).replay()  # fmt: skip
        decided |= found.decided
        # The other side of a comparison has as many seeds as the comparison asks for.
        for name, count in [*found.asked.items(), (base, max(found.asked.values()))]:
            asked[name] = max(asked.get(name, 0), count)
    return Replay({name: asked[table.source(name)] for name in table.names}, decided)


def _families(table: ResultTable, baseline: str) -> list[tuple[str, list[str], int]]:
    """Return what is decided together: the common side, the variants, the comparisons declared.

    Declared variants are held against the baseline, what lacks a part against what it was left out
    of, as the report does with contributions.
    """
    found: dict[tuple[str, bool], list[ResolvedVariant]] = {}
    for variant in table.resolved:
        origin = variant.left_out[0] if variant.left_out is not None else None
        left_out = origin is not None and origin in table.names
        side = table.source(str(origin) if left_out else baseline)
        if variant.name != side and (left_out or variant.alias_of is None):
            found.setdefault((side, left_out), []).append(variant)
    return [
        (side, [each.name for each in own if each.alias_of is None], len(own))
        for (side, _), own in found.items()
        if any(each.alias_of is None for each in own)
    ]


_ALWAYS_VALID = Interval("always_valid")

#: A score of a trial that ended without one; NaN is one that has not ended.
_LOST = np.inf


def _scores(table: ResultTable, variant: str, metric: str, seeds: Sequence[int]) -> np.ndarray:
    """Return (seeds,): the metric, infinite where the trial was lost, NaN where it is to come."""
    row = {seed: index for index, seed in enumerate(table.seeds)}
    values = table.values(metric)[:, table.column(variant)]
    found = np.full(len(seeds), np.nan)
    for index, seed in enumerate(seeds):
        if (variant, seed) in table.trials:
            value = values[row[seed]]
            found[index] = value if np.isfinite(value) else _LOST
    return found


@dataclass
class _Family:
    """Variants that are decided together, from the scores of each by seed."""

    base: np.ndarray
    scores: Mapping[str, np.ndarray]
    until: Until
    alpha: float
    margin: float | None
    direction: Direction
    size: int  # the comparisons declared

    def replay(self) -> Replay:
        """Decide stage by stage, as far as the outcomes reach."""
        decided: dict[str, str] = {}
        stages = self.until.stages
        asked = dict.fromkeys(self.scores, stages[0])
        left = list(self.scores)
        for stage in stages:
            for name in left:
                asked[name] = max(asked[name], stage)
            if not all(self._ended(name, stage) for name in left):
                break
            decided |= self._verdicts(asked, decided)
            left = [name for name in left if name not in decided]
        else:
            decided |= dict.fromkeys(left, "inconclusive")
            return Replay(asked, decided)
        self._run_ahead(left, asked)
        return Replay(asked, decided)

    def _run_ahead(self, left: Sequence[str], asked: dict[str, int]) -> None:
        """Ask for the next seeds of variants that no verdict on the others could decide.

        Corrected p are never below plain ones: who is not below α by itself is inconclusive
        whatever the outcomes that are still to come.
        """
        for name in left:
            for stage, following in itertools.pairwise(self.until.stages):
                if stage < asked[name]:
                    continue
                if not self._ended(name, stage) or self._is_lost(name, stage):
                    break
                if np.nanmin([*self._tests([name], [stage])[1:], [np.inf]]) <= self.alpha:
                    break
                asked[name] = following

    def _ended(self, name: str, stage: int) -> bool:
        return not np.isnan([self.base[:stage], self.scores[name][:stage]]).any()

    def _is_lost(self, name: str, stage: int) -> bool:
        """Whether none of the first seeds gave a pair."""
        pairs = np.isfinite(self.base[:stage]) & np.isfinite(self.scores[name][:stage])
        return stage == self.until.at_least and not pairs.any()

    def _tests(
        self, names: Sequence[str], stages: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return of each variant, with its number of seeds, the mean difference and two p.

        The always-valid p of no difference, and that of one of at least the margin.
        """
        own, base = np.full((2, max(stages), len(names)), np.nan)
        for column, (name, stage) in enumerate(zip(names, stages, strict=True)):
            pairs = np.isfinite(self.base[:stage]) & np.isfinite(self.scores[name][:stage])
            own[:stage, column][pairs] = self.scores[name][:stage][pairs]
            base[:stage, column][pairs] = self.base[:stage][pairs]
        noise = rounding(base, own)
        differences = snapped(own - base, noise)
        stats = moments(differences, noise=noise)
        p, equivalence = _ALWAYS_VALID.p_difference(differences, stats), np.full(len(names), np.nan)
        if self.margin is not None:
            equivalence = _ALWAYS_VALID.p_equivalence(differences, stats, self.margin)
        return stats.mean, p, equivalence

    def _verdicts(self, asked: Mapping[str, int], decided: Mapping[str, str]) -> dict[str, str]:
        """Return the verdicts on variants that are not decided, given their seeds so far."""
        names = list(self.scores)
        means, p, equivalence = self._tests(names, [asked[name] for name in names])
        if self.margin is None:
            p = holm(p, self.size)
        else:
            p, equivalence = adjust(p, equivalence, self.size)
        found = {}
        for index, name in enumerate(names):
            if name in decided:
                continue
            if self._is_lost(name, asked[name]):
                found[name] = "lost"
            elif equivalence[index] <= self.alpha:
                found[name] = "equivalent"
            elif p[index] <= self.alpha:
                found[name] = (
                    "better" if (means[index] > 0) == (self.direction == "max") else "worse"
                )
        return found
