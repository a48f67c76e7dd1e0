"""Probe `batchnorm`: the four quantities of each BatchNormalization, and its two modes.

gamma and beta as they are trained; the moving averages and the statistics of the probe's batch,
which in training mode are used instead; how much of their initial values the moving averages
still hold; and what the whole network's output changes by between the two modes.

Source: Ioffe & Szegedy 2015, algorithms 1 and 2. Cost: two forward passes of the probe's rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.probes.layer_outputs import LayerOutputs, kept, normalizations, value_of
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.predictions import output_change
from ablate.probes.statistics import histograms, root_mean_square, sorted_finite


@dataclass
class Batchnorm(Measurement):
    """Measure what BatchNormalization layers hold and do.

    Args:
        bins: bins of the histograms.

    Measures, per layer:
        gamma, beta, moving_mean, moving_variance, batch_mean, batch_variance/<layer>: (channels,).
        counts, edges/<layer>/gamma, beta: their histograms.
        scalar/<layer>/mean_gap: root mean square over channels of
            (moving mean − batch mean) / √(batch variance + epsilon).
        scalar/<layer>/variance_ratio: geometric mean over channels of
            (moving variance + epsilon) / (batch variance + epsilon).
        scalar/<layer>/initial_share: momentum^steps, what the moving averages still hold of the
            values they began with.
        scalar/mode_gap: ‖training-mode output − inference output‖ / ‖inference output‖, with every
            Dropout at rest.
    """

    bins: int

    def start(self, context: Context) -> None:
        super().start(context)
        model, self._layers = context.model, normalizations(context)
        self.layer_names = list(self._layers.values())
        rows = len(keras.tree.flatten(context.splits.x_train)[0])
        self._steps = -(-rows // context.batch_size)
        watches = {layer: moments_of(layer) for layer in self._layers}
        self._inference, self._training = kept(
            model,
            "batchnorm",
            lambda: (
                LayerOutputs(model, watches, outputs=True),
                LayerOutputs(model, training=list(self._layers), outputs=True),
            ),
        )

    def measure(self, epoch: int) -> Arrays:
        if not self._layers:
            return {}
        found: Arrays = {}
        moments, inference = self._inference(self.context.x)
        for (layer, name), (mean, variance) in zip(self._layers.items(), moments, strict=True):
            self._describe(found, layer, name, mean, variance)
            remaining = layer.momentum ** (epoch * self._steps) if layer.trainable else 1.0
            found[f"scalar/{name}/initial_share"] = remaining
        _, training = self._training(self.context.x)
        found["scalar/mode_gap"] = output_change(inference, training)
        return found

    def _describe(
        self, found: Arrays, layer: keras.Layer, name: str, mean: np.ndarray, variance: np.ndarray
    ) -> None:
        moving_mean, moving_variance = value_of(layer.moving_mean), value_of(layer.moving_variance)
        found |= {
            f"batch_mean/{name}": mean,
            f"batch_variance/{name}": variance,
            f"moving_mean/{name}": moving_mean,
            f"moving_variance/{name}": moving_variance,
        }
        gap = (moving_mean - mean) / np.sqrt(variance + layer.epsilon)
        found[f"scalar/{name}/mean_gap"] = root_mean_square(gap)
        ratio = np.log((moving_variance + layer.epsilon) / (variance + layer.epsilon))
        found[f"scalar/{name}/variance_ratio"] = float(np.exp(ratio.mean()))
        for parameter in ("gamma", "beta"):
            if (variable := getattr(layer, parameter, None)) is not None:
                value = found[f"{parameter}/{name}"] = value_of(variable)
                found |= histograms(f"{name}/{parameter}", sorted_finite(value), self.bins)


def moments_of(layer: keras.Layer) -> Any:
    """Watch the statistics that the layer would normalize by in training mode."""

    def watch(given: Any, made: Any, mask: Any) -> Any:
        axis = layer.axis % len(given.shape)
        others = [each for each in range(len(given.shape)) if each != axis]
        return ops.moments(ops.cast(given, "float32"), others)

    return watch
