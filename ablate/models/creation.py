"""Which weights of a model are still what their initializers gave when they were created.

Those may be drawn anew for every seed. Others were loaded, copied or trained: they are kept. While
`noted` is in force, every weight that a layer adds is noted with the digest of its first value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import keras
import numpy as np

from ablate.surgery import graph
from ablate.surgery.graph import paths

#: By the id of a variable, which has no hash: a reference to it, and the digest of its first value.
_first: dict[int, tuple[ref[Any], bytes]] = {}


@contextmanager
def noted() -> Iterator[None]:
    """Note the first value of every weight that is created in the context."""
    add_weight = keras.Layer.add_weight

    def add(self: keras.Layer, *arguments: Any, **named: Any) -> Any:
        variable = add_weight(self, *arguments, **named)
        key = id(variable)
        if (value := _digest(variable)) is not None:
            _first[key] = ref(variable, lambda _: _first.pop(key, None)), value
        return variable

    keras.Layer.add_weight = add
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight


def is_fresh(variable: Any, initializer: Any = None) -> bool:
    """Whether a weight that was created while `noted` was in force has its first value still.

    One that got its value later, inside a graph, is asked of its initializer, which draws the same
    again; where there is none, it counts as kept.
    """
    known, value = _first.get(id(variable), (None, b""))
    if known is not None and known() is variable:
        return value == _digest(variable)
    if not callable(initializer):
        return False
    try:
        drawn = initializer(tuple(variable.shape), dtype=variable.dtype)
    except Exception:
        return False
    return _digest(drawn) == _digest(variable)


def kept_weights(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return which weights of a model were set or trained since they were created.

    Returns:
        for each layer that has some, by path, their indices among its weights; "" stands for a
        model whose graph cannot be read.

    Example:
        >>> with noted():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="out")])
        ...     _ = model.layers[0].bias.assign([1.0, 2.0, 3.0])
        >>> kept_weights(model)
        {'out': (1,)}
    """
    drawn_by = {id(v): each for part in model._flatten_layers() for v, each in initializers(part)}
    parts: list[tuple[Any, str]] = [(model, "")]
    if graph.is_container(model):
        parts = [each for each in paths(model) if not graph.is_container(each[0])]
    found = {
        path: tuple(
            index
            for index, variable in enumerate(layer.weights)
            if not is_fresh(variable, drawn_by.get(id(variable)))
        )
        for layer, path in parts
    }
    return {path: indices for path, indices in found.items() if indices}


def initializers(layer: keras.Layer) -> Iterator[tuple[keras.Variable, Any]]:
    """Yield the weights of a layer whose initializer it still holds, with that."""
    for name, initializer in vars(layer).items():
        role = name.removesuffix("_initializer")
        variable = getattr(layer, role, None) if role != name and role else None
        if isinstance(variable, keras.Variable):
            yield variable, initializer


def _digest(variable: Any) -> bytes | None:
    """Return the digest of a variable's value, None while it has none."""
    try:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
    except Exception:  # it is initialized later
        return None
    return hashlib.sha256(value.reshape(-1).view(np.uint8).data).digest()
