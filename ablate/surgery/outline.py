"""A model's layers from input to output, nested models opened, as a drawing needs them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from ablate.study.network import LayerNode
from ablate.surgery.graph import Graph, is_container, producer_of, read

#: Arguments that say how large a layer is, with what stands before the number.
_SIZES = {"filters": "", "units": "", "rate": "rate ", "groups": "groups ", "pool_size": ""}


def outline(model: keras.Model) -> tuple[LayerNode, ...]:
    """Return the calls of a model's layers in an order in which they can be carried out.

    Raises:
        SurgeryError: the model is subclassed, or a Sequential that was never built.
    """
    nodes: list[LayerNode] = []
    counts: dict[str, int] = {}
    made: dict[int, int] = {}  # the call that made a tensor, by the tensor's id

    def add(path: str, layer: str, size: str = "", inputs: tuple[int, ...] = ()) -> int:
        number = counts.get(path, 0)
        counts[path] = number + 1
        nodes.append(LayerNode(path, layer, size, inputs, number))
        return len(nodes) - 1

    def visit(graph: Graph, prefix: str) -> list[int]:
        for call in graph.calls:
            fed = tuple(dict.fromkeys(made[id(each)] for each in call.inputs if id(each) in made))
            path = f"{prefix}{call.operation.name}"
            if is_container(call.operation):
                for own, given in zip(call.operation.inputs, call.inputs, strict=True):
                    made[id(own)] = made[id(given)]
                ends = visit(read(call.operation), f"{path}/")
                for own, end in zip(call.outputs, ends, strict=True):
                    made[id(own)] = end
                continue
            index = add(path, type(call.operation).__name__, _size(call.operation), fed)
            made.update({id(each): index for each in call.outputs})
        return [made[id(each)] for each in graph.outputs]

    whole = read(model)
    for tensor in whole.inputs:
        made[id(tensor)] = add(producer_of(tensor).name, "InputLayer")
    for end in visit(whole, ""):
        nodes[end] = replace(nodes[end], output=True)
    return tuple(nodes)


def _size(operation: Any) -> str:
    for argument, before in _SIZES.items():
        value = getattr(operation, argument, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{before}{value:g}"
        if isinstance(value, tuple):
            return "×".join(str(each) for each in value)
    return ""
