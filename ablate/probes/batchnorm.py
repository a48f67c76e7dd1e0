"""Probe `batchnorm`: the four quantities of each BatchNormalization, and its two modes.

gamma and beta as they are trained; the moving averages beside the statistics of the probe's batch,
which in training mode stand in their place; how much of their initial values the moving averages
still hold; and what the whole network's output changes by between the two modes.

Source: Ioffe & Szegedy 2015, algorithms 1 and 2. Cost: two forward passes of the probe's rows.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.probes.context import Arrays, Context, names
from ablate.probes.layer_outputs import Look, kept, layers_of, value_of
from ablate.probes.statistics import (
    histogram,
    relative_change,
    root_mean_square,
    sorted_finite,
)


class Batchnorm:
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

    moves = True

    def __init__(self, bins: int = 30) -> None:
        self._bins = bins
        self._layers: list[tuple[keras.Layer, str]] = []

    def start(self, context: Context) -> None:
        found = layers_of(context.model, keras.layers.BatchNormalization)
        self._layers = [(layer, context.paths.get(layer, path)) for layer, path in found]
        self._x = context.x
        rows = len(keras.tree.flatten(context.splits.x_train)[0])
        self._steps = -(-rows // context.batch_size)
        layers = [layer for layer, _ in self._layers]
        self._resting, self._working = kept(
            context.model,
            "batchnorm",
            lambda: (
                Look(context.model, {layer: moments_of(layer) for layer in layers}, outputs=True),
                Look(context.model, training=layers, outputs=True),
            ),
        )

    def measure(self, epoch: int) -> Arrays:
        if not self._layers:
            return {}
        found: dict[str, Any] = {}
        seen, at_rest = self._resting(self._x)
        for (layer, name), (mean, variance) in zip(self._layers, seen, strict=True):
            self._describe(found, layer, name, mean, variance)
            remaining = layer.momentum ** (epoch * self._steps) if layer.trainable else 1.0
            found[f"scalar/{name}/initial_share"] = remaining
        _, working = self._working(self._x)
        pairs = zip(keras.tree.flatten(at_rest), keras.tree.flatten(working), strict=True)
        found["scalar/mode_gap"] = np.mean([relative_change(*pair) for pair in pairs])
        return found

    def finish(self) -> Arrays:
        return {"layers": names([name for _, name in self._layers])}

    def _describe(
        self,
        found: dict[str, Any],
        layer: keras.Layer,
        name: str,
        mean: np.ndarray,
        variance: np.ndarray,
    ) -> None:
        moving_mean, moving_variance = value_of(layer.moving_mean), value_of(layer.moving_variance)
        found[f"batch_mean/{name}"], found[f"batch_variance/{name}"] = mean, variance
        found[f"moving_mean/{name}"], found[f"moving_variance/{name}"] = (
            moving_mean,
            moving_variance,
        )
        gap = (moving_mean - mean) / np.sqrt(variance + layer.epsilon)
        found[f"scalar/{name}/mean_gap"] = root_mean_square(gap)
        ratio = np.log((moving_variance + layer.epsilon) / (variance + layer.epsilon))
        found[f"scalar/{name}/variance_ratio"] = float(np.exp(ratio.mean()))
        for parameter in ("gamma", "beta"):
            if (variable := getattr(layer, parameter, None)) is not None:
                value = found[f"{parameter}/{name}"] = value_of(variable)
                key = f"{name}/{parameter}"
                ordered = sorted_finite(value)
                found[f"counts/{key}"], found[f"edges/{key}"] = histogram(ordered, self._bins)


def moments_of(layer: keras.Layer) -> Any:
    """Watch the statistics that the layer would normalize by in training mode."""

    def watch(given: Any, made: Any, mask: Any) -> Any:
        axis = layer.axis % len(given.shape)
        others = [each for each in range(len(given.shape)) if each != axis]
        return ops.moments(ops.cast(given, "float32"), others)

    return watch
