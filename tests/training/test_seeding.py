"""Law 2: what a layer draws depends on the seed, its path on the base model, and nothing else."""

import keras
import numpy as np
import pytest

from ablate import surgery
from ablate.surgery import graph
from ablate.training import derive, model_cache, order
from ablate.training.rows import rows_of
from ablate.training.seeding import CannotReseedError, InitialState
from tests.training.small import BN, DROPOUT, spec_of

layers = keras.layers


def test_seeds_are_the_same_for_ever():
    assert derive(0, "conv1", "kernel_initializer") == 86_586_635
    assert derive("0/copy", "conv1", "kernel_initializer") != derive(0, "conv1", "bias")
    assert {0 <= derive(s, "a", "b") < 2**31 for s in range(200)} == {True}


def test_the_order_of_batches_is_a_permutation_of_its_own_for_each_seed_and_epoch():
    assert order(8, seed=0, epoch=0).tolist() == [0, 5, 3, 2, 1, 4, 6, 7]
    assert sorted(order(1000, 5, 3)) == list(range(1000))
    assert order(1000, 5, 3).tolist() != order(1000, 5, 4).tolist()
    assert order(1000, 5, 3).tolist() != order(1000, 6, 3).tolist()
    assert order(10, 0, 0).dtype == np.int32


def test_variants_share_the_initial_weights_of_the_layers_they_share():
    model = {"name": "cnn", "filters": [3, 4], "dense": [5]}
    starts = {
        name: _starts(spec_of(*insert, model=model), seed=7)
        for name, insert in {
            "plain": [], "bn": [BN], "dropout": [DROPOUT], "both": [DROPOUT, BN],
        }.items()
    }  # fmt: skip
    plain = starts["plain"]
    assert set(plain) == {
        f"{layer}/{part}"
        for layer in ("conv1", "conv2", "dense1", "output")
        for part in ("kernel", "bias")
    }
    for name, other in starts.items():
        assert set(plain) <= set(other)
        for path, value in plain.items():
            np.testing.assert_array_equal(value, other[path], err_msg=f"{name} {path}")
    # An inserted layer's own draws come from its own path, whatever else is inserted.
    for path in {*starts["dropout"]} - {*plain}:
        np.testing.assert_array_equal(starts["dropout"][path], starts["both"][path])
    assert any("dropout" in path for path in starts["dropout"])


def _starts(spec, seed):
    made = model_cache.make(spec, rows_of(spec, seed), seed)
    names = {
        id(variable): f"{path}/{variable.name}"
        for path, layer in made.network.layers
        for variable in layer.variables
    }
    return {names[id(v)]: np.asarray(value) for v, value in made.initial_state.of(seed)}


@keras.saving.register_keras_serializable("ablate_tests")
class Noisy(layers.Layer):
    """Draws its weights from Keras's and NumPy's global generators."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="scale")
        self.shift = self.add_weight(shape=(shape[-1],), initializer="zeros", name="shift")
        self.shift.assign(keras.random.normal((shape[-1],)) + np.random.rand(shape[-1]))

    def call(self, x):
        return x * self.scale + self.shift


def hard_case():
    """Attention, a wrapped cell, a shared layer, nested models, an embedding, a custom layer."""
    keras.utils.clear_session(free_memory=False)
    tokens = keras.Input((6,), name="tokens", dtype="int32")
    x = layers.Embedding(9, 4)(tokens)
    x = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
    x = layers.Bidirectional(layers.LSTM(3, dropout=0.2, return_sequences=True))(x)
    x = layers.TimeDistributed(layers.Dense(4, kernel_initializer="orthogonal"))(x)
    inner = keras.Sequential([keras.Input((6, 4)), layers.Dense(4), layers.Dense(4)], name="inner")
    shared = layers.Dense(4, kernel_initializer=keras.initializers.HeNormal(seed=3))
    x = shared(shared(inner(x)))
    x = layers.SeparableConv1D(4, 3, padding="same")(x)
    return keras.Model(tokens, layers.Dense(2, name="end")(layers.Flatten()(Noisy()(x))))


def _beginnings(model, base=None, **arguments):
    paths = surgery.canonical_paths(model, base)
    leaves = [(p, layer) for layer, p in paths.items() if not graph.is_container(layer)]
    return InitialState(leaves, **arguments)


def _values(beginnings, seed):
    return [np.array(value) for _, value in beginnings.of(seed)]


def test_every_kind_of_layer_begins_anew_and_alike():
    first, second = _beginnings(hard_case()), _beginnings(hard_case())
    zero, one, again = _values(first, 0), _values(first, 1), _values(first, 0)
    for a, b, c in zip(zero, again, _values(second, 0), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    variables = [variable for variable, _ in first.of(0)]
    constant = {v.path for v, a, b in zip(variables, zero, one, strict=True) if (a == b).all()}
    assert all(path.endswith(("bias", "gamma", "beta")) for path in constant), constant
    kernels = [a for v, a in zip(variables, zero, strict=True) if "query/kernel" in v.path]
    keys = [a for v, a in zip(variables, zero, strict=True) if "key/kernel" in v.path]
    assert kernels and not np.array_equal(kernels[0], keys[0])


def test_inserting_shifts_nothing_in_any_kind_of_layer():
    base = hard_case()
    new = surgery.insert(base, "Dropout", rate=0.5, at="after", where=["Embedding", "Dense"])
    plain, dropped = _by_path(base), _by_path(new, base)
    assert sum("dropout" in path for path in set(dropped) - set(plain)) == 4
    for path, values in plain.items():
        assert len(values) == len(dropped[path])
        for ours, theirs in zip(values, dropped[path], strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=path)


def _by_path(model, base=None):
    values = {id(variable): np.array(value) for variable, value in _beginnings(model, base).of(0)}
    return {
        path: [values[id(variable)] for variable in layer.variables]
        for layer, path in surgery.canonical_paths(model, base).items()
        if layer.variables and not graph.is_container(layer)
    }


def test_what_is_drawn_is_what_the_initializer_says():
    model = keras.Sequential([keras.Input((50,)), layers.Dense(60, name="a")])
    kernel, bias = _values(_beginnings(model), 4)
    limit = np.sqrt(6 / 110)
    assert np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not bias.any()
    drawn = keras.initializers.GlorotUniform(seed=derive(4, "a", "kernel_initializer"))
    np.testing.assert_array_equal(kernel, drawn((50, 60)))


def test_kept_layers_and_adapted_ones_begin_as_they_are():
    adapted = layers.Normalization(name="adapted")
    adapted.adapt(np.arange(12.0).reshape(4, 3))
    model = keras.Sequential(
        [keras.Input((3,)), adapted, layers.Dense(4, name="kept"), layers.Dense(2, name="new")]
    )
    before = model.get_weights()
    beginnings = _beginnings(model, keep=frozenset({"kept"}))
    for variable in model.weights:
        variable.assign(variable * 0 + 1)
    for variable, value in beginnings.of(1):
        variable.assign(value)
    after = model.get_weights()
    for index in range(len(before)):
        same = np.array_equal(before[index], after[index])
        assert same == (index != len(before) - 2), model.weights[index].path


@keras.saving.register_keras_serializable("ablate_tests")
class Secretive(layers.Layer):
    """Its configuration says nothing of its width, so it cannot be made again from it."""

    def __init__(self, width=None, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.width), name="kernel")

    def call(self, x):
        return x @ self.kernel

    def get_config(self):
        return {"name": self.name}


def _secretive():
    return keras.Sequential([keras.Input((3,)), Secretive(4, name="secretive")])


def test_a_layer_that_does_not_describe_itself_is_taken_from_a_model_built_again():
    def again():
        return [("secretive", _secretive().layers[0])]

    model = _secretive()
    beginnings = InitialState([("secretive", model.layers[0])], again=again)
    (zero,), (same,), (one,) = (_values(beginnings, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(zero, same)
    assert not np.array_equal(zero, one)
    with pytest.raises(CannotReseedError, match=r"secretive.*get_config"):
        _values(InitialState([("secretive", model.layers[0])]), 0)
