"""Probe `dropout`: how sparse the hidden activations are, and what averaging thinned networks does.

Per hidden layer: the mean activation, the share of zeros, the histograms of activations and of
each unit's mean. Of the network: its error when the outputs of k sampled thinned networks are
averaged, against its error with all units and weights scaled; and the predictive entropy of both.

Source: Srivastava et al. 2014, Figure 8 (sparsity) and Figure 11 (50 sampled networks do as well
as weight scaling). Cost: a forward pass of the probe's rows, and one per sampled network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ablate.probes.layer_outputs import LayerOutputs, hidden_outputs, kept, layers_of
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.predictions import (
    entropy,
    error_share,
    labels,
    probabilities,
    require_single_output,
    single,
)
from ablate.probes.statistics import by_unit, histograms, sorted_finite, zero_share
from ablate.surgery.kinds import DROPOUT


@dataclass
class Dropout(Measurement):
    """Measure sparsity and Monte-Carlo averaging.

    Args:
        samples: thinned networks that are drawn.
        rate: the share of values that is dropped in them, at every Dropout; None: each layer's own.
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

    samples: int
    rate: float | None
    bins: int

    def start(self, context: Context) -> None:
        require_single_output(context, "dropout")
        super().start(context)
        self._classes = context.splits.task == "classification"
        self._counts = np.unique(np.rint(np.geomspace(1, self.samples, 10)).astype(int))
        self._dropouts = layers_of(context.model, *DROPOUT)
        self._units, self._scaled = kept(
            context.model, "dropout", lambda: hidden_outputs(context, outputs=True)
        )
        self._thinned, self._seed = kept(
            context.model, ("thinned", self.rate), lambda: self._thinning(context.model)
        )
        self.layer_names = [unit.name for unit in self._units]

    def measure(self, epoch: int) -> Arrays:
        found: Arrays = {}
        seen, scaled = self._scaled(self.context.x)
        for unit, (_, output) in zip(self._units, seen, strict=True):
            columns = by_unit(np.asarray(output, "float32"))
            found[f"scalar/{unit.name}/mean"] = float(np.mean(columns, dtype="float64"))
            found[f"scalar/{unit.name}/zero"] = zero_share(columns)
            for what, values in (("output", columns), ("unit_mean", columns.mean(axis=0))):
                found |= histograms(f"{unit.name}/{what}", sorted_finite(values), self.bins)
        if self._dropouts:
            if self._seed is not None:
                self._seed.state.assign([self.context.seed, epoch])
            drawn = [self._thinned(self.context.x)[1] for _ in range(self.samples)]
            self._average(found, np.stack([single(each) for each in drawn]), scaled)
        return found

    def finish(self) -> Arrays:
        return {
            **super().finish(),
            "samples": self._counts if self._dropouts else np.zeros(0, int),
        }

    def _thinning(
        self, model: keras.Model
    ) -> tuple[LayerOutputs, keras.random.SeedGenerator | None]:
        """Return what runs thinned networks, and what draws them if the layers do not."""
        if self.rate is None:
            return LayerOutputs(model, training=self._dropouts, outputs=True), None
        rate, seed = self.rate, keras.random.SeedGenerator(0)

        def thin(inputs: Any, mask: Any) -> Any:
            return keras.random.dropout(inputs, rate, seed=seed)

        instead = dict.fromkeys(self._dropouts, thin)
        return LayerOutputs(model, instead=instead, outputs=True), seed

    def _average(self, found: Arrays, drawn: np.ndarray, scaled: Any) -> None:
        """Compare averages of sampled networks (samples, rows, …) with the scaled network."""
        scaled = single(scaled).astype("float64")
        found["scalar/spread"] = float(drawn.astype("float64").std(axis=0).mean())
        if self._classes:
            chances, whole = probabilities(drawn), probabilities(scaled)
            truth = labels(self.context.y)
            averages = [chances[:count].mean(axis=0) for count in self._counts]
            found["error"] = np.array([error_share(each, truth) for each in averages])
            found["scalar/scaled_error"] = error_share(whole, truth)
            found["scalar/averaged_entropy"] = float(entropy(averages[-1]).mean())
            found["scalar/scaled_entropy"] = float(entropy(whole).mean())
        else:
            truth = single(self.context.y).reshape(scaled.shape).astype("float64")
            averages = [drawn[:count].mean(axis=0, dtype="float64") for count in self._counts]
            found["error"] = np.array([np.mean((each - truth) ** 2) for each in averages])
            found["scalar/scaled_error"] = float(np.mean((scaled - truth) ** 2))
        found["scalar/averaged_error"] = float(found["error"][-1])
