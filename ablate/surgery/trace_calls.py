"""Calls of layers while the `call` of a model is carried out on symbolic inputs.

`calls_go_to` lets a trace see them. Those of composite layers (of anyone's own, with layers inside)
are read as arguments by name with the tensors among them; a layer of which that cannot be done is
`Untrue`, and stays `Closed`.
"""

from __future__ import annotations

import inspect
import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from ablate.reasons import reason
from ablate.surgery import graph

_ACTIVE = threading.local()
_ONE_AT_A_TIME = threading.RLock()
_CALL = keras.Layer.__call__


@dataclass(frozen=True)
class Closed:
    """A composite layer that stayed whole: its name, its class, and why."""

    name: str
    layer_class: str
    reason: str


class Untrue(Exception):
    """A layer (or model) whose `call` cannot be opened, and what was seen."""

    def __init__(self, layer: keras.Layer, what: str):
        super().__init__(what)
        self.layer, self.what = layer, what

    def closed(self) -> Closed:
        """Return it as a layer that stays whole."""
        return Closed(self.layer.name, type(self.layer).__name__, self.what)


def seen(trouble: Exception) -> str:
    """Return what Keras says, without the lesson that follows."""
    return reason(trouble).split("\n")[0].split(". ")[0].rstrip(".")


def is_composite(layer: Any) -> bool:
    """Whether a layer is one of anyone's own, with layers inside of it that its `call` calls."""
    if not isinstance(layer, keras.Layer) or graph.is_container(layer):
        return False
    if isinstance(layer, keras.Sequential):
        return False  # one that has no graph yet
    defines = next((each for each in type(layer).__mro__ if "call" in vars(each)), keras.Layer)
    return defines.__module__.split(".")[0] != "keras" and bool(graph.sublayers(layer))


def composites(model: keras.Model) -> list[keras.Layer]:
    """Return the composite layers that are called in a functional model, to any depth."""
    return [each for _, each in graph.every(model) if is_composite(each)]


def serialized(layer: keras.Layer) -> dict[str, Any] | None:
    """Return a composite layer as a file has it; None where its class does not say."""
    try:
        document = keras.saving.serialize_keras_object(layer)
        json.dumps(document)
    except Exception:
        return None
    document.pop("build_config", None)
    return document


@contextmanager
def calls_go_to(seeing: Callable[..., Any]) -> Iterator[None]:
    """Hand calls of layers on symbolic tensors, in this thread, to a function.

    It takes Keras's own way to call a layer, the layer, its arguments and its keyword arguments.
    """
    original = _CALL

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        go = getattr(_ACTIVE, "seeing", None)
        if go is None:
            return original(layer, *args, **kwargs)
        given = keras.tree.flatten((args, kwargs))
        if not any(isinstance(each, keras.KerasTensor) for each in given):
            return original(layer, *args, **kwargs)  # inside a layer that stays whole
        return go(original, layer, args, kwargs)

    def symbolic_call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_ACTIVE, "seeing", None) is not None:
            operation = _of_any_rows(operation, *args)
        return plainly(operation, *args, **kwargs)

    plainly = keras.Operation.symbolic_call
    with _ONE_AT_A_TIME:
        _ACTIVE.seeing = seeing
        keras.Layer.__call__, keras.Operation.symbolic_call = call, symbolic_call
        try:
            yield
        finally:
            keras.Layer.__call__, keras.Operation.symbolic_call = original, plainly
            _ACTIVE.seeing = None


def _of_any_rows(operation: Any, *args: Any) -> Any:
    """Return a reshape to a number of rows that was read off a shape, None here, as one to -1.

    That is what it comes to where all other sizes are known.
    """
    sizes = getattr(operation, "newshape", None)
    if isinstance(operation, keras.Layer) or not isinstance(sizes, list | tuple):
        return operation
    given = [-1 if each is None else each for each in sizes]
    if not all(isinstance(each, int) for each in given) or list(sizes).count(None) != 1:
        return operation
    row, rest = tuple(args[0].shape)[1:], given[1:]
    if -1 in rest and sizes[0] is None and rest.count(-1) == 1 and None not in row:
        others = math.prod(each for each in rest if each != -1)
        rest[rest.index(-1)] = math.prod(row) // max(1, others)
        given = [-1, *rest]
    return type(operation)(tuple(given)) if given.count(-1) == 1 else operation


def arguments_of(layer: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the arguments of a call by name, those of `**kwargs` and masks too."""
    signature = inspect.signature(layer.call)
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as trouble:
        raise Untrue(layer, str(trouble)) from trouble
    kinds = {key: each.kind for key, each in signature.parameters.items()}
    found: dict[str, Any] = {}
    for key, value in _with_masks(layer, bound).items():
        if kinds[key] is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif kinds[key] in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise Untrue(layer, "its call() takes arguments that have no names")
        else:
            found[key] = value
    return found


def _with_masks(layer: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call with the masks that Keras would hand over by itself."""
    parameters = inspect.signature(layer.call).parameters
    carrying = [key for key, value in bound.items() if tensors_of({key: value}, masks=False)]
    wanted = {f"{key}_mask": key for key in carrying}
    if len(carrying) == 1:
        wanted = {"mask": carrying[0]}
    found = dict(bound)
    for name, key in wanted.items():
        if name in parameters and found.get(name) is None:
            mask = keras.tree.map_structure(graph.mask_of, bound[key])
            if any(each is not None for each in keras.tree.flatten(mask)):
                found[name] = mask
    return found


def tensors_of(bound: dict[str, Any], masks: bool = True) -> list[Any]:
    """Return the distinct symbolic tensors among arguments, then the masks that travel along."""
    leaves = keras.tree.flatten(bound)
    found = [each for each in leaves if isinstance(each, keras.KerasTensor)]
    if masks:
        found += [mask for each in list(found) if (mask := graph.mask_of(each)) is not None]
    return list({id(each): each for each in found}.values())


def way_of(bound: dict[str, Any], tensors: list[Any]) -> Any:
    """Return what tells ways to call a layer apart: arguments, shapes, which mask goes where."""
    places = {id(each): place for place, each in enumerate(tensors)}

    def part(each: Any) -> Any:
        if id(each) in places:
            return ("tensor", places[id(each)])
        return each if isinstance(each, bool | int | float | str | None) else id(each)

    return (
        tuple(sorted(bound)),
        repr(keras.tree.map_structure(part, bound)),
        tuple((tuple(each.shape), each.dtype) for each in tensors),
        tuple(places.get(id(graph.mask_of(each))) for each in tensors),
    )


def inputs_like(layer: Any, bound: dict[str, Any], tensors: list[Any]) -> list[Any]:
    """Return symbolic inputs such as a layer is called with."""
    names = _input_names(layer, bound, tensors)
    return [
        keras.Input(batch_shape=each.shape, dtype=_dtype(layer, each), name=name)
        for each, name in zip(tensors, names, strict=True)
    ]


def _input_names(layer: Any, bound: dict[str, Any], tensors: list[Any]) -> list[str]:
    """Name inputs after the arguments they are; the first one after the layer."""
    names: dict[int, str] = {}
    for key, value in bound.items():
        for number, each in enumerate(tensors_of({key: value}, masks=False)):
            suffix = f"_{number + 1}" if number else ""
            name = f"{layer.name}_{key}{suffix}" if names else f"{layer.name}_input"
            names.setdefault(id(each), name)
    for each in tensors:
        if (mask := graph.mask_of(each)) is not None:
            names.setdefault(id(mask), f"{names[id(each)]}_mask")
    return [names[id(each)] for each in tensors]


def _dtype(layer: Any, tensor: Any) -> str:
    """Return the dtype in which a layer receives a tensor."""
    cast = layer.autocast and "float" in tensor.dtype
    return str(layer.input_dtype if cast else tensor.dtype)
