"""The interval for new seeds and new test rows, beside the one for new seeds on these rows.

Every trial keeps the analysed metric of each test row. Where all seeds were tested on the same
rows, a comparison's per-row differences are a table of seeds and rows, which `crossed` makes an
interval of; rows of one group (`data.groups`) are averaged first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.crossed import Crossed, by_group, crossed
from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.analysis.effects import Contribution, Effect
from ablate.analysis.paired import Kind

#: Gives what a trial keeps of its test rows, by trial id: "rows/test" and perhaps "rows/groups".
RowArrays = Callable[[str], Mapping[str, np.ndarray]]


def with_rows(
    found: Sequence[Kind], context: AnalysisContext, arrays: RowArrays | None
) -> list[Kind]:
    """Return comparisons of two variants with the interval for new rows as well.

    Without it stay those whose trials keep no rows of the headline metric, whose seeds have rows
    of their own, and those under three seeds; intervals that hold at every look have no such
    counterpart.
    """
    test = context.metric.startswith("test_")
    if arrays is None or not test or context.family("", 1).interval.kind != "fixed_n":
        return list(found)
    rows = _Rows(context, arrays)
    return [
        replace(each, crossed=rows.crossed(*_sides(each), list(each.differences)))
        if isinstance(each, Effect | Contribution) and each.metric == context.metric
        else each
        for each in found
    ]


def _sides(each: Effect | Contribution) -> tuple[str, str]:
    if isinstance(each, Effect):
        return each.variant, each.baseline
    return each.origin, each.without


class _Rows:
    """The rows of a study's trials, each read once."""

    def __init__(self, context: AnalysisContext, arrays: RowArrays) -> None:
        self._context = context
        self._arrays = arrays
        self._read: dict[str, tuple[np.ndarray | None, np.ndarray | None]] = {}

    def crossed(self, own: str, base: str, seeds: Sequence[int]) -> Crossed | None:
        """Return the interval of `own` minus `base`, None where rows are missing."""
        if len(seeds) < MINIMUM_SEEDS:
            return None
        sides = [[self._of(name, seed) for seed in seeds] for name in (own, base)]
        found = [values for side in sides for values, _ in side]
        if (
            any(values is None for values in found)
            or len({len(v) for v in found if v is not None}) > 1
        ):
            return None
        values = np.reshape(np.asarray(found, float), (2, len(seeds), -1))
        differences, groups = values[0] - values[1], sides[0][0][1]
        if groups is not None:
            differences = by_group(differences, groups)
        return crossed(differences, self._context.confidence)

    def _of(self, variant: str, seed: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return (rows,) of values, and of group numbers; None where they are not kept."""
        table = self._context.table
        result = table.trials[table.source(variant), seed]
        if result.id not in self._read:
            kept: Mapping[str, np.ndarray] = {}
            if result.row_metric == self._context.metric:
                kept = self._arrays(result.id)
            values, count = kept.get("rows/test"), result.rows.get("test", 0)
            if values is not None and values.dtype == np.uint8:
                values = np.unpackbits(values)[:count]
            if values is None or len(values) != count:
                self._read[result.id] = (None, None)
            else:
                self._read[result.id] = (values.astype(float), kept.get("rows/groups"))
        return self._read[result.id]
