"""Rows as a program is fed with them, shared by all trials that have the same.

`Splits` (NumPy) go in, a `Feed` for each part comes out. What is made is remembered for the next
trial as long as it is small or was the last to be used.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.data import Part, Splits, Target, load, split
from ablate.data.column import LARGE, Column, has_columns, memory
from ablate.errors import StudyError
from ablate.study.schema.augment import crop_of
from ablate.study.trial import Spec
from ablate.training.augmentation import cropped
from ablate.training.blocks import BLOCK_BYTES, Blocks
from ablate.training.feed import Batch, Feed, InMemory
from ablate.training.seeding import derive
from ablate.training.setup import has_gpu
from ablate.training.streaming import StreamFeed

#: Rows beyond this many bytes stay in main memory; a GPU gets them batch by batch.
DEVICE_BYTES = 4 * 2**30

#: Splits are remembered as tensors while all of them together take no more than this.
_REMEMBERED_BYTES = 2**29


@dataclass(frozen=True)
class Rows:
    """The rows of a trial: training, validation and test rows; None if not there.

    `splits` are as the network sees them at evaluation; `train` are the rows before augmentation,
    which may be larger. `uncropped` are the splits that they come from.
    """

    splits: Splits
    train: Feed
    validation: Feed | None
    test: Feed | None
    uncropped: Splits | None = None
    notes: tuple[str, ...] = ()  # how the rows reach a step, where they are not held in memory

    @property
    def counts(self) -> dict[str, int]:
        """How many rows each part has; of a stream, as many as the last epoch had."""
        counts = self.splits.rows
        return counts if self.splits.stream is None else counts | {"train": self.train.rows}

    @property
    def nbytes(self) -> int:
        """The memory that they take."""
        return sum(each.nbytes for each in (self.train, self.validation, self.test) if each)

    @property
    def large(self) -> bool:
        """Whether they are too large to live on a GPU."""
        return self.nbytes > DEVICE_BYTES


_made: OrderedDict[tuple[Any, ...], Rows] = OrderedDict()


def rows_of(spec: Spec, seed: int) -> Rows:
    """Return the rows that a trial with `seed` trains, validates and tests on.

    Raises:
        DataError: the source is not as it should be.
    """
    data = spec.data
    if spec.reseed is not None and spec.reseed.split is not None:
        seed = derive(f"{seed}+{spec.reseed.split}", "", "split")
        data = data.model_copy(update={"split": "per_seed"})
    splits = split(load(spec.data), data, seed, spec.model.application)
    # A stream has the batches of its trials.
    wanted = (spec.train.batch_size, spec.train.steps_per_epoch)
    key = (id(splits), crop_of(spec.train.augment), *(wanted if splits.stream is not None else ()))
    if splits.stream is None and spec.train.steps_per_epoch is not None:
        raise StudyError(
            "train.steps_per_epoch bounds a pipeline (tf.data, PyDataset, a generator) that is "
            "made anew for each epoch. The rows here have numbers, and an epoch has all of them."
        )
    if key not in _made:
        (streamed, notes), seen = streams(spec, splits), cropped(splits, spec.train)
        given = {**seen.parts, "train": splits.parts["train"]}
        # Large parts beside a pipeline lie in a file, and stay there.
        read = streamed or splits.stream is not None
        parts = {name: None if part is None else _feed(part, read) for name, part in given.items()}
        if splits.stream is not None:
            parts["train"] = own = _streamed(spec, splits)
            notes = (*notes, _PIPELINE.format(own.batch_size))
        assert parts["train"] is not None
        _made[key] = Rows(seen, parts["train"], parts["validation"], parts["test"], splits, notes)
    _made.move_to_end(key)
    while len(_made) > 1 and sum(each.nbytes for each in _made.values()) > _REMEMBERED_BYTES:
        _made.popitem(last=False)
    return _made[key]


def _streamed(spec: Spec, splits: Splits) -> StreamFeed:
    """Return the feed of training rows that are made anew for each epoch."""
    stream, size = splits.stream, spec.train.batch_size
    assert stream is not None
    steps = stream.steps(size, spec.train.steps_per_epoch)
    return StreamFeed(stream, size, steps, inputs=splits.y_train is splits.x_train)


_PIPELINE = (
    "training rows come from a pipeline, in an order of its own and batches of {}, made anew for "
    "each epoch; validation and test rows are read once"
)


def streams(spec: Spec, splits: Splits) -> tuple[bool, tuple[str, ...]]:
    """Whether rows are read while it trains, as asked or where memory is short, and a note of it.

    Memory is short where they take over a quarter of the machine's for all of its workers.
    """
    leaves = (leaf for part in splits.parts.values() if part for leaf in _leaves(part.x))
    size = sum(_undivided(leaf)[0].nbytes for leaf in leaves)
    threads = spec.train.threads if isinstance(spec.train.threads, int) else 1
    workers = max(1, (os.cpu_count() or 1) // threads)
    short = bool(size * workers > memory() / 4)
    streamed = short if spec.data.load is None else spec.data.load == "stream"
    if not streamed:
        return False, ()
    why = "data.load: stream" if spec.data.load else f"the machine has {memory() / 2**30:.0f}"
    return True, (
        f"rows are read block by block while it trains: {size / 2**30:.2g} GiB for each of "
        f"{workers} worker{'s' if workers > 1 else ''} ({why})",
    )


def _feed(part: Part, streamed: bool) -> Feed:
    """Return what feeds a program with the rows of a part."""
    if not has_columns(part.x) and not has_columns(part.y):
        return InMemory(tensors(part.x, part.y, part.weight))
    inputs = part.y is part.x
    taken = [(leaf, None) if inputs else _undivided(leaf) for leaf in _leaves(part.x)]
    columns = keras.tree.pack_sequence_as(part.x, [leaf for leaf, _ in taken])
    scales = tuple(scale for _, scale in taken)
    given = [leaf for leaf, _ in taken] + ([] if inputs else _leaves(part.y))
    held = sum(leaf.nbytes for leaf in given if getattr(leaf, "held", True))
    rest = () if part.weight is None else (part.weight,)
    if streamed or held > (DEVICE_BYTES if has_gpu() else LARGE):

        def read(rows: np.ndarray) -> Batch:
            x = keras.tree.map_structure(lambda leaf: _array(leaf[rows]), columns)
            y = x if inputs else keras.tree.map_structure(lambda leaf: _array(leaf[rows]), part.y)
            return (x, y, *(_array(each[rows]) for each in rest))

        return Blocks.of(read, part.rows, scales, held)
    x = keras.tree.map_structure(_filled, columns)
    y = x if inputs else keras.tree.map_structure(_filled, part.y)
    return InMemory((x, y, *map(_tensor, rest)), scales)


def _leaves(tree: Any) -> list[Any]:
    return list(keras.tree.flatten(tree))


def _undivided(leaf: Any) -> tuple[Any, np.float32 | None]:
    """Return the bytes behind a leaf and their divisor, where it divides bytes."""
    if isinstance(leaf, Column) and leaf.undivided is not None and leaf.divisor is not None:
        return leaf.undivided, np.float32(leaf.divisor)
    return leaf, None


def _filled(column: Any) -> Any:
    """Return the rows of a column as a tensor that is filled some at a time."""
    if not isinstance(column, Column) or column.dtype.kind not in "biuf":
        return _tensor(column)
    example = max(1, column.nbytes // len(column))
    stride = max(1, BLOCK_BYTES // example)
    with tf.device("/CPU:0"):
        # No public operation writes into a tensor that is there; here nobody else has seen it.
        whole = tf.raw_ops.Empty(shape=column.shape, dtype=tf.as_dtype(_kind(column.dtype)))
        for start in range(0, len(column), stride):
            block = _array(column[start : start + stride])
            where = tf.range(start, start + len(block))
            whole = tf.raw_ops.InplaceUpdate(x=whole, i=where, v=block)
    if column.nbytes > DEVICE_BYTES:
        return whole
    return tf.identity(whole) if has_gpu() else whole


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
    if splits.stream is not None and not isinstance(class_weight, dict):
        raise StudyError(
            "train.class_weight: balanced counts the rows of each class, and the training rows are "
            "a pipeline. Give the weight of each class, or say data.load: memory."
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
    table = table.astype(keras.config.floatx())
    return train.weighted(table if splits.stream is not None else table[labels])


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
    return tf.convert_to_tensor(_array(np.asarray(array)))


def _array(array: np.ndarray) -> np.ndarray:
    return array.astype(_kind(array.dtype), copy=False)


def _kind(dtype: np.dtype) -> Any:
    """Return the type in which values enter the graph, as Keras does with what `fit` is given."""
    return np.dtype(keras.config.floatx()) if dtype == np.float64 else dtype


def _bytes(leaf: Any) -> int:
    if isinstance(leaf, np.ndarray):
        return int(leaf.nbytes)
    return int(np.prod(leaf.shape)) * int(leaf.dtype.size)
