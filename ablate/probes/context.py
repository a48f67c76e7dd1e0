"""What a probe is told, and what it answers: the agreement with whoever trains.

A probe is a class. It is made with its own arguments, told once where it is (`start`), asked to
`measure` between epochs and at the end to `finish`. What it returns are NumPy arrays by key; those
of `measure` are stacked over the epochs. Keys that begin with one word are shown by TensorBoard,
the rest is for the report:

    scalar/<series>                      one number
    counts/<series>, edges/<series>      a histogram: (bins,) and (bins + 1,)

A `<series>` is a layer's canonical path and what was measured of it, `dense1/input/p50`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import keras
import numpy as np

Arrays = dict[str, np.ndarray]


class Context(Protocol):
    """What a probe may look at, and nothing else.

    `x` and `y` are the validation rows it sees (training rows where there is no validation), the
    same through training; `paths` gives each layer's canonical path on the base model.
    """

    @property
    def model(self) -> keras.Model: ...

    @property
    def splits(self) -> Any: ...

    @property
    def x(self) -> Any: ...

    @property
    def y(self) -> Any: ...

    @property
    def paths(self) -> Mapping[Any, str]: ...

    @property
    def seed(self) -> int: ...

    @property
    def batch_size(self) -> int: ...


class Probe(Protocol):
    """A measurement. `measure` may move the model's variables; whoever asks puts them back."""

    def start(self, context: Context) -> None:
        """Look at what there is, before training.

        Raises:
            StudyError: this network or these data have nothing to measure.
        """

    def measure(self, epoch: int) -> Arrays:
        """Measure after `epoch` epochs; the same keys and shapes each time."""

    def finish(self) -> Arrays:
        """Return what does not change through training."""


def names(values: list[str]) -> np.ndarray:
    """Return texts as an array that a file of arrays can hold."""
    return np.array(values, dtype="U") if values else np.zeros(0, dtype="U1")


def learning_rate(model: keras.Model) -> float:
    """Return the learning rate that the model's optimizer has now."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
