"""Moments of a batch in the graph, and their merging on the host."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.surgery.statistics import Moments, merge, reduce


class Reduced(keras.layers.Layer):
    """`reduce` as a layer, so that a test can run it in graph execution, as a pass does."""

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return reduce(inputs, self.axis, mask)

    def compute_mask(self, inputs, previous_mask):
        return None


def reduced(x, axis=-1):
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    model = keras.Model(inputs, Reduced(axis, dtype=x.dtype.name)(inputs))
    return Moments.unpack(model.predict_on_batch(x))


def in_numpy(x, axis=-1):
    values = np.moveaxis(x.astype("float64"), axis, -1).reshape(-1, x.shape[axis])
    return len(values), values.mean(0), ((values - values.mean(0)) ** 2).sum(0)


def assert_moments(moments, expected, rtol):
    count, mean, m2 = expected
    assert moments.count == count
    deviation = np.sqrt(m2 / count)
    assert np.all(np.abs(moments.mean - mean) <= rtol * (deviation + np.abs(mean) * 1e-3))
    assert np.allclose(moments.m2, m2, rtol=rtol)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((7, 5), -1), ((4, 6, 3), -1), ((4, 6, 5, 3), 3), ((4, 3, 6, 5), 1), ((2, 4, 3, 5, 3), -1)],
)
def test_moments_of_a_batch_match_numpy(shape, axis):
    x = np.random.default_rng(0).normal(3, 2, shape).astype("float32")
    assert_moments(reduced(x, axis), in_numpy(x, axis), 1e-6)


def test_a_mean_far_above_the_deviation_does_not_eat_the_variance():
    x = np.random.default_rng(0).normal(1000, 1, (8, 50, 50, 3)).astype("float32")
    assert_moments(reduced(x), in_numpy(x), 1e-5)


def test_half_precision_is_reduced_in_full():
    x = np.random.default_rng(0).normal(300, 200, (8, 30, 30, 3)).astype("float16")
    assert_moments(reduced(x), in_numpy(x), 1e-5)


def test_masked_positions_do_not_count():
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 0], [0, 0, 0, 0]])
    inputs = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(4, 3, mask_zero=True)(inputs)
    embed = keras.Model(inputs, embedded)
    moments = Moments.unpack(keras.Model(inputs, Reduced()(embedded)).predict_on_batch(ids))
    values = embed.predict_on_batch(ids)[ids != 0]
    assert_moments(moments, in_numpy(values), 1e-6)


def test_a_batch_that_is_masked_whole_counts_nothing():
    inputs = keras.Input((4,), dtype="int32")
    embedded = keras.layers.Embedding(4, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, Reduced()(embedded))
    moments = Moments.unpack(model.predict_on_batch(np.zeros((2, 4), "int32")))
    assert moments.count == 0
    assert np.array_equal(merge(moments, Moments.none(3)).m2, np.zeros(3))


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.floats(-1e4, 1e4),
    st.integers(0, 1000),
)
def test_merged_parts_are_the_whole(sizes, offset, seed):
    """However the rows are cut, Chan's formula gives the moments of all of them."""
    rows = np.random.default_rng(seed).normal(offset, 1, (sum(sizes), 3))
    total = Moments.none(3)
    for part in np.split(rows, np.cumsum(sizes)[:-1]):
        total = merge(total, Moments(*in_numpy(part)))
    count, mean, m2 = in_numpy(rows)
    assert total.count == count
    assert np.allclose(total.mean, mean, rtol=1e-12)
    assert np.allclose(total.m2, m2, rtol=1e-8, atol=1e-9 * (1 + abs(offset)))
