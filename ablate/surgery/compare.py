"""What differs between two models: their layers, how these are connected, arguments, weights.

Layers are matched by their paths of names. Nothing is run: `certify` measures what the models
compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ablate.surgery import exact, graph
from ablate.surgery.conversion import variables
from ablate.surgery.tracing import functional

#: What a layer's configuration has that is no argument of its own.
_NO_ARGUMENTS = ("name", "trainable", "build_config", "optional")


@dataclass(frozen=True)
class LayerChange:
    """How the layer at a path differs; each pair is the first model's and the second's.

    `weights` has for each weight that differs the largest absolute difference, or the pair of
    shapes, None where a model lacks it. `inputs` are the paths of the layers that it reads.
    """

    path: str
    layer_class: tuple[str, str] | None = None
    arguments: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    weights: Mapping[str, float | tuple[Any, Any]] = field(default_factory=dict)
    trainable: tuple[bool, bool] | None = None
    inputs: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    def __bool__(self) -> bool:
        return any((self.layer_class, self.arguments, self.weights, self.trainable, self.inputs))


@dataclass(frozen=True)
class Comparison:
    """What differs between two models, in the order of the first one's layers.

    `first_only` and `second_only` are (path, class) of layers that only one of them has; `alike`
    counts the layers that both have and that differ in nothing.
    """

    first_only: tuple[tuple[str, str], ...]
    second_only: tuple[tuple[str, str], ...]
    changed: tuple[LayerChange, ...]
    alike: int


def compare(first: keras.Model, second: keras.Model) -> Comparison:
    """Return what differs between two models.

    Raises:
        SurgeryError: the graph of one of them cannot be read.
    """
    first, second = functional(first), functional(second)
    ours, theirs = ({path: each for each, path in graph.paths(model)} for model in (first, second))
    reads = [_inputs(model) for model in (first, second)]
    both = [path for path in ours if path in theirs]
    changes = [_change(path, ours[path], theirs[path], reads) for path in both]
    found = tuple(each for each in changes if each)
    return Comparison(
        first_only=tuple((p, type(each).__name__) for p, each in ours.items() if p not in theirs),
        second_only=tuple((p, type(each).__name__) for p, each in theirs.items() if p not in ours),
        changed=found,
        alike=len(both) - len(found),
    )


def _change(
    path: str, one: Any, other: Any, reads: list[dict[Any, tuple[str, ...]]]
) -> LayerChange:
    classes = (type(one).__name__, type(other).__name__)
    flags = (bool(one.trainable), bool(other.trainable))
    inputs = (reads[0].get(one, ()), reads[1].get(other, ()))
    container = graph.is_container(one) or graph.is_container(other)
    return LayerChange(
        path,
        layer_class=classes if classes[0] != classes[1] else None,
        arguments={} if container else _arguments(one.get_config(), other.get_config()),
        weights={} if container else _weights(one, other),
        trainable=flags if flags[0] != flags[1] else None,
        inputs=inputs if inputs[0] != inputs[1] else None,
    )


def _arguments(one: Any, other: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the arguments that differ, those of serialized objects inside by their names."""
    found: dict[str, tuple[Any, Any]] = {}
    for key in dict.fromkeys([*one, *other]):
        if key in _NO_ARGUMENTS:
            continue
        a, b = one.get(key), other.get(key)
        if all(isinstance(each, dict) and "config" in each for each in (a, b)) and (
            a.get("class_name") == b.get("class_name")
        ):
            found |= _arguments(a["config"] or {}, b["config"] or {}, f"{prefix}{key}.")
        elif _plain(a) != _plain(b):
            found[f"{prefix}{key}"] = (_plain(a), _plain(b))
    return found


def _plain(value: Any) -> Any:
    """Return a value of a configuration in short: of a serialized object its class."""
    if isinstance(value, dict) and "class_name" in value:
        return value["class_name"]
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, bool | int | float | str | dict | None) else str(value)


def _weights(one: Any, other: Any) -> dict[str, float | tuple[Any, Any]]:
    sides = []
    for layer in (one, other):
        known = {id(weight) for weight in layer.weights}
        sides.append({key: each for key, each in variables(layer).items() if id(each) in known})
    found: dict[str, float | tuple[Any, Any]] = {}
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        a, b = (side.get(key) for side in sides)
        if a is None or b is None or tuple(a.shape) != tuple(b.shape):
            found[key] = (_shape(a), _shape(b))
            continue
        x, y = exact.value(a), exact.value(b)
        if not np.array_equal(x, y) and not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
            found[key] = float(np.max(np.abs(x.astype("float64") - y.astype("float64"))))
    return found


def _shape(variable: Any) -> tuple[int, ...] | None:
    return None if variable is None else tuple(variable.shape)


def _inputs(model: keras.Model) -> dict[Any, tuple[str, ...]]:
    """The paths of the layers (or names of operations) that each layer reads, call by call."""
    named = dict(graph.paths(model))
    found: dict[Any, list[str]] = {}
    for operation, calls in graph.calls_by_layer(model).items():
        for _, call in calls:
            makers = (graph.producer_of(each) for each in call.inputs)
            found.setdefault(operation, []).extend(
                named.get(maker, str(maker.name)) for maker in makers
            )
    return {operation: tuple(reads) for operation, reads in found.items()}
