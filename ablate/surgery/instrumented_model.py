"""Run a model over images and watch chosen layers, in nested models too.

The outputs of an `InstrumentedModel` are what its watches made of the inputs and outputs of those
layers. The calls are carried out on real tensors with the model's own layers, so nothing is copied,
no symbolic node is added to them, and every activation is dropped once it has been watched. Layers
can be passed over or replaced, or run as in training while the others run as at inference.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from ablate.errors import AblateError, DataError
from ablate.reasons import reason
from ablate.surgery import exact, graph
from ablate.surgery.batches import structure
from ablate.surgery.graph import Call, Graph
from ablate.surgery.rebuild import evaluate

#: Batches that run eagerly before it pays to trace: tracing a chain of 300 layers takes as long.
EAGER_BATCHES = 16

#: What is made of one call of a layer: `watch(input, output, mask)` returns a tensor.
Watch = Callable[[Any, Any, Any], Any]


class InstrumentedModel(keras.Model):
    """A model that returns what its watches make of chosen layers.

    Calling it returns `(watched, outputs)`: for each watched layer, in order, a list with the
    watch's result for each call of the layer; and the flat outputs of the model, empty unless
    they are wanted. What leads to nothing that is returned is pruned from the graph.

    Args:
        model: A functional or Sequential model; its layers are used as they are.
        watches: By layer, what to make of its calls.
        instead: By layer, what takes its place: `instead(input, mask)` returns the output.
        training: Layers that run as in training.
        outputs: Whether the model's outputs are returned too.
    """

    def __init__(
        self,
        model: keras.Model,
        watches: Mapping[keras.Layer, Watch] | None = None,
        *,
        instead: Mapping[keras.Layer, Callable[[Any, Any], Any]] | None = None,
        training: Collection[keras.Layer] = (),
        outputs: bool = False,
    ) -> None:
        # Inputs are cast as the model itself would cast them, not to a policy of this one.
        super().__init__(name="pass", dtype=model.dtype_policy, autocast=False)
        self.model = model
        self.watched = tuple(watches or {})
        self._watches = {id(layer): watch for layer, watch in (watches or {}).items()}
        self._instead = {id(layer): each for layer, each in (instead or {}).items()}
        self._in_training = {id(layer) for layer in training}
        self._with_outputs = outputs
        self._graphs: dict[int, Graph] = {}

    def call(self, inputs, training=None):
        seen: dict[int, list[Any]] = {key: [] for key in self._watches}
        results = self._run(self.model, _feeds(self.model, inputs), seen)
        return [seen[id(layer)] for layer in self.watched], results if self._with_outputs else []

    def _run(
        self, model: keras.Model, feeds: Sequence[Any], seen: dict[int, list[Any]]
    ) -> list[Any]:
        """Carry out one graph and return its outputs."""
        read = self._graphs.get(id(model)) or self._graphs.setdefault(id(model), graph.read(model))

        def perform(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
            operation = call.operation
            if graph.is_container(operation):
                inner = _feeds(operation, args[0] if args else next(iter(kwargs.values())))
                for feed, mask in zip(inner, keras.tree.flatten(kwargs.get("mask")), strict=False):
                    if mask is not None:
                        graph.set_mask(feed, mask)
                return self._run(operation, inner, seen)
            tensor = args[0] if args else next(iter(kwargs.values()))
            mask = kwargs.get("mask")
            mask = graph.mask_of(tensor) if mask is None else mask
            if id(operation) in self._instead:
                results = [self._instead[id(operation)](tensor, mask)]
                if mask is not None and graph.mask_of(results[0]) is None:
                    graph.set_mask(results[0], mask)
            else:
                kind: Any = type(operation)
                if isinstance(operation, keras.Layer) and _takes_training(kind):
                    # As keras.Model does: what holds for the whole overrides what was recorded.
                    kwargs = {**kwargs, "training": id(operation) in self._in_training}
                results = keras.tree.flatten(operation(*args, **kwargs))
            if id(operation) in self._watches:
                watch = self._watches[id(operation)]
                seen[id(operation)].append(watch(tensor, results[0], mask))
            return results

        values = evaluate(read, feeds, perform)
        return [values[id(tensor)] for tensor in read.outputs]


@functools.cache
def _takes_training(cls: Any) -> bool:
    return "training" in inspect.signature(cls.call).parameters


def run(model: keras.Model, part: Any) -> Any:
    """Return a model's outputs for one batch, as arrays, in graph execution.

    Several models, or one whose last batch is smaller, are traced several times; TensorFlow
    takes that for a mistake and says so at length, which is kept from the reader.
    """
    logger = logging.getLogger("tensorflow")
    logger.addFilter(_no_note_of_retracing)
    try:
        return model.predict_on_batch(part)
    finally:
        logger.removeFilter(_no_note_of_retracing)


def runner(model: keras.Model) -> Callable[[Any], Any]:
    """Return a function of a batch that gives a model's outputs as arrays.

    The first batches run eagerly, as most of the time of a short pass went into tracing; those
    of a long one in graph execution.
    """
    done = itertools.count()

    def outputs(part: Any) -> Any:
        if next(done) >= EAGER_BATCHES:
            return run(model, part)
        return keras.tree.map_structure(ops.convert_to_numpy, model(part))

    return outputs


@contextmanager
def held(variables: Sequence[Any]) -> Iterator[None]:
    """Put back the values of these variables: statistics, states, random seeds."""
    distinct = {id(variable): variable for variable in variables}.values()
    values = [(each, exact.value(each)) for each in distinct]
    try:
        yield
    finally:
        for variable, value in values:
            variable.assign(value)


@contextmanager
def runs_on(model: keras.Model, rows: int) -> Iterator[None]:
    """Say of a model that does not run on some rows why that is so."""
    try:
        yield
    except AblateError:
        raise
    except Exception as trouble:
        raise DataError(
            f"images: '{model.name}' does not run on a batch of {rows} rows. Expected inputs, and "
            f"a batch size, that the model takes. Its reason: {reason(trouble)}"
        ) from trouble


def _no_note_of_retracing(note: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(note.msg)


def largest_row(model: keras.Model) -> int:
    """Return the bytes that one row takes where it takes most."""
    calls = (call for read in graph.graphs(model) for call in read.calls)
    return max((_bytes_of(tensor) for call in calls for tensor in call.outputs), default=1)


def all_rows(model: keras.Model) -> int:
    """Return about how many bytes one row takes if every activation is kept, as eager does."""
    calls = (call for read in graph.graphs(model) for call in read.calls)
    return max(1, sum(_bytes_of(tensor) for call in calls for tensor in call.outputs))


def _bytes_of(tensor: Any) -> int:
    """Count four bytes for every value of one row, unknown sizes as 1."""
    return 4 * math.prod(size or 1 for size in tensor.shape[1:])


def _feeds(model: keras.Model, inputs: Any) -> list[Any]:
    """Return a tensor for each input of the model, of its dtype and rank."""
    like = structure(model)
    if isinstance(inputs, dict) and isinstance(like, dict) and set(inputs) == set(like):
        flat = keras.tree.flatten({name: inputs[name] for name in like})
    elif isinstance(inputs, dict):
        flat = [inputs[tensor.name] for tensor in model.inputs]
    else:
        flat = keras.tree.flatten(inputs)
    return [_fitted(given, wanted) for given, wanted in zip(flat, model.inputs, strict=True)]


def _fitted(given: Any, wanted: Any) -> Any:
    mask = graph.mask_of(given)
    tensor = ops.convert_to_tensor(given)
    if keras.backend.standardize_dtype(tensor.dtype) != wanted.dtype:
        tensor = ops.cast(tensor, wanted.dtype)
    if len(tensor.shape) == len(wanted.shape) - 1:
        tensor = ops.expand_dims(tensor, -1)
    elif len(tensor.shape) == len(wanted.shape) + 1:
        tensor = ops.squeeze(tensor, -1)
    if mask is not None and graph.mask_of(tensor) is None:
        graph.set_mask(tensor, mask)
    return tensor
