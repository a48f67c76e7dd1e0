"""Rows by number from an object of anyone's own: a reader, or what has a length and rows.

A reader has `rows` (how many) and `read(rows) -> (x, y)` or `(x, y, weight)`; where it can,
`labels()` returns all targets and `digest()` a text that names its content, so that neither asks
for a reading of everything. A Hugging Face dataset, a list-like set of `(x, y)` or of mappings is
read row by row. Inputs become columns, which are read when they are asked for; targets and weights
are read once and kept.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ablate.data.column import LARGE, Column, stride_of
from ablate.data.nested import Tree, leaves, over
from ablate.errors import DataError
from ablate.reasons import reason

Members = tuple[Any, ...]
ToTree = Callable[[Any, str], Tree]

#: What the targets of a row may be called where rows are mappings.
_LABELS = ("y", "label", "labels", "target")
_WEIGHTS = ("weight", "sample_weight")


def is_reader(value: Any) -> bool:
    """Whether `value` gives rows by number: a reader, or a length and rows."""
    if isinstance(value, type):
        return False
    if isinstance(getattr(value, "rows", None), int | np.integer) and callable(
        getattr(value, "read", None)
    ):
        return True
    plain = isinstance(value, Mapping | list | tuple | str | bytes | np.ndarray)
    has_rows = hasattr(type(value), "__len__") and hasattr(type(value), "__getitem__")
    # Arrays of other libraries and tables have a shape; a PyDataset has batches.
    return has_rows and not plain and not hasattr(value, "shape") and not is_py_dataset(value)


def is_py_dataset(value: Any) -> bool:
    """Whether `value` is a `keras.utils.PyDataset`, by what one can do: Keras is not imported."""
    needed = ("on_epoch_end", "num_batches", "use_multiprocessing")
    return not isinstance(value, type) and all(hasattr(value, name) for name in needed)


def read_part(value: Any, name: str, where: str, tree: ToTree) -> dict[str, Tree]:
    """Return the arrays of one part: x as columns, y and weight read.

    Args:
        value: what `is_reader` accepts.
        name: train, val or test.
        where: who handed it over, for messages.
        tree: makes arrays of what is handed over.

    Raises:
        DataError: it raises, or gives other rows than it says.
    """
    reading = _Reading(value, f"{where}: {name}", tree)
    x, *rest = reading.first
    columns = _named(x, lambda key, leaf: reading.column(f"{where}: x_{name}", key, leaf))
    size = sum(leaf.nbytes for _, leaf in leaves(columns))
    if size <= LARGE:
        whole = reading.read(np.arange(reading.rows))
        return dict(zip((f"{each}_{name}" for each in ["x", "y", "weight"]), whole, strict=False))
    found: dict[str, Tree] = {f"x_{name}": columns}
    if rest and reading.labels is None and any(leaf.ndim > 2 for _, leaf in leaves(rest[0])):
        reading.kept = 2
        found[f"y_{name}"] = _named(
            rest[0], lambda key, leaf: reading.column(f"{where}: y_{name}", key, leaf, 1)
        )
    names = ("y", "weight")[reading.kept - 1 :]
    for key, member in zip(names, reading.others(1 + len(rest)), strict=False):
        found[f"{key}_{name}"] = member
    return found


class _Reading:
    """Reads rows of an object, and holds them against what it gave first."""

    def __init__(self, value: Any, where: str, tree: ToTree) -> None:
        self._value, self._where, self._tree = value, where, tree
        own = getattr(value, "rows", None)
        self._is_reader = isinstance(own, int | np.integer) and callable(
            getattr(value, "read", None)
        )
        given = getattr(value, "labels", None)
        self.labels = given if self._is_reader and callable(given) else None
        self.rows = int(own if self._is_reader and own is not None else len(value))
        if self.rows < 1:
            raise DataError(f"{where}: it has no rows.")
        self._last: tuple[bytes, Members] | None = None
        self._lock = threading.Lock()
        self._known: Tree | None = None
        self.content: str | None = None
        self.kept = 1  # the first of the members (x, y, weight) that are read once and kept
        self.first: Members = ()
        self.first = self.read(np.array([0]))

    def read(self, numbers: np.ndarray) -> Members:
        """Return the members (x, y, weight) of some rows; the last reading is remembered.

        Raises:
            DataError: rows that cannot be read, of another number, shape or type.
        """
        key = np.asarray(numbers, np.int64).tobytes()
        with self._lock:
            if self._last is None or self._last[0] != key:
                self._last = None  # two readings are never held
                self._last = key, self._checked(np.asarray(numbers, np.int64))
            return self._last[1]

    def column(self, name: str, key: Any, leaf: np.ndarray, member: int = 0) -> Column:
        """Return the column of one leaf of x, or of y (`member` 1)."""

        def read(numbers: np.ndarray) -> np.ndarray:
            tree = self.read(numbers)[member]
            return np.asarray(tree if key is None else tree[key])

        return Column(name, read, self.rows, leaf.shape[1:], leaf.dtype, content=self._content)

    def others(self, count: int) -> list[Tree]:
        """Return all rows of the members from `kept` to `count`.

        They are what `labels` says, else found by one reading of everything.
        """
        if count <= self.kept:
            return []
        if self.labels is not None and count == 2:
            y = self._tree(self._called(self.labels, "labels()"), f"{self._where}: labels()")
            for name, leaf in leaves(y, f"{self._where}: labels()"):
                if len(leaf) != self.rows:
                    raise DataError(f"{name} has {len(leaf)} rows, the reader has {self.rows}.")
            self._known = y
            return [y]
        return self._look_through()

    def _look_through(self) -> list[Tree]:
        """Read all rows once; return the members from `kept` on, keep the digest of the others."""
        whole, kept = hashlib.sha256(), []
        stride = stride_of(*(leaf.shape[1:] for each in self.first for _, leaf in leaves(each)))
        for start in range(0, self.rows, stride):
            members = self.read(np.arange(start, min(start + stride, self.rows)))
            for leaf in (leaf for each in members[: self.kept] for _, leaf in leaves(each)):
                whole.update(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data)
            kept.append(members[self.kept :])
        self.content = whole.hexdigest()
        return [
            over(lambda *parts: np.concatenate(parts), *each) for each in zip(*kept, strict=True)
        ]

    def _content(self) -> str:
        """Return a text that names what the rows of x hold."""
        given = getattr(self._value, "digest", None)
        if self._is_reader and callable(given):
            return str(self._called(given, "digest()"))
        if self.content is None:
            self._look_through()
        return str(self.content)

    def _called(self, function: Callable[[], Any], what: str) -> Any:
        try:
            return function()
        except Exception as error:
            raise DataError(f"{self._where}: {what} raised {reason(error)}") from error

    def _checked(self, numbers: np.ndarray) -> Members:
        which = f"row {numbers[0]}"
        if len(numbers) > 1:
            which = f"{len(numbers)} rows from {numbers.min()} to {numbers.max()}"
        try:
            value = self._value.read(numbers) if self._is_reader else self._row_by_row(numbers)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{self._where}: reading {which} raised {reason(error)}") from error
        members = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(members) <= 3:
            raise DataError(
                f"{self._where}: reading {which} gave {len(members)} members. Expected: (x, y) or "
                "(x, y, weight)."
            )
        made = tuple(
            self._tree(each, f"{self._where}: {name}")
            for name, each in zip(("x", "y", "weight"), members, strict=False)
        )
        self._check_alike(made, numbers, which)
        return made

    def _check_alike(self, made: Members, numbers: np.ndarray, which: str) -> None:
        if self.first and len(made) != len(self.first):
            raise DataError(
                f"{self._where}: reading {which} gave {len(made)} members, row 0 {len(self.first)}."
            )
        for index, name in enumerate(("x", "y", "weight")[: len(made)]):
            like = dict(leaves(self.first[index], name)) if self.first else None
            for each, leaf in leaves(made[index], name):
                if len(leaf) != len(numbers):
                    raise DataError(
                        f"{self._where}: reading {which} gave {len(leaf)} rows of {each}. "
                        f"Expected: {len(numbers)}, one for each."
                    )
                if like is None:
                    continue
                first = like.get(each)
                if first is None or first.shape[1:] != leaf.shape[1:]:
                    shape = "nothing" if first is None else str(first.shape[1:])
                    raise DataError(
                        f"{self._where}: reading {which} gave {each} of shape {leaf.shape[1:]}. "
                        f"Expected: {shape}, as of row 0."
                    )
                if first.dtype != leaf.dtype and {first.dtype.kind, leaf.dtype.kind} != {"U"}:
                    raise DataError(
                        f"{self._where}: reading {which} gave {each} as {leaf.dtype}. Expected: "
                        f"{first.dtype}, as of row 0."
                    )
        if self._known is None:
            return
        for (each, leaf), (_, known) in zip(leaves(made[1], "y"), leaves(self._known), strict=True):
            wrong = np.flatnonzero((leaf != known[numbers]).reshape(len(leaf), -1).any(axis=1))
            if len(wrong):
                raise DataError(
                    f"{self._where}: {each} of row {numbers[wrong[0]]} is another than labels() "
                    "says. Expected: the same targets from both."
                )

    def _row_by_row(self, numbers: np.ndarray) -> Members:
        """Return rows of what has a length and rows, as members."""
        if hasattr(self._value, "column_names"):  # a Hugging Face dataset gives columns at once
            return self._members(dict(self._value[numbers.tolist()]))
        rows = []
        for number in numbers:
            try:
                rows.append(self._value[int(number)])
            except Exception as error:
                raise DataError(
                    f"{self._where}: reading row {number} raised {reason(error)}"
                ) from error
        first = rows[0]
        if isinstance(first, Mapping):
            return self._members({key: [row[key] for row in rows] for key in first})
        if isinstance(first, tuple):
            return tuple(_stacked([row[index] for row in rows]) for index in range(len(first)))
        return (_stacked(rows),)

    def _members(self, columns: Mapping[str, Sequence[Any]]) -> Members:
        """Return columns by name as (x, y, weight)."""
        made = {str(name): _stacked(list(column)) for name, column in columns.items()}
        labels = [name for name in _LABELS if name in made]
        if len(labels) > 1:
            raise DataError(
                f"{self._where}: {' and '.join(labels)} might be the targets. Expected: one of "
                f"them; {', '.join(made)} are there."
            )
        y = made.pop(labels[0]) if labels else None
        weight = next((made.pop(name) for name in _WEIGHTS if name in made), None)
        if y is None:
            raise DataError(
                f"{self._where}: which column holds the targets? Expected one called "
                f"{', '.join(_LABELS)}. There are: {', '.join(made)}. Rename it, or map rows to "
                "(x, y)."
            )
        x = next(iter(made.values())) if len(made) == 1 else made
        return (x, y) if weight is None else (x, y, weight)


def _stacked(rows: list[Any]) -> Any:
    first = rows[0]
    if isinstance(first, Mapping):
        return {key: _stacked([row[key] for row in rows]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stacked(list(each)) for each in zip(*rows, strict=True))
    return np.stack([np.asarray(each) for each in rows])


def _named(tree: Tree, make: Callable[[Any, Any], Any]) -> Tree:
    """Return the tree of `make(key, leaf)`; the key of a single leaf is None."""
    if isinstance(tree, dict):
        return {key: make(key, leaf) for key, leaf in tree.items()}
    if isinstance(tree, list):
        return [make(index, leaf) for index, leaf in enumerate(tree)]
    return make(None, tree)
