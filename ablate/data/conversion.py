"""Arrays, however they are handed over: mappings, pairs, tf.data datasets.

What a `call:` returns, what an npz file holds or what is given as `data=` in Python becomes one
flat dict of named trees (`x_train`, `y_train`, …). Nothing is judged here but the form;
`ablate.data.check` judges what is in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.column import LARGE, Column, Spool, mapped
from ablate.data.nested import Tree, over
from ablate.data.pipelines import PATIENCE, batches, is_pipeline, length
from ablate.data.reader import is_reader, read_part
from ablate.errors import DataError, nearest
from ablate.study.schema.data import Data

#: The arrays a source may have, and what may be given with them.
ARRAYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")
#: One value per row: its weight in the loss, and what it belongs to.
COLUMNS = tuple(
    f"{what}_{part}" for part in ("train", "val", "test") for what in ("weight", "groups")
)
FACTS = ("task", "classes", "class_names", "tokens")

_ALIASES = {
    "x": "x_train", "y": "y_train", "groups": "groups_train", "weight": "weight_train",
    "sample_weight": "weight_train",
    **{f"sample_weight_{part}": f"weight_{part}" for part in ("train", "val", "test")},
}  # fmt: skip
_PARTS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
_FORMS = (
    "a mapping with x_train, y_train (and x_val, y_val, x_test, y_test), a mapping of train, "
    "validation and test to (x, y) or a tf.data dataset, a pair (x, y), or two pairs "
    "(x_train, y_train), (x_test, y_test); a third member of a pair, or weight_train, … beside the "
    "arrays, is the rows' weights"
)


def gather(value: Any, where: str = "data", groups: str | None = None) -> dict[str, Any]:
    """Return the named arrays of `value`.

    Args:
        value: a mapping, pair, pair of pairs, array or tf.data dataset (see the error's text).
        where: who handed it over, for messages.
        groups: what the array of groups is called, if not groups.

    Returns:
        Trees under the names of `ARRAYS` and `COLUMNS`, facts under those of `FACTS`; only what is
        there.

    Raises:
        DataError: `value` is none of these, or a dataset cannot be read to its end.
    """
    if isinstance(value, Mapping):
        return _mapping(value, where, groups)
    if is_pipeline(value) or is_reader(value) or isinstance(value, np.ndarray):
        return _part(value, "train", where)
    if isinstance(value, tuple | list) and 2 <= len(value) <= 3:
        if _are_parts(value):
            names = ("train", "test") if len(value) == 2 else ("train", "val", "test")
            return {
                key: found
                for name, part in zip(names, value, strict=True)
                for key, found in _part(part, name, where).items()
            }
        return _part(tuple(value), "train", where)
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    raise DataError(f"{where}: expected {_FORMS}. Received: a {type(value).__name__}{size}.")


def _mapping(value: Mapping[Any, Any], where: str, groups: str | None) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, each in value.items():
        if groups is not None and str(key).removeprefix(groups) in ("", "_train", "_val", "_test"):
            key = "groups" + str(key).removeprefix(groups)
        key = _ALIASES.get(key, key)
        if key in _PARTS:
            named.update(_part(each, _PARTS[key], where))
        elif key in (*ARRAYS, *COLUMNS):
            named[key] = tree(each, f"{where}: {key}")
        elif key in FACTS:
            named[key] = each
        else:
            known = (*ARRAYS, *COLUMNS, *FACTS, *_PARTS, *_ALIASES, *Data.model_fields)
            raise DataError(
                f"{where}: '{key}' is none of the arrays that are read.{nearest(key, known)} "
                f"Expected: {', '.join(ARRAYS)}."
            )
    return named


def _part(value: Any, name: str, where: str) -> dict[str, Tree]:
    """Return x and y of one part under their names."""
    if is_reader(value):
        return read_part(value, name, where, tree)
    if is_pipeline(value):
        value = _whole(value, f"{where}: {name}")
    keys = ("x", "y", "weight", "groups")
    if isinstance(value, Mapping) and "x" in value and "sample_weight" in value:
        value = {**value, "weight": value["sample_weight"]}
        del value["sample_weight"]
    if isinstance(value, Mapping) and "x" in value and set(value) <= set(keys):
        value = tuple(value.get(key) for key in keys)
    elif not isinstance(value, tuple) or len(value) not in (2, 3):
        value = (value,)
    return {
        f"{key}_{name}": tree(each, f"{where}: {key}_{name}")
        for key, each in zip(keys, value, strict=False)
        if each is not None
    }


def tree(value: Any, name: str) -> Tree:
    """Return `value` as an array, or a dict or list of arrays.

    Arrays that are mapped from large files are columns, which are read when they are asked for.

    Raises:
        DataError: it is none of these.
    """
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        return _of_table(value, name)
    if isinstance(value, Mapping):
        return {str(key): _array(each, f"{name}['{key}']") for key, each in value.items()}
    if isinstance(value, tuple) or (
        isinstance(value, list) and value and all(hasattr(each, "shape") for each in value)
    ):
        return [_array(each, f"{name}[{index}]") for index, each in enumerate(value)]
    return _array(value, name)


def _of_table(table: Any, name: str) -> np.ndarray:
    """Return the columns of a DataFrame side by side: numbers, or texts alone."""
    columns = {str(key): table[key] for key in table.columns}
    texts = [key for key, each in columns.items() if not _is_numeric(each.dtype)]
    if not texts:
        return np.asarray(table.to_numpy(dtype=float if _has_gaps(table) else None))
    kinds = {key: str(columns[key].dtype) for key in texts}
    categories = [key for key in texts if kinds[key] == "category"]
    if len(texts) == len(columns) and not categories:
        return np.asarray(table.to_numpy(dtype=object).astype(str))
    first = categories[0] if categories else texts[0]
    more = [key for key in texts if key != first]
    raise DataError(
        f"{name}: the column '{first}' is of type {kinds[first]}"
        + (f" (so are {', '.join(more[:5])})" if more else "")
        + ", which numbers beside it cannot be one input with. Encode it as numbers "
        "(pandas.get_dummies, or .cat.codes), leave it out, or give it to the model as an input of "
        f"its own, {{'numbers': …, '{first}': table['{first}'].astype(str)}}, where a "
        "StringLookup, Hashing or TextVectorization inside the model takes it."
    )


def _is_numeric(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf" and str(dtype) != "category"


def _has_gaps(table: Any) -> bool:
    """Whether a DataFrame has types of its own, whose gaps no plain number can be."""
    return any(not isinstance(each, np.dtype) for each in table.dtypes)


def _array(value: Any, name: str) -> np.ndarray | Column:
    if isinstance(value, Column):
        return value
    if isinstance(value, str | Path) and str(value).endswith(".npy"):
        return _mapped(str(value), name)
    if isinstance(value, np.memmap) and value.nbytes > LARGE:
        return mapped(value, name) or np.asarray(value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name} is not an array: {error}.") from None
    if array.dtype.kind in "OS":
        cells = array.ravel()
        if all(isinstance(each, str | bytes) for each in cells):  # TensorFlow's texts are bytes
            texts = [each.decode() if isinstance(each, bytes) else each for each in cells]
            return np.array(texts, dtype=str).reshape(array.shape)
        raise DataError(
            f"{name} holds Python objects (rows of different lengths?). Expected: an array of "
            "numbers, padded to one shape."
        )
    if array.ndim == 0:
        raise DataError(f"{name} is a single value. Expected: an array with a row per example.")
    return array


def _mapped(file: str, name: str) -> np.ndarray | Column:
    """Return the array of an npy file, where it is large without reading it."""
    try:
        array = np.load(Path(file).expanduser(), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{name}: the npy file '{file}' cannot be read: {error}.") from None
    column = mapped(array, name) if array.nbytes > LARGE else None
    return np.array(array) if column is None else column


def training_pipeline(value: Any) -> tuple[Any, Any]:
    """Return the pipeline that gives the training rows, None if there is none, and the rest."""
    if is_pipeline(value):
        return value, None
    if isinstance(value, Mapping) and is_pipeline(value.get("train")):
        return value["train"], {key: each for key, each in value.items() if key != "train"}
    if _are_parts(value) and is_pipeline(value[0]):
        names = ("test",) if len(value) == 2 else ("validation", "test")
        return value[0], dict(zip(names, value[1:], strict=True))
    return None, value


def pipelines_in(value: Any) -> bool:
    """Whether a pipeline is among what is handed over."""
    if is_pipeline(value):
        return True
    if isinstance(value, Mapping):
        return any(map(pipelines_in, value.values()))
    return isinstance(value, tuple) and any(map(is_pipeline, value))


def _are_parts(value: Any) -> bool:
    """Whether a tuple or list holds two or three parts, and not the members of one."""
    if not isinstance(value, tuple | list) or not 2 <= len(value) <= 3:
        return False
    return all(isinstance(each, tuple) or is_pipeline(each) or is_reader(each) for each in value)


def _whole(pipeline: Any, name: str) -> tuple[Tree, ...]:
    """Read a pipeline once, to its end, into arrays: x, y, weights."""
    if length(pipeline) == -1:
        raise DataError(f"{name}: the dataset never ends (repeat()). Give it with take(n).")
    began, number = time.perf_counter(), 0
    spools: list[Tree] = []
    for number, each in enumerate(batches(pipeline, name, 1024, tree), 1):
        if not spools:
            spools = [over(lambda leaf: Spool(name), member) for member in each]
        for spool, member in zip(spools, each, strict=True):
            over(lambda leaf, rows: leaf.add(rows), spool, member)
        if length(pipeline) is None and time.perf_counter() - began > PATIENCE:
            raise DataError(
                f"{name}: the pipeline has not ended after {number} batches in "
                f"{PATIENCE:.0f} s. Give one that ends."
            )
    if not spools:
        raise DataError(
            f"{name}: the dataset has no elements. A generator that has been read is exhausted: "
            "make it inside the function that is called."
        )
    return tuple(over(lambda leaf: leaf.rows(), spool) for spool in spools)
