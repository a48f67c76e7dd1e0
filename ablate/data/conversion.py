"""Arrays, however they are handed over: mappings, pairs, tf.data datasets.

What a `call:` returns, what an npz file holds or what is given as `data=` in Python becomes one
flat dict of named trees (`x_train`, `y_train`, …). Nothing is judged here but the form;
`ablate.data.check` judges what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ablate.data.nested import Tree
from ablate.data.reading import in_order
from ablate.errors import DataError, nearest
from ablate.reasons import sentence

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
    if _is_dataset(value) or isinstance(value, np.ndarray):
        return _part(value, "train", where)
    if isinstance(value, tuple | list) and 2 <= len(value) <= 3:
        datasets = all(_is_dataset(each) for each in value)
        if datasets or all(isinstance(each, tuple) for each in value):
            names = ("train", "test") if len(value) == 2 else ("train", "val", "test")
            return {
                key: tree
                for name, part in zip(names, value, strict=True)
                for key, tree in _part(part, name, where).items()
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
            named[key] = _tree(each, f"{where}: {key}")
        elif key in FACTS:
            named[key] = each
        else:
            known = (*ARRAYS, *COLUMNS, *FACTS, *_PARTS, *_ALIASES)
            raise DataError(
                f"{where}: '{key}' is none of the arrays that are read.{nearest(key, known)} "
                f"Expected: {', '.join(ARRAYS)}."
            )
    return named


def _part(value: Any, name: str, where: str) -> dict[str, Tree]:
    """Return x and y of one part under their names."""
    if _is_dataset(value):
        value = _read(value, f"{where}: {name}")
    keys = ("x", "y", "weight", "groups")
    if isinstance(value, Mapping) and "x" in value and "sample_weight" in value:
        value = {**value, "weight": value["sample_weight"]}
        del value["sample_weight"]
    if isinstance(value, Mapping) and "x" in value and set(value) <= set(keys):
        value = tuple(value.get(key) for key in keys)
    elif not isinstance(value, tuple) or len(value) not in (2, 3):
        value = (value,)
    return {
        f"{key}_{name}": _tree(each, f"{where}: {key}_{name}")
        for key, each in zip(keys, value, strict=False)
        if each is not None
    }


def _tree(value: Any, name: str) -> Tree:
    """Return `value` as an array, or a dict or list of arrays."""
    if isinstance(value, Mapping):
        return {str(key): _array(each, f"{name}['{key}']") for key, each in value.items()}
    if isinstance(value, tuple) or (
        isinstance(value, list) and value and all(hasattr(each, "shape") for each in value)
    ):
        return [_array(each, f"{name}[{index}]") for index, each in enumerate(value)]
    return _array(value, name)


def _array(value: Any, name: str) -> np.ndarray:
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


def _is_dataset(value: Any) -> bool:
    # By what it does: importing TensorFlow to ask would cost seconds where there is none.
    return hasattr(value, "as_numpy_iterator") and hasattr(value, "element_spec")


def _read(dataset: Any, name: str) -> tuple[Tree, ...]:
    """Read a tf.data dataset once, batched or not, into arrays: x, y, weights."""
    if int(dataset.cardinality()) == -1:
        raise DataError(f"{name}: the dataset never ends (repeat()). Give it with take(n).")
    try:
        with in_order():
            elements = list(dataset.as_numpy_iterator())
    except Exception as error:
        hint = (
            " Make the dataset inside the function that is called, or seed what it draws."
            if "determinism" in str(error)
            else ""
        )
        raise DataError(f"{name}: the dataset cannot be read: {sentence(error)}{hint}") from error
    if not elements:
        raise DataError(f"{name}: the dataset has no elements.")
    spec = dataset.element_spec
    join = np.concatenate if _batched(spec) else np.stack
    first = elements[0]
    if not isinstance(first, tuple):
        return _join(elements, join), None
    if len(first) > 3:
        raise DataError(
            f"{name}: an element of the dataset has {len(first)} members. Expected: (x, y) or "
            "(x, y, weight)."
        )
    return tuple(_join(list(each), join) for each in zip(*elements, strict=True))


def _batched(spec: Any) -> bool:
    """Tell whether elements are batches: their leaves share a first axis, none is a scalar."""
    import tensorflow as tf

    shapes = [each.shape for each in tf.nest.flatten(spec)]
    if any(shape.rank in (None, 0) for shape in shapes):
        return False
    firsts = {shape[0] for shape in shapes}
    return firsts == {None} or (None not in firsts and len(firsts) == 1 and len(shapes) > 1)


def _join(elements: list[Any], join: Any) -> Tree:
    first = elements[0]
    if isinstance(first, Mapping):
        return {key: join([each[key] for each in elements]) for key in first}
    if isinstance(first, tuple | list):
        return [join(each) for each in zip(*elements, strict=True)]
    return join(elements)
