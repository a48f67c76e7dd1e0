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
FACTS = ("task", "classes", "class_names", "tokens")

_PARTS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
_FORMS = (
    "a mapping with x_train, y_train (and x_val, y_val, x_test, y_test), a mapping of train, "
    "validation and test to (x, y) or a tf.data dataset, a pair (x, y), or two pairs "
    "(x_train, y_train), (x_test, y_test)"
)


def gather(value: Any, where: str = "data") -> dict[str, Any]:
    """Return the named arrays of `value`.

    Args:
        value: a mapping, pair, pair of pairs, array or tf.data dataset (see the error's text).
        where: who handed it over, for messages.

    Returns:
        Trees under the names of `ARRAYS`, facts under those of `FACTS`; only what is there.

    Raises:
        DataError: `value` is none of these, or a dataset cannot be read to its end.
    """
    if isinstance(value, Mapping):
        return _mapping(value, where)
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
        if len(value) == 2:
            return _part(tuple(value), "train", where)
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    raise DataError(f"{where}: expected {_FORMS}. Received: a {type(value).__name__}{size}.")


def _mapping(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, each in value.items():
        if key in _PARTS:
            named.update(_part(each, _PARTS[key], where))
        elif key in ("x", "y"):
            named[f"{key}_train"] = _tree(each, f"{where}: {key}")
        elif key in ARRAYS:
            named[key] = _tree(each, f"{where}: {key}")
        elif key in FACTS:
            named[key] = each
        else:
            known = (*ARRAYS, *FACTS, *_PARTS)
            raise DataError(
                f"{where}: '{key}' is none of the arrays that are read.{nearest(key, known)} "
                f"Expected: {', '.join(ARRAYS)}."
            )
    return named


def _part(value: Any, name: str, where: str) -> dict[str, Tree]:
    """Return x and y of one part under their names."""
    if _is_dataset(value):
        value = _read(value, f"{where}: {name}")
    if isinstance(value, Mapping) and set(value) <= {"x", "y"} and "x" in value:
        value = (value["x"], value.get("y"))
    if isinstance(value, tuple) and len(value) == 2:
        x, y = value
        found = {f"x_{name}": _tree(x, f"{where}: x_{name}")}
        if y is not None:
            found[f"y_{name}"] = _tree(y, f"{where}: y_{name}")
        return found
    if isinstance(value, tuple) and len(value) == 3:
        raise DataError(
            f"{where}: the {name} part has three members; sample weights are not taken. "
            "Expected: (x, y). Weights per class are train.class_weight."
        )
    return {f"x_{name}": _tree(value, f"{where}: x_{name}")}


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
    if array.dtype == object:
        if all(isinstance(each, str) for each in array.ravel()):
            return array.astype(str)
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


def _read(dataset: Any, name: str) -> tuple[Tree, Tree | None]:
    """Read a tf.data dataset once, batched or not, into arrays."""
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
    if len(first) != 2:
        raise DataError(
            f"{name}: an element of the dataset has {len(first)} members. Expected: (x, y); "
            "weights per class are train.class_weight."
        )
    return _join([x for x, _ in elements], join), _join([y for _, y in elements], join)


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
