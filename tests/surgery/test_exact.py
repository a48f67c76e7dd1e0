"""The arithmetic that makes a batch normalization the identity to the last bit."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from ablate.surgery import exact
from ablate.surgery.exact import factor, is_identity, undoing

EPSILONS = [1e-12, 1e-5, 1e-3, 1e-1]


def spread(channels, seed=0):
    """Means and variances over most of float32's range, with dead channels among them."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=channels) * 10.0 ** rng.uniform(-20, 30, channels)
    variance = 10.0 ** rng.uniform(-30, 37, channels)
    variance[::7] = 0.0
    return mean, variance


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("channels", [1, 3, 7, 64, 4099])
def test_every_channel_is_exact_and_the_variance_hardly_moves(channels, epsilon):
    mean, variance = spread(channels)
    found = undoing(mean, variance, epsilon)
    assert found.exact.all()
    assert np.all(factor(found.variance, found.gamma, epsilon) == 1)
    moved = np.abs(found.variance - variance.astype("float32").astype("float64"))
    assert np.all(moved <= 1e-6 * (variance + epsilon))
    assert np.array_equal(found.beta, mean.astype("float32"))
    assert found.gamma.dtype == np.float32


def test_plain_square_root_is_not_exact():
    """The search is needed: without it about half of the channels are one unit off."""
    _, variance = spread(4096)
    variance = variance.astype("float32")
    share = np.mean(factor(variance, np.sqrt(variance + np.float32(1e-3)), 1e-3) == 1)
    assert 0.3 < share < 0.8


def test_the_factor_belongs_to_a_place_in_the_whole_vector():
    """A vectorized rsqrt may round otherwise at a vector's end: the whole must be put through."""
    _, variance = spread(4099)
    found = undoing(np.zeros(4099), variance, 1e-3)
    layer = keras.layers.BatchNormalization()
    layer.build((None, 4099))
    layer.set_weights([found.gamma, found.beta, found.mean, found.variance])
    x = np.random.default_rng(1).normal(size=(5, 4099)).astype("float32")
    assert np.array_equal(ops.convert_to_numpy(layer(x)), x)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
            st.floats(0, 2.0**127, width=32, allow_subnormal=False),
            st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(EPSILONS),
)
def test_a_layer_with_these_parameters_returns_its_input(channels, epsilon):
    mean, variance, x = (np.array(each) for each in zip(*channels, strict=True))
    found = undoing(mean, variance, epsilon)
    layer = keras.layers.BatchNormalization(epsilon=epsilon)
    layer.build((None, len(mean)))
    layer.set_weights([found.gamma, found.beta, found.mean, found.variance])
    x = x.astype("float32")[None]
    assert np.array_equal(ops.convert_to_numpy(layer(x)), x)


def test_dead_channels_keep_a_gamma_that_lets_gradients_through():
    found = undoing(np.array([0.0, 5.0]), np.zeros(2), 1e-3)
    assert np.allclose(found.gamma, np.sqrt(1e-3), rtol=1e-5)


def test_what_float32_cannot_hold_is_brought_into_range():
    found = undoing(np.array([np.inf, -1e300]), np.array([1e39, np.inf]), 1e-3)
    assert found.exact.all()
    assert np.isfinite([found.mean, found.variance, found.gamma, found.beta]).all()


def test_float64_is_exact():
    mean, variance = spread(100)
    found = undoing(mean, variance, 1e-3, dtype="float64")
    assert found.exact.all()
    assert found.gamma.dtype == np.float64


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("bfloat16", 1e-2)])
def test_half_precision_comes_close_and_does_not_overflow(dtype, tolerance):
    variance = np.array([0.0, 1e-4, 1.0, 7.0, 6e4, 1e9])
    found = undoing(np.array([0.0, 1.0, -2.0, 3.0, 6e4, 1e9]), variance, 1e-3, dtype=dtype)
    assert np.allclose(factor(found.variance, found.gamma, 1e-3), 1, atol=tolerance)
    assert found.gamma.dtype == keras.ops.convert_to_numpy(keras.ops.ones(1, dtype)).dtype


def test_identity_is_told_from_nearly_identity():
    found = undoing(np.array([1.0, 2.0]), np.array([3.0, 4.0]), 1e-3)
    parts = (found.mean, found.variance, found.gamma, found.beta)
    assert is_identity(*parts, 1e-3)
    assert not is_identity(*parts[:2], np.nextafter(found.gamma, np.float32(9)), found.beta, 1e-3)
    assert not is_identity(*parts[:3], np.nextafter(found.beta, np.float32(9)), 1e-3)
    assert not is_identity(*parts[:2], None, found.beta, 1e-3)
    ones, zeros = np.ones(2, "float32"), np.zeros(2, "float32")
    assert not is_identity(zeros, ones, None, None, 1e-3)
    assert is_identity(zeros, ones - np.float32(2**-10), None, None, 2**-10)


def test_a_root_that_moves_by_two_units_at_a_time_is_undone_too(monkeypatch):
    """As XLA's does on some processors: small moves alone stay beside 1 for more than a hundred."""

    def coarse(x, mean, variance, gamma, beta, epsilon):
        root = (1 / np.sqrt((variance + np.float32(epsilon)).astype("float64"))).astype("float32")
        factor = (root.view("int32") & ~1).view("float32") * gamma
        return x * factor + (beta - mean * factor)

    monkeypatch.setattr(exact, "_normalize", coarse)
    variance = np.float32(4) + np.arange(2000, dtype="float32") * np.float32(1e-5)
    found = undoing(np.zeros(2000), variance, 1e-3)
    assert found.exact.all()
    assert np.all(np.abs(found.variance - variance) <= 2e-4 * variance)
    monkeypatch.setattr(exact, "SMALL_MOVES", exact.MOVES)
    assert not undoing(np.zeros(2000), variance, 1e-3).exact.all()
