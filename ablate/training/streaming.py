"""A feed of training rows that are made anew for each epoch, in an order of their own.

The background thread runs the pipeline under the epoch's seeds and puts its batches together to
blocks; a digest of all that an epoch saw goes into the trial's record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.data.nested import leaves
from ablate.data.pipelines import Members, joined
from ablate.data.streams import Stream, digest_of
from ablate.errors import DataError, StudyError
from ablate.study.schema.train import Train
from ablate.training.blocks import ReadAhead
from ablate.training.feed import Batch, Pass, Piece, Scales, ready, specs_of

#: Hex digits of an epoch's digest.
DIGITS = 16


@dataclass(frozen=True)
class StreamFeed:
    """Training rows of a stream, `length` steps of `batch_size` rows in an epoch.

    Batches that the pipeline makes stay as they are, whatever their sizes; `batch_size` is then
    that of the first. `order` is the trial's seed and the epoch. `classes` has the weight of each
    class.
    """

    stream: Stream
    batch_size: int
    length: int
    inputs: bool = False
    classes: np.ndarray | None = None
    scales: Scales = ()
    specs: Batch = field(default=())
    _counted: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        stream = self.stream
        usual = Train.model_fields["batch_size"].default
        if stream.batch_size not in (None, self.batch_size):
            if self.batch_size != usual:
                raise StudyError(
                    f"train.batch_size: {self.batch_size}, and the batches of {stream.name} have "
                    f"{stream.batch_size} rows. Leave it out, or batch otherwise in the pipeline."
                )
            object.__setattr__(self, "batch_size", stream.batch_size)
        if not self.specs:
            scales = tuple(None if each is None else np.float32(each) for each in stream.scales)
            object.__setattr__(self, "scales", scales)
            object.__setattr__(self, "specs", specs_of(self._raw(1)))

    @property
    def rows(self) -> int:
        """How many rows the last epoch had; before any, as many as whole batches have."""
        return self._counted[0] if self._counted else self.length * self.batch_size

    @property
    def nbytes(self) -> int:
        """The memory that is held."""
        return 0

    def steps(self, batch_size: int) -> int:
        """Return how many steps an epoch takes."""
        return self.length

    def order(self, seed: object, epoch: int) -> Any:
        """Return what an epoch's rows derive from."""
        return seed, epoch

    def start(self, order: Any, batch_size: int) -> Pass:
        """Begin an epoch: (seed, epoch), or None for rows that are the same for all trials."""
        seed = ("evaluation", 0) if order is None else order
        return _StreamPass(self, seed[0], seed[1])

    def batch(self, start: int, stop: int) -> Batch:
        """Return rows as tensors, as a step of the model sees them."""
        taken = keras.tree.map_structure(lambda leaf: leaf[start:stop], self._raw(stop))
        return ready(taken, self.scales)

    def weighted(self, weights: np.ndarray) -> StreamFeed:
        """Return the same rows, each with the weight of its class.

        Args:
            weights: by class.
        """
        return replace(self, classes=weights, specs=())

    def members(self, batch: Members) -> Batch:
        """Return a batch of the stream as (x, y) or (x, y, weights)."""
        x, *rest = (_plain(each) for each in batch)
        y = x if self.inputs or not rest else rest[0]
        weight = rest[1].astype(keras.config.floatx()) if len(rest) > 1 else None
        if self.classes is not None:
            numbers = np.argmax(y, axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(-1)
            own = self.classes[numbers]
            weight = own if weight is None else own * weight
        return (x, y) if weight is None else (x, y, weight)

    def _raw(self, rows: int) -> Batch:
        """Return the first rows of the epoch that is for looking at."""
        found: list[Members] = []
        count = 0
        given = self.stream.open(self.batch_size, "first")
        try:
            for each in given:
                found.append(self.members(each))
                count += _rows(each)
                if count >= rows:
                    break
        finally:
            given.close()
        made: Batch = keras.tree.map_structure(tf.convert_to_tensor, joined(found))
        return made


class _StreamPass(ReadAhead):
    """An epoch of a stream."""

    def __init__(self, feed: StreamFeed, seed: object, epoch: int) -> None:
        self._feed, self._epoch = feed, epoch
        self._what = f"{feed.stream.name}, epoch {epoch + 1}"
        self._given = feed.stream.open(feed.batch_size, seed, epoch, epoch=epoch)
        self._digest = hashlib.sha256()
        self._ahead: Members | None = None
        self._count = 0
        super().__init__(feed.length)

    @property
    def seen(self) -> str | None:
        """The digest of the epoch's rows, None before its end."""
        done = self._now is not None and self._now.stop == self.steps
        return self._digest.hexdigest()[:DIGITS] if done else None

    def close(self) -> None:
        """Stop reading ahead; what drew in the thread under the epoch's seeds draws as before."""
        self._thread.submit(self._given.close).result()
        super().close()

    def read(self, start: int, room: int) -> Piece:
        """Return the piece that begins with step `start`, of about `room` bytes."""
        feed, size = self._feed, self._feed.batch_size
        taken: list[Members] = []
        step = start
        while step < self.steps and (not taken or room > 0):
            each = self._ahead or self._batch(step)
            count, self._ahead = _rows(each), None
            if not taken:
                size = count if step + 1 < self.steps else max(size, count)
            elif count > size or (count < size and step + 1 < self.steps):
                self._ahead = each  # a block has batches of one size, but for the last
                break
            digest_of(self._digest, each)
            taken.append(feed.members(each))
            room -= sum(leaf.nbytes for member in each for _, leaf in leaves(member))
            step += 1
        block: Batch = keras.tree.map_structure(tf.convert_to_tensor, joined(taken))
        rows = int(keras.tree.flatten(block)[0].shape[0])
        self._count += rows
        total = start * size + rows
        if step == self.steps:
            feed._counted[:] = [self._count]
        else:
            total += 1  # it goes on
        return Piece(block, tf.range(rows), start * size, total, step, size)

    def _batch(self, step: int) -> Members:
        try:
            given = next(self._given, None)
        except DataError as error:
            raise DataError(f"{error} (epoch {self._epoch + 1}, batch {step})") from error
        if given is None:
            raise DataError(self._short(step))
        return given

    def _short(self, step: int) -> str:
        if not step:
            return (
                f"{self._what}: it gives no rows. A generator that is made once is exhausted when "
                "it has been read: make it inside the function that is called."
            )
        return (
            f"{self._what}: it ends after {step} batches (row {self._count}), and an epoch has "
            f"{self.steps}. Expected: as many in each epoch; train.steps_per_epoch "
            "bounds them."
        )


def _rows(batch: Members) -> int:
    return len(next(leaf for _, leaf in leaves(batch[0])))


def _plain(tree: Any) -> Any:
    def one(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(keras.config.floatx()) if leaf.dtype == np.float64 else leaf

    return keras.tree.map_structure(one, tree)
