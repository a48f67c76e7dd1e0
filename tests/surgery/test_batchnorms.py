"""The relatives of batch normalization against NumPy, and against what replicas and steps do."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from ablate.surgery import FrozenAffine, GhostBatchNormalization, PartialBatchNormalization
from tests.surgery.cases import draw

EPSILON, MOMENTUM = 1e-3, 0.9


def built(cls, shape, axis=-1, **arguments):
    """Return a layer with gamma, beta and statistics that are at no default."""
    layer = cls(axis=axis, momentum=MOMENTUM, epsilon=EPSILON, **arguments)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(5)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.4, 1.6, weight.shape))
    return layer


def named(layer):
    return {weight.name: np.asarray(weight, "float64") for weight in layer.weights}


def numpy_ghost(x, was, parts, axis, how="first", mask=None):
    """Return output and moving statistics of a step, in float64."""
    x = np.moveaxis(np.asarray(x, "float64"), axis, -1)
    weight = np.ones_like(x) if mask is None else np.broadcast_to(mask[..., None], x.shape)
    y, found = np.empty_like(x), []
    size = -(-len(x) // parts)
    for rows in (slice(start, start + size) for start in range(0, len(x), size)):
        axes = tuple(range(x.ndim - 1))
        part, share = x[rows], weight[rows]
        mean = (part * share).sum(axes) / share.sum(axes)
        variance = (np.square(part - mean) * share).sum(axes) / share.sum(axes)
        y[rows] = was["gamma"] * (part - mean) / np.sqrt(variance + EPSILON) + was["beta"]
        found.append((mean, variance))
    moving = [was["moving_mean"], was["moving_variance"]]
    for values in {"first": found[:1], "mean": [np.mean(found, axis=0)], "in_turn": found}[how]:
        moving = [MOMENTUM * a + (1 - MOMENTUM) * b for a, b in zip(moving, values, strict=True)]
    return np.moveaxis(y, -1, axis), *moving


@pytest.mark.parametrize("moving", ["first", "mean", "in_turn"])
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize(("shape", "axis"), [((8, 4), -1), ((7, 5, 3), -1), ((7, 3, 4, 4), 1)])
def test_ghost_normalization_is_what_numpy_makes_of_the_parts(shape, axis, parts, moving):
    x = draw(*shape, seed=3) * 2 + 1
    layer = built(GhostBatchNormalization, shape, axis, parts=parts, moving=moving)
    wanted = numpy_ghost(x, named(layer), parts, axis, moving)
    found = [layer(x, training=True), layer.moving_mean, layer.moving_variance]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


def test_ghost_normalization_leaves_masked_steps_out():
    x, mask = draw(6, 5, 3), np.random.default_rng(0).random((6, 5)) > 0.4
    layer = built(GhostBatchNormalization, x.shape, parts=2)
    wanted = numpy_ghost(x, named(layer), 2, -1, mask=mask)
    found = [layer(x, training=True, mask=mask), layer.moving_mean, layer.moving_variance]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)


def test_ghost_normalization_is_batch_normalization_at_inference_and_with_one_part():
    x = draw(6, 4, 4, 3)
    ghost = built(GhostBatchNormalization, x.shape, parts=3)
    plain = built(layers.BatchNormalization, x.shape)
    assert np.array_equal(ghost(x), plain(x))
    ghost.trainable = False
    assert np.array_equal(ghost(x, training=True), plain(x))
    one = built(GhostBatchNormalization, x.shape, parts=1)
    assert np.array_equal(one(x, training=True), plain(x, training=True))


@pytest.mark.parametrize(
    "arguments",
    [{"parts": 0}, {"parts": 1.5}, {"moving": "last"}, {"renorm": True}, {"synchronized": True}],
)
def test_ghost_normalization_refuses(arguments):
    with pytest.raises(ValueError, match=r"Expected a number of parts|must be False|to be one of"):
        GhostBatchNormalization(**arguments)


def test_renorm_is_what_numpy_makes_of_it():
    x = draw(16, 5, seed=4) * 3 - 1
    clipping = {"rmax": 1.5, "rmin": 0.5, "dmax": 0.7}
    layer = built(layers.BatchNormalization, x.shape, renorm=True, renorm_clipping=clipping,
                  renorm_momentum=0.8)  # fmt: skip
    was, wide = named(layer), np.asarray(x, "float64")
    mean, deviation = wide.mean(0), np.sqrt(wide.var(0) + EPSILON)
    r = np.clip(deviation / was["renorm_stddev"], 0.5, 1.5)
    d = np.clip((mean - was["renorm_mean"]) / was["renorm_stddev"], -0.7, 0.7)
    wanted = ((wide - mean) / deviation * r + d) * was["gamma"] + was["beta"]
    np.testing.assert_allclose(layer(x, training=True), wanted, rtol=1e-5, atol=1e-5)
    moved = named(layer)
    for name, value in (("renorm_mean", mean), ("renorm_stddev", deviation)):
        np.testing.assert_allclose(moved[name], 0.8 * was[name] + 0.2 * value, rtol=1e-5)
    np.testing.assert_allclose(
        moved["moving_mean"], MOMENTUM * was["moving_mean"] + (1 - MOMENTUM) * mean, rtol=1e-5
    )


@pytest.mark.parametrize(("shape", "axis"), [((6, 4), -1), ((3, 4, 5, 5), 1)])
def test_the_frozen_affine_map_is_the_same_in_training(shape, axis):
    x, layer = draw(*shape), FrozenAffine(axis=axis)
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(1)
    factor, shift = rng.normal(size=(2, shape[axis])).astype("float32")
    layer.factor.assign(factor)
    layer.shift.assign(shift)
    wanted = np.moveaxis(np.moveaxis(x, axis, -1) * factor + shift, -1, axis)
    layer.trainable = True
    assert layer.trainable_variables == []
    model = keras.Sequential([keras.Input(shape[1:]), layer])
    for training in (False, True):
        np.testing.assert_allclose(model(x, training=training), wanted, rtol=1e-6, atol=1e-6)


def test_of_a_partial_normalization_only_a_part_learns():
    x = draw(12, 4) + 2
    plain = built(layers.BatchNormalization, x.shape)
    parameters = built(PartialBatchNormalization, x.shape, learns="parameters")
    statistics = built(PartialBatchNormalization, x.shape, learns="statistics")
    was = named(plain)
    assert np.array_equal(parameters(x, training=True), plain(x))
    assert np.array_equal(statistics(x, training=True), plain(x, training=True))
    assert all(np.array_equal(named(parameters)[name], value) for name, value in was.items())
    assert all(np.array_equal(named(statistics)[n], v) for n, v in named(plain).items())
    assert [v.name for v in parameters.trainable_variables] == ["gamma", "beta"]
    assert statistics.trainable_variables == []


@pytest.mark.parametrize(
    "layer",
    [
        GhostBatchNormalization(parts=3, moving="mean", momentum=0.5),
        PartialBatchNormalization(learns="statistics"),
        FrozenAffine(axis=1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_they_are_saved_and_loaded(layer, tmp_path):
    model = keras.Sequential([keras.Input((4, 4)), layer])
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).uniform(0.5, 1.5, weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_config() == layer.get_config()
    x = draw(3, 4, 4)
    assert np.array_equal(loaded(x), model(x))
    assert len(loaded.trainable_variables) == len(model.trainable_variables)


def small(parts, moving="first"):
    """Return a network whose BN is that of `parts`, with the same weights each time."""
    keras.utils.set_random_seed(7)
    norm = (
        layers.BatchNormalization(momentum=0.8, name="bn")
        if parts == 1
        else GhostBatchNormalization(parts=parts, moving=moving, momentum=0.8, name="bn")
    )
    inputs = keras.Input((6,))
    x = layers.Dense(5, activation="tanh")(norm(layers.Dense(8)(inputs)))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def rows():
    x = draw(48, 6, seed=9)
    return x, np.sin(x.sum(axis=1, keepdims=True))


def trained(model, x, y, batch_size):
    model.fit(x, y, batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    return [np.asarray(weight).tolist() for weight in model.weights]


@pytest.mark.parametrize("steps", [2, 4])
def test_it_is_what_accumulating_gradients_over_steps_does(steps):
    x, y = rows()
    apart = small(1)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=steps)
    apart.compile(optimizer, "mse")
    ours = trained(small(steps, "in_turn"), x, y, 16)
    theirs = trained(apart, x, y, 16 // steps)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-6)


#: Trains on that many replicas without synchronization, each on a CPU of its own.
REPLICAS = """
import json, sys
import tensorflow as tf
count = int(sys.argv[1])
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
from tests.surgery.test_batchnorms import rows, small, trained
with tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(count)]).scope():
    model = small(1)
print(json.dumps(trained(model, *rows(), 16)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
def test_it_is_what_unsynchronized_replicas_do(replicas):
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS, str(replicas)],
        capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = trained(small(replicas), *rows(), 16)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-6)
    whole = trained(small(1), *rows(), 16)
    assert any(np.abs(np.subtract(a, b)).max() > 1e-3 for a, b in zip(whole, theirs, strict=True))
