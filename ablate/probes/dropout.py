"""Probe `dropout`: how sparse the hidden activations are, and what averaging thinned networks does.

Per hidden layer: the mean activation, the share of zeros, the histograms of activations and of
each unit's mean. Of the network: its error when the outputs of k sampled thinned networks are
averaged, beside its error with all units and weights scaled; and the predictive entropy of both.

Source: Srivastava et al. 2014, Figure 8 (sparsity) and Figure 11 (50 sampled networks do as well
as weight scaling). Cost: a forward pass of the probe's rows, and one per sampled network.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ablate.probes.context import Arrays, Context, names
from ablate.probes.layer_outputs import Look, Unit, hidden_units, kept, layers_of
from ablate.probes.predictions import (
    entropy,
    error_share,
    labels,
    probabilities,
    require_single_output,
)
from ablate.probes.statistics import by_unit, histogram, sorted_finite, zero_share
from ablate.surgery.hosts import DROPOUT


class Dropout:
    """Measure sparsity and Monte-Carlo averaging.

    Args:
        samples: thinned networks that are drawn.
        bins: bins of the histograms.

    Measures, per hidden layer, at inference:
        scalar/<layer>/mean: mean of the activation's output.
        scalar/<layer>/zero: share of outputs that are exactly 0.
        counts, edges/<layer>/output: histogram of the outputs.
        counts, edges/<layer>/unit_mean: histogram of each unit's mean over the rows.

    And, where a Dropout is in the network:
        error: (k,), of the average of the first 1, 2, 3, 5, 7, 10 … sampled networks: share of
            rows wrong, or mean squared error for regression.
        scalar/averaged_error, scaled_error: of all samples, and of weight scaling.
        scalar/averaged_entropy, scaled_entropy: mean predictive entropy in nats (classes).
        scalar/spread: mean deviation of the samples' outputs.
    """

    moves = True

    def __init__(self, samples: int = 50, bins: int = 30) -> None:
        self._samples, self._bins = samples, bins
        ladder = np.unique(np.rint(np.geomspace(1, samples, 10)).astype(int))
        self._ladder = ladder
        self._units: list[Unit] = []

    def start(self, context: Context) -> None:
        require_single_output(context, "dropout")
        self._x, self._y = context.x, np.asarray(keras.tree.flatten(context.y)[0])
        self._classes = context.splits.task == "classification"
        model = context.model
        self._dropouts = [layer for layer, _ in layers_of(model, *DROPOUT)]

        def prepared() -> tuple[list[Unit], Look, Look]:
            units = hidden_units(model, paths=context.paths)
            watches = {unit.watched: unit.watch for unit in units}
            whole = Look(model, watches, outputs=True)
            return units, whole, Look(model, training=self._dropouts, outputs=True)

        self._units, self._whole, self._thinned = kept(model, "dropout", prepared)

    def measure(self, epoch: int) -> Arrays:
        found: dict[str, Any] = {}
        seen, scaled = self._whole(self._x)
        for unit, (_, output) in zip(self._units, seen, strict=True):
            columns = by_unit(np.asarray(output, "float32"))
            found[f"scalar/{unit.name}/mean"] = float(np.mean(columns, dtype="float64"))
            found[f"scalar/{unit.name}/zero"] = zero_share(columns)
            for what, values in (("output", columns), ("unit_mean", columns.mean(axis=0))):
                counts, edges = histogram(sorted_finite(values), self._bins)
                found[f"counts/{unit.name}/{what}"], found[f"edges/{unit.name}/{what}"] = (
                    counts,
                    edges,
                )
        if self._dropouts:
            drawn = [self._thinned(self._x)[1] for _ in range(self._samples)]
            self._average(found, np.stack([np.asarray(_single(each)) for each in drawn]), scaled)
        return found

    def finish(self) -> Arrays:
        return {
            "layers": names([unit.name for unit in self._units]),
            "samples": self._ladder if self._dropouts else np.zeros(0, int),
        }

    def _average(self, found: dict[str, Any], drawn: np.ndarray, scaled: Any) -> None:
        """Compare averages of sampled networks (samples, rows, …) with the scaled network."""
        scaled = np.asarray(_single(scaled), "float64")
        found["scalar/spread"] = float(drawn.astype("float64").std(axis=0).mean())
        if self._classes:
            chances, whole = probabilities(drawn), probabilities(scaled)
            truth = labels(self._y)
            averages = [chances[:count].mean(axis=0) for count in self._ladder]
            found["error"] = np.array([error_share(each, truth) for each in averages])
            found["scalar/scaled_error"] = error_share(whole, truth)
            found["scalar/averaged_entropy"] = float(entropy(averages[-1]).mean())
            found["scalar/scaled_entropy"] = float(entropy(whole).mean())
        else:
            truth = self._y.reshape(scaled.shape).astype("float64")
            averages = [drawn[:count].mean(axis=0, dtype="float64") for count in self._ladder]
            found["error"] = np.array([np.mean((each - truth) ** 2) for each in averages])
            found["scalar/scaled_error"] = float(np.mean((scaled - truth) ** 2))
        found["scalar/averaged_error"] = float(found["error"][-1])


def _single(output: Any) -> Any:
    return keras.tree.flatten(output)[0]
