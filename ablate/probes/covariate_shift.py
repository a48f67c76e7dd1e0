"""Probe `covariate_shift`: how the earlier layers change what a later one learns from.

Two senses are measured. By gradients: take one step of gradient descent on the probe's rows; the
internal covariate shift of layer i is how far its gradient moves when only the layers before it
have taken the step. In the textbook sense: how far the mean and the deviation of a layer's inputs
have moved since the last measurement.

Source: Santurkar et al. 2018, definition 2.1, G − G′, its length and the cosine between G and G′;
Ioffe & Szegedy 2015 for the change of the inputs' distribution. Cost: a forward and a backward
pass of the probe's rows per layer with parameters, and one forward pass more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from ablate.probes.gradient import cosine, distance, norm
from ablate.probes.gradients import by_layer, slope_of
from ablate.probes.layer_outputs import LayerOutputs, kept, normalizations, restored, value_of
from ablate.probes.measurement import Arrays, Context, Measurement, learning_rate
from ablate.probes.statistics import root_mean_square


@dataclass
class CovariateShift(Measurement):
    """Measure internal covariate shift, by gradients and by moments of the inputs.

    Args:
        step: length of the step in units of the gradient; None for the learning rate.

    Measures, per layer with parameters (the first has no layers before it):
        scalar/<layer>/l2: ‖G − G′‖₂.
        scalar/<layer>/relative: ‖G − G′‖₂ / ‖G‖₂.
        scalar/<layer>/cosine: of the angle between G and G′.
        scalar/<layer>/mean_shift: root mean square over the units of the layer's input of
            (mean − mean before) / deviation before.
        scalar/<layer>/deviation_shift: root mean square of log(deviation / deviation before).
            Both are NaN at the first measurement; units without a deviation are left out.
    """

    step: float | None

    def start(self, context: Context) -> None:
        super().start(context)
        self._before: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._layers, self._slope = kept(context.model, "slope", lambda: slope_of(context))
        self.layer_names = [each.name for each in self._layers]
        self._moments = kept(context.model, "input moments", self._input_moments)

    def measure(self, epoch: int) -> Arrays:
        return {**self._by_gradients(), **self._by_moments()}

    def state(self) -> Any:
        return dict(self._before)

    def restore(self, state: Any) -> None:
        self._before = dict(state)

    def _by_gradients(self) -> Arrays:
        found: Arrays = {}
        x, y = self.context.x, self.context.y
        step = learning_rate(self.context.model) if self.step is None else self.step
        variables = [each for layer in self._layers for each in layer.variables]
        with restored(variables):
            _, start = self._slope(x, y)
            parts = by_layer(self._layers, start)
            for at, (layer, gradient) in enumerate(parts):
                if at:  # the layers before it have taken their step
                    _, moved = self._slope(x, y)
                    after = by_layer(self._layers, moved)[at][1]
                    shift, length = distance(after, gradient), norm(gradient)
                    found[f"scalar/{layer.name}/l2"] = shift
                    found[f"scalar/{layer.name}/relative"] = shift / length if length else np.nan
                    found[f"scalar/{layer.name}/cosine"] = cosine(gradient, after)
                for variable, slope in zip(layer.variables, gradient, strict=True):
                    variable.assign(value_of(variable) - step * slope)
        return found

    def _by_moments(self) -> Arrays:
        found: Arrays = {}
        seen, _ = self._moments(self.context.x)
        for layer, (mean, variance) in zip(self._layers, seen, strict=True):
            deviation = np.sqrt(variance)
            shifts = (np.nan, np.nan)
            if (before := self._before.get(layer.name)) is not None:
                old_mean, old_deviation = before
                able = (old_deviation > 0) & (deviation > 0)
                shifts = (
                    root_mean_square(((mean - old_mean)[able]) / old_deviation[able]),
                    root_mean_square(np.log(deviation[able] / old_deviation[able])),
                )
            self._before[layer.name] = (mean, deviation)
            found[f"scalar/{layer.name}/mean_shift"] = shifts[0]
            found[f"scalar/{layer.name}/deviation_shift"] = shifts[1]
        return found

    def _input_moments(self) -> LayerOutputs:
        watches = {each.layer: _unit_moments for each in self._layers}
        return LayerOutputs(
            self.context.model, watches, training=list(normalizations(self.context))
        )


def _unit_moments(given: Any, made: Any, mask: Any) -> Any:
    """Watch the mean and the variance of each unit of a layer's input, over rows and places."""
    given = ops.cast(given, "float32")
    if len(given.shape) < 2:
        given = ops.expand_dims(given, -1)
    return ops.moments(given, list(range(len(given.shape) - 1)))
