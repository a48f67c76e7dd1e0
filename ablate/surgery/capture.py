"""Look inside a model: what enters and leaves chosen layers, on real data.

A model and paths of layers enter; a model leaves that computes the same outputs and hands over
what passes by. It shares the given model's layers and weights and adds nothing to its graph, so
it runs eagerly (`look(x)`), in a graph (`look.predict_on_batch(x)`, with every backend) and in
training mode (`look(x, training=True)`), inside nested models too.

    look = capture(model, outputs=["conv1"], inputs=["backbone/bn"])
    seen = look(x)
    seen["output"]                      # what model(x) gives
    seen["outputs"]["conv1"]            # a list: one tensor per call (shared layers have more)
    seen["inputs"]["backbone/bn"]

`reduce` turns each tensor into something smaller inside the graph; `skip` names layers that
hand their input through (new normalizations before they are calibrated).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from ablate.errors import SurgeryError, nearest
from ablate.surgery import graph
from ablate.surgery.graph import Call
from ablate.surgery.hosts import paths
from ablate.surgery.walk import evaluate, fed

Reduce = Callable[[str, Any], Any]


def capture(
    model: keras.Model,
    outputs: Iterable[str] = (),
    inputs: Iterable[str] = (),
    *,
    skip: Iterable[str] = (),
    reduce: Reduce | None = None,
    keep_output: bool = True,
) -> Capture:
    """Return a model that also hands over what enters and leaves layers of `model`.

    Args:
        model: A functional or Sequential model.
        outputs: Paths (or unique names) of layers whose outputs are wanted.
        inputs: Paths (or unique names) of layers whose first inputs are wanted.
        skip: Paths (or unique names) of layers that hand their input through unchanged.
        reduce: Takes path and tensor, returns what is handed over in the tensor's place.
        keep_output: Whether to hand over the model's own output.

    Raises:
        SurgeryError: a path names no layer, or a skipped layer has several inputs.
    """
    known = {path: layer for layer, path in paths(model)}
    return Capture(
        model,
        {layer: path for path, layer in _find(model, known, outputs)},
        {layer: path for path, layer in _find(model, known, inputs)},
        {layer for _, layer in _find(model, known, skip)},
        reduce or (lambda path, tensor: tensor),
        keep_output,
    )


class Capture(keras.Model):
    """The model that `capture` returns."""

    def __init__(
        self,
        model: keras.Model,
        outputs: dict[Any, str],
        inputs: dict[Any, str],
        skip: set[Any],
        reduce: Reduce,
        keep_output: bool,
    ):
        super().__init__(name=f"{model.name}_captured", dtype=model.dtype_policy)
        self.seen_through = model
        wanted = (outputs, inputs, skip, reduce, keep_output)
        graphs = {id(read.model): read for read, _ in graph.every(model)}
        self._wanted = lambda: wanted  # behind a function, out of Keras's tracking
        self._graphs = lambda: graphs
        self.built = True
        # The model converts its own inputs, each to the type that its Input states.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        outputs, entering, skip, reduce, keep_output = self._wanted()
        seen: dict[str, dict[str, list[Any]]] = {
            "outputs": {path: [] for path in outputs.values()},
            "inputs": {path: [] for path in entering.values()},
        }
        model = self.seen_through

        def perform(call: Call, args: Any, kwargs: dict[str, Any]) -> Sequence[Any]:
            operation = call.operation
            if operation in entering or operation in skip:
                first = _first(call, args, kwargs)
                if operation in entering:
                    path = entering[operation]
                    seen["inputs"][path].append(reduce(path, first))
                if operation in skip:
                    return [first]
            if id(operation) in self._graphs() and len(args) == 1 and not kwargs.get("mask"):
                results = run(operation, args[0])
            else:
                if training is not None and "training" in _context(operation):
                    kwargs = {**kwargs, "training": training}
                results = keras.tree.flatten(operation(*args, **kwargs))
            if operation in outputs:
                path = outputs[operation]
                seen["outputs"][path] += [reduce(path, each) for each in results]
            return results

        def run(inner: keras.Model, given: Any) -> Sequence[Any]:
            read = self._graphs()[id(inner)]
            values = evaluate(read, feeds(inner, given), perform)
            return [values[id(tensor)] for tensor in read.outputs]

        results = run(model, inputs)
        answer: dict[str, Any] = dict(seen)
        if keep_output:
            answer["output"] = _packed(model, results)
        return answer


def feeds(model: keras.Model, given: Any) -> list[Any]:
    """Return a tensor of the right type for each input of `model`, whatever structure it is in."""
    inputs = model.inputs
    if isinstance(given, dict) and not isinstance(model.input, dict):
        given = [given[each.name] for each in inputs]
    flat = keras.tree.flatten(given)
    made = []
    for value, tensor in zip(flat, inputs, strict=True):
        mask = graph.mask_of(value)
        if (
            not hasattr(value, "dtype")
            or keras.backend.standardize_dtype(value.dtype) != (tensor.dtype)
            or not keras.ops.is_tensor(value)
        ):
            value = keras.ops.convert_to_tensor(value, dtype=tensor.dtype)
            if mask is not None:
                graph.set_mask(value, mask)
        made.append(value)
    return made


def _first(call: Call, args: Any, kwargs: dict[str, Any]) -> Any:
    """The value of the first tensor a call works on."""
    wanted = fed(call)[0]
    old = keras.tree.flatten((call.args, call.kwargs))
    new = keras.tree.flatten((args, kwargs))
    return next(value for tensor, value in zip(old, new, strict=False) if tensor is wanted)


def _context(operation: Any) -> Any:
    return getattr(operation, "_call_context_args", ())


def _packed(model: keras.Model, flat: Sequence[Any]) -> Any:
    if isinstance(model, keras.Sequential):
        return flat[0]
    packed = keras.tree.pack_sequence_as(model.output, list(flat))
    return packed[0] if isinstance(packed, list | tuple) and len(packed) == 1 else packed


def _find(
    model: keras.Model, known: dict[str, Any], wanted: Iterable[str]
) -> list[tuple[str, Any]]:
    found = []
    for each in wanted:
        if each in known:
            found.append((each, known[each]))
            continue
        named = [(path, layer) for path, layer in known.items() if layer.name == each]
        if len(named) != 1:
            raise SurgeryError(
                f"'{each}' names {len(named)} layers of '{model.name}'; expected one."
                f"{nearest(each, known)}"
            )
        found += named
    return found
