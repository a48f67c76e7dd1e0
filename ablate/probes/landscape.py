"""Probe `landscape`: how rough the loss is along its own gradient.

From the parameters as they are, steps of growing length go against the gradient of the loss on the
probe's rows. At each the loss and the gradient are taken anew: how far the loss swings, how well
the first gradient predicts the later ones, and how fast the gradient turns.

Source: Santurkar et al. 2018, section 3.1 and Figure 4: variation of the loss, gradient
predictiveness, and effective β-smoothness, the largest change of the gradient per distance moved.
Cost: a forward and a backward pass of the probe's rows per step, and one more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablate.probes.gradient import distance, norm
from ablate.probes.gradients import slope_of
from ablate.probes.layer_outputs import kept, restored, value_of
from ablate.probes.measurement import Arrays, Context, Measurement, learning_rate


@dataclass
class Landscape(Measurement):
    """Measure the loss along the gradient's direction.

    Args:
        steps: points along the gradient.
        nearest, farthest: the first and the last of them, in units of `rate`; the rest lie between
            in equal ratios.
        rate: the unit; None for the learning rate.

    Measures:
        scalar/loss: the loss L(w).
        loss: (steps,), L(w − η g) at each length η.
        distance: (steps,), ‖g(w − η g) − g(w)‖₂, the gradient predictiveness.
        scalar/loss_low, loss_high, distance_low, distance_high: the ends of the two.
        scalar/smoothness: max over steps of ‖g(w − η g) − g(w)‖₂ / (η ‖g‖₂).
    """

    steps: int
    nearest: float
    farthest: float
    rate: float | None

    def start(self, context: Context) -> None:
        super().start(context)
        self._lengths = np.geomspace(self.nearest, self.farthest, self.steps)
        _, self._slope = kept(context.model, "slope", lambda: slope_of(context))

    def measure(self, epoch: int) -> Arrays:
        x, y = self.context.x, self.context.y
        rate = learning_rate(self.context.model) if self.rate is None else self.rate
        variables = self._slope.variables
        origin = [value_of(each) for each in variables]
        losses, distances = [], []
        with restored(variables):
            here, gradient = self._slope(x, y)
            for length in self._lengths * rate:
                for variable, value, slope in zip(variables, origin, gradient, strict=True):
                    variable.assign(value - length * slope)
                loss, there = self._slope(x, y)
                losses.append(loss)
                distances.append(distance(there, gradient))
        moved = self._lengths * rate * norm(gradient)
        with np.errstate(invalid="ignore", divide="ignore"):
            smoothness = np.max(np.array(distances) / moved) if np.all(moved > 0) else np.nan
        return {
            "scalar/loss": here,
            "loss": np.array(losses),
            "distance": np.array(distances),
            "scalar/loss_low": min(losses),
            "scalar/loss_high": max(losses),
            "scalar/distance_low": min(distances),
            "scalar/distance_high": max(distances),
            "scalar/smoothness": smoothness,
        }

    def finish(self) -> Arrays:
        return {"lengths": self._lengths}
