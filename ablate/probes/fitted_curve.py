"""Probe `fitted_curve`: the function of one number that a network has fitted.

The network is evaluated on a grid over the range of its training inputs and a little beyond; the
examples it was fitted to go along, so that the report can draw both. With samples, the spread of
thinned networks goes along too.

Source: the noisy line, on which a large network without Dropout bends to every example. Cost: a
forward pass of the grid's points, and one per sample.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ablate.errors import StudyError
from ablate.probes.context import Arrays, Context
from ablate.probes.layer_outputs import Look, kept, layers_of
from ablate.surgery.hosts import DROPOUT

#: Examples of each part that are stored for the drawing, at most.
EXAMPLES = 500


class FittedCurve:
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

    moves = True

    def __init__(self, points: int = 200, margin: float = 0.1, samples: int = 0) -> None:
        self._points, self._margin, self._samples = points, margin, samples

    def start(self, context: Context) -> None:
        splits = context.splits
        single = not isinstance(splits.x_train, dict | list) and splits.x_train.ndim <= 2
        if not single or splits.x_train.reshape(len(splits.x_train), -1).shape[1] != 1:
            raise StudyError(
                "probes: 'fitted_curve' draws a function of one number; these inputs have "
                f"the shape {splits.input_shape}."
            )
        if splits.task != "regression":
            raise StudyError(
                "probes: 'fitted_curve' draws a regression; these targets are classes."
            )
        self._splits = splits
        low, high = float(splits.x_train.min()), float(splits.x_train.max())
        beyond = self._margin * (high - low)
        self._grid = np.linspace(low - beyond, high + beyond, self._points, dtype="float32")
        self._inputs = self._grid.reshape(-1, *splits.x_train.shape[1:])
        dropouts = [layer for layer, _ in layers_of(context.model, *DROPOUT)]
        self._thin = bool(self._samples and dropouts)
        self._look, self._thinned = kept(
            context.model,
            "fitted_curve",
            lambda: (
                Look(context.model, outputs=True),
                Look(context.model, training=dropouts, outputs=True),
            ),
        )

    def measure(self, epoch: int) -> Arrays:
        found: Arrays = {"curve": self._values(self._look)}
        if self._thin:
            drawn = [self._values(self._thinned) for _ in range(self._samples)]
            found["spread"] = np.std(drawn, axis=0)
        return found

    def finish(self) -> Arrays:
        found: Arrays = {"grid": self._grid}
        for part in ("train", "test"):
            x, y = getattr(self._splits, f"x_{part}"), getattr(self._splits, f"y_{part}")
            if x is not None:
                found[f"{part}_x"] = np.asarray(x).reshape(-1)[:EXAMPLES]
                found[f"{part}_y"] = np.asarray(y).reshape(len(y), -1)[:EXAMPLES, 0]
        return found

    def _values(self, look: Look) -> Any:
        output = keras.tree.flatten(look(self._inputs)[1])[0]
        return np.asarray(output, "float32").reshape(self._points, -1)[:, 0]
