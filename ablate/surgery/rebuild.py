"""Rebuild a model with changes, and carry out a graph call by call.

`evaluate` hands each call of a graph to a function. `rebuild` makes a new model out of an old one
and `Edits`: layers put before or after single calls, layers left out, layers configured otherwise.
Nested models are rebuilt too, to any depth; what is shared stays shared, and weights that are tied
stay tied. Weights are copied by the map old layer -> new layer, which is returned, never by order.

    edits = Edits()
    edits.after[call.key] = [keras.layers.Dropout(0.5, name="fc1_dropout")]
    built = rebuild(model, edits)        # built.model, and built.layers: {old layer: new layer}
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.surgery import graph, record
from ablate.surgery.clone import (
    Configure,
    build_alike,
    compile_as,
    copy_flags,
    copy_of,
    copy_state,
    hold_initializers,
)
from ablate.surgery.graph import Call, Graph
from ablate.surgery.recursion_limit import deep_graphs
from ablate.surgery.ties import retie

Key = tuple[int, int, int]


@dataclass
class Edits:
    """What shall differ in the rebuilt model.

    `before` and `after` map `Call.key` to new layers that go, in this order, on the call's
    input or output; the same layer object under several keys is a shared layer. `leave_out`
    holds layers of the old model whose input becomes their output. `configure` changes the
    configuration a layer is rebuilt from. The state of the layers in `fresh` is not copied
    (who changes their shape sets their weights, by `RebuiltModel.layers`). `replace` has the new
    layer that takes the place of an old one, with a state of its own; `trainable` has flags that
    differ from the old layer's.
    """

    before: dict[Key, list[keras.Layer]] = field(default_factory=dict)
    after: dict[Key, list[keras.Layer]] = field(default_factory=dict)
    leave_out: set[keras.Layer] = field(default_factory=set)
    configure: dict[keras.Layer, Configure] = field(default_factory=dict)
    fresh: set[keras.Layer] = field(default_factory=set)
    replace: dict[keras.Layer, keras.Layer] = field(default_factory=dict)
    trainable: dict[keras.Layer, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class RebuiltModel:
    """The new model, and which of its layers replaces which old one."""

    model: keras.Model
    layers: dict[Any, Any]


def rebuild(model: keras.Model, edits: Edits | None = None, compiled: bool = True) -> RebuiltModel:
    """Return `model` rebuilt with `edits`: new layers, copied state, compiled as before.

    Names, trainable flags, dtype policies, regularizers and constraints stay; the given model
    is not touched.

    Args:
        model: A functional or Sequential model.
        edits: What shall differ; nothing by default, which gives a plain copy.
        compiled: Whether to compile the new model if the old one is.

    Raises:
        SurgeryError: the model or one of its layers cannot be rebuilt.
    """
    work = Rebuilding(edits)
    new = work.model(model)
    for holder, name, initializer in work.held:
        setattr(holder, name, initializer)
    copied = {
        old_layer: new_layer
        for old_layer, new_layer in work.made.items()
        if isinstance(old_layer, keras.Layer)
        and not graph.is_container(old_layer)
        and old_layer not in work.edits.fresh
        and old_layer not in work.edits.replace
    }
    for old_layer, new_layer in copied.items():
        build_alike(old_layer, new_layer)
    retie(work.made, {*work.edits.fresh, *work.edits.replace})
    for old_layer, new_layer in copied.items():
        copy_state(old_layer, new_layer)
    work.restore_flags(model)
    for old_layer, trainable in work.edits.trainable.items():
        work.made[old_layer].trainable = trainable
    if compiled:
        compile_as(model, new)
    return RebuiltModel(new, work.made)


def evaluate(
    read: Graph,
    feeds: Sequence[Any],
    perform: Callable[[Call, tuple[Any, ...], dict[str, Any]], Sequence[Any]],
) -> dict[int, Any]:
    """Carry out the calls of a graph; return the values of its outputs, by `id` of the old ones.

    A value is dropped once the last call that takes it is done, so that memory holds no more of
    a large model than it must.

    Args:
        read: The graph.
        feeds: A value for each of `read.inputs`.
        perform: Takes a call with its arguments filled in; returns a value for each output.
    """
    values = {id(tensor): value for tensor, value in zip(read.inputs, feeds, strict=True)}
    last = {id(tensor): call.key for call in read.calls for tensor in call.inputs}
    kept = {id(tensor) for tensor in read.outputs}
    for call in read.calls:
        args, kwargs = fill(call, values)
        for tensor, value in zip(call.outputs, perform(call, args, kwargs), strict=True):
            values[id(tensor)] = value
        for key in {id(tensor) for tensor in (*call.inputs, *call.outputs)} - kept:
            if last.get(key, call.key) == call.key:
                del values[key]
    return values


def fill(call: Call, values: Mapping[int, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call with values in the place of symbolic tensors."""

    def value(each: Any) -> Any:
        return values[id(each)] if isinstance(each, keras.KerasTensor) else each

    return keras.tree.map_structure(value, (call.args, call.kwargs))


def takes(layer: keras.Layer, kwargs: Collection[str]) -> list[str]:
    """Return the arguments among `kwargs` with which a layer can be called: `training`, `mask`."""
    known = inspect.signature(layer.call).parameters
    return [key for key in kwargs if key in known]


def fed(call: Call) -> list[Any]:
    """The distinct tensors a call works on: its arguments without the masks."""
    kwargs = {k: v for k, v in call.kwargs.items() if k != "mask" and not k.endswith("_mask")}
    flat = keras.tree.flatten((call.args, kwargs))
    return list({id(each): each for each in flat if isinstance(each, keras.KerasTensor)}.values())


class Rebuilding:
    """The state of one rebuild: the layers made so far, each once however often it is shared."""

    def __init__(self, edits: Edits | None = None):
        self.edits = edits = edits or Edits()
        self.made: dict[Any, Any] = {}
        self.held: list[tuple[Any, str, Any]] = []
        chains = (*edits.before.values(), *edits.after.values())
        self.new = set(itertools.chain.from_iterable(chains))
        self.wanted = {layer: layer.trainable for layer in self.new}

    def layer(self, old: Any) -> Any:
        if old not in self.made:
            if old in self.edits.replace:
                self.made[old] = self.edits.replace[old]
            elif graph.is_container(old):
                record.note_opened(self.model(old), old)
            else:
                self.made[old] = copy_of(old, self.edits.configure.get(old))
                if isinstance(old, keras.Layer) and old not in self.edits.fresh:
                    self.held += hold_initializers(self.made[old])
        return self.made[old]

    def model(self, old: keras.Model) -> keras.Model:
        read = graph.read(old)
        sequential = isinstance(old, keras.Sequential)
        new = self.sequential(read) if sequential else self.functional(read)
        if new.dtype_policy != old.dtype_policy:
            new.dtype_policy = old.dtype_policy
        self.made[old] = new
        return new

    def functional(self, read: Graph) -> keras.Model:
        old = read.model
        feeds = [self.layer(graph.producer_of(each)).output for each in read.inputs]
        entering = [
            _through(self.edits.after.get(graph.input_key(read, each), ()), feed)
            for each, feed in zip(read.inputs, feeds, strict=True)
        ]
        values = {id(tensor): value for tensor, value in zip(read.inputs, entering, strict=True)}
        done: set[Key] = set()

        def carry_out(call: Call) -> None:
            if call.key in done:
                return
            done.add(call.key)
            for tensor in call.inputs:  # of a mask, which may be asked for ahead of its turn
                if id(tensor) not in values:
                    carry_out(read.producer[id(tensor)])
            results = self.perform(call, values, mask)
            values.update({id(t): value for t, value in zip(call.outputs, results, strict=True)})

        def mask(tensor: Any) -> Any:
            """The new mask for the old tensor, where the old one is part of the graph."""
            old_mask = graph.mask_of(tensor)
            if old_mask is None or id(old_mask) not in read.producer:
                return None
            carry_out(read.producer[id(old_mask)])
            return values[id(old_mask)]

        for call in read.calls:
            carry_out(call)
        given = {id(tensor): feed for tensor, feed in zip(read.inputs, feeds, strict=True)}
        inputs = keras.tree.map_structure(lambda tensor: given[id(tensor)], old.input)
        outputs = keras.tree.map_structure(lambda tensor: values[id(tensor)], old.output)
        self.tell_apart(read, outputs, feeds)
        return self.construct(old, inputs, outputs)

    def construct(self, old: keras.Model, inputs: Any, outputs: Any) -> keras.Model:
        """Return the functional model with these inputs and outputs in the place of `old`."""
        return _constructed(old, inputs, outputs)

    def perform(
        self, call: Call, values: dict[int, Any], mask: Callable[[Any], Any]
    ) -> Sequence[Any]:
        """Call the new layer as the old one was called, between the layers that are put in."""
        chain = self.edits.before.get(call.key)
        if chain:
            tensor = fed(call)[0]
            values = {**values, id(tensor): _through(chain, values[id(tensor)])}
        if call.operation in self.edits.leave_out:
            results = [values[id(fed(call)[0])]]
        else:
            args, kwargs = fill(call, values)
            layer = self.layer(call.operation)
            if call.operation in self.edits.replace:
                kwargs = {key: kwargs[key] for key in takes(layer, kwargs)}
            results = keras.tree.flatten(layer(*args, **kwargs))
            for tensor, result in zip(call.outputs, results, strict=True):
                if (new_mask := mask(tensor)) is not None:
                    graph.set_mask(result, new_mask)
        chain = self.edits.after.get(call.key)
        return [_through(chain, results[0])] if chain else results

    def sequential(self, read: Graph) -> keras.Sequential:
        old = read.model
        source = read.inputs[0]
        layers = [self.layer(graph.producer_of(source))]
        layers += self.edits.after.get(graph.input_key(read, source), [])
        for call in read.calls:
            if not isinstance(call.operation, keras.Layer):
                continue  # the operations of a mask are not in the list of layers
            layers += self.edits.before.get(call.key, [])
            if call.operation not in self.edits.leave_out:
                layers.append(self.layer(call.operation))
            layers += self.edits.after.get(call.key, [])
        if len(layers) == 1:
            raise SurgeryError(
                f"The Sequential model '{old.name}' would have no layer left. "
                "Select fewer of its layers."
            )
        return _constructed(old, layers)

    def tell_apart(self, read: Graph, outputs: Any, feeds: Sequence[Any]) -> None:
        """Rename the operations of new masks where a name is taken: Keras wants them unique."""
        known = {id(each) for each in self.made.values()} | {id(each) for each in self.new}
        taken = {op.name for op in read.order} | {layer.name for layer in self.new}
        for operation in graph.operations_between(feeds, keras.tree.flatten(outputs)):
            if id(operation) not in known:
                operation.name = free_name(operation.name, taken)
                taken.add(operation.name)

    def restore_flags(self, old: Any) -> None:
        """Set trainable flags from the outermost model inwards, since a model's flag spreads."""
        new = self.made[old]
        copy_flags(old, new)
        if not graph.is_container(old):
            return
        for layer in graph.sublayers(new):
            if layer in self.wanted:
                layer.trainable = self.wanted[layer] and new.trainable
        for operation in graph.read(old).order:
            if operation in self.made and isinstance(operation, keras.Layer):
                self.restore_flags(operation)


def free_name(name: str, taken: Container[str | None]) -> str:
    """Return the name, with `_2`, `_3`, … where it is taken."""
    numbered = (f"{name}_{count}" for count in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def _constructed(old: keras.Model, *arguments: Any) -> Any:
    try:
        with deep_graphs():
            return graph.constructor_of(old)(*arguments, name=old.name)
    except TypeError as trouble:
        raise SurgeryError(
            f"The model '{old.name}' ({type(old).__name__}) cannot be constructed as its Keras "
            f"parent is: {trouble}. Operate on `keras.Model(model.input, model.output)`, which has "
            "the same layers and weights."
        ) from trouble


def _through(chain: Sequence[keras.Layer], tensor: Any) -> Any:
    return functools.reduce(lambda value, layer: layer(value), chain, tensor)
