"""What probes see of a network: its hidden units, before and after their activation.

A `LayerOutputs` is called with rows and returns NumPy arrays of what passes through the model. It
runs the model's own layers (`ablate.surgery.instrumented_model`), so nothing is copied and no layer
is added. It is made once for a model and kept as long as the model is: trials that share a program
share it.

A hidden layer's *input* here is what enters its activation, its *output* what leaves it, wherever
the activation is: inside the layer, in a layer of its own behind a normalization, or in an
operation. That is the input of the BN paper's Figure 1: behind the normalization, where there is
one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

from ablate.probes.measurement import Context
from ablate.surgery import Host, select
from ablate.surgery.graph import calls_by_layer, is_container, producer_of
from ablate.surgery.graph import paths as layer_paths
from ablate.surgery.hosts import all_hosts
from ablate.surgery.instrumented_model import InstrumentedModel, Watch
from ablate.surgery.sites import site_at, whole

Made = TypeVar("Made")

#: Kinds of layers that `hidden` selects, unless they make the output.
_HIDDEN = ("conv", "dense")


def _wanted(record: logging.LogRecord) -> bool:
    """Whether a log record is news: that a pass is compiled once for each program is not."""
    return "triggered tf.function retracing" not in str(record.msg)


logging.getLogger("tensorflow").addFilter(_wanted)


@dataclass(frozen=True)
class Unit:
    """A hidden layer and its activation.

    `name` is the layer's canonical path; `watched` the layer whose calls show both sides of the
    activation, by `watch`; `activation` its name, "" where there is none.
    """

    name: str
    watched: keras.Layer
    watch: Watch
    activation: str


class LayerOutputs:
    """A model seen through watches: call it with rows, get NumPy arrays.

    Args:
        model: the model.
        watches: what to make of the calls of a layer, by layer.
        training: layers that work as in training.
        instead: what takes the place of a layer, of its input and mask, by layer.
        outputs: whether the model's output is wanted too.
    """

    def __init__(
        self,
        model: keras.Model,
        watches: Mapping[keras.Layer, Watch] | None = None,
        *,
        training: Collection[keras.Layer] = (),
        instead: Mapping[keras.Layer, Callable[[Any, Any], Any]] | None = None,
        outputs: bool = False,
    ) -> None:
        self._pass = InstrumentedModel(
            model, watches, training=training, instead=instead, outputs=outputs
        )
        self._pass.jit_compile = False  # compiling for one small batch costs more than it saves
        self._outputs = outputs

    def __call__(self, x: Any) -> tuple[list[Any], Any]:
        """Return the first call's watched value of each layer, and the model's output or None."""
        watched, outputs = self._pass.predict_on_batch(x)
        seen = [keras.tree.map_structure(np.asarray, each[0]) for each in watched]
        return seen, (packed(self._pass.model, outputs) if self._outputs else None)


def kept(model: keras.Model, key: Hashable, make: Callable[[], Made]) -> Made:
    """Return what `make` makes for a model, made once for the trials that share the model."""
    made = _made(model)
    if key not in made:
        made[key] = make()
    found: Made = made[key]
    return found


@lru_cache(maxsize=4)
def _made(model: keras.Model) -> dict[Hashable, Any]:
    """Return the place of what was made for a model; the models probed last have one."""
    return {}


def hidden_units(
    model: keras.Model,
    where: str | Iterable[str] | None = None,
    paths: Mapping[Any, str] | None = None,
) -> list[Unit]:
    """Return the layers that `where` selects, in topological order, with their activations.

    Args:
        model: a functional or Sequential model.
        where: a selector of layers (`ablate.surgery.select`); None for the hidden ones, if any.
        paths: the canonical path of each layer; by default its path in this model.

    Raises:
        SurgeryError: the selector matches nothing.
    """
    calls = calls_by_layer(model)
    if where is None and not any(
        each.kind in _HIDDEN and not each.output for each in all_hosts(model)
    ):
        return []
    where = "hidden" if where is None else where
    return [
        _unit(host, (paths or {}).get(host.layer, host.path), calls)
        for host in select(model, where)
    ]


def hidden_outputs(
    context: Context,
    where: str | Iterable[str] | None = None,
    *,
    training: Collection[keras.Layer] = (),
    outputs: bool = False,
) -> tuple[list[Unit], LayerOutputs]:
    """Return the hidden units (`hidden_units`) and what shows both sides of their activations."""
    units = hidden_units(context.model, where, context.paths)
    watches = {unit.watched: unit.watch for unit in units}
    return units, LayerOutputs(context.model, watches, training=training, outputs=outputs)


def layers_of(model: keras.Model, *kinds: type) -> list[keras.Layer]:
    """Return the layers of these classes, in topological order."""
    return [layer for layer, _ in layer_paths(model) if isinstance(layer, kinds)]


def normalizations(context: Context) -> dict[keras.Layer, str]:
    """Return the BatchNormalization layers, in topological order, each with its name."""
    return {
        layer: context.paths.get(layer, path)
        for layer, path in layer_paths(context.model)
        if isinstance(layer, keras.layers.BatchNormalization)
    }


@dataclass(frozen=True)
class Trained:
    """A layer with parameters that train: its canonical path and those parameters."""

    name: str
    layer: keras.Layer
    variables: tuple[keras.Variable, ...]


def trained_layers(model: keras.Model, paths: Mapping[Any, str] | None = None) -> list[Trained]:
    """Return the layers that have parameters of their own to train, in topological order."""
    return [
        Trained((paths or {}).get(layer, path), layer, tuple(layer.trainable_variables))
        for layer, path in layer_paths(model)
        if not is_container(layer) and layer.trainable_variables
    ]


def value_of(variable: keras.Variable) -> np.ndarray:
    """Return a copy of a variable's value."""
    return np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))


@contextmanager
def restored(variables: Iterable[keras.Variable]) -> Iterator[None]:
    """Put variables back as they were when the block ends."""
    before = [(each, value_of(each)) for each in variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


def packed(model: keras.Model, flat: list[Any]) -> Any:
    """Return flat outputs in the structure of the model's own."""
    if isinstance(model, keras.Sequential) or len(flat) == 1:
        return flat[0]
    return keras.tree.pack_sequence_as(model.output, list(flat))


def _unit(host: Host, name: str, calls: Any) -> Unit:
    layer = host.layer
    if host.activation is not None:
        inside = whole(layer) is None and not isinstance(layer.activation, keras.Layer)
        return Unit(name, layer, _inside(layer) if inside else _output_twice, host.activation)
    site = site_at(host, "before_activation", calls)
    point = getattr(site, "points", (None,))[0]
    if point is None or point.side != "before" or point.call.operation is layer:
        return Unit(name, layer, _output_twice, "")
    activation = point.call.operation
    if isinstance(activation, keras.Layer):
        return Unit(name, activation, _both, _title(activation))
    producer = producer_of(point.tensor)
    if not isinstance(producer, keras.Layer) or producer not in calls:
        return Unit(name, layer, _output_twice, "")
    return Unit(name, producer, lambda x, made, mask: (made, activation(made)), _title(activation))


def _inside(layer: keras.Layer) -> Watch:
    """Watch a layer whose activation is inside: its input is worked out without the activation."""

    def watch(given: Any, made: Any, mask: Any) -> Any:
        function = layer.activation
        layer.activation = keras.activations.linear
        try:
            return layer(given), made
        finally:
            layer.activation = function

    return watch


def _both(given: Any, made: Any, mask: Any) -> Any:
    return given, made


def _output_twice(given: Any, made: Any, mask: Any) -> Any:
    return made, made


def _title(activation: Any) -> str:
    function = getattr(activation, "activation", None)
    name = getattr(function, "__name__", None) or type(activation).__name__
    return str(name).lower()
