"""Layers in the style of one factory, and the output layer that a target needs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import keras

from ablate.errors import StudyError
from ablate.models.initializers import for_bias, for_kernel
from ablate.study.schema.factories import Network
from ablate.study.specs import Target

#: Images here have their channels last, whatever Keras is set to elsewhere.
_FORMAT = "channels_last"


@dataclass(frozen=True)
class Style:
    """How a factory's layers are made: its activation, initializers and biases."""

    network: Network

    def dense_layers(self, x: Any, widths: Iterable[int], prefix: str) -> Any:
        """Add hidden Dense layers, called by `prefix` and their number from 1."""
        for number, units in enumerate(widths, start=1):
            x = self.dense(x, units, f"{prefix}{number}")
        return x

    def dense(self, x: Any, units: int, name: str) -> Any:
        """Add a hidden Dense layer."""
        return self._dense(x, units, name, self.network.activation, self.network.use_bias)

    def conv(
        self,
        x: Any,
        filters: int,
        size: int,
        name: str,
        *,
        strides: int = 1,
        padding: str = "same",
        activation: str | None = None,
    ) -> Any:
        """Add a convolution of the input's rank; `activation` None means the style's."""
        rank = len(x.shape) - 2
        if padding == "valid":
            _check_size(name, size, x, "Use padding: same, a smaller kernel or fewer pools.")
        own = self.network
        return getattr(keras.layers, f"Conv{rank}D")(
            filters,
            size,
            strides=strides,
            padding=padding,
            activation=own.activation if activation is None else activation,
            use_bias=own.use_bias,
            kernel_initializer=for_kernel(own.kernel_initializer),
            bias_initializer=for_bias(own.bias_initializer, size**rank * x.shape[-1]),
            data_format=_FORMAT,
            name=name,
        )(x)

    def output(self, x: Any, target: Target, name: str = "output") -> Any:
        """Add the output layer that `target` needs, and a Reshape if its targets have axes."""
        units, activation = output_form(target, self.network.output_activation)
        x = self._dense(x, units, name, activation, True, dtype=output_dtype())
        if target.task == "regression" and len(target.shape) > 1:
            x = keras.layers.Reshape(target.shape, name=f"{name}_shape", dtype=output_dtype())(x)
        return x

    def _dense(
        self, x: Any, units: int, name: str, activation: str, use_bias: bool, **more: Any
    ) -> Any:
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=for_kernel(self.network.kernel_initializer),
            bias_initializer=for_bias(self.network.bias_initializer, x.shape[-1]),
            name=name,
            **more,
        )(x)


def pool(x: Any, size: int, kind: Literal["max", "average"], name: str) -> Any:
    """Add a pool of the input's rank; a size of 1 adds nothing."""
    if size == 1:
        return x
    _check_size(name, size, x, "Use fewer pools or larger images.")
    layer = getattr(keras.layers, f"{kind.title()}Pooling{len(x.shape) - 2}D")
    return layer(size, data_format=_FORMAT, name=name)(x)


def global_pool(x: Any, kind: Literal["max", "average"], name: str = "pool") -> Any:
    """Add a global pool of the input's rank."""
    layer = getattr(keras.layers, f"Global{kind.title()}Pooling{len(x.shape) - 2}D")
    return layer(data_format=_FORMAT, name=name)(x)


def flatten(x: Any, name: str = "flatten") -> Any:
    """Add a Flatten where there is something to flatten."""
    return x if len(x.shape) == 2 else keras.layers.Flatten(name=name)(x)


def images(shape: tuple[int, ...], factory: str, ranks: tuple[int, ...] = (1, 2, 3)) -> Any:
    """Return the input tensor of a network of convolutions.

    Raises:
        StudyError: examples without the axes that convolutions go along.
    """
    if len(shape) - 1 not in ranks:
        wanted = "(height, width, channels)" if ranks == (2,) else "images or sequences"
        raise StudyError(
            f"model.name: '{factory}' takes {wanted}; an example of the data has shape {shape}. "
            "Use 'mlp', or give grey images a channel (data.add_channel: true)."
        )
    return keras.Input(shape, name="input")


def output_form(target: Target, activation: str) -> tuple[int, str]:
    """Return the units and the activation of an output layer.

    Raises:
        StudyError: the activation does not fit what is to be learnt.
    """
    if target.task == "regression":
        units = math.prod(target.shape) if target.shape else 1
        if activation == "softmax":
            raise StudyError(
                "model.output_activation: softmax is for classes, and the targets are numbers. "
                "Expected: auto, linear or sigmoid."
            )
        return units, "linear" if activation == "auto" else activation
    classes = target.classes or 2
    if activation == "sigmoid":
        if classes != 2 or target.one_hot:
            raise StudyError(
                "model.output_activation: sigmoid is one unit for two classes; the data has "
                f"{classes}{' one-hot' if target.one_hot else ''} classes. Expected: auto, softmax "
                "or linear."
            )
        return 1, "sigmoid"
    return classes, "softmax" if activation == "auto" else activation


def output_dtype() -> str | None:
    """Return float32 where the policy mixes types: losses need its digits."""
    name = keras.config.dtype_policy().name
    return "float32" if name.startswith("mixed") else None


def _check_size(name: str, size: int, x: Any, remedy: str) -> None:
    """Refuse a kernel or a pool that is larger than the maps it goes over."""
    space = x.shape[1:-1]
    if any(each is not None and each < size for each in space):
        raise StudyError(
            f"model: {name} is {'×'.join([str(size)] * len(space))}, larger than its input of "
            f"{'×'.join(map(str, space))}. {remedy}"
        )
