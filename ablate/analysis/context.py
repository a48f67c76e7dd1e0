"""What every statistic and every guard is given: the results, and what they are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ablate.analysis.coverage import coverage, interval_for
from ablate.analysis.effects import Direction, Effect, Failures, Gap
from ablate.analysis.paired import Family
from ablate.analysis.result_table import ResultTable
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.trial import TrialResult


@dataclass(frozen=True)
class AnalysisContext:
    """A study's results, its baseline, its headline metric and its settings.

    `rng` resamples. `failures`, `effects` (on the headline metric) and `gaps` are what has been
    found so far; guards look at them, too. `looks` says why intervals must hold however often
    one looks; empty where they need not.
    """

    table: ResultTable
    baseline: str
    metric: str
    direction: Direction
    settings: Settings = field(default_factory=Settings)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    failures: Mapping[str, Failures] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    gaps: tuple[Gap, ...] = ()
    looks: str = ""
    order: tuple[int, ...] = ()  # seeds in the order in which they were first looked at

    @property
    def confidence(self) -> float:
        """The level of every interval."""
        return self.settings.confidence

    @property
    def values(self) -> np.ndarray:
        """The headline metric, (seeds, variants)."""
        return self.table.values(self.metric)

    @cached_property
    def trained(self) -> list[ResolvedVariant]:
        """The variants that have trials of their own: aliases left out."""
        return [each for each in self.table.resolved if each.alias_of is None]

    @cached_property
    def completed(self) -> list[TrialResult]:
        """Every completed trial, once."""
        return [trial for each in self.trained for trial in self.table.completed(each.name)]

    @cached_property
    def reference(self) -> ResolvedVariant:
        """The baseline as resolved."""
        return self.table.resolved[self.table.column(self.baseline)]

    def direction_of(self, metric: str) -> Direction | None:
        """Return which way `metric` gets better: as settled for the headline, else by name."""
        return self.direction if metric == self.metric else self.table.direction(metric)

    def family(
        self, name: str, size: int, metric: str = "", direction: Direction | None = None
    ) -> Family:
        """Return a family of `size` comparisons, of the headline metric unless said otherwise."""
        return Family(
            name=name,
            size=size,
            seeds=self.table.seeds,
            metric=metric or self.metric,
            direction=direction or self.direction,
            confidence=self.confidence,
            rng=self.rng,
            interval=interval_for(self.table, self.reference, metric or self.metric, self.looks),
            order=self.order,
            margin=self.settings.margin if metric in ("", self.metric) else None,
        )

    @property
    def coverage(self) -> str:
        """The sentences that say what the intervals of the headline metric cover."""
        seeds = max(
            (each.n for each in self.effects), default=len(self.table.completed(self.baseline))
        )
        known = [each for each in self.effects if each.n > 1]
        spread = not known or any(each.sd != 0 for each in known)
        table, base = self.table, self.reference
        return coverage(table, base, self.metric, seeds, self.looks, spread=spread)

    def curves(self, variant: str, name: str) -> np.ndarray:
        """Return (seeds, epochs) of a variant's curve from epoch 1, cut to the shortest."""
        found = [each.curves.get(name, [])[1:] for each in self.table.completed(variant)]
        found = [each for each in found if each]
        length = min((len(each) for each in found), default=0)
        rows = [[np.nan if v is None else v for v in each[:length]] for each in found]
        return np.asarray(rows, float).reshape(len(rows), length)
