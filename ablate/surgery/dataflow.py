"""Where tensors go, across the borders of nested models.

It finds what reads a tensor of any graph of a model, inside and outside of the nested model
that made it. Nested models are passed through: they are no readers themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
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

    def reached(
        self, layer: Any, passes: Callable[[Any], bool], least: int = 0
    ) -> Iterator[Call | None]:
        """Yield the calls that a layer's output gets to, and None for an output of the whole model.

        The search goes on behind operations that `passes` accepts, along tensors of at least
        `least` axes. A call may come several times.
        """
        found = self.calls.get(layer, ())
        queue = deque((read, tensor) for read, call in found for tensor in call.outputs)
        seen: set[int] = set()
        while queue:
            read, tensor = queue.popleft()
            if id(tensor) in seen or len(tensor.shape) < least:
                continue
            seen.add(id(tensor))
            for where, call in self.readers(read, tensor):
                yield call
                if call is not None and passes(call.operation):
                    queue.extend((where, each) for each in call.outputs)

    def reaches_output(self, layer: Any) -> bool:
        """Whether a conv, dense or activation layer is an output layer.

        It is where its output gets to a model output through activations and reshapes alone.
        """
        if kinds.kind_of(layer) not in ("conv", "dense", "activation"):
            return False

        def passes(operation: Any) -> bool:
            return kinds.is_activation(operation) or kinds.is_reshape(operation)

        return any(call is None for call in self.reached(layer, passes))
