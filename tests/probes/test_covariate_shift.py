import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from ablate.probes import make

X = np.array([[1.0], [2.0], [4.0]])
Y = np.array([[0.0], [1.0], [0.0]])


@pytest.fixture
def model(chain):
    """a·b·x with a = 2, b = 3, so that each gradient can be written down."""
    made = chain(
        (1,),
        L.Dense(1, use_bias=False, name="first"),
        L.Dense(1, use_bias=False, name="second"),
    )
    made.get_layer("first").kernel.assign([[2.0]])
    made.get_layer("second").kernel.assign([[3.0]])
    made.compile(keras.optimizers.SGD(0.25), "mse")
    return made


def slopes(a, b):
    residual = a * b * X - Y
    return np.mean(2 * residual * b * X), np.mean(2 * residual * a * X)


@pytest.mark.parametrize("step", [None, 0.01])
def test_the_shift_is_the_gradient_after_the_earlier_step(model, context, step):
    probe = make("covariate_shift", step=step)
    probe.start(context(model, X, Y))
    found = probe.measure(0)
    first, second = slopes(2.0, 3.0)
    moved = 2.0 - (0.25 if step is None else step) * first
    after = slopes(moved, 3.0)[1]
    assert found["scalar/second/l2"] == pytest.approx(abs(after - second), rel=1e-5)
    assert found["scalar/second/relative"] == pytest.approx(abs(after / second - 1), rel=1e-5)
    assert found["scalar/second/cosine"] == pytest.approx(np.sign(after * second))
    assert "scalar/first/l2" not in found


def test_nothing_has_moved_afterwards(model, context):
    probe = make("covariate_shift")
    probe.start(context(model, X, Y))
    probe.measure(0)
    assert ops.convert_to_numpy(model.get_layer("first").kernel).item() == 2.0
    assert ops.convert_to_numpy(model.get_layer("second").kernel).item() == 3.0


def test_the_inputs_move_with_the_layer_before(model, context):
    probe = make("covariate_shift")
    probe.start(context(model, X, Y))
    assert np.isnan(probe.measure(0)["scalar/second/mean_shift"])
    model.get_layer("first").kernel.assign([[6.0]])
    found = probe.measure(1)
    mean, deviation = X.mean(), X.std()
    expected = (6 * mean - 2 * mean) / (2 * deviation)
    assert found["scalar/second/mean_shift"] == pytest.approx(expected, rel=1e-5)
    assert found["scalar/second/deviation_shift"] == pytest.approx(np.log(3), rel=1e-5)
    assert found["scalar/first/mean_shift"] == 0


def test_a_probe_taken_up_again_compares_with_the_same(model, context):
    shared = context(model, X, Y)
    first, second = make("covariate_shift"), make("covariate_shift")
    first.start(shared)
    first.measure(0)
    second.start(shared)
    second.restore(first.state())
    model.get_layer("first").kernel.assign([[5.0]])
    assert first.measure(1) == second.measure(1)
