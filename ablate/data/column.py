"""Arrays whose rows are read when they are asked for.

A `Column` has the shape and type of an array and gives rows by number; what it reads is its own
business: a file that is mapped for as long as a reading takes, or a reader of anyone's own that
gives inputs, targets and weights together. Columns stand in trees where arrays do. `take` and
`changed` make others of them that read the same way, so that a set that fits in no memory is
split and scaled without being read.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.nested import Tree, leaves
from ablate.errors import DataError

#: Arrays of more bytes than this are split by their row numbers and scaled as they are read. Lying
#: in memory, they are read in blocks, since as tensors they would be there twice.
LARGE = 1 << 24

#: Rows that are read at once where all are looked through, at most, and values; what is fitted is
#: summed over as many.
CHUNK = 4096
_MOST = 1 << 24

Read = Callable[[np.ndarray], np.ndarray]
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Column:
    """Rows of one array, read when they are asked for.

    `read` gives rows of the source by their numbers; `rows` are those that this column has, None
    for the first `size`. `changes` are applied to what is read, each row by itself. `divisor`: the
    last change is a division of bytes by it, which may as well be made later. `held`: what is read
    lies in memory already. `content` returns a text that names what the source holds, where that
    is known by other means than by reading it.
    """

    name: str
    read: Read
    size: int
    example: tuple[int, ...]
    dtype: np.dtype
    rows: np.ndarray | None = None
    changes: tuple[Change, ...] = ()
    divisor: float | None = None
    held: bool = False
    content: Callable[[], str] | None = None
    undivided: Column | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return (len(self), *self.example)

    @property
    def ndim(self) -> int:
        """As of an array."""
        return 1 + len(self.example)

    @property
    def nbytes(self) -> int:
        """What all rows would take in memory."""
        return len(self) * int(np.prod(self.example, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.size if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return rows as an array: those of a slice or of row numbers.

        Raises:
            DataError: they cannot be read, or are not what the column holds.
        """
        if isinstance(index, int | np.integer):
            return self[np.array([index])][0]
        numbers = self._numbers(index)
        block = self.read(numbers)
        for change in self.changes:
            block = change(block)
        if not self.held and block.dtype.kind == "f":
            self._check_finite(block, numbers)
        return block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)

    def take(self, index: np.ndarray) -> Column:
        """Return the column of some rows; none is read."""
        undivided = None if self.undivided is None else self.undivided.take(index)
        return replace(self, rows=self._numbers(index), undivided=undivided)

    def changed(self, change: Change, divisor: float | None = None) -> Column:
        """Return the column of changed rows; none is read.

        `divisor`: the change is a division by it, in float32, of bytes.
        """
        like = change(np.zeros((1, *self.example), self.dtype))
        return replace(
            self,
            example=like.shape[1:],
            dtype=like.dtype,
            changes=(*self.changes, change),
            divisor=divisor,
            undivided=None if divisor is None else self,
        )

    def setflags(self, write: bool) -> None:
        """As of an array: nobody writes to a column."""

    def _check_finite(self, block: np.ndarray, numbers: np.ndarray) -> None:
        if np.isfinite(block.sum(dtype=np.float64)):
            return  # a sum is finite only if every term is
        bad = np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))
        if len(bad):
            kind = "NaN" if np.isnan(block[bad[0]]).any() else "infinite values"
            raise DataError(
                f"{self.name} has {kind} (or values beyond float32) in row {numbers[bad].min()}. "
                "Remove or replace such rows."
            )

    def _numbers(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        return index if self.rows is None else self.rows[index]


@dataclass(frozen=True)
class _Mapped:
    """Reads rows of an array that lies in a file, which is mapped only while it is read."""

    file: Any  # a path, or an open file
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        try:
            mapped = np.memmap(self.file, self.dtype, "r", self.offset, self.shape)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(
                f"'{self.file}' cannot be read ({why}). Expected: the file that the study began "
                "with, on a disk that every worker reaches."
            ) from None
        return np.array(mapped[rows])


def in_file(name: str, file: Any, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> Column:
    """Return the column of a C-ordered array that lies in a file from `offset` on."""
    read = _Mapped(file, offset, shape, dtype)
    return Column(name, read, shape[0], shape[1:], dtype)


def mapped(array: np.ndarray, name: str) -> Column | None:
    """Return the column of an array that is mapped from a file, None for any other.

    That is a `np.memmap`, or a view of rows of one, that shares what is written to the file.
    """
    root: Any = array
    while isinstance(root, np.ndarray) and not isinstance(root.base, mmap.mmap):
        root = root.base
    if not isinstance(root, np.memmap) or root.mode == "c" or root.filename is None:
        return None
    if not array.flags.c_contiguous or array.dtype.hasobject or not array.size:
        return None
    if isinstance(root, np.memmap) and root.mode in ("r+", "w+"):
        root.flush()
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return in_file(name, Path(root.filename), int(offset), array.shape, array.dtype)


class Spool:
    """Rows that come block by block: an array while they are few, else a column.

    The file that they lie in then has no name and ends with the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._blocks: list[np.ndarray] = []
        self._file: Any = None
        self._rows = self._bytes = 0

    def add(self, block: np.ndarray) -> None:
        """Add rows.

        Raises:
            DataError: their type is not that of the first.
        """
        self._blocks.append(block)
        self._rows += len(block)
        self._bytes += block.nbytes
        if self._bytes > LARGE and block.dtype.kind in "biuf":
            self._write()

    def rows(self) -> np.ndarray | Column:
        """Return all rows."""
        if self._file is None:
            return np.concatenate(self._blocks)
        self._write()
        self._file.flush()
        return in_file(self._name, self._file, 0, (self._rows, *self._example), self._dtype)

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="ablate-")  # noqa: SIM115 (it stays open)
            self._dtype, self._example = self._blocks[0].dtype, self._blocks[0].shape[1:]
        for block in self._blocks:
            if block.dtype != self._dtype:
                raise DataError(
                    f"{self._name} comes as {block.dtype} and before as {self._dtype}. Expected: "
                    "one type."
                )
            self._file.write(np.ascontiguousarray(block))
        self._blocks, self._bytes = [], 0


def held(array: np.ndarray, name: str) -> Column:
    """Return the column of an array in memory."""
    return Column(name, array.__getitem__, len(array), array.shape[1:], array.dtype, held=True)


def chunks(leaf: np.ndarray | Column) -> Iterator[np.ndarray]:
    """Yield all rows, some thousands at a time."""
    stride = stride_of(leaf.shape[1:])
    for start in range(0, len(leaf), stride):
        yield leaf[start : start + stride]


def stride_of(*examples: tuple[int, ...]) -> int:
    """Return how many rows of such examples are read at once; it depends on nothing else."""
    values = sum(int(np.prod(each, dtype=np.int64)) for each in examples)
    return max(1, min(CHUNK, _MOST // max(1, values)))


def extremes(leaf: np.ndarray | Column, axes: tuple[int, ...] | None = None) -> tuple[Any, Any]:
    """Return the least and the largest values over `axes`, the first among them."""
    if isinstance(leaf, np.ndarray):
        return leaf.min(axis=axes), leaf.max(axis=axes)
    found = [(each.min(axis=axes), each.max(axis=axes)) for each in chunks(leaf)]
    low, high = zip(*found, strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)


def mean(leaf: np.ndarray | Column) -> float:
    """Return the mean of all values."""
    if isinstance(leaf, np.ndarray):
        return float(leaf.mean(dtype=np.float64))
    return float(sum(each.sum(dtype=np.float64) for each in chunks(leaf)) / _values(leaf))


def memory() -> int:
    """Return the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_wide(leaf: np.ndarray | Column) -> bool:
    """Whether an array is large and has several values a row: it is then held once, as a column."""
    return leaf.ndim > 1 and leaf.dtype.kind in "biuf" and 4 * _values(leaf) > LARGE


def _values(leaf: np.ndarray | Column) -> int:
    return int(np.prod(leaf.shape, dtype=np.int64))


def has_columns(tree: Tree) -> bool:
    """Whether rows of a tree are read when they are asked for."""
    return tree is not None and any(isinstance(leaf, Column) for _, leaf in leaves(tree))
