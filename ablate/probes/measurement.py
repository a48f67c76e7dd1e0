"""What a probe is given and what it returns: the agreement with whoever trains.

A probe's arrays are NumPy arrays by key; those of `measure` are stacked over the epochs. Keys that
begin with one of these words are shown by TensorBoard, the rest is for the report:

    scalar/<series>                      one number
    counts/<series>, edges/<series>      a histogram: (bins,) and (bins + 1,)

A `<series>` is a layer's canonical path and what was measured of it, `dense1/input/p50`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from ablate.data import Splits

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What a probe may use.

    `x` and `y` are the `probe_rows` validation rows (training rows where there is no validation),
    the same for all epochs, seeds and variants that share a split. `paths` gives each layer's
    canonical path on the base model.
    """

    model: keras.Model
    splits: Splits
    x: Any
    y: Any
    paths: Mapping[Any, str]
    seed: int
    batch_size: int
    epochs: int


class Measurement:
    """A measurement, made with the probe's own arguments.

    It may move the model's variables, whoever asks puts them back; one that never does says so by
    `moves = False`, which saves the copies. `layer_names` are the layers that it measures, if any,
    in the order in which the signal passes them.
    """

    moves: ClassVar[bool] = True
    context: Context
    layer_names: Sequence[str] = ()

    def start(self, context: Context) -> None:
        """Prepare, before training.

        Raises:
            StudyError: this network or these data have nothing to measure.
        """
        self.context = context

    def measure(self, epoch: int) -> Arrays:
        """Measure after `epoch` epochs; the same keys and shapes each time."""
        raise NotImplementedError

    def finish(self) -> Arrays:
        """Return what does not change through training: the names of the layers measured."""
        return {"layers": np.array(self.layer_names, "U")}

    def state(self) -> Any:
        """Return what the next measurement needs of the earlier ones, for a checkpoint."""
        return {}

    def restore(self, state: Any) -> None:
        """Go on from `state`."""


def learning_rate(model: keras.Model) -> float:
    """Return the learning rate that the model's optimizer has now."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
