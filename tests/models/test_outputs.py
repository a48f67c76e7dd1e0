"""What an output ends with is read through whatever hands it on, or not known."""

import keras
import pytest
from keras import layers

from ablate.models.outputs import outputs_of


class Own(layers.Layer):
    """A layer of anyone's own: what it does cannot be known."""

    def call(self, x):
        return keras.ops.softmax(x)


class OwnDense(layers.Dense):
    """One with an activation, which may do more."""


def dense(units=4, activation=None):
    return layers.Dense(units, activation=activation)


def after(*steps, shape=(6, 6, 3)):
    inputs = keras.Input(shape)
    x = inputs
    for step in steps:
        x = step(x)
    (found,) = outputs_of(keras.Model(inputs, x))
    return found.activation, found.known


def ensemble(merge, *activations):
    def join(x):
        return merge([dense(4, each)(x) for each in activations])

    return join


@pytest.mark.parametrize(
    "steps, expected",
    [
        ([dense(4, "softmax")], ("softmax", True)),
        ([dense(4)], ("linear", True)),
        ([dense(4), layers.BatchNormalization()], ("linear", True)),
        ([dense(4), layers.Softmax()], ("softmax", True)),
        ([dense(4), layers.Activation("sigmoid"), layers.Dropout(0.1)], ("sigmoid", True)),
        ([dense(4, "softmax"), layers.UpSampling2D()], ("softmax", True)),
        ([dense(4, "softmax"), layers.GlobalAveragePooling2D()], ("softmax", True)),
        ([dense(4), layers.GlobalAveragePooling2D()], ("linear", True)),
        ([dense(4, "relu"), layers.GlobalAveragePooling2D()], ("linear", False)),
        ([dense(1, "sigmoid"), layers.GlobalMaxPooling2D()], ("sigmoid", True)),
        ([dense(4, "softmax"), layers.GlobalMaxPooling2D()], ("linear", False)),
        ([ensemble(layers.Average(), "softmax", "softmax")], ("softmax", True)),
        ([ensemble(layers.Average(), "softmax", "sigmoid")], ("linear", False)),
        ([ensemble(layers.Concatenate(), "sigmoid", "sigmoid")], ("sigmoid", True)),
        ([ensemble(layers.Concatenate(), "softmax", "softmax")], ("linear", False)),
        ([ensemble(layers.Multiply(), "sigmoid", "sigmoid")], ("linear", False)),
        ([dense(4), layers.Lambda(lambda x: keras.ops.softmax(x))], ("linear", False)),
        ([dense(4), Own()], ("linear", False)),
        ([OwnDense(4)], ("linear", False)),
        ([OwnDense(4, activation="softmax")], ("softmax", True)),
        ([dense(4), keras.ops.softmax], ("softmax", True)),
        ([dense(1, "sigmoid"), lambda x: keras.ops.squeeze(x, -1)], ("sigmoid", True)),
        ([dense(4, "softmax"), lambda x: x[:, 0]], ("softmax", True)),
        ([dense(4, "softmax"), lambda x: keras.ops.mean(x, axis=(1, 2))], ("softmax", True)),
        ([dense(4), lambda x: keras.ops.clip(x, 0.0, 1.0)], ("linear", False)),
        ([dense(4), lambda x: x / keras.ops.sum(x, -1, keepdims=True)], ("linear", False)),
        ([dense(4), lambda x: x / 2.0], ("linear", True)),
        ([dense(4, "softmax"), lambda x: x / 2.0], ("linear", False)),
        ([ensemble(layers.Add(), None, None)], ("linear", True)),
        ([ensemble(layers.Add(), "sigmoid", None)], ("linear", False)),
        ([ensemble(sum, None, None)], ("linear", True)),
        ([dense(4), layers.ReLU()], ("relu", True)),
        ([dense(4), keras.ops.relu], ("relu", True)),
        ([layers.TimeDistributed(dense(4, "softmax"))], ("softmax", True)),
        ([keras.Sequential([dense(4, "softmax")])], ("softmax", True)),
    ],
)
def test_endings(steps, expected):
    assert after(*steps) == expected


def test_outputs_have_names_and_shapes_and_a_subclassed_model_has_neither():
    inputs = keras.Input((3,))
    a, b = dense(2, "tanh"), dense(5)
    found = outputs_of(keras.Model(inputs, [a(inputs), b(inputs)]))
    assert [(each.name, each.shape, each.activation) for each in found] == [
        (a.name, (2,), "tanh"), (b.name, (5,), "linear"),
    ]  # fmt: skip

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    (unknown,) = outputs_of(Subclassed())
    assert (unknown.activation, unknown.shape, unknown.known) == (None, None, False)
