"""Judge arrays before anything is trained on them.

`source` makes a `Source` of named arrays, or raises a `DataError` that names the array, what was
expected and what it holds: arrays missing or unpaired, rows that do not match, shapes that
differ between parts, NaN or infinity, labels that are no class numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ablate.data.column import LARGE, Column, chunks, held, is_wide
from ablate.data.conversion import ARRAYS
from ablate.data.nested import Tree, freeze, leaves, over, rows
from ablate.data.remarks import gaps
from ablate.data.source import Part, Source, listed
from ablate.data.targets import guesses, targets
from ablate.errors import DataError
from ablate.study.schema.data import with_channel


def source(
    name: str,
    arrays: Mapping[str, Any],
    *,
    labels: bool = True,
    task: str = "auto",
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
    tokens: bool = False,
    add_channel: bool | None = None,
    full_scale: float | None = None,
    notes: tuple[str, ...] = (),
) -> Source:
    """Return the checked source of `arrays`.

    Args:
        name: what messages call the data.
        arrays: trees under the names x_train, y_train, x_val, …; each leaf (rows, …). A number per
            row under weight_train, …, and what each row belongs to under groups_train, ….
        labels: whether targets are needed (not where the inputs are the targets).
        task: auto, classification or regression.
        classes: number of classes, if known; else the largest training label + 1.
        class_names: names of the classes, in order.
        tokens: the inputs are token numbers and stay integers.
        add_channel: give two-axis examples a channel axis; None: only uint8 ones.
        full_scale: the value that raw inputs reach by their nature.
        notes: what the report should say of the source.

    Raises:
        DataError: what does not fit, in which array, and what to do.
    """
    _check_names(name, arrays, labels)
    # Inputs and large targets may be read when they are asked for; the rest is looked at whole.
    arrays = {
        key: each if key.startswith("x_") else _whole(key, each) for key, each in arrays.items()
    }
    xs = {
        part: over(lambda leaf: as_input(leaf, tokens, add_channel), arrays[f"x_{part}"])
        for part in ("train", "val", "test")
        if f"x_{part}" in arrays
    }
    ys: dict[str, Tree] = {
        part: arrays[f"y_{part}"] if labels else None for part in xs if f"y_{part}" in arrays
    }
    for part, x in xs.items():
        _check_rows(name, f"x_{part}", x, f"y_{part}", ys.get(part))
        _check_like(name, f"x_{part}", x, xs["train"])
        _check_values(name, f"x_{part}", x)
    ready, target = targets(name, ys, task, classes, class_names) if labels else ({}, None)
    for part, y in ready.items():
        _check_finite(name, f"y_{part}", y)
    if target is not None:
        notes = (*notes, *guesses(ready, target, task, classes))
        notes = (*notes, *gaps(ready["train"], target, classes))
    made = {
        part: Part(
            freeze(x),
            freeze(ready.get(part)),
            _weights(name, arrays, part, x),
            _groups(name, arrays, part, x),
        )
        for part, x in xs.items()
    }
    return Source(
        name=name,
        train=made["train"],
        validation=made.get("val"),
        test=made.get("test"),
        target=target,
        full_scale=full_scale,
        tokens=tokens,
        notes=notes,
    )


def _whole(name: str, tree: Any) -> Any:
    """Return arrays as they are, but targets of many values a row as columns."""

    def whole(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray | Column) and name.startswith("y_") and is_wide(leaf):
            return leaf if isinstance(leaf, Column) else held(leaf, name)
        return np.asarray(leaf) if isinstance(leaf, Column) else leaf

    return over(whole, tree)


def _check_names(name: str, arrays: Mapping[str, Any], labels: bool) -> None:
    needed = ("x_train", "y_train") if labels else ("x_train",)
    missing = [key for key in needed if key not in arrays]
    if missing:
        there = ", ".join(key for key in ARRAYS if key in arrays) or "none of them"
        hint = " (without targets, set data.target: inputs)" if "x_train" in arrays else ""
        raise DataError(
            f"{name}: {' and '.join(missing)} missing. Expected the arrays x_train and y_train, "
            f"and x_val, y_val, x_test, y_test if there are{hint}. Found: {there}."
        )
    if not labels:
        return
    for part in ("val", "test"):
        x, y = f"x_{part}", f"y_{part}"
        if (x in arrays) != (y in arrays):
            here, gone = (x, y) if x in arrays else (y, x)
            raise DataError(f"{name}: {here} is there but {gone} is missing. They come in pairs.")


def as_input(leaf: Any, tokens: bool, add_channel: bool | None) -> Any:
    """Return raw inputs with an axis of features; floats as float32, integers as they are."""
    if isinstance(leaf, Column):
        return leaf.changed(partial(as_input, tokens=tokens, add_channel=add_channel))
    if leaf.ndim == 1:
        leaf = leaf[:, None]
    leaf = leaf.reshape(len(leaf), *with_channel(leaf.shape[1:], leaf.dtype, add_channel))
    if tokens and leaf.dtype.kind in "iu":
        return leaf.astype(np.int32)
    if leaf.dtype == np.bool_:
        return leaf.astype(np.float32)
    if leaf.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what overflows is found by the check for infinity
            return leaf.astype(np.float32, copy=leaf.nbytes <= LARGE).view()
    return leaf.view()  # frozen by us; whoever handed it over may still write to theirs


def _weights(name: str, arrays: Mapping[str, Any], part: str, x: Tree) -> np.ndarray | None:
    """Return the weight of each row as float32, None where there are none."""
    weight = _column(name, arrays, f"weight_{part}", x)
    if weight is None:
        return None
    if weight.dtype.kind not in "biuf":
        raise DataError(
            f"{name}: weight_{part} holds {weight.dtype} values. Expected: a number per row."
        )
    weight = weight.astype(np.float32)
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))
    if len(bad):
        raise DataError(
            f"{name}: weight_{part} is {weight[bad[0]]:g} at row {bad[0]} ({len(bad)} such rows). "
            "Expected: finite weights of at least 0."
        )
    if not weight.any():
        raise DataError(f"{name}: weight_{part} is 0 in every row: no row would count.")
    freeze(weight)
    return weight


def _groups(name: str, arrays: Mapping[str, Any], part: str, x: Tree) -> np.ndarray | None:
    groups = _column(name, arrays, f"groups_{part}", x)
    if groups is not None and groups.dtype.kind == "f" and np.isnan(groups).any():
        raise DataError(
            f"{name}: groups_{part} is NaN at row {int(np.isnan(groups).argmax())}. Expected: what "
            "each row belongs to."
        )
    return groups


def _column(name: str, arrays: Mapping[str, Any], key: str, x: Tree) -> np.ndarray | None:
    """Return one value per row, None where there is no such array."""
    if arrays.get(key) is None:
        return None
    if isinstance(arrays[key], dict | list):
        raise DataError(
            f"{name}: {key} has several parts. Expected: one array with a value for each row; what "
            "each output counts is train.loss_weights."
        )
    column = np.asarray(arrays[key])
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1 or len(column) != rows(x):
        raise DataError(
            f"{name}: {key} has shape {column.shape}. Expected: ({rows(x)},), one value for each "
            "row of x."
        )
    return column


def _check_rows(name: str, x_name: str, x: Tree, y_name: str, y: Tree | None) -> None:
    counts = [(each, len(leaf)) for each, leaf in leaves(x, x_name)]
    if y is not None:
        counts += [(each, len(leaf)) for each, leaf in leaves(y, y_name)]
    first_name, first = counts[0]
    for other_name, other in counts[1:]:
        if other != first:
            raise DataError(
                f"{name}: {first_name} has {first} rows, {other_name} has {other}. "
                "Expected: as many, row by row."
            )
    if first == 0:
        raise DataError(f"{name}: {first_name} has no rows.")


def _check_like(name: str, x_name: str, x: Tree, train: Tree) -> None:
    here = {each: leaf.shape[1:] for each, leaf in leaves(x)}
    there = {each: leaf.shape[1:] for each, leaf in leaves(train)}
    if here != there:
        raise DataError(
            f"{name}: an example of {x_name} has shape {_shapes(here)}, one of x_train "
            f"{_shapes(there)}. Expected: the same."
        )


def _shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{key} {shape}".strip() for key, shape in shapes.items())


def _check_values(name: str, x_name: str, x: Tree) -> None:
    for each, leaf in leaves(x, x_name):
        if leaf.dtype.kind not in "iufU":
            raise DataError(
                f"{name}: {each} holds {leaf.dtype} values. Expected: numbers, or texts for a "
                "model that takes strings."
            )
    _check_finite(name, x_name, x)


def _check_finite(name: str, tree_name: str, tree: Tree) -> None:
    """Refuse NaN and infinity, with how many rows have them and which is the first."""
    for each, leaf in leaves(tree, tree_name):
        if isinstance(leaf, Column) and not leaf.held:
            continue  # which looks at what it reads
        if leaf.dtype.kind != "f" or all(
            np.isfinite(block.sum(dtype=np.float64)) for block in chunks(leaf)
        ):
            continue  # a sum is finite only if every term is, and takes no second array
        leaf = np.asarray(leaf)
        bad = np.flatnonzero(~np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1))
        if not len(bad):
            continue
        kind = "NaN" if np.isnan(leaf[bad[0]]).any() else "infinite values"
        wide = leaf.ndim == 2 and leaf.shape[1] > 1
        empty = np.flatnonzero(np.isnan(leaf).all(axis=0)).tolist() if wide else []
        remedy = (
            f"Column {listed(empty, 5)} is NaN in every row: leave it out."
            if empty
            else "Remove or replace these rows."
        )
        raise DataError(
            f"{name}: {each} has {kind} (or values beyond float32) in {len(bad)} of "
            f"{len(leaf)} rows, the first at row {bad[0]}. {remedy}"
        )
