"""What guards look at: the outcomes and what has been found so far, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ablate.analysis.effects import Direction, Effect, Failures, Gap
from ablate.analysis.result_table import ResultTable
from ablate.study.resolved import ResolvedVariant


@dataclass(frozen=True)
class GuardContext:
    """All that guards look at."""

    outcomes: ResultTable
    baseline: str
    metric: str
    direction: Direction
    confidence: float
    failures: Mapping[str, Failures]
    effects: tuple[Effect, ...] = ()
    gaps: tuple[Gap, ...] = ()
    collapse: Literal["auto", "none"] | float = "auto"

    @cached_property
    def resolved(self) -> list[ResolvedVariant]:
        """The arms that train: aliases left out."""
        return [arm for arm in self.outcomes.resolved if arm.alias_of is None]

    @cached_property
    def reference(self) -> ResolvedVariant:
        """The baseline's arm."""
        return self.outcomes.resolved[self.outcomes.column(self.baseline)]

    def curves(self, variant: str, name: str) -> np.ndarray:
        """Return (seeds, epochs) of a variant's curve from epoch 1, cut to the shortest."""
        found = [each.curves.get(name, [])[1:] for each in self.outcomes.completed(variant)]
        found = [each for each in found if each]
        length = min((len(each) for each in found), default=0)
        rows = [[np.nan if v is None else v for v in each[:length]] for each in found]
        return np.asarray(rows, float).reshape(len(rows), length)
