"""LeNet-5: two convolutions with pools, two dense layers (LeCun et al. 1998)."""

from __future__ import annotations

import keras

from ablate.models.specs import Aim
from ablate.models.style import Style, flatten, images, pool
from ablate.study.schema.factories import Lenet


def lenet(shape: tuple[int, ...], aim: Aim, arguments: Lenet) -> keras.Model:
    """Build LeNet-5: conv1, pool1, conv2, pool2, flatten, dense1, dense2, output.

    conv1 keeps the size of the image (28×28 in, as 32×32 without padding in the original);
    conv2 does not, unless its input is smaller than the kernel.
    """
    style = Style.of(arguments)
    size = arguments.kernel_size
    inputs = images(shape, "lenet", (2,))
    x = style.conv(inputs, arguments.filters[0], size, "conv1")
    x = pool(x, 2, arguments.pooling, "pool1")
    fits = all(each is None or each >= size + 1 for each in x.shape[1:-1])
    x = style.conv(x, arguments.filters[1], size, "conv2", padding="valid" if fits else "same")
    x = pool(x, 2, arguments.pooling, "pool2")
    x = flatten(x)
    for number, units in enumerate(arguments.dense, start=1):
        x = style.dense(x, units, f"dense{number}")
    return keras.Model(inputs, style.output(x, aim), name="lenet")
