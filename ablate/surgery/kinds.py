"""The table of layer classes: kinds of layers, their activations, and what surgery may do to them.

The lists decide what selectors such as `conv` mean, where an activation may be split off and how
far a search for one goes, which weights can take in an affine map, and what returns its input.
"""

from __future__ import annotations

import re
from typing import Any

import keras

from ablate.surgery import graph
from ablate.surgery.classic_dropout import ClassicDropout
from ablate.surgery.training_noise import DriftingNoise

_L = keras.layers

TRANSPOSED = (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)
DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)
CONV = (_L.Conv1D, _L.Conv2D, _L.Conv3D, *TRANSPOSED, *DEPTHWISE, *SEPARABLE)
DENSE = (_L.Dense, _L.EinsumDense)
#: The layers whose weights can take in an affine map. Subclasses may compute anything: not them.
LINEAR = (*CONV, *DENSE)
RECURRENT = (_L.RNN, _L.Bidirectional)
NORM = (
    *(_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization),
    *(_L.RMSNormalization, _L.UnitNormalization),
)
#: Normalizations with parameters per channel; of the first two `axis` is one number.
PER_CHANNEL = (_L.BatchNormalization, _L.GroupNormalization, _L.LayerNormalization)
ONE_AXIS = PER_CHANNEL[:2]
DROPOUT = (
    _L.Dropout, _L.GaussianDropout, _L.AlphaDropout, _L.GaussianNoise, ClassicDropout,
    DriftingNoise,
)  # fmt: skip
ACTIVATION = (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax)
POOL = tuple(
    value
    for name, value in vars(_L).items()
    if isinstance(value, type) and re.search(r"(Pooling|Pool)[123]D$", name)
)
#: Layers that return their input at inference: a map may be merged through them.
IDLE = (
    *(_L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D),
    *(_L.GaussianDropout, _L.AlphaDropout, _L.GaussianNoise),
    *(_L.Identity, _L.ActivityRegularization),
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
KINDS = (*(kind for kind, _ in _KINDS[:-1]), "hidden", "all")

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
    if found := next((kind for kind, classes in _KINDS if isinstance(layer, classes)), None):
        return found
    return kind_of(layer.layer) if isinstance(layer, _L.Wrapper) else "other"


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
