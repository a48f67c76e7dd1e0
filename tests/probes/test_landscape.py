import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from ablate.probes import make

X = np.array([[1.0], [2.0]])
Y = np.array([[0.0], [0.0]])


def test_a_parabola_by_hand(chain, context):
    """L(w) = m w² with m = mean x²: the smoothness is its second derivative 2m everywhere."""
    model = chain((1,), L.Dense(1, use_bias=False, name="line"))
    model.get_layer("line").kernel.assign([[3.0]])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    probe = make("landscape", steps=3, nearest=0.5, farthest=2.0)
    probe.start(context(model, X, Y))
    found = probe.measure(0)
    m, w = np.mean(X**2), 3.0
    gradient = 2 * m * w
    lengths = np.array([0.5, 1.0, 2.0]) * 0.1
    np.testing.assert_allclose(probe.finish()["lengths"] * 0.1, lengths)
    points = w - lengths * gradient
    assert found["scalar/loss"] == pytest.approx(m * w**2)
    np.testing.assert_allclose(found["loss"], m * points**2, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found["distance"], np.abs(2 * m * points - gradient), rtol=1e-5)
    assert found["scalar/smoothness"] == pytest.approx(2 * m, rel=1e-5)
    assert found["scalar/loss_low"] == found["loss"].min()
    assert found["scalar/distance_high"] == found["distance"].max()
    assert ops.convert_to_numpy(model.get_layer("line").kernel).item() == 3.0


def test_at_a_minimum_there_is_no_direction(chain, context):
    model = chain((1,), L.Dense(1, use_bias=False, name="line"))
    model.get_layer("line").kernel.assign([[0.0]])
    probe = make("landscape")
    probe.start(context(model, X, Y))
    assert np.isnan(probe.measure(0)["scalar/smoothness"])
