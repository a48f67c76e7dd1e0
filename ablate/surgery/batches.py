"""Images in batches: whatever a person hands over becomes a stream of model inputs.

An array, a list or dictionary of arrays (several inputs), a data set or a generator of batches
enters; tuples of a model's input and its number of rows leave. Every batch is checked against
the model's inputs and for values that are not finite, so that the error names the input and not
an operation deep in the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.errors import DataError

#: A batch for `model(...)` or `model.predict_on_batch`: an array, or a list or dict of arrays.
Batch = Any


def batches(model: keras.Model, x: Any, rows: int) -> Iterator[tuple[Batch, int]]:
    """Yield `(inputs, count)` with at most `rows` rows each.

    Args:
        model: The model that will take the batches; its inputs tell what shapes fit.
        x: An array `(rows, …)`; a list or dict of arrays for several inputs; or an iterable of
            batches (a generator, a tf.data.Dataset, a keras PyDataset), whose elements are
            inputs or tuples `(inputs, targets, …)`, of which the first part is taken.
        rows: The most rows in a batch; larger ones of an iterable are cut.

    Raises:
        DataError: There are no images, a shape does not fit an input, the inputs' numbers of
            rows differ, or a value is NaN or infinite.
    """
    if rows < 1:
        raise DataError(f"batch_size: expected a whole number of at least 1. Received: {rows!r}.")
    seen = 0
    for whole in _wholes(model, x):
        count = _check(model, whole, seen)
        for start in range(0, count, rows):
            part = _map(lambda each, at=start: each[at : at + rows], whole)
            for name, array in _named(model, part):
                _check_finite(name, array, seen + start)
            yield part, min(rows, count - start)
        seen += count
    if seen == 0:
        raise DataError(
            "images: expected at least one row to run the model on. Received: none. "
            "(A generator that was read before is empty: make a new one.)"
        )


def count_rows(x: Any) -> int | None:
    """Return how many rows `x` holds, or None where only reading it would tell."""
    if _is_array(x):
        return len(x)
    if isinstance(x, dict) and x:
        return count_rows(next(iter(x.values())))
    if isinstance(x, list | tuple) and x and all(_is_array(each) for each in x):
        return len(x[0])
    return None


def _wholes(model: keras.Model, x: Any) -> Iterator[Batch]:
    """Yield what `x` holds: itself if it is arrays, its elements if it is a stream."""
    if _is_array(x) or isinstance(x, dict):
        yield _map(_to_array, x)
    elif isinstance(x, list | tuple):
        several = len(model.inputs) > 1 or (len(x) == 1 and _is_array(x[0]))
        yield [_to_array(each) for each in x] if several else _to_array(x)
    elif isinstance(x, keras.utils.PyDataset):
        for index in range(len(x)):
            yield _map(_to_array, _inputs_of(x[index]))
    elif isinstance(x, Iterable):
        for element in x:
            yield _map(_to_array, _inputs_of(element))
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


def _to_array(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    array = ops.convert_to_numpy(value) if _is_array(value) else np.asarray(value)
    if array.dtype == object:
        raise DataError("images: expected rows of one shape. Received: rows of differing shapes.")
    return array


def _map(function, batch: Batch) -> Batch:
    if isinstance(batch, dict):
        return {key: function(each) for key, each in batch.items()}
    if isinstance(batch, list | tuple):
        return [function(each) for each in batch]
    return function(batch)


def _named(model: keras.Model, batch: Batch) -> list[tuple[str, np.ndarray]]:
    if isinstance(batch, dict):
        return list(batch.items())
    arrays = batch if isinstance(batch, list) else [batch]
    names = [tensor.name for tensor in model.inputs]
    return list(zip(names, arrays, strict=False))


def _check(model: keras.Model, batch: Batch, seen: int) -> int:
    """Check the number of inputs, their shapes and rows; return the number of rows."""
    arrays = list(batch.values()) if isinstance(batch, dict) else batch
    arrays = arrays if isinstance(arrays, list) else [arrays]
    if len(arrays) != len(model.inputs):
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise DataError(
            f"images: expected {len(model.inputs)} array(s), one for each input of "
            f"'{model.name}' ({names}). Received: {len(arrays)}."
        )
    by_name = {tensor.name: tensor for tensor in model.inputs}
    for tensor, (name, array) in zip(model.inputs, _named(model, batch), strict=True):
        expected = tuple(by_name.get(name, tensor).shape)
        if not _fits(array.shape, expected):
            raise DataError(
                f"images: input '{name}' of '{model.name}' expects the shape {expected}. "
                f"Received: {tuple(array.shape)}. Resize or reshape the images."
            )
    counts = {len(array) for array in arrays}
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
    if len(shape) != len(expected):
        return False
    return all(e is None or s == e for s, e in zip(shape[1:], expected[1:], strict=True))


def _check_finite(name: str, array: np.ndarray, first_row: int) -> None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    raise DataError(
        f"images: every value must be finite. Row {first_row + int(np.argmax(bad))} of input "
        f"'{name}' holds NaN or an infinity. Remove or repair such rows."
    )
