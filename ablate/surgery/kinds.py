"""What kind a layer is, what activation it applies, what only moves values.

A layer or an operation enters, a word or a truth leaves. These lists decide what selectors such
as `conv` mean, where an activation may be split off and how far a search for one goes.
"""

from __future__ import annotations

import re
from typing import Any

import keras

from ablate.surgery import graph
from ablate.surgery.classic_dropout import ClassicDropout

_L = keras.layers

CONV = (
    *(_L.Conv1D, _L.Conv2D, _L.Conv3D),
    *(_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose),
    *(_L.DepthwiseConv1D, _L.DepthwiseConv2D, _L.SeparableConv1D, _L.SeparableConv2D),
)
DENSE = (_L.Dense, _L.EinsumDense)
RECURRENT = (_L.RNN, _L.Bidirectional)
NORM = (
    *(_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization),
    *(_L.RMSNormalization, _L.UnitNormalization),
)
DROPOUT = (_L.Dropout, _L.GaussianDropout, _L.AlphaDropout, _L.GaussianNoise, ClassicDropout)
ACTIVATION = (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax)
POOL = tuple(
    value
    for name, value in vars(_L).items()
    if isinstance(value, type) and re.search(r"(Pooling|Pool)[123]D$", name)
)
RESHAPE = (_L.Reshape, _L.Flatten, _L.Permute, _L.Identity)

_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("conv", CONV),
    ("dense", DENSE),
    ("recurrent", RECURRENT),
    ("embedding", (_L.Embedding,)),
    ("norm", NORM),
    ("pool", POOL),
    ("activation", ACTIVATION),
    ("input", (_L.InputLayer,)),
    ("dropout", DROPOUT),
)

#: What `where` accepts as a kind.
KINDS = (
    *("conv", "dense", "recurrent", "embedding", "norm", "pool", "activation", "input"),
    *("hidden", "all"),
)

#: `keras.ops` that are activations or reshapes; as operations they have no layer class.
_ACTIVATION_OPERATIONS = {
    "Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "SoftShrink", "SparsePlus",
    "SparseSigmoid", "Silu", "Squareplus", "LogSigmoid", "LeakyRelu", "HardSigmoid", "HardTanh",
    "HardShrink", "HardSilu", "Elu", "Selu", "Celu", "Gelu", "Tanh", "TanhShrink", "Threshold",
    "Softmax", "LogSoftmax", "Sparsemax",
}  # fmt: skip
_RESHAPE_OPERATIONS = {"Reshape", "Squeeze", "ExpandDims", "Transpose", "Ravel", "Cast"}


def kind_of(layer: Any) -> str:
    """Return the kind of a layer; a wrapper (`TimeDistributed`) is of its inner layer's kind."""
    if graph.is_container(layer):
        return "model"
    for kind, classes in _KINDS:
        if isinstance(layer, classes):
            return kind
    if isinstance(layer, _L.Wrapper):
        return kind_of(layer.layer)
    return "other"


def is_activation(operation: Any) -> bool:
    """Whether an operation is an activation of its own: a layer, or `keras.ops.relu` and such."""
    if isinstance(operation, keras.Layer):
        return isinstance(operation, ACTIVATION)
    return _is_keras_operation(operation, _ACTIVATION_OPERATIONS)


def is_reshape(operation: Any) -> bool:
    """Whether an operation moves values without changing them."""
    if isinstance(operation, keras.Layer):
        return isinstance(operation, RESHAPE)
    return _is_keras_operation(operation, _RESHAPE_OPERATIONS)


def activation_name(operation: Any) -> str:
    """Name what an activation (a layer or an operation) computes: `relu`, `LeakyReLU`."""
    function = getattr(operation, "activation", None)
    return _name_of(function) if function is not None else type(operation).__name__


def inner_activation(layer: Any) -> str | None:
    """Name the activation that a layer applies by itself, if it is not linear."""
    if isinstance(layer, ACTIVATION):
        return activation_name(layer)
    if isinstance(layer, _L.Wrapper):
        return inner_activation(layer.layer)
    function = getattr(layer, "activation", None)
    if function is None or function is keras.activations.linear or not callable(function):
        return None
    return _name_of(function)


def _name_of(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


def _is_keras_operation(operation: Any, names: set[str]) -> bool:
    cls = type(operation)
    return cls.__module__.split(".")[0] == "keras" and cls.__name__ in names
