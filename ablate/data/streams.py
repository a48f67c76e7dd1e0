"""Training rows that come in an order of their own, made anew for each epoch.

A `call` that gives a pipeline is called again for each epoch, under seeds that derive from the
trial's and the epoch, so that an epoch can be had again after a kill, and all variants of a seed
see the same rows. What was seen is known by its digest. Validation and test parts are read once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ablate.data.nested import Tree, leaves, over
from ablate.data.pipelines import (
    PATIENCE,
    Members,
    batches,
    elements,
    is_batch,
    joined,
    length,
    members,
)
from ablate.data.reader import ToTree
from ablate.data.reading import seeded
from ablate.errors import DataError
from ablate.study.schema.data import Data
from ablate.study.specs import Target

#: Rows and bytes of the first batches, which say what inputs and targets are like.
_SAMPLE_ROWS = 4096
_SAMPLE_BYTES = 1 << 25

Change = Callable[[Tree], Tree]


@dataclass(frozen=True, eq=False)
class Stream:
    """A pipeline that is made anew for each epoch.

    `make` makes it; `inputs` and `targets` bring what it gives into the form of arrays in memory.
    `batch_size` is that of its own batches, None if it gives rows. `length` counts its batches, or
    rows if it gives rows: None if it does not say, -1 if it never ends. `scales`: by what the
    graph divides the bytes of each leaf of x, None where nothing is left to divide.
    """

    name: str
    make: Callable[[], Any]
    tree: ToTree
    batch_size: int | None
    length: int | None
    inputs: tuple[Change, ...] = ()
    targets: Change | None = None
    scales: tuple[float | None, ...] = ()

    def open(
        self, batch_size: int, *seed: object, epoch: int = 0
    ) -> Generator[Members, None, None]:
        """Yield the batches of an epoch, read under `seed`.

        Raises:
            DataError: it raises, or gives no batches like its first.
        """
        with seeded("data", *seed):
            given = batches(self.make(), self.name, batch_size, self.tree, epoch)
            with closing(given):
                for number, (x, *rest) in enumerate(given):
                    for change in self.inputs:
                        x = change(x)
                    self._check(x, number)
                    if rest and self.targets is not None:
                        rest[0] = self.targets(rest[0])
                    yield (x, *rest)

    def steps(self, batch_size: int, wanted: int | None) -> int:
        """Return how many batches an epoch has.

        Args:
            batch_size: rows of a batch.
            wanted: `train.steps_per_epoch`.

        Raises:
            DataError: it never ends, or ends before.
        """
        known = self.length
        if known is not None and known >= 0 and self.batch_size is None:
            known = -(-known // batch_size)
        if wanted is not None:
            if known is not None and 0 <= known < wanted:
                raise DataError(
                    f"train.steps_per_epoch: {wanted}, and {self.name} has {known} batches."
                )
            return wanted
        if known == -1:
            raise DataError(
                f"{self.name} never ends (repeat()). Set train.steps_per_epoch, or leave out what "
                "repeats it."
            )
        return self._counted(batch_size) if known is None else known

    def _counted(self, batch_size: int) -> int:
        began, count = time.perf_counter(), 0
        with closing(self.open(batch_size, "count")) as given:
            for count, _ in enumerate(given, 1):
                if time.perf_counter() - began > PATIENCE:
                    raise DataError(
                        f"{self.name} does not say how long it is, and has not ended after "
                        f"{count} batches in {PATIENCE:.0f} s. Set train.steps_per_epoch."
                    )
        if not count:
            raise DataError(_empty(self.name))
        return count

    def _check(self, x: Tree, number: int) -> None:
        for name, leaf in leaves(x, "x"):
            if leaf.dtype.kind == "f" and not np.isfinite(leaf.sum(dtype=np.float64)):
                bad = np.flatnonzero(~np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1))
                if len(bad):
                    kind = "NaN" if np.isnan(leaf[bad[0]]).any() else "infinite values"
                    raise DataError(
                        f"{self.name}: {name} has {kind} in row {bad[0]} of batch {number}."
                    )


def _empty(name: str) -> str:
    return (
        f"{name} gives no rows. A generator that is made once is exhausted when it has been read: "
        "make it inside the function that is called."
    )


def first_batches(stream: Stream) -> Members:
    """Return the first batches as one, which show what the rows are like."""
    taken: list[Members] = []
    rows = size = 0
    with closing(stream.open(32, "first")) as given:
        for each in islice(given, 256):
            taken.append(each)
            rows += len(next(leaf for _, leaf in leaves(each[0])))
            size += sum(leaf.nbytes for _, leaf in leaves(each[0]))
            if rows >= _SAMPLE_ROWS or size >= _SAMPLE_BYTES:
                break
    if not taken:
        raise DataError(_empty(stream.name))
    return joined(taken)


def stream_of(name: str, make: Callable[[], Any], tree: ToTree) -> tuple[Stream, Members]:
    """Return the stream that `make` makes, and its first batches as arrays."""
    with seeded("data", "first"):
        value = make()
        element = next(elements(value, name), None)
        if element is None:
            raise DataError(_empty(name))
        batched, count = is_batch(value, element), length(value)
    rows = (
        len(next(leaf for _, leaf in leaves(members(element, name, tree)[0]))) if batched else None
    )
    made = Stream(name, make, tree, rows, count)
    return made, first_batches(made)


def check_stream(stream: Stream, data: Data, parts: dict[str, bool]) -> None:
    """Refuse what a stream cannot do, with the way out.

    Args:
        stream: the training rows.
        data: the section of the study.
        parts: whether there are a validation and a test part.

    Raises:
        DataError: a part is missing, or a field needs rows by their numbers.
    """
    out = "Or say data.load: memory, which reads it once and keeps its rows."
    missing = [name for name, there in parts.items() if not there and getattr(data, name) > 0]
    if missing:
        raise DataError(
            f"{stream.name} is a pipeline, of which no rows can be set apart, and there is no "
            f"{' and no '.join(missing)} part. Return one ({{'train': …, "
            f"{', '.join(repr(each) + ': …' for each in missing)}}}), or say "
            f"{', '.join(f'data.{each}: 0' for each in missing)} to go without. {out}"
        )
    given = {
        "folds": data.folds,
        "groups": data.groups,
        "limit": data.limit,
        "only": data.only,
        "split": None if data.split == "fixed" else data.split,
        "scale": data.scale if data.scale in ("standard", "unit") else None,
    }
    for field, value in given.items():
        if value is not None:
            raise DataError(
                f"data.{field}: {value} needs rows by their numbers, and {stream.name} is a "
                f"pipeline with an order of its own. Do it in the pipeline. {out}"
            )


def as_target(y: np.ndarray, target: Target, name: str) -> np.ndarray:
    """Return targets of a batch in the form that those of arrays have.

    Raises:
        DataError: a label that is none of the classes.
    """
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "f":
        y = y[:, 0]
    if target.task == "regression":
        y = y.astype(np.float32)
        return y[:, None] if y.ndim == 1 else y
    if target.one_hot:
        return y.astype(np.float32)
    if y.dtype.kind == "U" and target.class_names:
        numbers = {each: number for number, each in enumerate(target.class_names)}
        strange = [each for each in y.ravel() if each not in numbers]
        if strange:
            raise DataError(f"{name}: the label '{strange[0]}' is none of the classes.")
        y = np.vectorize(numbers.__getitem__, otypes=[int])(y)
    if y.size and (y.min() < 0 or y.max() >= (target.classes or 0)):
        raise DataError(
            f"{name}: the label {y.max() if y.min() >= 0 else y.min()}, but {target.classes} "
            f"classes are known from the first batches: 0 to {(target.classes or 1) - 1}. Return "
            "their number beside the parts: {'train': …, 'classes': …}."
        )
    return y.astype(np.int32)


def prepared(
    stream: Stream, inputs: Change, target: Any, scales: tuple[float | None, ...]
) -> Stream:
    """Return the stream with inputs and targets as a trial takes them."""

    def targets(y: Tree) -> Tree:
        return over(lambda leaf, each: as_target(leaf, each, stream.name), y, target)

    return replace(
        stream,
        inputs=(*stream.inputs, inputs),
        targets=None if target is None else targets,
        scales=scales,
    )


def digest_of(whole: Any, batch: Members) -> None:
    """Add a batch to a digest of rows."""
    for each in batch:
        for name, leaf in leaves(each, "row"):
            array = np.ascontiguousarray(leaf)
            whole.update(f"{name} {array.dtype.str} {array.shape}\0".encode())
            raw = array.astype("S") if array.dtype.kind == "U" else array
            whole.update(raw.reshape(-1).view(np.uint8).data)
