"""Laws 3 and 4 on random convolutional graphs: identity, round trips, folding."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from ablate.study.positions import POSITIONS
from ablate.surgery import fold, insert, remove

ACTIVATIONS = ["linear", "relu", "relu6", "selu", "silu", "softplus", "elu", "gelu", "tanh"]

bounded = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def graphs(draw):
    """A random functional model on 6×6 images: branches, skips, shared layers, BN, Dropout."""
    size, channels = 6, draw(st.integers(1, 4))
    inputs = keras.Input((size, size, channels))
    tensors = [inputs]
    for _ in range(draw(st.integers(1, 5))):
        x = draw(st.sampled_from(tensors))
        activation = draw(st.sampled_from(ACTIVATIONS))
        kind = draw(st.sampled_from(sorted(STEPS)))
        tensors.append(STEPS[kind](draw, x, tensors, activation))
    x = layers.GlobalAveragePooling2D()(tensors[-1])
    x = layers.Dense(draw(st.integers(2, 9)), activation=draw(st.sampled_from(ACTIVATIONS)))(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    seed = draw(st.integers(0, 999))
    randomize(model, seed)
    rows = draw(st.integers(2, 7))
    images = np.random.default_rng(seed).normal(size=(rows, size, size, channels))
    return model, images.astype("float32")


def conv(draw, x, tensors, activation):
    groups = x.shape[-1] if draw(st.booleans()) else 1
    return layers.Conv2D(
        groups * draw(st.integers(1, 3)),
        draw(st.sampled_from([1, 3])),
        padding="same",
        groups=groups,
        dilation_rate=draw(st.sampled_from([1, 2])),
        use_bias=draw(st.booleans()),
        activation=activation,
    )(x)


def twice(draw, x, tensors, activation):
    layer = layers.Conv2D(x.shape[-1], 3, padding="same", activation=activation)
    return layer(layer(x))


def skip(draw, x, tensors, activation):
    others = [each for each in tensors if each.shape == x.shape]
    return layers.Add()([x, draw(st.sampled_from(others))])


STEPS = {
    "conv": conv,
    "depthwise": lambda draw, x, tensors, activation: layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=draw(st.integers(1, 2)), activation=activation
    )(x),
    "separable": lambda draw, x, tensors, activation: layers.SeparableConv2D(
        draw(st.integers(1, 5)), 3, padding="same", activation=activation
    )(x),
    "dense": lambda draw, x, tensors, activation: layers.Dense(
        draw(st.integers(1, 9)), activation=activation
    )(x),
    "twice": twice,
    "skip": skip,
    "concatenate": lambda draw, x, tensors, activation: layers.Concatenate()(
        [x, draw(st.sampled_from(tensors))]
    ),
    "normalization": lambda draw, x, tensors, activation: layers.BatchNormalization(
        scale=draw(st.booleans()), epsilon=draw(st.sampled_from([1e-5, 1e-3]))
    )(x),
    "dropout": lambda draw, x, tensors, activation: layers.Dropout(0.5)(x),
    "activation": lambda draw, x, tensors, activation: layers.Activation(activation)(x),
}


def randomize(model, seed):
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        spread = 1.0 / np.sqrt(max(1, np.prod(variable.shape[:-1])))
        value = rng.normal(size=variable.shape)
        positive = "variance" in variable.path or "gamma" in variable.path
        variable.assign(np.abs(value) + 0.5 if positive else value * spread)


def state(model):
    return model.get_config(), [np.asarray(v.value) for v in model.variables]


def same(a, b):
    return a[0] == b[0] and all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))


def relative(a, b):
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)


def check_identity_and_round_trip(case, position):
    model, x = case
    before, expected = state(model), ops.convert_to_numpy(model(x))
    new = insert(model, "BatchNormalization", at=position, where="all", calibrate=x)
    assert np.array_equal(ops.convert_to_numpy(new(x)), expected)
    assert relative(new.predict(x, verbose=0), model.predict(x, verbose=0)) <= 1e-6
    assert same(state(remove(new)), before)
    assert same(state(model), before)


def check_folding(case):
    model, x = case
    before, expected = state(model), ops.convert_to_numpy(model(x))
    folded = fold(model)
    assert relative(ops.convert_to_numpy(folded(x)), expected) <= 1e-5
    assert same(state(model), before)
    assert same(state(fold(folded)), state(folded))


@settings(bounded, max_examples=3)
@given(graphs(), st.sampled_from(POSITIONS))
def test_undone_normalization_is_the_identity_and_remove_restores(case, position):
    check_identity_and_round_trip(case, position)


@settings(bounded, max_examples=12)
@given(graphs())
def test_folding_keeps_the_function_and_is_done_after_once(case):
    check_folding(case)


@pytest.mark.slow
@settings(bounded, max_examples=25)
@given(graphs(), st.sampled_from(POSITIONS))
def test_undone_normalization_is_the_identity_on_many_graphs(case, position):
    check_identity_and_round_trip(case, position)


@pytest.mark.slow
@settings(bounded, max_examples=80)
@given(graphs())
def test_folding_keeps_the_function_on_many_graphs(case):
    check_folding(case)
