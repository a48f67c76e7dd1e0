"""The hard cases of surgery, each a tiny model and inputs for it.

`CASES` maps a name to a function that returns `(model, inputs)`. Weights are random, so that no
bias or statistic is at the value it starts from.
"""

import keras
import numpy as np
from keras import layers

CASES = {}


def case(build):
    CASES[build.__name__] = build
    return build


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.uniform(0.2, 0.9, weight.shape) * rng.choice([-1, 1], weight.shape)
        weight.assign(np.abs(values) if "variance" in weight.name else values)
    return model


@case
def plain():
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(4, 3, activation="tanh", padding="same", name="conv2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(6, activation="relu", name="fc")(x)
    outputs = layers.Dense(3, activation="softmax", name="classes")(x)
    return randomized(keras.Model(inputs, outputs, name="plain")), draw(4, 8, 8, 3)


@case
def sequential():
    model = keras.Sequential(
        [
            keras.Input((6,), name="row"),
            layers.Dense(5, activation="relu", name="fc1"),
            layers.Dropout(0.3, name="drop"),
            layers.Dense(4, use_bias=False, name="fc2"),
            layers.BatchNormalization(name="fc2_bn"),
            layers.ReLU(name="fc2_relu"),
            layers.Dense(2, name="logits"),
        ],
        name="stack",
    )
    return randomized(model), draw(5, 6)


@case
def sequential_built_late():
    model = keras.Sequential([layers.Dense(4, activation="elu", name="a"), layers.Dense(2)])
    model.build((None, 3))
    return randomized(model), draw(4, 3)


@case
def siamese():
    left, right = keras.Input((6, 6, 2), name="left"), keras.Input((6, 6, 2), name="right")
    shared = layers.Conv2D(3, 3, activation="relu", name="shared")
    pool = layers.GlobalAveragePooling2D(name="pool")
    both = layers.Concatenate(name="both")([pool(shared(left)), pool(shared(right))])
    model = keras.Model([left, right], layers.Dense(2, name="same")(both), name="siamese")
    return randomized(model), [draw(4, 6, 6, 2), draw(4, 6, 6, 2, seed=2)]


@case
def called_twice_in_a_row():
    inputs = keras.Input((4,), name="row")
    loop = layers.Dense(4, activation="tanh", name="loop")
    x = loop(loop(inputs))
    return randomized(keras.Model(inputs, layers.Dense(2, name="end")(x), name="twice")), draw(3, 4)


@case
def shared_nested():
    inner_in = keras.Input((5,), name="inner_row")
    inner_x = layers.Dense(5, activation="relu", name="fc")(inner_in)
    inner = keras.Model(inner_in, layers.Dense(5, name="fc_out")(inner_x), name="block")
    inputs = keras.Input((5,), name="row")
    x = inner(inner(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x), name="outer")
    return randomized(model), draw(3, 5)


@case
def three_levels():
    deep = keras.Sequential(
        [keras.Input((4,), name="deep_row"), layers.Dense(4, activation="relu", name="fc")],
        name="deep",
    )
    middle_in = keras.Input((4,), name="middle_row")
    middle_x = layers.Dense(4, activation="relu", name="fc")(deep(middle_in))
    middle = keras.Model(middle_in, layers.Add(name="add")([middle_x, middle_in]), name="middle")
    inputs = keras.Input((4,), name="row")
    x = middle(layers.Dense(4, name="fc")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x), name="levels")
    return randomized(model), draw(3, 4)


@case
def equal_names_at_two_depths():
    def block(name, before):
        inner_in = keras.Input((4,), name=f"{name}_row")
        x = layers.Dense(4, activation="relu", name="fc")(inner_in)
        return keras.Model(inner_in, x if before is None else before(x), name=name)

    inputs = keras.Input((4,), name="row")
    x = block("two", block("one", None))(inputs)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


@case
def nested_in_sequential():
    inner_in = keras.Input((4,), name="inner_row")
    inner = keras.Model(inner_in, layers.Dense(4, activation="relu", name="fc")(inner_in), name="m")
    model = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2, name="head")])
    return randomized(model), draw(3, 4)


@case
def dictionaries():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    x = layers.Dense(4, activation="relu", name="fc_a")(a)
    y = layers.Dense(4, activation="relu", name="fc_b")(b)
    z = layers.Add(name="sum")([x, y])
    outputs = {"one": layers.Dense(2, name="one")(z), "two": layers.Dense(1, name="two")(y)}
    model = keras.Model({"a": a, "b": b}, outputs, name="dictionaries")
    return randomized(model), {"a": draw(4, 3), "b": draw(4, 2)}


@case
def several_outputs():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(4, activation="relu", name="first")(inputs)
    x = layers.Dense(4, activation="relu", name="trunk")(x)
    model = keras.Model(
        inputs, [layers.Dense(2, name="left")(x), layers.Dense(3, name="right")(x), x], name="fork"
    )
    return randomized(model), draw(4, 4)


@case
def masked_sequence():
    inputs = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(7, 4, mask_zero=True, name="words")(inputs)
    x = layers.Conv1D(4, 1, name="mix")(layers.Dropout(0.1, name="drop")(x))
    x = layers.Embedding(7, 4, mask_zero=True, name="more")(inputs) + x
    x = layers.LSTM(5, name="lstm")(layers.Masking(name="masking")(x))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x), name="masked")
    return randomized(model), np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 1, 2, 0]], "int32")


@case
def embedding_to_lstm():
    inputs = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Embedding(7, 4, mask_zero=True, name="words")(inputs)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(x)
    x, state = layers.GRU(3, return_state=True, name="gru")(x)
    x = layers.Concatenate(name="cat")([x, state])
    model = keras.Model(inputs, layers.Dense(2, name="head")(x), name="sequence")
    return randomized(model), np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]], "int32")


@case
def attention():
    inputs = keras.Input((4, 6), name="sequence")
    memory = keras.Input((3, 6), name="memory")
    x = layers.MultiHeadAttention(2, 3, name="self")(inputs, value=inputs, use_causal_mask=True)
    x = layers.LayerNormalization(name="norm")(x + inputs)
    x = layers.MultiHeadAttention(2, 3, name="cross")(query=x, value=memory, key=memory)
    x = layers.Dense(4, activation="gelu", name="fc")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    model = keras.Model([inputs, memory], layers.Dense(2, name="head")(x), name="attention")
    return randomized(model), [draw(3, 4, 6), draw(3, 3, 6, seed=4)]


@case
def operations():
    inputs = keras.Input((6, 6, 2), name="image")
    x = keras.ops.relu(layers.Conv2D(3, 3, name="conv")(inputs))
    y = keras.ops.sigmoid(layers.Conv2D(3, 3, name="gate")(inputs))
    x = keras.ops.mean(x * y + 0.5, axis=(1, 2))
    x = x[:, :2] / 2.0
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 6, 6, 2)


@case
def channels_first():
    inputs = keras.Input((2, 6, 6), name="image")
    x = layers.DepthwiseConv2D(3, data_format="channels_first", name="depthwise")(inputs)
    x = layers.Conv2D(3, 1, data_format="channels_first", name="conv")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 2, 6, 6)


@case
def mixed_precision():
    inputs = keras.Input((6,), name="row")
    x = layers.Dense(4, activation="relu", dtype="mixed_bfloat16", name="fc1")(inputs)
    x = layers.Dense(4, activation="relu", dtype="mixed_bfloat16", name="fc2")(x)
    outputs = layers.Dense(2, dtype="float32", name="head")(x)
    return randomized(keras.Model(inputs, outputs, name="mixed")), draw(3, 6)


@case
def penalties():
    l2 = keras.regularizers.L2(0.1)
    inputs = keras.Input((6,), name="row")
    x = layers.Dense(
        *(4, "relu"),
        kernel_regularizer=l2,
        activity_regularizer=keras.regularizers.L1(0.2),
        kernel_constraint=keras.constraints.MaxNorm(2.0),
        name="fc",
    )(inputs)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 6)


@case
def frozen():
    inputs = keras.Input((6,), name="row")
    x = layers.Dense(4, activation="relu", name="fc1", trainable=False)(inputs)
    x = layers.BatchNormalization(name="norm", trainable=False)(x)
    x = layers.Dense(4, activation="relu", name="fc2")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 6)


@case
def frozen_backbone():
    inner_in = keras.Input((4,), name="inner_row")
    inner_x = layers.Dense(4, activation="relu", name="fc1")(inner_in)
    inner = keras.Model(inner_in, layers.Dense(4, activation="relu", name="fc2")(inner_x), name="b")
    inner.trainable = False
    inner.get_layer("fc2").trainable = True
    inputs = keras.Input((4,), name="row")
    outputs = layers.Dense(2, name="head")(inner(inputs, training=False))
    return randomized(keras.Model(inputs, outputs, name="tuned")), draw(3, 4)


@case
def norm_and_skip():
    inputs = keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(3, 3, padding="same", use_bias=False, name="conv")(inputs)
    y = layers.Activation("relu", name="relu")(layers.BatchNormalization(name="conv_bn")(x))
    x = layers.Add(name="add")([x, y])
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 6, 6, 3)


@case
def convolutions():
    inputs = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, groups=2, activation="relu", name="grouped")(inputs)
    x = layers.Conv2D(4, 2, dilation_rate=2, activation="relu", name="dilated")(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, activation="relu", name="depthwise")(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, activation="relu", name="transposed")(x)
    x = layers.SeparableConv2D(3, 3, activation="relu", name="separable")(x)
    x = layers.EinsumDense("bhwc,cd->bhwd", (None, None, 2), activation="relu", name="einsum")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(2, 8, 8, 4)


@case
def siblings():
    inputs = keras.Input((4,), name="row")
    first = layers.Dense(4, activation="relu", name="first")(inputs)
    second = layers.Dense(4, activation="relu", name="second")(inputs)
    both = layers.Concatenate(name="both")([first, second])
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(both))), draw(3, 4)


@case
def submodel():
    model, x = plain()
    return keras.Model(model.inputs, model.get_layer("fc").output, name="features"), x


@case
def middle_of_a_model():
    model, _ = plain()
    return keras.Model(model.get_layer("pool").output, model.output, name="tail"), draw(2, 3, 3, 4)


@case
def python_lambda():
    inputs = keras.Input((4,), name="row")
    x = layers.Lambda(lambda t: t * 2.0, name="double")(inputs)
    x = layers.Dense(4, activation=lambda t: keras.ops.relu(t) + 0.1, name="own")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


class Scale(layers.Layer):
    """A custom layer that nobody registered, with a weight and a random state of its own."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.noise = layers.GaussianNoise(0.1)

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x, training=False):
        return self.noise(x * self.gain * self.factor, training=training)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@case
def custom_layer():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(4, activation="relu", name="fc")(Scale(3.0, name="scale")(inputs))
    x = layers.TimeDistributed(layers.Dense(3), name="each")(layers.Reshape((2, 2))(x))
    x = layers.Flatten(name="flatten")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


@case
def shared_activation():
    inputs = keras.Input((4,), name="row")
    relu = layers.ReLU(name="relu")
    x = relu(layers.Dense(4, name="fc1")(inputs))
    x = relu(layers.Dense(4, name="fc2")(x))
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


@case
def activation_layers_inside():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(4, activation=layers.LeakyReLU(0.2), name="fc1")(inputs)
    x = layers.PReLU(name="prelu")(layers.Dense(4, name="fc2")(x))
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


@case
def adapted():
    inputs = keras.Input((4,), name="row")
    norm = layers.Normalization(name="standard")
    norm.build((None, 4))
    norm.adapt(draw(20, 4, seed=7) * 3 + 1)
    x = layers.Dense(4, activation="relu", name="fc")(norm(inputs))
    return keras.Model(inputs, layers.Dense(2, name="head")(x)), draw(3, 4)


@case
def layer_in_two_models():
    dense = layers.Dense(4, activation="relu", name="both")
    inner_in = keras.Input((4,), name="inner_row")
    inner = keras.Model(inner_in, layers.Dense(4, name="own")(dense(inner_in)), name="inner")
    inputs = keras.Input((4,), name="row")
    x = layers.Add(name="add")([dense(inputs), inner(inputs)])
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


@case
def one_input_of_two_models():
    inputs = keras.Input((4,), name="row")
    inner = keras.Model(inputs, layers.Dense(4, activation="relu", name="fc")(inputs), name="inner")
    x = layers.Dense(4, activation="relu", name="top")(inner(inputs))
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)


@case
def optional_input():
    a = keras.Input((3,), name="a")
    b = keras.Input((3,), name="b", optional=True)
    x = layers.Dense(3, activation="relu", name="fc")(a)
    model = keras.Model([a, b], layers.Dense(2, name="head")(x), name="optional")
    return randomized(model), [draw(4, 3), draw(4, 3)]


class Trained(keras.Model):
    """A functional model with a training step of its own: its class has to survive."""

    def train_step(self, data):
        return super().train_step(data)


@case
def own_train_step():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(4, activation="relu", name="fc")(inputs)
    return randomized(Trained(inputs, layers.Dense(2, name="head")(x), name="own")), draw(3, 4)


@case
def taken_names():
    inputs = keras.Input((4,), name="row")
    x = layers.Dense(4, name="fc")(inputs)
    x = layers.Activation("relu", name="fc_activation")(layers.BatchNormalization(name="fc_bn")(x))
    x = layers.Dense(4, activation="relu", name="fc_dropout")(x)
    return randomized(keras.Model(inputs, layers.Dense(2, name="head")(x))), draw(3, 4)
