from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers as L

from ablate.probes import make
from ablate.probes.gradient import Slope, cosine, norm

X = np.array([[1.0], [2.0]], "float32")
Y = np.array([[1.0], [0.0]], "float32")


@pytest.fixture
def line(chain):
    """w·x with w = 3, no bias; the loss is the mean of (w x − y)²."""
    model = chain((1,), L.Dense(1, use_bias=False, name="line"))
    model.get_layer("line").kernel.assign([[3.0]])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


def test_the_slope_of_a_line(line):
    loss, (gradient,) = Slope(line, line.trainable_variables)(X, Y)
    residual = 3 * X - Y
    assert loss == pytest.approx(np.mean(residual**2))
    np.testing.assert_allclose(gradient, [[np.mean(2 * residual * X)]], rtol=1e-6)


def test_regularizers_are_part_of_the_loss(chain):
    model = chain((1,), L.Dense(1, use_bias=False, kernel_regularizer="l2", name="line"))
    model.get_layer("line").kernel.assign([[3.0]])
    model.compile("sgd", "mse")
    loss, (gradient,) = Slope(model, model.trainable_variables)(X, Y)
    assert loss == pytest.approx(np.mean((3 * X - Y) ** 2) + 0.01 * 9)
    assert gradient[0, 0] == pytest.approx(np.mean(2 * (3 * X - Y) * X) + 0.02 * 3, rel=1e-6)


def test_an_unused_variable_has_a_gradient_of_zero(line):
    spare = keras.Variable(np.ones(2, "float32"))
    _, gradients = Slope(line, [*line.trainable_variables, spare])(X, Y)
    np.testing.assert_array_equal(gradients[1], [0, 0])


def test_norms_and_angles_run_over_all_arrays():
    assert norm([np.array([3.0]), np.array([[4.0]])]) == 5.0
    assert cosine([np.array([1.0]), np.array([0.0])], [np.array([1.0]), np.array([1.0])]) == (
        pytest.approx(np.sqrt(0.5))
    )
    assert np.isnan(cosine([np.zeros(2)], [np.ones(2)]))


def test_the_probe_tells_norms_and_shares(line, context):
    probe = make("gradients", small=1e-3, large=10.0)
    probe.start(context(line, X, Y))
    found = probe.measure(1)
    gradient = np.mean(2 * (3 * X - Y) * X)
    assert found["scalar/norm"] == pytest.approx(gradient)
    assert found["scalar/line/norm"] == pytest.approx(gradient)
    assert found["scalar/line/relative"] == pytest.approx(gradient / 3)
    assert (found["scalar/line/vanished"], found["scalar/line/exploded"]) == (0, 1)
    line.get_layer("line").kernel.assign([[0.2]])  # where the loss is least: Σxy / Σx²
    found = probe.measure(2)
    assert (found["scalar/line/vanished"], found["scalar/line/exploded"]) == (1, 0)
    line.get_layer("line").kernel.assign([[np.nan]])
    assert probe.measure(3)["scalar/line/exploded"] == 1


def test_sigmoids_stacked_deep_lose_their_gradient(chain, context, rng):
    layers = [L.Dense(8, "sigmoid", name=f"d{i}") for i in range(6)]
    probe = make("gradients")
    x = rng.normal(size=(16, 4))
    probe.start(context(chain((4,), *layers, L.Dense(1, name="out")), x, rng.normal(size=(16, 1))))
    found = probe.measure(0)
    norms = [found[f"scalar/d{i}/norm"] for i in range(6)]
    assert all(later > 2 * earlier for earlier, later in pairwise(norms))
