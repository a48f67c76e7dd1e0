"""Feeds of rows that are read a block at a time, in the background, while the steps before run.

The rows of the next block are read while the graph takes the steps of the one before: two blocks
are there, never more. Nothing trains while the first is read, so it is small and those after it
grow. The rows of a block are read in ascending order, which suits files, and taken in the order of
the pass by their places in the block. Which rows a step gets derives from the order alone, so that
any size of block gives the bits of rows in memory, also after a resume.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from ablate.training.feed import Batch, Pass, Piece, Scales, ready, specs_of
from ablate.training.seeding import Seed, order

#: Bytes of a block, as it enters the graph: at most, and of the first of a pass.
BLOCK_BYTES = 32 * 2**20
_FIRST_BYTES = 2**19

Read = Callable[[np.ndarray], Batch]


@dataclass(frozen=True)
class Blocks:
    """Rows that `read` gives by their numbers, 0 to `rows` - 1, as (x, y) or (x, y, weights)."""

    read: Read
    rows: int
    scales: Scales
    specs: Batch
    held: int = 0
    batch_size: int | None = None

    @classmethod
    def of(cls, read: Read, rows: int, scales: Scales, held: int = 0) -> Blocks:
        """Return the feed; one row is read to see what a batch looks like.

        `held`: bytes that lie in memory for it.
        """
        return cls(read, rows, scales, specs_of(read(np.array([0]))), held)

    @property
    def nbytes(self) -> int:
        """The memory that is held."""
        return self.held

    def steps(self, batch_size: int) -> int:
        """Return how many steps a pass takes."""
        return -(-self.rows // batch_size)

    def order(self, seed: Seed, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch (from 0), as `start` takes it."""
        return order(self.rows, seed, epoch)

    def start(self, order: np.ndarray | None, batch_size: int) -> Pass:
        """Begin a pass: over the rows `order`, or over all of them as they come."""
        rows = np.arange(self.rows) if order is None else order
        leaves = keras.tree.flatten(self.specs)
        row = sum(int(np.prod(each.shape[1:])) * each.dtype.size for each in leaves)
        return _BlockPass(self.read, rows, batch_size, max(1, row * batch_size))

    def batch(self, start: int, stop: int) -> Batch:
        """Return rows as tensors, as a step of the model sees them."""
        stop = min(stop, self.rows)
        return ready(_tensors(self.read(np.arange(start, stop))), self.scales)

    def weighted(self, weights: np.ndarray) -> Blocks:
        """Return the same rows, each with a weight (times the one that it has)."""

        def read(rows: np.ndarray) -> Batch:
            x, y, *own = self.read(rows)
            return x, y, weights[rows] * own[0] if own else weights[rows]

        return replace(self, read=read, specs=specs_of(read(np.array([0]))))


class ReadAhead(ABC):
    """A pass of so many `steps` whose pieces are read in a thread, each while the last is taken."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._thread = ThreadPoolExecutor(1, "rows")
        self._room = _FIRST_BYTES
        self._now: Piece | None = None
        self._next = self._submit(0)

    @property
    def seen(self) -> str | None:
        """What names the rows that were seen, where nobody knew them before."""
        return None

    @abstractmethod
    def read(self, start: int, room: int) -> Piece:
        """Return the piece that begins with step `start`, of about `room` bytes."""

    def piece(self, step: int) -> Piece:
        """Return the block that holds the rows of `step`; steps are asked for in order."""
        if self._now is None or step >= self._now.stop:
            self._now = None  # it is let go of before the one after the next is read
            self._now = self._next.result()
            if self._now.stop < self.steps:
                self._next = self._submit(self._now.stop)
        return self._now

    def close(self) -> None:
        """Stop reading ahead."""
        self._thread.shutdown(cancel_futures=True)

    def _submit(self, start: int) -> Future[Piece]:
        room = min(self._room, BLOCK_BYTES)
        self._room *= 2
        return self._thread.submit(self.read, start, room)


class _BlockPass(ReadAhead):
    """A pass over `order`; a step takes `size` bytes."""

    def __init__(self, read: Read, order: np.ndarray, batch_size: int, size: int) -> None:
        self._rows, self._order = read, order
        self._batch_size, self._size = batch_size, size
        super().__init__(-(-len(order) // batch_size))

    def read(self, start: int, room: int) -> Piece:
        """Return the piece that begins with step `start`, of about `room` bytes."""
        stop = min(self.steps, start + max(1, room // self._size))
        first = start * self._batch_size
        rows = self._order[first : stop * self._batch_size]
        places = np.argsort(rows, kind="stable")
        block = _tensors(self._rows(rows[places]))
        indices = np.empty(len(rows), np.int32)
        indices[places] = np.arange(len(rows), dtype=np.int32)
        return Piece(block, tf.constant(indices), first, len(self._order), stop)


def _tensors(batch: Batch) -> Batch:
    made: Batch = keras.tree.map_structure(tf.convert_to_tensor, batch)
    return made
