"""Images in batches: whatever a person hands over becomes a stream of model inputs.

An array, a list or dictionary of arrays (several inputs), a data set or a generator of batches
will do. Every batch is checked against the model's inputs and for values that are not finite, so
that the error names the input and not an operation deep in the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.errors import DataError

#: A batch for `model(...)` or `model.predict_on_batch`: an array, or arrays nested as the model's
#: inputs are.
Batch = Any

#: Called after each batch with the rows done, and the rows in all where that is known.
Progress = Callable[[int, int | None], None]


def batches(
    model: keras.Model, x: Any, rows: int, progress: Progress | None = None
) -> Iterator[tuple[Batch, int]]:
    """Yield `(inputs, count)` with at most `rows` rows each.

    Args:
        model: The model that will take the batches; its inputs tell what shapes fit.
        x: An array `(rows, …)`; a list or dict of arrays for several inputs; or an iterable of
            batches (a generator, a tf.data.Dataset, a keras PyDataset), whose elements are
            inputs or tuples `(inputs, targets, …)`, of which the first part is taken.
        rows: The most rows in a batch; larger ones of an iterable are cut. A model whose inputs
            fix the batch size gets batches of that size instead.
        progress: Called when a batch has been worked on.

    Raises:
        DataError: There are no images, a shape does not fit an input, the inputs' numbers of
            rows differ, they do not fill the batches of a fixed size, or a value is NaN or
            infinite.
    """
    if rows < 1:
        raise DataError(f"batch_size: expected a whole number of at least 1. Received: {rows!r}.")
    fixed = fixed_rows(model)
    rows = fixed or rows
    seen, total = 0, count_rows(x)
    for whole in _wholes(model, x):
        count = _check(model, whole)
        if fixed and count % fixed:
            raise DataError(
                f"images: '{model.name}' takes batches of exactly {fixed} rows, as its inputs are "
                f"declared. Received: {count} rows. Give a multiple of {fixed}."
            )
        for start in range(0, count, rows):
            part = keras.tree.map_structure(lambda each, at=start: each[at : at + rows], whole)
            for name, _, array in _named(model, part):
                _check_finite(name, array, seen + start)
            yield part, min(rows, count - start)
            if progress is not None:
                progress(seen + min(start + rows, count), total)
        seen += count
    if seen == 0:
        raise DataError(
            "images: expected at least one row to run the model on. Received: none. "
            "(A generator that was read before is empty: make a new one.)"
        )


def count_rows(x: Any) -> int | None:
    """Return how many rows `x` holds, or None where only reading it would tell."""
    leaves = keras.tree.flatten(x) if isinstance(x, dict | list | tuple) else [x]
    if leaves and all(_is_array(each) and each.shape for each in leaves):
        return int(leaves[0].shape[0])
    return None


def structure(model: keras.Model) -> Any:
    """Return the model's symbolic inputs, nested as it takes them."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def fixed_rows(model: keras.Model) -> int | None:
    """Return the batch size that the model's inputs are declared with, if they are."""
    inputs = getattr(model, "inputs", None) or ()  # a subclassed model may have none
    sizes = {tensor.shape[0] for tensor in inputs if tensor.shape}
    return max(sizes - {None}, default=None)


def _wholes(model: keras.Model, x: Any) -> Iterator[Batch]:
    """Yield what `x` holds: itself if it is arrays, its elements if it is a stream."""
    if _is_array(x) or isinstance(x, dict):
        yield _arrays(x, structure(model))
    elif isinstance(x, list | tuple):
        several = len(model.inputs) > 1 or (len(x) == 1 and _is_array(x[0]))
        yield _arrays(list(x), structure(model)) if several else _to_array(x)
    elif isinstance(x, keras.utils.PyDataset):
        yield from _wholes(model, (x[index] for index in range(len(x))))
    elif isinstance(x, Iterable):
        for element in x:
            yield _arrays(_inputs_of(element), structure(model))
    else:
        raise DataError(
            "images: expected an array, a list or dict of arrays, or an iterable of batches. "
            f"Received: {type(x).__name__}."
        )


def _inputs_of(element: Any) -> Any:
    """Return the inputs of a data set's element, by Keras's convention `(x, y, weights)`."""
    if isinstance(element, tuple):
        element = element[0]
    return list(element) if isinstance(element, tuple) else element


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)


def _arrays(x: Any, like: Any) -> Batch:
    """Turn what is nested as the model's inputs are into arrays, nested alike."""
    if isinstance(x, dict):
        inner = like if isinstance(like, dict) else {}
        return {key: _arrays(each, inner.get(key)) for key, each in x.items()}
    if isinstance(x, list | tuple) and not isinstance(like, keras.KerasTensor):
        alike = isinstance(like, list | tuple) and len(like) == len(x)
        return [
            _arrays(each, within)
            for each, within in zip(x, like if alike else [None] * len(x), strict=True)
        ]
    return _to_array(x)


def _to_array(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    array = ops.convert_to_numpy(value) if _is_array(value) else np.asarray(value)
    if array.dtype == object and not _is_text(array):
        raise DataError("images: expected rows of one shape. Received: rows of differing shapes.")
    return array


def _is_text(array: np.ndarray) -> bool:
    if array.dtype == object:
        return all(isinstance(each, str | bytes) for each in array.ravel()[:100])
    return array.dtype.kind in "US"


def _named(model: keras.Model, batch: Batch) -> list[tuple[str, Any, np.ndarray]]:
    """Return name, symbolic input and array of each of the model's inputs.

    Raises:
        DataError: There is no array for an input, or one too many.
    """
    flat = keras.tree.flatten(batch)
    names = [tensor.name for tensor in model.inputs]
    if isinstance(batch, dict) and set(batch) == set(names) and len(flat) == len(names):
        return [(tensor.name, tensor, batch[tensor.name]) for tensor in model.inputs]
    like = structure(model)
    alike = isinstance(batch, dict) and isinstance(like, dict)
    if len(flat) != len(names) or (alike and set(batch) != set(like)):
        given = f"{len(flat)}"
        if isinstance(batch, dict):
            given += f" ({', '.join(str(key) for key in batch)})"
        raise DataError(
            f"images: expected {len(names)} array(s), one for each input of '{model.name}' "
            f"({', '.join(names)}). Received: {given}."
        )
    return list(zip(names, model.inputs, flat, strict=True))


def _check(model: keras.Model, batch: Batch) -> int:
    """Check the number of inputs, their shapes and rows; return the number of rows."""
    named = _named(model, batch)
    for name, tensor, array in named:
        expected = tuple(tensor.shape)
        if not _fits(array.shape, expected):
            raise DataError(
                f"images: input '{name}' of '{model.name}' expects the shape {expected}. "
                f"Received: {tuple(array.shape)}. Resize or reshape the images."
            )
        if (tensor.dtype == "string") != _is_text(array):
            raise DataError(
                f"images: input '{name}' of '{model.name}' expects {tensor.dtype}. "
                f"Received: {array.dtype}."
            )
    counts = {len(array) for _, _, array in named}
    if len(counts) > 1:
        raise DataError(
            f"images: expected equally many rows for every input. Received: {sorted(counts)}."
        )
    return counts.pop()


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Tell whether Keras would take an array of this shape: it adds or drops a last axis of 1."""
    if len(shape) == 0:
        return False
    if len(shape) == len(expected) - 1 and expected[-1] in (1, None):
        expected = expected[:-1]
    elif len(shape) == len(expected) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    return len(shape) == len(expected) and all(
        e is None or s == e for s, e in zip(shape[1:], expected[1:], strict=True)
    )


def _check_finite(name: str, array: np.ndarray, first_row: int) -> None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    raise DataError(
        f"images: every value must be finite. Row {first_row + int(np.argmax(bad))} of input "
        f"'{name}' holds NaN or an infinity. Remove or repair such rows."
    )
