"""Probe `gradients`: how large each layer's gradient is, and how much of it is lost.

Per layer with parameters: the norm of the gradient of the loss on the probe's rows, that norm as a
share of the parameters' own, and the shares of derivatives that have vanished or exploded. With
sigmoids stacked deep the norm falls by a factor per layer, which is what normalization undoes.

Cost: one forward and one backward pass of the probe's rows, normalizations as in training and
every Dropout at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from ablate.probes.gradient import Slope, norm
from ablate.probes.layer_outputs import Trained, kept, normalizations, trained_layers, value_of
from ablate.probes.measurement import Arrays, Context, Measurement


@dataclass
class Gradients(Measurement):
    """Measure the gradient of every layer.

    Args:
        small: a derivative below it in size has vanished.
        large: one above it in size, or one that is not finite, has exploded.

    Measures:
        scalar/<layer>/norm: ‖g‖₂ over the layer's parameters.
        scalar/<layer>/relative: ‖g‖₂ / ‖w‖₂, NaN where the parameters are 0.
        scalar/<layer>/vanished, exploded: shares of the layer's derivatives.
        scalar/norm: ‖g‖₂ over all parameters.
    """

    small: float
    large: float

    def start(self, context: Context) -> None:
        super().start(context)
        self._layers, self._slope = kept(context.model, "slope", lambda: slope_of(context))
        self.layer_names = [each.name for each in self._layers]

    def measure(self, epoch: int) -> Arrays:
        _, gradients = self._slope(self.context.x, self.context.y)
        found: Arrays = {"scalar/norm": norm(gradients)}
        for layer, own in by_layer(self._layers, gradients):
            flat = np.abs(np.concatenate([each.reshape(-1) for each in own]))
            weights = norm([value_of(each) for each in layer.variables])
            found[f"scalar/{layer.name}/norm"] = norm(own)
            found[f"scalar/{layer.name}/relative"] = norm(own) / weights if weights else np.nan
            found[f"scalar/{layer.name}/vanished"] = float(np.mean(flat < self.small))
            found[f"scalar/{layer.name}/exploded"] = float(np.mean(~(flat <= self.large)))
        return found


def slope_of(context: Context) -> tuple[list[Trained], Slope]:
    """Return the layers of a network and its slope by all of their parameters."""
    layers = trained_layers(context.model, context.paths)
    variables = [each for layer in layers for each in layer.variables]
    return layers, Slope(context.model, variables, training=list(normalizations(context)))


def by_layer(
    layers: list[Trained], gradients: list[np.ndarray]
) -> list[tuple[Trained, list[np.ndarray]]]:
    """Return each layer with its own part of the gradients of `slope_of`."""
    parts = iter(gradients)
    return [(layer, list(islice(parts, len(layer.variables)))) for layer in layers]
