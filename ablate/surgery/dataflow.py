"""Where tensors go, across the borders of nested models.

Of a tensor of any graph of a model it tells what reads it, inside and outside of the nested model
that made it. Nested models are passed through: they are no readers themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from ablate.surgery import graph, kinds
from ablate.surgery.graph import Call, Graph


class Dataflow:
    """The ways of a model's tensors, read once."""

    def __init__(self, model: keras.Model):
        self.top = model
        self.graphs = {id(read.model): read for read in graph.graphs(model)}
        self.calls = graph.calls_by_layer(model)

    def readers(self, read: Graph, tensor: Any) -> Iterator[tuple[Graph, Call | None]]:
        """Yield the calls that take `tensor`, and None where it is an output of the whole model.

        A nested model that takes it is entered; what it takes inside is yielded. An output of a
        nested model is followed to whatever takes it outside.
        """
        yield from self._readers(read, tensor, set())

    def _readers(
        self, read: Graph, tensor: Any, seen: set[tuple[int, int]]
    ) -> Iterator[tuple[Graph, Call | None]]:
        if (id(read.model), id(tensor)) in seen:
            return
        seen.add((id(read.model), id(tensor)))
        if read.is_output(tensor):
            if read.model is self.top:
                yield read, None
            place = next(i for i, each in enumerate(read.outputs) if each is tensor)
            for outer, call in self.calls.get(read.model, ()):
                if place < len(call.outputs):
                    yield from self._readers(outer, call.outputs[place], seen)
        for call in read.consumers.get(id(tensor), ()):
            inner = self.graphs.get(id(call.operation))
            if inner is None:
                yield read, call
                continue
            place = next(i for i, each in enumerate(call.inputs) if each is tensor)
            if place < len(inner.inputs):
                yield from self._readers(inner, inner.inputs[place], seen)

    def reaches_output(self, layer: Any) -> bool:
        """Whether a conv, dense or activation layer is an output layer.

        It is where its output gets to a model output through activations and reshapes alone.
        """
        if kinds.kind_of(layer) not in ("conv", "dense", "activation"):
            return False
        seen: set[int] = set()
        wave = [(read, each) for read, call in self.calls.get(layer, ()) for each in call.outputs]
        while wave:
            read, tensor = wave.pop()
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            for where, call in self.readers(read, tensor):
                if call is None:
                    return True
                if kinds.is_activation(call.operation) or kinds.is_reshape(call.operation):
                    wave += [(where, each) for each in call.outputs]
        return False
