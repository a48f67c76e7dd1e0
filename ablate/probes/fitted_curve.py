"""Probe `fitted_curve`: the function of one number that a network has fitted.

The network is evaluated on a grid over the range of its training inputs and a little beyond; the
examples it was fitted to go along, so that the report can draw both. With samples, the spread of
thinned networks goes along too.

Source: the noisy line, on which a large network without Dropout bends to every example. Cost: a
forward pass of the grid's points, and one per sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ablate.errors import StudyError
from ablate.probes.layer_outputs import LayerOutputs, kept, layers_of
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.predictions import single
from ablate.surgery.kinds import DROPOUT

#: Examples of each part that are stored for the drawing, at most.
EXAMPLES = 500


@dataclass
class FittedCurve(Measurement):
    """Measure the curve that a regression of one number on one number has fitted.

    Args:
        points: points of the grid.
        margin: how far the grid goes beyond the data, as a share of their range.
        samples: thinned networks drawn for the spread; 0 for none.

    Measures:
        curve: (points,), the network at inference.
        spread: (points,), the deviation of thinned networks, where samples were asked for.

    Leaves at the end: `grid` (points,), and the examples `train_x`, `train_y`, `test_x`, `test_y`.
    """

    points: int
    margin: float
    samples: int

    def start(self, context: Context) -> None:
        super().start(context)
        splits = context.splits
        simple = not isinstance(splits.x_train, dict | list) and splits.x_train.ndim <= 2
        if not simple or splits.x_train.reshape(len(splits.x_train), -1).shape[1] != 1:
            raise StudyError(
                "probes: 'fitted_curve' draws a function of one number; these inputs have "
                f"the shape {splits.input_shape}."
            )
        if splits.task != "regression":
            raise StudyError(
                "probes: 'fitted_curve' draws a regression; these targets are classes."
            )
        low, high = float(splits.x_train.min()), float(splits.x_train.max())
        beyond = self.margin * (high - low)
        self._grid = np.linspace(low - beyond, high + beyond, self.points, dtype="float32")
        self._inputs = self._grid.reshape(-1, *splits.x_train.shape[1:])
        dropouts = layers_of(context.model, *DROPOUT)
        self._thin = bool(self.samples and dropouts)
        self._inference, self._thinned = kept(
            context.model,
            "fitted_curve",
            lambda: (
                LayerOutputs(context.model, outputs=True),
                LayerOutputs(context.model, training=dropouts, outputs=True),
            ),
        )

    def measure(self, epoch: int) -> Arrays:
        found: Arrays = {"curve": self._values(self._inference)}
        if self._thin:
            drawn = [self._values(self._thinned) for _ in range(self.samples)]
            found["spread"] = np.std(drawn, axis=0)
        return found

    def finish(self) -> Arrays:
        found: Arrays = {"grid": self._grid}
        for part in ("train", "test"):
            x, y = (getattr(self.context.splits, f"{each}_{part}") for each in "xy")
            if x is not None:
                found[f"{part}_x"] = np.asarray(x).reshape(-1)[:EXAMPLES]
                found[f"{part}_y"] = np.asarray(y).reshape(len(y), -1)[:EXAMPLES, 0]
        return found

    def _values(self, outputs: LayerOutputs) -> Any:
        return single(outputs(self._inputs)[1]).astype("float32").reshape(self.points, -1)[:, 0]
