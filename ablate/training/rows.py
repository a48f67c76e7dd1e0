"""Rows as a program is fed with them, shared by all trials that have the same.

`Splits` (NumPy) go in, a `Feed` for each part comes out. What is made is remembered for the next
trial as long as it is small or was the last to be used.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.data import Splits, Target, load, split
from ablate.errors import StudyError
from ablate.study.trial import Spec
from ablate.training.feed import Batch, Feed, InMemory

#: Rows beyond this many bytes stay in main memory; a GPU gets them batch by batch.
DEVICE_BYTES = 4 * 2**30

#: Splits are remembered as tensors while all of them together take no more than this.
_REMEMBERED_BYTES = 2**29


@dataclass(frozen=True)
class Rows:
    """The rows of a trial: training, validation and test rows; None if not there."""

    splits: Splits
    train: Feed
    validation: Feed | None
    test: Feed | None

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return sum(each.nbytes for each in (self.train, self.validation, self.test) if each)

    @property
    def large(self) -> bool:
        """Whether they are too large to live on a GPU."""
        return self.nbytes > DEVICE_BYTES


_made: OrderedDict[int, Rows] = OrderedDict()


def rows_of(spec: Spec, seed: int) -> Rows:
    """Return the rows that a trial with `seed` trains, validates and tests on.

    Raises:
        DataError: the source is not as it should be.
    """
    splits = split(load(spec.data), spec.data, seed, spec.model.application)
    key = id(splits)
    if key not in _made:
        parts = {
            name: None if part is None else InMemory(tensors(part.x, part.y, part.weight))
            for name, part in splits.parts.items()
        }
        assert parts["train"] is not None
        _made[key] = Rows(splits, parts["train"], parts["validation"], parts["test"])
    _made.move_to_end(key)
    while len(_made) > 1 and sum(each.nbytes for each in _made.values()) > _REMEMBERED_BYTES:
        _made.popitem(last=False)
    return _made[key]


def forget() -> None:
    """Drop all rows that are remembered."""
    _made.clear()


def tensors(x: Any, y: Any, weight: Any = None) -> Batch:
    """Return (x, y) or (x, y, weight) as tensors; the inputs are the targets where y is None."""
    large = sum(_bytes(leaf) for leaf in keras.tree.flatten(x)) > DEVICE_BYTES
    with tf.device("/CPU:0" if large else None):
        inputs = keras.tree.map_structure(_tensor, x)
        batch = inputs, inputs if y is None else keras.tree.map_structure(_tensor, y)
        return batch if weight is None else (*batch, keras.tree.map_structure(_tensor, weight))


def weighted(train: Feed, splits: Splits, class_weight: dict[int, float] | str | None) -> Feed:
    """Return the training rows with the weight of each row's class, if there are any.

    `balanced` gives class c the weight N / (K·N_c), for K classes and N rows, N_c of them in c.
    A class that a mapping leaves out has weight 1, as in `fit`.

    Raises:
        StudyError: the study has no single classification output, or names a class there is not.
    """
    if class_weight is None:
        return train
    target = splits.targets
    if (
        not isinstance(target, Target)
        or target.classes is None
        or not (target.one_hot or target.shape in ((), (1,)))
    ):
        raise StudyError(
            "train.class_weight: the data has no single target of one class a row to weigh."
        )
    labels = labels_of(splits.y_train)
    if isinstance(class_weight, dict):
        strangers = [each for each in class_weight if not 0 <= each < target.classes]
        if strangers:
            raise StudyError(
                f"train.class_weight: there is no class {strangers[0]}. "
                f"Expected classes from 0 to {target.classes - 1}."
            )
        table = np.array([class_weight.get(each, 1.0) for each in range(target.classes)])
    else:
        counts = np.bincount(labels, minlength=target.classes)
        table = len(labels) / (target.classes * np.maximum(counts, 1))
    return train.weighted(table[labels].astype(keras.config.floatx()))


def labels_of(y: Any) -> np.ndarray:
    """Return labels as integers of one axis, from integer or one-hot targets."""
    y = np.asarray(y)
    if y.ndim > 1 and y.shape[-1] != 1:
        return np.argmax(y, axis=-1)
    return np.round(y.reshape(len(y))).astype(np.int64)


def majority(splits: Splits) -> float | None:
    """Return the share of the commonest class among the validation rows, None if regression."""
    target = splits.targets
    if not isinstance(target, Target) or target.classes is None or splits.y_val is None:
        return None
    if target.shape not in ((), (1,)) and not target.one_hot:
        return None
    labels = labels_of(splits.y_val)
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else None


def _tensor(array: Any) -> Any:
    array = np.asarray(array)
    if array.dtype == np.float64:
        array = array.astype(keras.config.floatx())  # as Keras does with what `fit` is given
    return tf.convert_to_tensor(array)


def _bytes(leaf: Any) -> int:
    if isinstance(leaf, np.ndarray):
        return int(leaf.nbytes)
    return int(np.prod(leaf.shape)) * int(leaf.dtype.size)
