"""Probe `activations`: the distribution of the hidden activations through training.

Per hidden layer, of what enters its activation and of what leaves it: the 15th, 50th and 85th
percentile over the probe's rows, of all units together and of one unit by itself; a histogram;
the share of units that are dead and of values that are saturated.

Source: the percentiles are those of Figure 1(b, c) of Ioffe & Szegedy 2015, which follows one
typical input of the last hidden sigmoid. Cost: one forward pass of the probe's rows, and a sort of
what passes by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.probes.layer_outputs import hidden_outputs, kept
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.statistics import (
    PERCENTILES,
    by_unit,
    dead_share,
    histograms,
    percentiles,
    saturated_share,
    sorted_finite,
)


@dataclass
class Activations(Measurement):
    """Measure the distribution of hidden activations.

    Args:
        where: which layers, as a placement says it.
        unit: the unit that is measured individually; None for the middle one.
        bins: bins of the histograms.

    Measures, with `side` one of `input`, `output`:
        scalar/<layer>/<side>/p15, p50, p85: percentiles over rows, places and units.
        unit/<layer>/<side>: (3,), the same percentiles of one unit.
        counts, edges/<layer>/<side>: the histogram.
        scalar/<layer>/dead: share of units that give 0 for every row.
        scalar/<layer>/saturated: share of outputs within 5 % of the activation's bounds; NaN for
            an activation without.
    """

    where: str | Sequence[str]
    unit: int | None
    bins: int
    moves = False

    def start(self, context: Context) -> None:
        super().start(context)
        key = ("activations", str(self.where))
        self._units, self._outputs = kept(
            context.model, key, lambda: hidden_outputs(context, self.where)
        )
        self.layer_names = [unit.name for unit in self._units]

    def measure(self, epoch: int) -> Arrays:
        found: Arrays = {}
        seen, _ = self._outputs(self.context.x)
        for unit, sides in zip(self._units, seen, strict=True):
            for side, values in zip(("input", "output"), sides, strict=True):
                self._describe(found, f"{unit.name}/{side}", np.asarray(values, "float32"))
            output = np.asarray(sides[1], "float32")
            found[f"scalar/{unit.name}/dead"] = dead_share(output)
            found[f"scalar/{unit.name}/saturated"] = saturated_share(output, unit.activation)
        return found

    def finish(self) -> Arrays:
        return {
            **super().finish(),
            "activation": np.array([unit.activation for unit in self._units], "U"),
        }

    def _describe(self, found: Arrays, series: str, values: np.ndarray) -> None:
        ordered = sorted_finite(values)
        for share, value in zip(PERCENTILES, percentiles(ordered), strict=True):
            found[f"scalar/{series}/p{share}"] = value
        found |= histograms(series, ordered, self.bins)
        columns = by_unit(values)
        unit = columns.shape[1] // 2 if self.unit is None else self.unit % columns.shape[1]
        found[f"unit/{series}"] = percentiles(sorted_finite(columns[:, unit]))
