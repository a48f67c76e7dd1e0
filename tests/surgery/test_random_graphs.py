"""Laws 3 to 5 on random convolutional graphs: identity, round trips, folding, edits.

The graphs have branches, skips, shared layers, nested models, composite layers, tied weights.
"""

import contextlib

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from keras import layers, ops

from ablate.errors import SurgeryError
from ablate.study.positions import POSITIONS
from ablate.surgery import change, changed, fold, insert, remove, replace
from ablate.surgery.graph import every
from ablate.surgery.tracing import functional

ACTIVATIONS = ["linear", "relu", "relu6", "selu", "silu", "softplus", "elu", "gelu", "tanh"]

bounded = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking a graph takes minutes
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


@keras.saving.register_keras_serializable("ablate_tests")
class Block(layers.Layer):
    """A composite layer: normalization and Dropout on a branch of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization(name="own_bn")
        self.drop = layers.Dropout(0.5, name="own_dropout")

    def build(self, shape):
        self.norm.build(shape)
        super().build(shape)

    def call(self, x):
        return x + self.drop(self.norm(x))


@keras.saving.register_keras_serializable("ablate_tests")
class Back(layers.Layer):
    """Multiplies by the transposed kernel of a Dense layer that is in the graph, too."""

    def __init__(self, dense, features, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.features = dense, features

    def build(self, shape):
        if not self.dense.built:
            self.dense.build((None, self.features))
        super().build(shape)

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.dense.kernel))

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.features)

    def get_config(self):
        dense = keras.saving.serialize_keras_object(self.dense)
        return {**super().get_config(), "dense": dense, "features": self.features}

    @classmethod
    def from_config(cls, config):
        dense = keras.saving.deserialize_keras_object(config.pop("dense"))
        return cls(dense=dense, **config)


def nested(draw, x, tensors, activation):
    """A model inside, functional or Sequential, that may be called twice."""
    size = x.shape[-1]
    inner = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Conv2D(size, 3, padding="same", activation=activation),
            layers.BatchNormalization(),
            layers.Dropout(0.25),
        ]
    )
    if draw(st.booleans()):
        inputs = keras.Input(x.shape[1:])
        inner = keras.Model(inputs, layers.Add()([inputs, inner(inputs)]))
    return inner(inner(x)) if draw(st.booleans()) else inner(x)


def tied(draw, x, tensors, activation):
    dense = layers.Dense(draw(st.integers(1, 5)), activation=activation)
    return Back(dense, x.shape[-1])(dense(x))


STEPS = {
    "nested": nested,
    "tied": tied,
    "composite": lambda draw, x, tensors, activation: Block()(x),
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
    model, x = functional(case[0]), case[1]
    before, expected = state(model), ops.convert_to_numpy(model(x))
    new = insert(model, "BatchNormalization", at=position, where="all", calibrate=x)
    assert np.array_equal(ops.convert_to_numpy(new(x)), expected)
    assert relative(new.predict(x, verbose=0), model.predict(x, verbose=0)) <= 1e-6
    assert same(state(remove(new)), before)
    assert same(state(model), before)


#: Edits with the selector whose layers they are for, and whether the function stays to the last
#: bit in eager execution (True), within 1e-5 (False), or not (None).
EDITS = {
    "rate": ("Dropout", lambda m: change(m, "Dropout", rate=0.125), True),
    "no rate": ("Dropout", lambda m: change(m, "Dropout", rate=0.0), True),
    "noise": ("Dropout", lambda m: replace(m, "Dropout", "GaussianDropout"), True),
    "momentum": ("norm", lambda m: change(m, "norm", momentum=0.5), True),
    "renorm": ("norm", lambda m: change(m, "norm", renorm=True), True),
    "statistics": ("norm", lambda m: change(m, "norm", trainable="statistics"), True),
    "parameters": ("norm[0]", lambda m: change(m, "norm[0]", trainable="parameters"), True),
    "ghost": ("norm", lambda m: replace(m, "norm", "GhostBatchNormalization", parts=3), True),
    "epsilon": ("norm", lambda m: change(m, "norm", epsilon=0.01), False),
    "affine": ("norm", lambda m: replace(m, "norm", "FrozenAffine"), False),
    "layer": ("norm[-1]", lambda m: replace(m, "norm[-1]", "LayerNormalization"), None),
    "frozen": ("all", lambda m: change(m, "all", trainable=False), True),
    "penalty": ("Conv2D", lambda m: change(m, "Conv2D", kernel_regularizer="l2"), True),
    "activation": ("Conv2D", lambda m: change(m, "Conv2D", activation="softplus"), None),
    "inserted": ("all", lambda m: insert(m, "Dropout", rate=0.5, where="all"), True),
}


def check_edits(case, names):
    """One edit upon the other; exact where it says so, refused where nothing is there for it."""
    model, x = functional(case[0]), case[1]
    before, expected = state(model), ops.convert_to_numpy(model(x))
    new, kept = model, [True]
    for name in names:
        selector, edit, exact = EDITS[name]
        there = {type(layer).__name__ for _, layer in every(new)}
        normal = {"BatchNormalization", "GhostBatchNormalization", "PartialBatchNormalization"}
        needed = normal if selector.startswith("norm") else {selector}
        if selector.startswith("norm") and not needed & there and "LayerNormalization" in there:
            with contextlib.suppress(SurgeryError):  # some edits are for any normalization
                new = edit(new)
                kept.append(None)
            continue
        if selector != "all" and not needed & there:
            with pytest.raises(SurgeryError, match=r"matches no layer|None of the|takes no"):
                edit(new)
            continue
        try:
            new = edit(new)
            kept.append(exact)
        except SurgeryError as refusal:  # what was done before leaves nothing to do it to
            assert any(word in str(refusal) for word in ("takes no", "alone", "must be False"))
    value = ops.convert_to_numpy(new(x))
    if all(kept):
        assert np.array_equal(value, expected)
    elif None not in kept:
        assert relative(value, expected) <= 1e-5
    if new is not model:
        back = remove(new)
        assert same(state(back), before)
        assert changed(back) == ()
    assert same(state(model), before)


def check_folding(case):
    model, x = functional(case[0]), case[1]
    before, expected = state(model), ops.convert_to_numpy(model(x))
    folded = fold(model)
    assert relative(ops.convert_to_numpy(folded(x)), expected) <= 1e-5
    assert same(state(model), before)
    assert same(state(fold(folded)), state(folded))


@settings(bounded, max_examples=3)
@given(graphs(), st.sampled_from(POSITIONS))
def test_undone_normalization_is_the_identity_and_remove_restores(case, position):
    check_identity_and_round_trip(case, position)


edits = st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4)


@settings(bounded, max_examples=4)
@given(graphs(), edits)
def test_changed_and_replaced_layers_come_back(case, names):
    check_edits(case, names)


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
@settings(bounded, max_examples=40)
@given(graphs(), edits)
def test_changed_and_replaced_layers_come_back_on_many_graphs(case, names):
    check_edits(case, names)


@pytest.mark.slow
@settings(bounded, max_examples=80)
@given(graphs())
def test_folding_keeps_the_function_on_many_graphs(case):
    check_folding(case)
