"""The whole of what may be said of a study, and its document.

`Analysis` is what `analyze` returns: the parts (`ablate.analysis.effects`) by name, and the orders
in which variants are told. `to_json` is the documented JSON of `ablate report --format json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

from ablate.analysis.effects import (
    BestSet,
    Comparison,
    Contribution,
    Cost,
    Direction,
    Effect,
    Expectation,
    FactorEffect,
    Gap,
    Guard,
    LearningSpeed,
    VariantSummary,
)

#: Raised when a key of the JSON changes its meaning or goes away; new keys do not raise it.
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Analysis:
    """All that may be said of a study, and no more."""

    study: str
    baseline: str
    metric: str  # the headline metric, with its split: `test_accuracy`
    direction: Direction
    confidence: float
    answer: tuple[str, ...]  # the opening sentences, plain words
    coverage: str  # what the intervals cover
    seeds: tuple[int, ...]
    trials: Mapping[str, int]  # planned, completed, diverged, failed, pending
    variants: tuple[VariantSummary, ...]
    effects: tuple[Effect, ...]
    guards: tuple[Guard, ...]
    costs: tuple[Cost, ...]
    factors: Mapping[str, tuple[str, ...]]  # levels of each factor, in order
    factor_effects: tuple[FactorEffect, ...]
    simple_effects: tuple[FactorEffect, ...]  # where factors interact
    pairs: tuple[Effect, ...]  # every variant against every other, with `analysis.compare: all`
    best: BestSet | None
    contributions: tuple[Contribution, ...]
    speeds: tuple[LearningSpeed, ...]
    gaps: tuple[Gap, ...]
    expectations: tuple[Expectation, ...]
    looks: str = ""  # why intervals hold at every look, as a clause; "" where they need not
    #: The sentences of `answer` by what they are about (`opening`).
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def variant(self, name: str) -> VariantSummary:
        """Return the summary of the variant called `name`; KeyError when there is none."""
        return self._by_name[name]

    def effect(self, variant: str, metric: str | None = None) -> Effect | None:
        """Return the effect of `variant` on `metric` (default: the headline), or None.

        A variant that is the same as another has that one's effect.
        """
        return self._by_variant.get((self.source(variant), metric or self.metric))

    def source(self, variant: str) -> str:
        """Return the variant whose trials `variant` has: itself, unless it is an alias."""
        while (known := self._by_name.get(variant)) is not None and known.alias_of is not None:
            variant = known.alias_of
        return variant

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the variants in their order, the baseline first."""
        names = [each.name for each in self.variants]
        first = self.baseline
        return tuple([first] * (first in names) + [each for each in names if each != first])

    @cached_property
    def by_effect(self) -> tuple[str, ...]:
        """The names of the variants, behind each baseline the best difference to it first.

        Those without a difference come last, and one that is the same as another beside it.
        """
        sign = -1 if self.direction == "max" else 1
        places = {name: place for place, name in enumerate(self.names)}

        def key(name: str) -> tuple[int, int, float, int, bool]:
            effect, source = self.effect(name), self.source(name)
            alone = effect is None and source == self.source(self.baseline)
            base = source if alone else self.source(effect.baseline if effect else self.baseline)
            mean = None if effect is None else effect.mean
            rank = 0 if source == base else 1 if mean is not None else 2
            own = places.get(source, 0)
            return places.get(base, 0), rank, sign * (mean or 0.0), own, source != name

        return tuple(sorted(self.names, key=key))

    @cached_property
    def _by_name(self) -> dict[str, VariantSummary]:
        return {each.name: each for each in self.variants}

    @cached_property
    def _by_variant(self) -> dict[tuple[str, str], Effect]:
        return {(each.variant, each.metric): each for each in self.effects}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: keys in a fixed order, what could not be computed null.

        - `schema_version`: 2. `study`, `baseline`, `metric`, `direction` (max or min),
          `confidence`.
        - `answer`: the opening sentences; `answers`: the same by what they are about;
          `coverage`: what the intervals cover; `looks`: why they hold at every look, "" where they
          are for a fixed number of seeds; `seeds`; `trials`: counts by what became of them.
        - `variants`: a list of name, n, failures (by kind: count, of, rate, low, high, p), metrics
          {name: {values by seed, n, mean, sd, low, high}}, factors, origin, alias_of, notes.
        - `effects`: a list of variant, baseline and every field of `Comparison` (metric, n, mean,
          interval, low, high, p, p_holm, verdict, …), headline metric first. `pairs`: likewise,
          each variant against each, where they are compared so; `best`: as in `BestSet`, or null.
        - `guards`: kind, severity, text, variants. `costs`: as in `Cost`.
        - `factors`: `levels` by factor, `effects` and `simple_effects`: name, order, factors,
          levels, references, trend, within and every field of `Comparison`.
        - `contributions`, `speeds`, `gaps`, `expectations`: as in the classes of those names.

        `docs/report.md` has the whole list, with what changed from version 1.
        """
        plain = _plain(self)
        effects, simple = plain.pop("factor_effects"), plain.pop("simple_effects")
        factors = {"levels": plain["factors"], "effects": effects, "simple_effects": simple}
        return {"schema_version": SCHEMA_VERSION} | plain | {"factors": factors}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        # What a kind of comparison adds says what it is of: it comes first.
        names = [each.name for each in fields(value)]
        if isinstance(value, Comparison):
            names.sort(key=_OF_EVERY_COMPARISON.__contains__)
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


_OF_EVERY_COMPARISON = frozenset(each.name for each in fields(Comparison))
