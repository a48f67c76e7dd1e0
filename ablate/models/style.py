"""Layers in the style of one factory: its activation, initializers and biases.

A factory's arguments go in; a `Style` comes out, which adds named layers to a tensor. Every
name is given, so that the canonical paths of a model never depend on what was built before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import keras

from ablate.errors import StudyError
from ablate.models.initializers import for_bias, for_kernel
from ablate.models.specs import Aim
from ablate.study.schema.factories import Network

#: Images here have their channels last, whatever Keras is set to elsewhere.
_FORMAT = "channels_last"


@dataclass(frozen=True)
class Style:
    """How a factory's layers are made."""

    activation: str = "relu"
    kernel_initializer: str | dict[str, Any] = "glorot_uniform"
    bias_initializer: str | dict[str, Any] = "zeros"
    use_bias: bool = True
    output_activation: str = "auto"

    @classmethod
    def of(cls, network: Network) -> Style:
        """Return the style that a factory's arguments describe."""
        return cls(**{name: getattr(network, name) for name in cls.__dataclass_fields__})

    def dense(self, x: Any, units: int, name: str) -> Any:
        """Add a hidden Dense layer."""
        return self._dense(x, units, name, self.activation, self.use_bias)

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
        space = x.shape[1:-1]
        if padding == "valid" and any(each is not None and each < size for each in space):
            raise StudyError(
                f"model: {name} is {_times(size, rank)}, larger than its input of "
                f"{'×'.join(map(str, space))}. Use padding: same, a smaller kernel or fewer pools."
            )
        fan_in = size**rank * x.shape[-1]
        return getattr(keras.layers, f"Conv{rank}D")(
            filters,
            size,
            strides=strides,
            padding=padding,
            activation=self.activation if activation is None else activation,
            use_bias=self.use_bias,
            kernel_initializer=for_kernel(self.kernel_initializer),
            bias_initializer=for_bias(self.bias_initializer, fan_in),
            data_format=_FORMAT,
            name=name,
        )(x)

    def output(self, x: Any, aim: Aim, name: str = "output") -> Any:
        """Add the output layer that `aim` needs, and a Reshape if its targets have axes."""
        units, activation = output_form(aim, self.output_activation)
        x = self._dense(x, units, name, activation, True, dtype=output_dtype())
        if aim.task == "regression" and len(aim.shape) > 1:
            x = keras.layers.Reshape(aim.shape, name=f"{name}_shape", dtype=output_dtype())(x)
        return x

    def _dense(
        self, x: Any, units: int, name: str, activation: str, use_bias: bool, **more: Any
    ) -> Any:
        return keras.layers.Dense(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=for_kernel(self.kernel_initializer),
            bias_initializer=for_bias(self.bias_initializer, x.shape[-1]),
            name=name,
            **more,
        )(x)


def pool(x: Any, size: int, kind: Literal["max", "average"], name: str) -> Any:
    """Add a pool of the input's rank; a size of 1 adds nothing."""
    if size == 1:
        return x
    rank = len(x.shape) - 2
    space = x.shape[1:-1]
    if any(each is not None and each < size for each in space):
        raise StudyError(
            f"model: {name} is {_times(size, rank)}, larger than its input of "
            f"{'×'.join(map(str, space))}. Use fewer pools or larger images."
        )
    layer = getattr(keras.layers, f"{'Max' if kind == 'max' else 'Average'}Pooling{rank}D")
    return layer(size, data_format=_FORMAT, name=name)(x)


def global_pool(x: Any, kind: Literal["max", "average"], name: str = "pool") -> Any:
    """Add a global pool of the input's rank."""
    rank = len(x.shape) - 2
    which = "Max" if kind == "max" else "Average"
    layer = getattr(keras.layers, f"Global{which}Pooling{rank}D")
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


def output_form(aim: Aim, activation: str) -> tuple[int, str]:
    """Return the units and the activation of an output layer.

    Raises:
        StudyError: the activation does not fit what is to be learnt.
    """
    if aim.task == "regression":
        units = math.prod(aim.shape) if aim.shape else 1
        if activation == "softmax":
            raise StudyError(
                "model.output_activation: softmax is for classes, and the targets are numbers. "
                "Expected: auto, linear or sigmoid."
            )
        return units, "linear" if activation == "auto" else activation
    classes = aim.classes or 2
    if activation == "sigmoid":
        if classes != 2 or aim.one_hot:
            raise StudyError(
                "model.output_activation: sigmoid is one unit for two classes; the data has "
                f"{classes}{' one-hot' if aim.one_hot else ''} classes. Expected: auto, softmax "
                "or linear."
            )
        return 1, "sigmoid"
    return classes, "softmax" if activation == "auto" else activation


def output_dtype() -> str | None:
    """Return float32 where the policy mixes types: losses need its digits."""
    name = keras.config.dtype_policy().name
    return "float32" if name.startswith("mixed") else None


def _times(size: int, rank: int) -> str:
    return "×".join([str(size)] * rank)
