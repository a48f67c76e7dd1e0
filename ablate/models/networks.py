"""The networks that are built by name: dense, convolutional, residual, recurrent, attention.

Each takes the shape of an example, the `Target` and its arguments, and returns a Keras model
without normalization or Dropout, which come through placements. Every layer is named, so that
the canonical paths of a model never depend on what was built before it.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from ablate.errors import StudyError
from ablate.models.style import Style, flatten, global_pool, images, pool
from ablate.study.schema.factories import (
    Autoencoder,
    Cnn,
    Lenet,
    Lstm,
    Mlp,
    Resnet,
    Transformer,
    Vgg,
)
from ablate.study.specs import Target

Shape = tuple[int, ...]


def mlp(shape: Shape, target: Target, arguments: Mlp) -> keras.Model:
    """Build dense layers on inputs of any shape: flatten, dense1 …, output."""
    style = Style(arguments)
    inputs = keras.Input(shape, name="input")
    x = style.dense_layers(flatten(inputs), arguments.units, "dense")
    return keras.Model(inputs, style.output(x, target), name="mlp")


def autoencoder(shape: Shape, target: Target, arguments: Autoencoder) -> keras.Model:
    """Build dense layers to a code and back to the input: encoder1 …, decoder1 …, output.

    units [256] on 784 inputs is the 784-256-784 network of Srivastava et al. 2014, figure 8.

    Raises:
        StudyError: the targets are not the inputs.
    """
    if target.task != "regression" or tuple(target.shape) != shape:
        raise StudyError(
            "model.name: an autoencoder learns its own inputs. Set data.target: inputs."
        )
    style = Style(arguments)
    inputs = keras.Input(shape, name="input")
    x = style.dense_layers(flatten(inputs), arguments.units, "encoder")
    x = style.dense_layers(x, reversed(arguments.units[:-1]), "decoder")
    return keras.Model(inputs, style.output(x, target), name="autoencoder")


def cnn(shape: Shape, target: Target, arguments: Cnn) -> keras.Model:
    """Build convolutions, each followed by a pool, then dense layers.

    The layers are conv1, pool1 …, flatten, dense1 …, output. The rank of the input decides
    between Conv1D, Conv2D and Conv3D.

    Raises:
        StudyError: lists of unequal length, or maps that become smaller than a pool or kernel.
    """
    style = Style(arguments)
    sizes, strides, pools = (
        _each(name, getattr(arguments, name), len(arguments.filters))
        for name in ("kernel_size", "strides", "pool_size")
    )
    inputs = x = images(shape, "cnn")
    layers = zip(arguments.filters, sizes, strides, pools, strict=True)
    for number, (filters, size, step, pooled) in enumerate(layers, start=1):
        x = style.conv(x, filters, size, f"conv{number}", strides=step, padding=arguments.padding)
        x = pool(x, pooled, arguments.pooling, f"pool{number}")
    x = flatten(x) if arguments.head == "flatten" else global_pool(x, "average")
    x = style.dense_layers(x, arguments.dense, "dense")
    return keras.Model(inputs, style.output(x, target), name="cnn")


def _each(name: str, value: int | list[int], count: int) -> list[int]:
    if isinstance(value, int):
        return [value] * count
    if len(value) != count:
        raise StudyError(
            f"model.{name}: {len(value)} values for {count} convolutions. Expected: one number, "
            f"or {count} of them."
        )
    return value


def lenet(shape: Shape, target: Target, arguments: Lenet) -> keras.Model:
    """Build LeNet-5: conv1, pool1, conv2, pool2, flatten, dense1, dense2, output.

    conv1 keeps the size of the image (28×28 in, as 32×32 without padding in the original);
    conv2 does not, unless its input is smaller than the kernel. LeCun et al. 1998.
    """
    style = Style(arguments)
    size = arguments.kernel_size
    inputs = images(shape, "lenet", (2,))
    x = style.conv(inputs, arguments.filters[0], size, "conv1")
    x = pool(x, 2, arguments.pooling, "pool1")
    fits = all(each is None or each >= size + 1 for each in x.shape[1:-1])
    x = style.conv(x, arguments.filters[1], size, "conv2", padding="valid" if fits else "same")
    x = flatten(pool(x, 2, arguments.pooling, "pool2"))
    x = style.dense_layers(x, arguments.dense, "dense")
    return keras.Model(inputs, style.output(x, target), name="lenet")


def vgg(shape: Shape, target: Target, arguments: Vgg) -> keras.Model:
    """Build blocks of 3×3 convolutions and 2×2 max pools, then dense layers.

    Names are those of Keras's VGG16: block1_conv1, block1_pool, flatten, fc1, output.
    Simonyan and Zisserman, Very Deep Convolutional Networks, ICLR 2015.

    Raises:
        StudyError: more blocks than the size of the images can be halved.
    """
    style = Style(arguments)
    inputs = x = images(shape, "vgg", (2,))
    for block, filters in enumerate(arguments.blocks, start=1):
        for number, each in enumerate(filters, start=1):
            x = style.conv(x, each, 3, f"block{block}_conv{number}")
        x = pool(x, 2, "max", f"block{block}_pool")
    x = style.dense_layers(flatten(x), arguments.dense, "fc")
    return keras.Model(inputs, style.output(x, target), name="vgg")


def resnet(shape: Shape, target: Target, arguments: Resnet) -> keras.Model:
    """Build conv1, then stages of residual blocks, a global average pool and the output.

    A block is y = activation(x + conv2(activation(conv1(x)))); the first block of each stage
    but the first halves the maps, and its shortcut is a 1×1 convolution. Three stages of n
    blocks have 6n + 2 layers. He et al., Deep Residual Learning, CVPR 2016, section 4.2 (with
    their option B shortcuts, and without the BN that placements add).
    """
    style = Style(arguments)
    inputs = images(shape, "resnet", (2,))
    x = style.conv(inputs, arguments.filters[0], 3, "conv1")
    for stage, filters in enumerate(arguments.filters, start=1):
        for block in range(1, arguments.blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _residual_block(x, filters, strides, f"stage{stage}_block{block}", style)
    x = global_pool(x, "average")
    return keras.Model(inputs, style.output(x, target), name="resnet")


def _residual_block(x: Any, filters: int, strides: int, name: str, style: Style) -> Any:
    shortcut = x
    x = style.conv(x, filters, 3, f"{name}_conv1", strides=strides)
    x = style.conv(x, filters, 3, f"{name}_conv2", activation="linear")
    if strides > 1 or shortcut.shape[-1] != filters:
        shortcut = style.conv(
            shortcut, filters, 1, f"{name}_shortcut", strides=strides, activation="linear"
        )
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.Activation(style.network.activation, name=f"{name}_activation")(x)


def lstm(shape: Shape, target: Target, arguments: Lstm) -> keras.Model:
    """Build LSTMs over time, the last step of the last one, then dense layers.

    Hochreiter and Schmidhuber, Long Short-Term Memory, 1997.
    """
    style = Style(arguments)
    inputs, x = _sequence(shape, "lstm")
    for number, units in enumerate(arguments.units, start=1):
        more = number < len(arguments.units)
        x = keras.layers.LSTM(units, return_sequences=more, name=f"lstm{number}")(x)
    x = style.dense_layers(x, arguments.dense, "dense")
    return keras.Model(inputs, style.output(x, target), name="lstm")


def transformer(shape: Shape, target: Target, arguments: Transformer) -> keras.Model:
    """Build an encoder: tokens with learnt positions, blocks of attention and dense layers, a mean.

    y = x + attention(x); z = y + dense2(activation(dense1(y))). Vaswani et al., Attention Is All
    You Need, 2017, section 3, without its layer normalization.
    """
    style = Style(arguments)
    inputs, x = _sequence(shape, "transformer")
    tokens, width = x.shape[1], arguments.width
    # A bias for each position and feature is what learnt positions are.
    x = keras.layers.EinsumDense(
        "btf,fw->btw", (tokens, width), bias_axes="tw", bias_initializer="random_normal",
        name="embedding",
    )(x)  # fmt: skip
    for block in range(1, arguments.blocks + 1):
        attended = keras.layers.MultiHeadAttention(
            arguments.attentions,
            max(width // arguments.attentions, 1),
            name=f"block{block}_attention",
        )(x, x)
        x = keras.layers.Add(name=f"block{block}_add1")([x, attended])
        y = style.dense(x, arguments.hidden, f"block{block}_dense1")
        y = keras.layers.Dense(width, name=f"block{block}_dense2")(y)
        x = keras.layers.Add(name=f"block{block}_add2")([x, y])
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, style.output(x, target), name="transformer")


def _sequence(shape: Shape, factory: str) -> tuple[Any, Any]:
    """Return the input of a network over time and its steps, (time, features).

    Raises:
        StudyError: an example without steps.
    """
    if len(shape) < 2 or shape[0] is None:
        raise StudyError(
            f"model.name: '{factory}' takes sequences (time, features) or images, read row by row; "
            f"an example of the data has shape {shape}. Use 'mlp'."
        )
    inputs = x = keras.Input(shape, name="input")
    if len(shape) > 2:
        x = keras.layers.Reshape((shape[0], math.prod(shape[1:])), name="rows")(inputs)
    return inputs, x
