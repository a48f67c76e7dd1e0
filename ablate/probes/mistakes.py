"""Probe `mistakes`: which examples are predicted wrongly, as what, and how surely.

Per row of the probe: the class predicted and its probability; over all rows the confusion matrix.
The examples that are wrong at the end are kept as small images, so that the report can show what
one variant gets wrong and another right, and how often over the seeds.

Cost: a forward pass of the probe's rows. Ask for more of them (`probe_rows`) to see more mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ablate.probes.layer_outputs import LayerOutputs, kept
from ablate.probes.measurement import Arrays, Context, Measurement
from ablate.probes.predictions import labels, probabilities, require_classification


@dataclass
class Mistakes(Measurement):
    """Measure what is predicted wrongly.

    Args:
        images: wrong examples that are kept as images, at most.
        size: longest side of an image in pixels; larger ones are thinned out.

    Measures:
        predicted: (rows,), the likeliest class.
        confidence: (rows,), its probability.
        confusion: (classes, classes), rows by true class and column by predicted.
        scalar/error: share of rows wrong.

    Leaves at the end: `label` (rows,), `row` (rows,) the rows' numbers in the data, `class_names`,
    and of rows wrong at the last measurement `image` (kept, height, width, channels) as bytes and
    `image_row` (kept,), which counts in the probe's rows.
    """

    images: int
    size: int
    moves = False

    def start(self, context: Context) -> None:
        require_classification(context, "mistakes")
        super().start(context)
        splits = context.splits
        self._wrong, self._labels = np.zeros(0, int), labels(context.y)
        numbers = splits.rows_train if splits.x_val is None else splits.rows_val
        self._rows = np.asarray(numbers)[: len(self._labels)]
        self._classes = int(splits.classes or self._labels.max() + 1)
        self._names = [str(each) for each in splits.class_names or range(self._classes)]
        self._outputs = kept(
            context.model, "outputs", lambda: LayerOutputs(context.model, outputs=True)
        )

    def measure(self, epoch: int) -> Arrays:
        chances = probabilities(self._outputs(self.context.x)[1])
        predicted = np.argmax(chances, axis=-1)
        self._wrong = np.flatnonzero(predicted != self._labels)
        confusion = np.zeros((self._classes, max(self._classes, chances.shape[-1])), int)
        np.add.at(confusion, (self._labels, predicted), 1)
        return {
            "predicted": predicted.astype("int32"),
            "confidence": np.max(chances, axis=-1).astype("float32"),
            "confusion": confusion,
            "scalar/error": self._wrong.size / len(self._labels),
        }

    def finish(self) -> Arrays:
        found: Arrays = {
            "label": self._labels.astype("int32"),
            "row": self._rows,
            "class_names": np.array(self._names, "U"),
        }
        inputs = keras.tree.flatten(self.context.x)
        if len(inputs) == 1 and np.ndim(inputs[0]) in (3, 4):
            kept_rows = self._wrong[: self.images]
            found["image"] = as_bytes(np.asarray(inputs[0]), kept_rows, self.size)
            found["image_row"] = kept_rows
        return found

    def state(self) -> Any:
        return self._wrong

    def restore(self, state: Any) -> None:
        self._wrong = state


def as_bytes(images: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Return some of the images as bytes, their common range stretched over 0 to 255.

    Args:
        images: (n, height, width) or (n, height, width, channels), of any range.
        rows: which of them.
        size: longest side that is left; every k-th pixel is taken.
    """
    images = images[..., None] if images.ndim == 3 else images
    low, high = float(images.min()), float(images.max())
    step = -(-max(images.shape[1:3]) // size)
    chosen = images[rows][:, ::step, ::step]
    scaled = (chosen - low) / (high - low or 1.0) * 255
    return np.rint(scaled).astype("uint8")
