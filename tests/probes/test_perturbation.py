import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from ablate.probes import make
from ablate.surgery import insert

DEPTH = 9


@pytest.fixture
def stack(chain):
    layers = [L.Dense(16, "relu", use_bias=False, name=f"d{i}") for i in range(1, DEPTH + 1)]
    return chain((16,), *layers, L.Dense(1, use_bias=False, name="out"))


@pytest.fixture
def x(rng):
    return rng.normal(size=(64, 16))


def test_one_percent_in_every_layer_is_9_3_percent_at_the_ninth(stack, context, x):
    probe = make("perturbation", kind="scale")
    probe.start(context(stack, x))
    found = probe.measure(0)
    for depth in range(1, DEPTH + 1):
        expected = 1.01**depth - 1
        assert found[f"scalar/all_scale/d{depth}/output"] == pytest.approx(expected, rel=1e-3)
    assert found["scalar/all_scale/d9/output"] == pytest.approx(0.0937, abs=5e-4)


def test_one_percent_in_the_first_layer_stays_one_percent(stack, context, x):
    probe = make("perturbation", layers="first", kind="scale")
    probe.start(context(stack, x))
    found = probe.measure(0)
    for depth in range(1, DEPTH + 1):
        assert found[f"scalar/first_scale/d{depth}/output"] == pytest.approx(0.01, rel=1e-3)
    assert found["scalar/first_scale/result"] == pytest.approx(0.01, rel=1e-3)
    assert not any("noise" in key or "all_" in key for key in found)


def test_next_to_nothing_is_left_behind_a_normalization(stack, context, x):
    model = insert(stack, "BatchNormalization", at="before_activation", where="hidden")
    probe = make("perturbation", kind="scale")
    probe.start(context(model, x))
    found = probe.measure(0)
    for depth in range(1, DEPTH + 1):
        assert found[f"scalar/all_scale/d{depth}/input"] < 1e-3
    # At inference the moving averages know nothing of the change, so it passes.
    probe = make("perturbation", kind="scale", layers="first", training=False)
    probe.start(context(model, x))
    rounding = 2e-3 if keras.backend.backend() == "torch" else 1e-3
    assert probe.measure(0)["scalar/first_scale/d1/input"] == pytest.approx(0.01, rel=rounding)


def test_noise_is_the_same_numbers_each_time(stack, context, x):
    probe = make("perturbation", share=0.1, kind="noise")
    probe.start(context(stack, x))
    first, second = probe.measure(0), probe.measure(1)
    assert first == second
    kernel = np.array(ops.convert_to_numpy(stack.get_layer("d1").kernel))
    noise = np.random.default_rng(0).standard_normal(kernel.shape)
    before = np.maximum(x @ kernel, 0)
    after = np.maximum(x @ (kernel * (1 + 0.1 * noise)), 0)
    expected = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert first["scalar/all_noise/d1/output"] == pytest.approx(expected, rel=1e-4)


def test_saturated_sigmoids_hide_a_change_and_normalized_ones_do_not(chain, context, x):
    plain = chain((16,), L.Dense(8, "sigmoid", name="d1"), L.Dense(1))
    plain.get_layer("d1").bias.assign(np.full(8, 12.0))
    normal = insert(plain, "BatchNormalization", at="before_activation", where="d1")
    found = {}
    for name, model in (("plain", plain), ("bn", normal)):
        probe = make("perturbation", layers="first", kind="noise")
        probe.start(context(model, x))
        found[name] = probe.measure(0)["scalar/first_noise/d1/output"]
    assert found["plain"] < 1e-4 < found["bn"]


def test_the_parameters_are_put_back(stack, context, x):
    before = [ops.convert_to_numpy(each) for each in stack.trainable_variables]
    probe = make("perturbation")
    probe.start(context(stack, x))
    probe.measure(0)
    for old, new in zip(before, stack.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(new))
