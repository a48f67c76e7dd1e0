"""One attempt at a trace: composite layers become functional models as they are called.

A composite layer is a `_Twin` for each way in which it is called; a functional model with such
layers inside is carried out anew around them. What turns out `Untrue` is left closed by the next
attempt (`ablate.surgery.tracing`).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.surgery import graph, record, trace_calls
from ablate.surgery.clone import copy_of
from ablate.surgery.rebuild import Rebuilding
from ablate.surgery.recursion_limit import deep_graphs
from ablate.surgery.trace_calls import Closed, Untrue
from ablate.surgery.trace_check import CalledAlike, steps, unequal
from ablate.surgery.trace_inputs import values_for


@dataclass
class Tracing:
    """One attempt at a trace; `closed` layers stay whole."""

    closed: dict[int, Closed]
    twins: dict[Any, _Twin] = field(default_factory=dict)
    opened: dict[Any, keras.Model] = field(default_factory=dict)
    fixed: list[tuple[keras.Layer, bool]] = field(default_factory=list)
    mode: bool | None = None
    replayed: Any = None

    def whole(self, model: keras.Model, inputs: Any) -> keras.Model:
        """Return the functional model of the whole."""
        with trace_calls.calls_go_to(self.call), deep_graphs(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*mask.*")
            if graph.is_container(model):
                return self.container(model)
            flat = keras.tree.flatten(inputs)
            first = next(iter(inspect.signature(model.call).parameters))
            twin = self.traced(model, {first: inputs}, flat, nested=True)
            self.opened[model] = twin.model
            return twin.model

    def takes(self, layer: Any) -> bool:
        """Whether a layer is one to be opened."""
        if id(layer) in self.closed:
            return False
        if graph.is_container(layer):
            return any(id(each) not in self.closed for each in trace_calls.composites(layer))
        return trace_calls.is_composite(layer)

    def look(self, layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of a call, `training` as is, where it is not the mode's."""
        if layer is self.replayed:
            return kwargs  # Keras notes defaults as if they had been given
        value = kwargs.get("training")
        if value is None or value is self.mode:
            return {**kwargs, "training": None} if "training" in kwargs else kwargs
        if isinstance(value, bool) and (layer, value) not in self.fixed:
            self.fixed.append((layer, value))
        return kwargs

    def call(self, original: Callable[..., Any], layer: Any, args: Any, kwargs: Any) -> Any:
        """Call a layer; one to be opened as a functional model."""
        kwargs = self.look(layer, kwargs)
        if not self.takes(layer):
            return original(layer, *args, **kwargs)
        if graph.is_container(layer):
            if layer not in self.opened:
                record.note_opened(self.container(layer), layer)
            return original(self.opened[layer], *args, **kwargs)
        bound = trace_calls.arguments_of(layer, args, kwargs)
        training = bound.pop("training", None)
        tensors = trace_calls.tensors_of(bound)
        key = (id(layer), trace_calls.way_of(bound, tensors), training)
        twin = self.twins.get(key)
        if twin is None:
            if any(other[0] == id(layer) for other in self.twins):
                raise Untrue(
                    layer,
                    "it is called with inputs of several shapes, or with several arguments of "
                    "other kinds",
                )
            twin = self.twins[key] = self.inner(layer, bound, tensors)
        feed = tensors[0] if len(tensors) == 1 else tensors
        said = {} if training is None else {"training": training}
        return twin.pack(keras.tree.flatten(original(twin.model, feed, **said)))

    def inner(self, layer: Any, bound: dict[str, Any], tensors: list[Any]) -> _Twin:
        """Return the functional model of a composite layer that is called like that."""
        if layer.activity_regularizer is not None:
            raise Untrue(layer, "it has an activity_regularizer of its own")
        feeds = trace_calls.inputs_like(layer, bound, tensors)
        places = {id(tensor): feed for tensor, feed in zip(tensors, feeds, strict=True)}
        for tensor, feed in zip(tensors, feeds, strict=True):
            mask = graph.mask_of(tensor)
            if mask is not None and id(mask) in places:
                graph.set_mask(feed, places[id(mask)])
        filled = keras.tree.map_structure(lambda each: places.get(id(each), each), bound)
        twin = self.traced(layer, filled, feeds)
        record.note_opened(twin.model, layer, trace_calls.serialized(layer))
        self.opened[layer] = twin.model
        return twin

    def traced(
        self, layer: Any, arguments: dict[str, Any], feeds: list[Any], nested: bool = False
    ) -> _Twin:
        """Return the functional model of `layer.call(**arguments)` with the inputs `feeds`."""
        parameters = inspect.signature(layer.call).parameters
        usual = parameters["training"].default if "training" in parameters else None
        modes = [True if usual is True else None]
        if "training" in parameters:
            modes += [False, True]
        results = []
        for mode in modes:
            outer, self.mode = self.mode, mode
            try:
                said = {"training": mode} if "training" in parameters else {}
                results.append(layer.call(**arguments, **said))
            except Untrue:
                raise
            except Exception as trouble:
                raise Untrue(layer, trace_calls.seen(trouble)) from trouble
            finally:
                self.mode = outer
        made = [self.model(layer, arguments, feeds, each, nested) for each in results]
        if any(steps(each.model) != steps(made[0].model) for each in made[1:]):
            raise Untrue(layer, "its call() does other things in training than at inference")
        return made[0]

    def model(
        self, layer: Any, arguments: dict[str, Any], feeds: list[Any], result: Any, nested: bool
    ) -> _Twin:
        leaves = keras.tree.flatten(result)
        places = [i for i, each in enumerate(leaves) if isinstance(each, keras.KerasTensor)]
        if not places or any(
            not isinstance(each, keras.KerasTensor) and (nested or each is not None)
            for each in leaves
        ):
            kinds = sorted({type(each).__name__ for each in leaves} - {"KerasTensor"})
            raise Untrue(layer, f"its call() returns {', '.join(kinds) or 'nothing'}, no tensors")
        flat = [leaves[i] for i in places]
        outputs = result if nested else flat[0] if len(flat) == 1 else flat
        inputs = (
            next(iter(arguments.values())) if nested else feeds[0] if len(feeds) == 1 else feeds
        )
        flags = [(each, each.trainable) for each in graph.flat_layers(layer)]
        try:
            made = keras.Model(inputs, outputs, name=layer.name)
        except Exception as trouble:
            raise Untrue(layer, trace_calls.seen(trouble)) from trouble
        made.dtype_policy = layer.dtype_policy
        _set_flags([(made, layer.trainable), *flags[1:]])
        handed = [
            each.path
            for call in graph.read(made).calls
            for each in keras.tree.flatten((call.args, call.kwargs))
            if isinstance(each, keras.Variable)
        ]
        if handed:
            names = ", ".join(handed[:3])
            raise Untrue(layer, f"it uses weights outside of the layers that it calls ({names})")

        def pack(values: Sequence[Any]) -> Any:
            filled = list(leaves)
            for place, value in zip(places, values, strict=True):
                filled[place] = value
            return keras.tree.pack_sequence_as(result, filled)

        def given(values: Sequence[Any]) -> dict[str, Any]:
            found = {id(feed): value for feed, value in zip(feeds, values, strict=True)}
            return keras.tree.map_structure(lambda each: found.get(id(each), each), arguments)

        return _Twin(made, pack, given)

    def container(self, old: keras.Model) -> keras.Model:
        """Return a functional model with the composite layers inside of it opened."""
        flags = [(each, each.trainable) for each in graph.flat_layers(old)]
        work = _Opening(self)
        made: keras.Model = work.functional(graph.read(old))
        if made.dtype_policy != old.dtype_policy:
            made.dtype_policy = old.dtype_policy
        _set_flags([(made, old.trainable), *flags[1:]])
        self.opened[old] = made
        return made

    def untrue(self) -> dict[int, Closed]:
        """Return the composite layers that differ from their functional models by themselves."""
        found: dict[int, Closed] = {}
        for key, twin in self.twins.items():
            layer = next(each for each in self.opened if id(each) == key[0])
            values = [values_for(each) for each in twin.model.inputs]
            given = CalledAlike(layer, twin.arguments(values))
            try:
                what = unequal(given, twin.model, values[0] if len(values) == 1 else values, [])
            except SurgeryError:
                continue  # these inputs are made up, and do not suit every layer
            if what is not None:
                found[id(layer)] = Closed(layer.name, type(layer).__name__, what)
        return found

    def all_closed(self, what: str, but: keras.Model) -> dict[int, Closed]:
        """Return all composite layers as closed, where it is not seen which of them differs."""
        why = f"{what}, in one of the layers like it"
        layers = [each for each in self.opened if each is not but and not graph.is_container(each)]
        return {id(each): Closed(each.name, type(each).__name__, why) for each in layers}


@dataclass
class _Twin:
    """The functional model of a composite layer called in one way.

    `pack` puts the outputs of the model in the place that they have in what `call` returns.
    """

    model: keras.Model
    pack: Callable[[Sequence[Any]], Any]
    arguments: Callable[[Sequence[Any]], dict[str, Any]]


class _Opening(Rebuilding):
    """Carry out a graph with the layers it has, on new inputs; opened layers are put in."""

    def __init__(self, tracing: Tracing):
        super().__init__()
        self.tracing = tracing

    def layer(self, old: Any) -> Any:
        if old not in self.made:
            ours = isinstance(old, keras.Layer) and not isinstance(old, keras.layers.InputLayer)
            self.made[old] = old if ours else copy_of(old)
        return self.made[old]

    def perform(self, call: graph.Call, values: dict[int, Any], mask: Any) -> Sequence[Any]:
        self.tracing.replayed = call.operation
        return super().perform(call, values, mask)

    def tell_apart(self, read: graph.Graph, outputs: Any, feeds: Sequence[Any]) -> None:
        self.made |= {old: new for old, new in self.tracing.opened.items() if old in self.made}
        super().tell_apart(read, outputs, feeds)

    def construct(self, old: keras.Model, inputs: Any, outputs: Any) -> keras.Model:
        if isinstance(old, keras.Sequential):
            return keras.Model(inputs, outputs, name=old.name)
        return super().construct(old, inputs, outputs)


def _set_flags(flags: Sequence[tuple[Any, bool]]) -> None:
    """Set `trainable` from the outermost layer inwards, since a flag spreads."""
    for layer, flag in flags:
        if layer.trainable != flag:
            layer.trainable = flag
