"""The small residual network for CIFAR, without normalization of its own."""

from __future__ import annotations

from typing import Any

import keras

from ablate.models.specs import Aim
from ablate.models.style import Style, global_pool, images
from ablate.study.schema.factories import Resnet


def resnet(shape: tuple[int, ...], aim: Aim, arguments: Resnet) -> keras.Model:
    """Build conv1, then stages of residual blocks, a global average pool and the output.

    A block is y = activation(x + conv2(activation(conv1(x)))); the first block of each stage
    but the first halves the maps, and its shortcut is a 1×1 convolution. Three stages of n
    blocks have 6n + 2 layers. He et al., Deep Residual Learning, CVPR 2016, section 4.2 (with
    their option B shortcuts, and without the BN that placements add).
    """
    style = Style.of(arguments)
    inputs = images(shape, "resnet", (2,))
    x = style.conv(inputs, arguments.filters[0], 3, "conv1")
    for stage, filters in enumerate(arguments.filters, start=1):
        for block in range(1, arguments.blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, filters, strides, f"stage{stage}_block{block}", style)
    x = global_pool(x, "average")
    return keras.Model(inputs, style.output(x, aim), name="resnet")


def _block(x: Any, filters: int, strides: int, name: str, style: Style) -> Any:
    shortcut = x
    x = style.conv(x, filters, 3, f"{name}_conv1", strides=strides)
    x = style.conv(x, filters, 3, f"{name}_conv2", activation="linear")
    if strides > 1 or shortcut.shape[-1] != filters:
        shortcut = style.conv(
            shortcut, filters, 1, f"{name}_shortcut", strides=strides, activation="linear"
        )
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.Activation(style.activation, name=f"{name}_activation")(x)
