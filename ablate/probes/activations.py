"""Probe `activations`: where the hidden activations stand through training.

Per hidden layer, of what enters its activation and of what leaves it: the 15th, 50th and 85th
percentile over the probe's rows, of all units together and of one unit by itself; a histogram;
the share of units that are dead and of values that are saturated.

Source: the percentiles are those of Figure 1(b, c) of Ioffe & Szegedy 2015, which follows one
typical input of the last hidden sigmoid. Cost: one forward pass of the probe's rows, and a sort of
what passes by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ablate.probes.context import Arrays, Context, names
from ablate.probes.layer_outputs import Look, Unit, hidden_units, kept
from ablate.probes.statistics import (
    PERCENTILES,
    by_unit,
    dead_share,
    histogram,
    percentiles,
    saturated_share,
    sorted_finite,
)


class Activations:
    """Measure the distribution of hidden activations.

    Args:
        where: which layers, as a placement says it.
        unit: the unit that is followed by itself; None for the middle one.
        bins: bins of the histograms.

    Measures, with `side` one of `input`, `output`:
        scalar/<layer>/<side>/p15, p50, p85: percentiles over rows, places and units.
        unit/<layer>/<side>: (3,), the same percentiles of one unit.
        counts, edges/<layer>/<side>: the histogram.
        scalar/<layer>/dead: share of units that give 0 for every row.
        scalar/<layer>/saturated: share of outputs within 5 % of the activation's bounds; NaN for
            an activation without.
    """

    moves = False

    def __init__(
        self, where: str | Sequence[str] = "hidden", unit: int | None = None, bins: int = 30
    ) -> None:
        self._where, self._unit, self._bins = where, unit, bins
        self._units: list[Unit] = []

    def start(self, context: Context) -> None:
        self._x = context.x
        key = ("activations", str(self._where))
        self._units, self._look = kept(context.model, key, lambda: self._prepared(context))

    def measure(self, epoch: int) -> Arrays:
        found: dict[str, Any] = {}
        seen, _ = self._look(self._x)
        for unit, sides in zip(self._units, seen, strict=True):
            for side, values in zip(("input", "output"), sides, strict=True):
                self._describe(found, f"{unit.name}/{side}", np.asarray(values, "float32"))
            output = np.asarray(sides[1], "float32")
            found[f"scalar/{unit.name}/dead"] = dead_share(output)
            found[f"scalar/{unit.name}/saturated"] = saturated_share(output, unit.activation)
        return found

    def finish(self) -> Arrays:
        return {
            "layers": names([unit.name for unit in self._units]),
            "activation": names([unit.activation for unit in self._units]),
        }

    def _prepared(self, context: Context) -> tuple[list[Unit], Look]:
        units = hidden_units(context.model, self._where, context.paths)
        return units, Look(context.model, {unit.watched: unit.watch for unit in units})

    def _describe(self, found: dict[str, Any], series: str, values: np.ndarray) -> None:
        ordered = sorted_finite(values)
        for share, value in zip(PERCENTILES, percentiles(ordered), strict=True):
            found[f"scalar/{series}/p{share}"] = value
        found[f"counts/{series}"], found[f"edges/{series}"] = histogram(ordered, self._bins)
        columns = by_unit(values)
        unit = columns.shape[1] // 2 if self._unit is None else self._unit % columns.shape[1]
        found[f"unit/{series}"] = percentiles(sorted_finite(columns[:, unit]))
