"""Pipelines of anyone's own: what gives elements in an order of its own and nothing by number.

These are tf.data datasets, `keras.utils.PyDataset` and generators. They are recognized by what
they can do, and give (x, y) or (x, y, weight) by batches or by rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np

from ablate.data.nested import leaves
from ablate.data.reader import ToTree, is_py_dataset
from ablate.data.reading import in_order
from ablate.errors import DataError
from ablate.reasons import reason, sentence

Members = tuple[Any, ...]

#: Seconds that may be spent on a pipeline that does not say how long it is.
PATIENCE = 120.0


def is_dataset(value: Any) -> bool:
    """Whether `value` is a tf.data dataset: importing TensorFlow to ask would cost seconds."""
    return hasattr(value, "as_numpy_iterator") and hasattr(value, "element_spec")


def is_pipeline(value: Any) -> bool:
    """Whether `value` gives elements in an order of its own."""
    return is_dataset(value) or is_py_dataset(value) or hasattr(type(value), "__next__")


def length(value: Any) -> int | None:
    """Return how many elements a pipeline has, None if it does not say; -1 if it never ends."""
    if is_dataset(value):
        count = int(value.cardinality())
        return None if count == -2 else count
    return len(value) if is_py_dataset(value) else None


def elements(value: Any, name: str, epoch: int = 0) -> Iterator[Any]:
    """Yield the elements of a pipeline, in one order however many threads work.

    Args:
        value: the pipeline.
        name: what messages call it.
        epoch: how many epochs a PyDataset has ended before this one.

    Raises:
        DataError: it raises; the message names the element.
    """
    number = 0
    try:
        if is_dataset(value):
            with in_order():
                given: Iterator[Any] = iter(value.as_numpy_iterator())
            for element in given:
                yield element
                number += 1
        elif is_py_dataset(value):
            for _ in range(epoch):
                value.on_epoch_end()
            for number in range(len(value)):
                yield value[number]
        else:
            for element in value:
                yield element
                number += 1
    except GeneratorExit:
        raise
    except Exception as error:
        hint = (
            " Make the dataset inside the function that is called, or seed what it draws."
            if "determinism" in str(error)
            else ""
        )
        why = sentence(error) if is_dataset(value) else reason(error)
        raise DataError(f"{name}: element {number} (from 0) cannot be read: {why}{hint}") from error


def members(element: Any, name: str, tree: ToTree) -> Members:
    """Return (x, y) or (x, y, weight), or (x,), of an element, as arrays.

    Raises:
        DataError: it has other members, or they are no arrays.
    """
    given = element if isinstance(element, tuple) else (element,)
    if isinstance(element, list) and len(element) in (2, 3):
        given = tuple(element)
    if not 1 <= len(given) <= 3:
        raise DataError(
            f"{name}: an element has {len(given)} members. Expected: (x, y) or (x, y, weight)."
        )
    return tuple(
        tree(each, f"{name}: {member}")
        for member, each in zip(("x", "y", "weight"), given, strict=False)
        if each is not None
    )


def is_batch(value: Any, element: Any) -> bool:
    """Whether the elements of a pipeline are batches: their leaves share a first axis."""
    if is_dataset(value):
        return _batched(value.element_spec)
    if is_py_dataset(value):
        return True
    given = element if isinstance(element, tuple | list) else (element,)
    firsts = {np.shape(leaf)[:1] for each in given for leaf in _flat(each)}
    return len(firsts) == 1 and firsts != {()}


def _flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, tuple) else [value]


def _batched(spec: Any) -> bool:
    """Tell whether elements are batches: their leaves share a first axis, none is a scalar."""
    import tensorflow as tf

    shapes = [each.shape for each in tf.nest.flatten(spec)]
    if any(shape.rank in (None, 0) for shape in shapes):
        return False
    firsts = {shape[0] for shape in shapes}
    return firsts == {None} or (None not in firsts and len(firsts) == 1 and len(shapes) > 1)


def batches(
    value: Any, name: str, batch_size: int, tree: ToTree, epoch: int = 0
) -> Generator[Members, None, None]:
    """Yield batches; rows that come one by one are put together to `batch_size`.

    Raises:
        DataError: an element is no batch or row like the first.
    """
    whole: bool | None = None
    rows: list[Members] = []
    first: Members | None = None
    for number, element in enumerate(elements(value, name, epoch)):
        if whole is None:
            whole = is_batch(value, element)
        made = element if whole else _as_rows(element)
        found = members(made, f"{name}: element {number}", tree)
        if first is None:
            first = found
        _check_alike(found, first, name, number)
        if whole:
            yield found
            continue
        rows.append(found)
        if len(rows) == batch_size:
            yield joined(rows)
            rows = []
    if rows:
        yield joined(rows)


def _as_rows(element: Any) -> Any:
    """Return an element that is one row as a batch of one."""
    if isinstance(element, tuple):
        return tuple(None if each is None else _as_rows(each) for each in element)
    if isinstance(element, Mapping):
        return {key: np.asarray(each)[None] for key, each in element.items()}
    return np.asarray(element)[None]


def joined(parts: list[Members]) -> Members:
    """Return batches as one."""

    def join(*alike: Any) -> Any:
        if isinstance(alike[0], dict):
            return {key: np.concatenate([each[key] for each in alike]) for key in alike[0]}
        if isinstance(alike[0], list):
            return [np.concatenate(each) for each in zip(*alike, strict=True)]
        return np.concatenate(alike)

    return tuple(join(*each) for each in zip(*parts, strict=True))


def _check_alike(found: Members, first: Members, name: str, number: int) -> None:
    counts = {len(leaf) for each in found for _, leaf in leaves(each)}
    if len(counts) != 1:
        raise DataError(
            f"{name}: element {number} has members of {' and '.join(map(str, sorted(counts)))} "
            "rows. Expected: as many of each."
        )
    shapes = [[leaf.shape[1:] for _, leaf in leaves(each)] for each in found]
    like = [[leaf.shape[1:] for _, leaf in leaves(each)] for each in first]
    if shapes != like:
        raise DataError(
            f"{name}: element {number} has rows of shapes {shapes}. Expected: {like}, as of "
            "element 0."
        )
