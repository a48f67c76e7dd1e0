"""The graph of a Keras model, read once: its calls, in order, and who consumes what.

A `Graph` has a `Call` for each time an operation was called; nested models are single calls with a
graph of their own. This is the only
module that touches what Keras keeps with underscores (`_keras_history`, `_inbound_nodes`,
`_keras_mask`); everything else in `surgery` speaks of calls and tensors.

The order of `Graph.order` (depth first from the outputs, arguments left to right) does not
change when layers are inserted on edges, so ordinals taken from it are stable.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any

import keras

from ablate.errors import SurgeryError


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one operation: what went in, what came out.

    `ordinal` counts the calls of the same operation in this graph from 0. `key` is hashable and
    the same each time the same model is read.
    """

    key: tuple[int, int, int]
    operation: Any
    ordinal: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A model's calls in an order in which they can be carried out.

    `order` holds the operations (inputs among them) in stable topological order; `consumers`
    and `producer` are keyed by `id` of a symbolic tensor, as Keras keys its own.
    """

    model: keras.Model
    calls: tuple[Call, ...]
    order: tuple[Any, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    consumers: dict[int, tuple[Call, ...]] = field(repr=False)
    producer: dict[int, Call] = field(repr=False)

    def calls_of(self, operation: Any) -> tuple[Call, ...]:
        """The calls of `operation`, in the order they were made."""
        return tuple(call for call in self.calls if call.operation is operation)

    def is_output(self, tensor: Any) -> bool:
        """Whether `tensor` is an output of this model."""
        return any(tensor is each for each in self.outputs)

    def following(self, call: Call) -> Call | None:
        """The only call that sees the only output of `call`; None where there are others."""
        if len(call.outputs) != 1 or self.is_output(call.outputs[0]):
            return None
        consumers = self.consumers.get(id(call.outputs[0]), ())
        return consumers[0] if len(consumers) == 1 else None


#: Every call of every operation, with the graph it is in.
Calls = dict[Any, list[tuple[Graph, Call]]]


def is_container(operation: Any) -> bool:
    """Whether `operation` is a model whose graph can be read: functional, or Sequential built.

    A class of anyone's own counts where Keras's own `call` carries out its graph.
    """
    if not isinstance(operation, keras.Sequential | keras.Function) or not isinstance(
        operation, keras.Model
    ):
        return False
    defines = next(each for each in type(operation).__mro__ if "call" in vars(each))
    return defines.__module__.split(".")[0] == "keras" and _symbolic(operation)


def constructor_of(model: keras.Model) -> type:
    """Return the class to construct a model alike with: its own, if that takes a graph.

    A class whose constructor takes arguments of its own gives way to its Keras parent.
    """
    sequential = isinstance(model, keras.Sequential)
    first = ["layers"] if sequential else ["inputs", "outputs", "name"]
    spec = inspect.getfullargspec(type(model).__init__)  # type: ignore[misc]
    if spec.args[1 : 1 + len(first)] == first or (spec.varargs and spec.varkw):
        return type(model)
    return keras.Sequential if sequential else keras.Model


def read(model: keras.Model) -> Graph:
    """Return the graph of `model`.

    Raises:
        SurgeryError: the model is subclassed, or a Sequential that was never built.
    """
    if not is_container(model):
        raise SurgeryError(_refusal(model))
    inputs, outputs = tuple(model.inputs), tuple(model.outputs)
    nodes = _depth_first(inputs, outputs)
    order = list(dict.fromkeys(node.operation for node in nodes))
    order += [op for op in (producer_of(each) for each in inputs) if op not in order]
    ordinals: dict[int, int] = {}
    made = {}
    for node in sorted(nodes, key=_birth):
        if node.arguments.keras_tensors:
            operation = node.operation
            ordinal = ordinals.get(id(operation), 0)
            ordinals[id(operation)] = ordinal + 1
            made[id(node)] = Call(
                (id(model), id(operation), ordinal),
                operation,
                ordinal,
                tuple(node.arguments.args),
                dict(node.arguments.kwargs),
                tuple(node.arguments.keras_tensors),
                tuple(node.outputs),
            )
    calls = tuple(_schedule([made[id(node)] for node in nodes if id(node) in made], inputs))
    consumers: dict[int, list[Call]] = {}
    for call in calls:
        for tensor in {id(each): each for each in call.inputs}.values():
            consumers.setdefault(id(tensor), []).append(call)
    producer = {id(tensor): call for call in calls for tensor in call.outputs}
    return Graph(
        model,
        calls,
        tuple(order),
        inputs,
        outputs,
        {key: tuple(value) for key, value in consumers.items()},
        producer,
    )


def operations_between(inputs: Iterable[Any], outputs: Iterable[Any]) -> list[Any]:
    """The operations that make `outputs` out of `inputs`, inputs included."""
    nodes = _depth_first(tuple(inputs), tuple(outputs))
    return list(dict.fromkeys(node.operation for node in nodes))


def producer_of(tensor: Any) -> Any:
    """The operation that made a symbolic tensor (an InputLayer for an input)."""
    return tensor._keras_history.operation


def input_key(read: Graph, tensor: Any) -> tuple[int, int, int]:
    """The key of edits of a graph's input, as if an input were a call."""
    return (id(read.model), id(producer_of(tensor)), 0)


def mask_of(tensor: Any) -> Any:
    """The mask that travels with a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> None:
    """Let `mask` travel with `tensor`."""
    tensor._keras_mask = mask


def sublayers(layer: Any) -> tuple[Any, ...]:
    """The layers directly inside `layer` (of a wrapper, of a custom layer, of a model)."""
    return tuple(getattr(layer, "_layers", ()))


def own_weights(layer: Any) -> list[Any]:
    """The weights that a layer holds itself, not in the layers inside of it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def exchange(holder: Any, old: Any, new: Any) -> None:
    """Let `holder` hold the layer or variable `new` wherever it holds `old`."""
    tracker = holder._tracker
    for store, (_, held) in tracker.config.items():
        known = tracker.stored_ids[store]
        if id(old) in known:
            place = next(i for i, each in enumerate(held) if each is old)
            if id(new) in known:
                del held[place]
            else:
                held[place] = new
            known.discard(id(old))
            known.add(id(new))
    for name, value in list(vars(holder).items()):
        if (changed := _exchanged(value, old, new)) is not value:
            setattr(holder, name, changed)


def _exchanged(held: Any, old: Any, new: Any) -> Any:
    """Return `held` with `new` for `old` at any depth; lists and dicts are changed in place."""
    if held is old:
        return new
    # The methods of the plain classes: those of Keras's tracked lists would track once more.
    if isinstance(held, list):
        for place, each in enumerate(held):
            list.__setitem__(held, place, _exchanged(each, old, new))
    elif isinstance(held, dict):
        for key, each in list(held.items()):
            dict.__setitem__(held, key, _exchanged(each, old, new))
    elif isinstance(held, tuple):
        inside = [_exchanged(each, old, new) for each in held]
        if any(a is not b for a, b in zip(inside, held, strict=True)):
            return tuple(inside) if type(held) is tuple else type(held)(*inside)
    return held


def forget_calls(operation: Any) -> None:
    """Empty a copied operation's list of calls, so that it shares none with the original."""
    operation._inbound_nodes = []
    operation._outbound_nodes = []


def every(model: keras.Model) -> Iterable[tuple[Graph, Any]]:
    """Yield `(graph, operation)` for the model and all models nested in it, each graph once."""
    seen: set[int] = set()

    def visit(inner: keras.Model) -> Iterator[tuple[Graph, Any]]:
        if id(inner) in seen:
            return
        seen.add(id(inner))
        own = read(inner)
        for operation in own.order:
            yield own, operation
            if is_container(operation):
                yield from visit(operation)

    yield from visit(model)


def graphs(model: keras.Model) -> list[Graph]:
    """Return the graphs of the model and of all models nested in it, each once."""
    return list({id(read.model): read for read, _ in every(model)}.values())


def paths(model: keras.Model) -> list[tuple[Any, str]]:
    """Return `(layer, path)` for all layers, each once, in stable topological order."""
    found: dict[Any, str] = {}

    def visit(inner: keras.Model, prefix: str) -> None:
        for operation in read(inner).order:
            if isinstance(operation, keras.Layer) and operation not in found:
                found[operation] = prefix + operation.name
                if is_container(operation):
                    visit(operation, f"{prefix}{operation.name}/")

    visit(model, "")
    return list(found.items())


def calls_by_layer(model: keras.Model) -> Calls:
    """Return every call of every operation, nested models included; an input counts as a call."""
    found: Calls = {}
    for read in graphs(model):
        for call in read.calls:
            found.setdefault(call.operation, []).append((read, call))
        for tensor in read.inputs:
            source = producer_of(tensor)
            if source not in found:  # an Input that two models share is the outer one's
                call = Call(input_key(read, tensor), source, 0, (), {}, (), (tensor,))
                found[source] = [(read, call)]
    return found


def flat_layers(model: keras.Model) -> list[Any]:
    """The model and all layers inside of it, to any depth, in the graph or not."""
    return list(model._flatten_layers())


def states_of(layer: Any) -> list[Any]:
    """The variables that stateful layers carry from one batch to the next, which Keras lists
    among no layer's variables: those of `layer` (or model) and of all layers inside of it."""
    stateful = [each for each in layer._flatten_layers() if getattr(each, "stateful", False)]
    found = keras.tree.flatten([getattr(each, "states", None) for each in stateful])
    return [each for each in found if isinstance(each, keras.Variable)]


@contextmanager
def losses_held(*models: keras.Model) -> Iterator[None]:
    """Put back the losses that calls left on layers; a traced call leaves useless symbols."""
    layers = {id(each): each for model in models for each in flat_layers(model)}.values()
    held = [(layer, list(layer._losses)) for layer in layers]
    try:
        yield
    finally:
        for layer, losses in held:
            layer._losses.clear()
            layer._losses.extend(losses)


def _depth_first(inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> list[Any]:
    """Nodes in post-order from the outputs, arguments left to right; without recursion."""
    stop = {id(each) for each in inputs}
    done: dict[int, Any] = {}
    order: list[Any] = []

    def node_of(tensor: Any) -> Any:
        history = tensor._keras_history
        return history.operation._inbound_nodes[history.node_index]

    def parents(node: Any, tensor: Any) -> Iterator[Any]:
        if id(tensor) in stop:
            return iter(())
        return iter(node.arguments.keras_tensors)

    for output in outputs:
        stack = [(node_of(output), parents(node_of(output), output))]
        entered = {id(stack[0][0])}
        while stack:
            node, rest = stack[-1]
            if id(node) in done:
                stack.pop()
                continue
            tensor = next(rest, None)
            if tensor is None:
                stack.pop()
                done[id(node)] = node
                order.append(node)
            else:
                above = node_of(tensor)
                if id(above) not in done and id(above) not in entered:
                    entered.add(id(above))
                    stack.append((above, parents(above, tensor)))
    return order


def _birth(node: Any) -> int:
    """The place of a node among its own operation's calls (which were made in this order)."""
    return next(i for i, each in enumerate(node.operation._inbound_nodes) if each is node)


def _schedule(calls: list[Call], inputs: tuple[Any, ...]) -> Iterator[Call]:
    """Order calls so that arguments come first and each operation's calls keep their order."""
    rank = {call.key: place for place, call in enumerate(calls)}
    made_by = {id(tensor): call for call in calls for tensor in call.outputs}
    given = {id(each) for each in inputs}
    by_key = {call.key: call for call in calls}
    sorter: TopologicalSorter[tuple[int, int, int]] = TopologicalSorter()
    for call in calls:
        before = {
            made_by[id(each)].key
            for each in call.inputs
            if id(each) in made_by and id(each) not in given
        }
        earlier = (*call.key[:2], call.ordinal - 1)
        if earlier in by_key:
            before.add(earlier)
        sorter.add(call.key, *before)
    sorter.prepare()
    ready: list[tuple[int, tuple[int, int, int]]] = []
    while sorter.is_active():
        for key in sorter.get_ready():
            heappush(ready, (rank[key], key))
        key = heappop(ready)[1]
        yield by_key[key]
        sorter.done(key)


def _symbolic(model: keras.Model) -> bool:
    try:
        return bool(model.inputs) and bool(model.outputs)
    except (AttributeError, ValueError):
        return False


def _refusal(model: Any) -> str:
    if not isinstance(model, keras.Model):
        return (
            f"Surgery takes a functional or Sequential Keras model. Received: {model!r} "
            f"of type {type(model).__name__}."
        )
    if isinstance(model, keras.Sequential) and not _symbolic(model):
        return (
            f"The Sequential model '{model.name}' has no graph yet: its input shape is unknown. "
            "Give it one with `model.build(input_shape)` or by a `keras.Input` as its first layer."
        )
    return (
        f"'{model.name}' is a subclassed model ({type(model).__name__}): its call() is Python "
        "code, not a graph. `ablate.surgery.functional(model)` traces it where that is possible."
    )
