"""Inputs for a trace: symbolic ones, and some rows of numbers on which it is checked.

What a model was built with, or an example, says what they look like; of their dtypes a built
subclassed model keeps no record, so that what goes to embeddings alone counts as whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ablate.errors import SurgeryError
from ablate.surgery import graph
from ablate.surgery.batches import structure

#: Rows of the inputs on which a trace is compared with the original.
ROWS = 3

#: Sizes that an input leaves open: of sequences (all of one length), and of images.
_LENGTH, _SIDE = 8, 32


def inputs_of(model: keras.Model, example: Any) -> Any:
    """Return symbolic inputs for a model, nested as its `call` takes them."""
    if graph.is_container(model):
        return structure(model)
    if example is not None:
        arrays = keras.tree.map_structure(np.asarray, example)
        if not model.built or not model.variables:
            model(keras.tree.map_structure(lambda each: each[:ROWS], arrays))
        shapes = keras.tree.map_structure(lambda each: each.shape, arrays)
        dtypes = keras.tree.map_structure(lambda each: _standard(each.dtype), arrays)
        flat = zip(_shapes(shapes), keras.tree.flatten(dtypes), strict=True)
        made = [_input(model, number, *each) for number, each in enumerate(flat)]
        return _named(model, arrays, made)
    shapes = (model.get_build_config() or {}) if model.built else {}
    if "input_shape" not in shapes:
        raise SurgeryError(
            f"'{model.name}' is a subclassed model ({type(model).__name__}) "
            + ("that takes several arguments" if shapes else "whose input shapes are not known yet")
            + ". Call it on data first, or give some: ablate.surgery.functional(model, example)."
        )
    found = shapes["input_shape"]
    made = [_input(model, i, each, "float32") for i, each in enumerate(_shapes(found))]
    return _named(model, found, made)


def _standard(dtype: Any) -> str:
    name = np.dtype(dtype).name
    return {"float64": "float32", "int64": "int32"}.get(name, name)


def _shapes(found: Any) -> list[tuple[int | None, ...]]:
    """Return the shapes in a nest of shapes, which are tuples themselves."""
    if isinstance(found, dict):
        return [shape for key in sorted(found) for shape in _shapes(found[key])]
    if found and isinstance(found, list | tuple) and not _is_shape(found):
        return [shape for each in found for shape in _shapes(each)]
    return [tuple(found)]


def _is_shape(found: Any) -> bool:
    return all(each is None or isinstance(each, int) for each in found)


def _input(model: keras.Model, number: int, shape: Sequence[Any], dtype: str) -> Any:
    name = f"{model.name}_input" + (f"_{number + 1}" if number else "")
    return keras.Input(shape=tuple(shape)[1:], dtype=dtype, name=name)


def _named(model: keras.Model, like: Any, made: list[Any]) -> Any:
    """Return new inputs nested as `like`, those of a dict under its keys."""
    rest = iter(made)

    def nested(each: Any, name: str | None) -> Any:
        if isinstance(each, dict):
            return {key: nested(each[key], str(key)) for key in sorted(each)}
        if isinstance(each, list | tuple) and not _is_shape(each):
            return type(each)(nested(one, None) for one in each)
        tensor = next(rest)
        return tensor if name is None else keras.Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=name
        )  # fmt: skip

    return nested(like, None)


def with_tokens(inputs: Any, model: keras.Model) -> Any | None:
    """Return the inputs with those that only embeddings take as whole numbers; None: no others."""
    changed = False

    def fitted(tensor: Any) -> Any:
        nonlocal changed
        if tensor.dtype != "float32" or not _embedded(model, tensor):
            return tensor
        changed = True
        return keras.Input(batch_shape=tensor.shape, dtype="int32", name=tensor.name)

    found = keras.tree.map_structure(fitted, inputs)
    return found if changed else None


def _embedded(model: keras.Model, tensor: Any) -> bool:
    for call in graph.read(model).consumers.get(id(tensor), ()):
        if isinstance(call.operation, keras.layers.Embedding):
            return True
        if graph.is_container(call.operation):
            pairs = zip(keras.tree.flatten(call.args), call.operation.inputs, strict=False)
            if any(a is tensor and _embedded(call.operation, b) for a, b in pairs):
                return True
    return False


def sample(model: keras.Model, inputs: Any, example: Any) -> Any:
    if example is not None:
        arrays = keras.tree.map_structure(np.asarray, example)
        return keras.tree.map_structure(lambda each: each[:ROWS], arrays)
    return keras.tree.map_structure(values_for, inputs)


def values_for(tensor: Any) -> np.ndarray:
    """Return random values for a symbolic input, zeros and ones where it takes whole numbers."""
    rows, *sizes = tensor.shape
    image = len(sizes) == 3 and sizes[:2] == [None, None] and sizes[2] is not None
    room = _SIDE if image else _LENGTH
    shape = (rows or ROWS, *(size or room for size in sizes))
    rng = np.random.default_rng(0)
    if tensor.dtype == "string":
        raise SurgeryError(
            "Inputs of text cannot be made up. Give some: functional(model, example)."
        )
    if "float" in tensor.dtype:
        return rng.normal(size=shape).astype("float32").astype(tensor.dtype)
    values = rng.integers(0, 2, size=shape)
    values[..., :1] = 1  # no row is padding alone
    return values.astype(tensor.dtype)
