"""The plain convolutional network: conv1, pool1 …, flatten, dense1 …, output."""

from __future__ import annotations

import keras

from ablate.errors import StudyError
from ablate.models.specs import Aim
from ablate.models.style import Style, flatten, global_pool, images, pool
from ablate.study.schema.factories import Cnn


def cnn(shape: tuple[int, ...], aim: Aim, arguments: Cnn) -> keras.Model:
    """Build convolutions, each followed by a pool, then dense layers.

    The rank of the input decides between Conv1D, Conv2D and Conv3D.

    Raises:
        StudyError: lists of unequal length, or maps that become smaller than a pool or kernel.
    """
    style = Style.of(arguments)
    count = len(arguments.filters)
    sizes = _each("kernel_size", arguments.kernel_size, count)
    strides = _each("strides", arguments.strides, count)
    pools = _each("pool_size", arguments.pool_size, count)
    inputs = x = images(shape, "cnn")
    for index, filters in enumerate(arguments.filters):
        x = style.conv(
            x,
            filters,
            sizes[index],
            f"conv{index + 1}",
            strides=strides[index],
            padding=arguments.padding,
        )
        x = pool(x, pools[index], arguments.pooling, f"pool{index + 1}")
    x = flatten(x) if arguments.head == "flatten" else global_pool(x, "average")
    for number, units in enumerate(arguments.dense, start=1):
        x = style.dense(x, units, f"dense{number}")
    return keras.Model(inputs, style.output(x, aim), name="cnn")


def _each(name: str, value: int | list[int], count: int) -> list[int]:
    if isinstance(value, int):
        return [value] * count
    if len(value) != count:
        raise StudyError(
            f"model.{name}: {len(value)} values for {count} convolutions. Expected: one number, "
            f"or {count} of them."
        )
    return value
