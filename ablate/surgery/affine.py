"""Merge an affine map of the channels into the weights of a linear layer, in float64.

A batch normalization at inference is a scale and a shift per channel. `after` merges the one that
follows a layer, `before` the one ahead of it; both return new weights by name, or the reason why
the layer cannot take the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from ablate.surgery.exact import value
from ablate.surgery.kinds import CONV, DEPTHWISE, LINEAR, SEPARABLE, TRANSPOSED

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Affine:
    """Hold `y = scale * x + shift` per channel, both of shape `(channels,)` in float64."""

    scale: np.ndarray
    shift: np.ndarray


def of_normalization(layer: keras.layers.BatchNormalization) -> Affine:
    r"""Return the map that a batch normalization is at inference.

    .. math:: s = \gamma / \sqrt{v + \epsilon}, \qquad t = \beta - \mu s

    A missing gamma counts as 1, a missing beta as 0.
    """
    mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
    scale = 1.0 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * _array(layer.gamma)
    shift = -mean * scale
    if layer.center:
        shift = shift + _array(layer.beta)
    return Affine(scale, shift)


def refusal(layer: keras.layers.Layer) -> str | None:
    """Say why no map can be merged into this layer, or return None where it can."""
    if type(layer) not in LINEAR:
        kind = type(layer).__name__
        if isinstance(layer, LINEAR):
            return f"'{layer.name}' is a {kind}, a layer of its own that may compute anything"
        return f"'{layer.name}' ({kind}) is not a convolution or dense layer"
    if getattr(layer, "lora_enabled", False):
        return f"'{layer.name}' has LoRA weights besides its kernel"
    if getattr(layer, "quantization_mode", None):
        return f"'{layer.name}' is quantized"
    for name in ("kernel", "depthwise", "pointwise", "bias"):
        if getattr(layer, f"{name}_constraint", None) is not None:
            return f"'{layer.name}' has a {name} constraint that the merged weights would break"
    return None


def channel_axis(layer: keras.layers.Layer, rank: int) -> int:
    """Return the axis of the channels, counted from the front, in tensors of this rank."""
    first = isinstance(layer, CONV) and layer.data_format == "channels_first"
    return 1 if first else rank - 1


def is_linear(layer: keras.layers.Layer) -> bool:
    """Tell whether the layer applies no activation of its own."""
    return getattr(layer, "activation", None) in (None, keras.activations.linear)


def after(layer: keras.layers.Layer, affine: Affine) -> Weights | str:
    r"""Return the weights of the layer followed by the map, or why there are none.

    .. math:: W'_{\dots c} = s_c W_{\dots c}, \qquad b'_c = s_c b_c + t_c

    The channel is last in the kernels of Dense and Conv, second to last in Conv*Transpose,
    in the last two (channel, multiplier) of DepthwiseConv, and last in the pointwise kernel of
    SeparableConv. A missing bias appears.
    """
    if reason := refusal(layer):
        return reason
    if not is_linear(layer):
        return f"'{layer.name}' applies its activation before the normalization"
    if isinstance(layer, keras.layers.EinsumDense):
        return _after_einsum(layer, affine)
    scale, bias = affine.scale, _bias(layer)
    merged = {"bias": (0.0 if bias is None else bias * scale) + affine.shift}
    if isinstance(layer, SEPARABLE):
        merged["depthwise_kernel"] = _array(layer.depthwise_kernel)
        return merged | {"pointwise_kernel": _array(layer.pointwise_kernel) * scale}
    kernel = _array(layer.kernel)
    if isinstance(layer, DEPTHWISE):
        scale = scale.reshape(kernel.shape[-2:])
    elif isinstance(layer, TRANSPOSED):
        scale = scale[:, None]
    return merged | {"kernel": kernel * scale}


def before(layer: keras.layers.Layer, affine: Affine) -> Weights | str:
    r"""Return the weights of the layer applied to the map's output, or why there are none.

    .. math:: W'_{i\dots} = s_i W_{i\dots}, \qquad b' = b + \sum_{i\dots} t_i W_{i\dots}

    The scale merges always; the shift only where every output sees every tap of the kernel:
    Dense, kernels of size 1, and valid padding, but no transposed convolution.
    """
    if reason := refusal(layer):
        return reason
    if isinstance(layer, keras.layers.EinsumDense):
        return f"'{layer.name}' is an EinsumDense: a map ahead of it is not merged"
    shifted = bool(np.any(affine.shift != 0))
    if shifted and not _sees_every_tap(layer):
        return (
            f"'{layer.name}' pads its input with zeros, which the normalization would have "
            "shifted: only its scale could be merged"
        )
    merged, offset = _input_side(layer, affine)
    bias = _bias(layer)
    if bias is not None or shifted:
        merged["bias"] = offset if bias is None else bias + offset
    return merged


def _input_side(layer: keras.layers.Layer, affine: Affine) -> tuple[Weights, np.ndarray]:
    """Return the scaled kernels and the image of the shift under the unscaled ones."""
    scale, shift = affine.scale, affine.shift
    if isinstance(layer, SEPARABLE):
        depthwise, pointwise = _array(layer.depthwise_kernel), _array(layer.pointwise_kernel)
        seen = _over_positions(depthwise * shift[:, None]).reshape(-1)
        scaled = {"depthwise_kernel": depthwise * scale[:, None], "pointwise_kernel": pointwise}
        return scaled, seen @ pointwise.reshape(pointwise.shape[-2:])
    kernel = _array(layer.kernel)
    if isinstance(layer, keras.layers.Dense):
        return {"kernel": kernel * scale[:, None]}, shift @ kernel
    if isinstance(layer, TRANSPOSED):
        return {"kernel": kernel * scale}, np.zeros(())
    if isinstance(layer, DEPTHWISE):
        offset = _over_positions(kernel * shift[:, None]).reshape(-1)
        return {"kernel": kernel * scale[:, None]}, offset
    groups, (inputs, outputs) = layer.groups, kernel.shape[-2:]
    # Output channel j belongs to group j // (outputs / groups), which sees its own inputs only.
    scales, shifts = (
        np.repeat(each.reshape(groups, inputs), outputs // groups, axis=0).T
        for each in (scale, shift)
    )
    return {"kernel": kernel * scales}, _over_positions(kernel * shifts).sum(axis=0)


def _after_einsum(layer: keras.layers.EinsumDense, affine: Affine) -> Weights | str:
    """Merge into an EinsumDense whose kernel and bias carry the output's last axis."""
    operands, output = layer.equation.replace(" ", "").split("->")
    kernel_letters = operands.split(",")[1]
    channel = output[-1]
    if channel not in kernel_letters or channel == ".":
        return f"the kernel of '{layer.name}' does not carry the normalized axis"
    if layer.bias_axes is not None and channel not in layer.bias_axes:
        return f"the bias of '{layer.name}' does not carry the normalized axis"
    shape = [1] * len(kernel_letters)
    shape[kernel_letters.index(channel)] = -1
    # The channel is the output's last axis and so the bias's last: the map broadcasts over it.
    bias = _bias(layer)
    shift = affine.shift if bias is None else bias * affine.scale + affine.shift
    return {"kernel": _array(layer.kernel) * affine.scale.reshape(shape), "bias": shift}


def _sees_every_tap(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.Dense):
        return True
    if isinstance(layer, TRANSPOSED):
        return False
    return layer.padding == "valid" or all(size == 1 for size in layer.kernel_size)


def _over_positions(kernel: np.ndarray) -> np.ndarray:
    """Sum a kernel over its spatial axes, leaving the last two."""
    return kernel.sum(axis=tuple(range(kernel.ndim - 2)))


def _bias(layer: keras.layers.Layer) -> np.ndarray | None:
    bias = getattr(layer, "bias", None)
    return None if bias is None else _array(bias)


def _array(variable) -> np.ndarray:
    return value(variable).astype("float64")
