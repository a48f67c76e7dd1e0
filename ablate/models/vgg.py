"""VGG in any size: blocks of 3×3 convolutions, each closed by a pool."""

from __future__ import annotations

import keras

from ablate.models.specs import Aim
from ablate.models.style import Style, flatten, images, pool
from ablate.study.schema.factories import Vgg


def vgg(shape: tuple[int, ...], aim: Aim, arguments: Vgg) -> keras.Model:
    """Build blocks of 3×3 convolutions and 2×2 max pools, then dense layers.

    Names are those of Keras's VGG16: block1_conv1, block1_pool, flatten, fc1, output.
    Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015.

    Raises:
        StudyError: more blocks than the size of the images can be halved.
    """
    style = Style.of(arguments)
    inputs = x = images(shape, "vgg", (2,))
    for block, filters in enumerate(arguments.blocks, start=1):
        for number, each in enumerate(filters, start=1):
            x = style.conv(x, each, 3, f"block{block}_conv{number}")
        x = pool(x, 2, "max", f"block{block}_pool")
    x = flatten(x)
    for number, units in enumerate(arguments.dense, start=1):
        x = style.dense(x, units, f"fc{number}")
    return keras.Model(inputs, style.output(x, aim), name="vgg")
