"""What a program is fed with: rows as (x, y) or (x, y, weights), whole or a block at a time.

A `Feed` says what a batch looks like and opens a `Pass` over its rows. A pass gives, for a step,
the piece of the rows that this step and some after it take: all rows, or a block that was read
in the background. The graph is the same for both, so are the bits.

Images of bytes stay bytes: the graph divides them by `scales`, which are its inputs. A constant
would be rewritten into a multiplication, whose last bits differ from those of a division.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from ablate.training.seeding import Seed, order

#: (x, y) or (x, y, weights): trees of tensors, of specs or of arrays, by row.
Batch = tuple[Any, ...]

#: For each leaf of x by what the graph divides it, None where it takes it as it is.
Scales = tuple[np.float32 | None, ...]


@dataclass(frozen=True)
class Piece:
    """Rows for the steps up to `stop` (exclusive).

    Row r of a pass is row `indices[r - offset]` of `data`; the pass has `total` rows, as far as
    is known. Step s takes the rows from s · `batch_size` on, None where that is the pass's.
    """

    data: Batch
    indices: Any
    offset: int
    total: int
    stop: int
    batch_size: int | None = None


class Pass(Protocol):
    """One pass over rows in an order."""

    @property
    def steps(self) -> int:
        """How many steps it takes."""

    def piece(self, step: int) -> Piece:
        """Return the piece that holds the rows of `step`; steps are asked for in order."""

    @property
    def seen(self) -> str | None:
        """What names the rows that were seen, where nobody knew them before."""

    def close(self) -> None:
        """Stop reading ahead."""


class Feed(Protocol):
    """Rows that a program trains or evaluates on."""

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def specs(self) -> Batch:
        """The batch as it enters the graph, a `tf.TensorSpec` for each leaf."""

    @property
    def scales(self) -> Scales:
        """By what the graph divides the leaves of x."""

    @property
    def nbytes(self) -> int:
        """The memory that is held."""

    @property
    def batch_size(self) -> int | None:
        """Rows of a batch, where the rows come in batches of their own."""

    def steps(self, batch_size: int) -> int:
        """Return how many steps a pass takes."""

    def order(self, seed: Seed, epoch: int) -> Any:
        """Return the order of the rows in an epoch (from 0), as `start` takes it."""

    def start(self, order: Any, batch_size: int) -> Pass:
        """Begin a pass: over the rows in `order`, or over all of them as they come (None)."""

    def batch(self, start: int, stop: int) -> Batch:
        """Return rows as tensors, as a step of the model sees them."""

    def weighted(self, weights: np.ndarray) -> Feed:
        """Return the same rows, each with a weight (times the one that it has)."""


@dataclass(frozen=True)
class InMemory:
    """Rows that are tensors."""

    data: Batch
    scales: Scales = ()
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if not self.scales:
            object.__setattr__(self, "scales", (None,) * len(keras.tree.flatten(self.data[0])))

    @property
    def rows(self) -> int:
        """How many there are."""
        return row_count(self.data)

    @property
    def specs(self) -> Batch:
        """The batch as it enters the graph."""
        return specs_of(self.data)

    @property
    def nbytes(self) -> int:
        """The memory that the tensors take."""
        leaves = keras.tree.flatten(self.data)
        return sum(int(np.prod(each.shape)) * int(each.dtype.size) for each in leaves)

    def steps(self, batch_size: int) -> int:
        """Return how many steps a pass takes."""
        return -(-self.rows // batch_size)

    def order(self, seed: Seed, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch (from 0), as `start` takes it."""
        return order(self.rows, seed, epoch)

    def start(self, order: np.ndarray | None, batch_size: int) -> Pass:
        """Begin a pass: over the rows `order`, or over all of them as they come."""
        rows = np.arange(self.rows, dtype=np.int32) if order is None else order
        steps = -(-len(rows) // batch_size)
        return _Whole(steps, Piece(self.data, tf.constant(rows), 0, len(rows), steps))

    def batch(self, start: int, stop: int) -> Batch:
        """Return rows as tensors, as a step of the model sees them."""
        taken = keras.tree.map_structure(lambda leaf: leaf[start:stop], self.data)
        return ready(taken, self.scales)

    def weighted(self, weights: np.ndarray) -> InMemory:
        """Return the same rows, each with a weight (times the one that it has)."""
        own = tf.convert_to_tensor(weights)
        if len(self.data) > 2:
            own = own * self.data[2]
        return replace(self, data=(*self.data[:2], own))


@dataclass(frozen=True)
class _Whole:
    steps: int
    only: Piece
    seen: str | None = None

    def piece(self, step: int) -> Piece:
        return self.only

    def close(self) -> None:
        return


def row_count(batch: Batch) -> int:
    """Return how many rows a batch, or a split, has."""
    return int(keras.tree.flatten(batch)[0].shape[0])


def specs_of(batch: Batch) -> Batch:
    """Return the specs of a batch of any number of rows like `batch`."""
    made: Batch = keras.tree.map_structure(
        lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), tf.as_dtype(leaf.dtype)), batch
    )
    return made


def ready(batch: Batch, scales: Scales | tuple[Any, ...]) -> Batch:
    """Return a batch as a step takes it: bytes divided by their scales, in float32."""
    if all(each is None for each in scales):
        return batch
    leaves = [
        leaf if scale is None else tf.cast(leaf, tf.float32) / scale
        for leaf, scale in zip(keras.tree.flatten(batch[0]), scales, strict=True)
    ]
    return (keras.tree.pack_sequence_as(batch[0], leaves), *batch[1:])
