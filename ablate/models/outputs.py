"""What a model's outputs end with: the activation, and whether that can be known.

Layers that hand values on are looked through, nested models into. An output that no activation
is seen to make counts as linear; `known` says whether that is what it is, or only that nothing
else was seen: a Lambda, an operation or a layer of anyone's own may do anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras

from ablate.surgery import graph

Shape = tuple[int | None, ...]


def _layers(*names: str) -> tuple[type, ...]:
    """Return Keras's layers of these names, in every rank that there is."""
    ranked = (f"{name}{rank}" for name in names for rank in ("", "1D", "2D", "3D"))
    return tuple(getattr(keras.layers, each) for each in ranked if hasattr(keras.layers, each))


#: Layers that hand on values as they are, at other places or with zeros around them.
_PASSING = _layers(
    "Reshape", "Flatten", "Identity", "Permute", "Dropout", "RepeatVector", "Masking",
    "ActivityRegularization", "SpatialDropout", "UpSampling", "Cropping", "ZeroPadding",
)  # fmt: skip
_PASSING_OPERATIONS = frozenset({
    "reshape", "squeeze", "expanddims", "transpose", "getitem", "cast", "stopgradient", "identity",
    "moveaxis", "swapaxes", "flip", "ravel",
})  # fmt: skip

#: Layers and operations whose outputs are means of what enters: of probabilities, again some.
_AVERAGING = _layers("Average", "AveragePooling", "GlobalAveragePooling")
_AVERAGING_OPERATIONS = frozenset({"mean", "clip"})

#: Layers that pick among what enters: numbers between 0 and 1 stay so, rows that sum to 1 do not.
_CHOOSING = _layers("Concatenate", "Maximum", "Minimum", "MaxPooling", "GlobalMaxPooling")

#: Layers and operations that make any numbers of any numbers. A quotient is one by a constant only:
#: by a tensor it may be what makes rows sum to 1.
_ADDING = _layers("Add", "Subtract")
_ADDING_OPERATIONS = frozenset({"add", "subtract", "negative"})
_DIVIDING_OPERATIONS = frozenset({"divide", "truedivide", "multiply"})

#: Layers that are an activation, and its name.
_ACTIVATIONS = {
    keras.layers.Softmax: "softmax",
    keras.layers.ReLU: "relu",
    keras.layers.ELU: "elu",
    keras.layers.LeakyReLU: "leaky_relu",
    keras.layers.PReLU: "prelu",
}

#: Layers without an activation whose outputs are any numbers.
_LINEAR = _layers(
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "Embedding", "InputLayer"
)


@dataclass(frozen=True)
class Output:
    """One output: its name, its shape without the batch axis, and what it ends with.

    `activation` and `shape` are None where a model's graph cannot be read. `known` is False
    where an activation is only supposed, since what `by` does is not known.
    """

    name: str
    shape: Shape | None
    activation: str | None
    known: bool = True
    by: str = ""


def outputs_of(model: keras.Model) -> list[Output]:
    """Return what is known of each output of `model`, in order."""
    tensors = getattr(model, "outputs", None) or [None]
    names = list(getattr(model, "output_names", None) or [""] * len(tensors))
    if not graph.is_container(model):
        return [
            Output(name, None if each is None else tuple(each.shape[1:]), None, known=False)
            for name, each in zip(names, tensors, strict=True)
        ]
    read = graph.read(model)
    return [
        replace(_ending(read, tensor), name=name, shape=tuple(tensor.shape[1:]))
        for name, tensor in zip(names, read.outputs, strict=True)
    ]


def output_activations(model: keras.Model) -> list[str | None]:
    """Return the name of the activation that each output ends with, None where it is unknown.

    Reshapes and Dropout are looked through, nested models into; an output that no activation
    made is linear.
    """
    return [each.activation for each in outputs_of(model)]


def _ending(read: graph.Graph, tensor: Any) -> Output:
    call = read.producer.get(id(tensor))
    if call is None:
        return Output("", None, "linear")  # an input handed through
    operation = call.operation
    if isinstance(operation, keras.layers.Wrapper):
        operation = operation.layer
    if graph.is_container(operation):
        inner = graph.read(operation)
        index = next(i for i, each in enumerate(call.outputs) if each is tensor)
        return _ending(inner, inner.outputs[index])
    kind = type(operation).__name__.lower()
    plain = not isinstance(operation, keras.Layer)  # an operation of keras.ops
    if isinstance(operation, _PASSING) or (plain and kind in _PASSING_OPERATIONS):
        return _ending(read, call.inputs[0])
    averages = plain and kind in _AVERAGING_OPERATIONS
    if averages or isinstance(operation, (*_AVERAGING, *_CHOOSING)):
        return _joined(operation, [_ending(read, each) for each in call.inputs])
    adds = plain and (
        kind in _ADDING_OPERATIONS or (kind in _DIVIDING_OPERATIONS and len(call.inputs) == 1)
    )
    if adds or isinstance(operation, _ADDING):
        endings = [_ending(read, each) for each in call.inputs]
        known = all(each.known and each.activation == "linear" for each in endings)
        return Output("", None, "linear", known, operation.name)
    return _of(operation, kind)


def _of(operation: Any, kind: str) -> Output:
    """Return the ending that an operation makes by itself."""
    if (name := _ACTIVATIONS.get(type(operation))) is not None:
        return Output("", None, name)
    if not isinstance(operation, keras.Layer):
        # Of keras.ops these end outputs, the rest is arithmetic.
        ends = kind in ("softmax", "sigmoid", "relu", "tanh", "softplus")
        return Output("", None, kind if ends else "linear", ends, operation.name)
    keras_own = type(operation).__module__.startswith("keras.")
    function = getattr(operation, "activation", None)
    if function is None:
        known = keras_own and isinstance(operation, _LINEAR)
        return Output("", None, "linear", known, operation.name)
    named = keras.activations.serialize(function)
    name = named if isinstance(named, str) else str(getattr(function, "__name__", named))
    # A layer of anyone's own may do more than its activation says.
    return Output("", None, name, keras_own or name != "linear", operation.name)


def _joined(operation: Any, endings: list[Output]) -> Output:
    """Return the ending of a mean or a choice among values with these endings."""
    by = endings[0]
    same = {each.activation for each in endings} == {by.activation}
    kept = ("sigmoid",) if isinstance(operation, _CHOOSING) else ("sigmoid", "softmax")
    if same and by.activation in kept:
        return replace(by, known=all(each.known for each in endings))
    known = same and by.activation == "linear" and all(each.known for each in endings)
    known = known and isinstance(operation, keras.Layer)  # a clip makes something else of it
    return Output("", None, "linear", known, operation.name)
