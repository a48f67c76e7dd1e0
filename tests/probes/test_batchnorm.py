import numpy as np
import pytest
from keras import layers as L

from ablate.probes import make

X = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 40.0], [7.0, 20.0]])


@pytest.fixture
def model(chain):
    made = chain((2,), L.BatchNormalization(momentum=0.5, epsilon=1e-3, name="bn"))
    bn = made.get_layer("bn")
    bn.gamma.assign([2.0, 1.0])
    bn.beta.assign([0.0, -1.0])
    bn.moving_mean.assign([3.0, 20.0])
    bn.moving_variance.assign([4.0, 100.0])
    return made


def test_moving_stand_beside_batch_statistics(model, context):
    probe = make("batchnorm")
    probe.start(context(model, X))
    found = probe.measure(2)
    mean, variance = X.mean(0), X.var(0)
    np.testing.assert_allclose(found["batch_mean/bn"], mean)
    np.testing.assert_allclose(found["batch_variance/bn"], variance)
    np.testing.assert_array_equal(found["moving_mean/bn"], [3, 20])
    np.testing.assert_array_equal(found["gamma/bn"], [2, 1])
    gap = ([3, 20] - mean) / np.sqrt(variance + 1e-3)
    assert found["scalar/bn/mean_gap"] == pytest.approx(np.sqrt(np.mean(gap**2)), rel=1e-5)
    ratio = (np.array([4, 100]) + 1e-3) / (variance + 1e-3)
    assert found["scalar/bn/variance_ratio"] == pytest.approx(np.sqrt(np.prod(ratio)), rel=1e-5)
    # Four rows in batches of two: two steps an epoch, of which each halves what was there.
    assert found["scalar/bn/initial_share"] == 0.5**4


def test_the_two_modes_differ_by_their_statistics(model, context):
    probe = make("batchnorm")
    probe.start(context(model, X))
    found = probe.measure(0)

    def normalized(mean, variance):
        return (X - mean) / np.sqrt(np.asarray(variance) + 1e-3) * [2, 1] + [0, -1]

    rest, work = normalized([3, 20], [4, 100]), normalized(X.mean(0), X.var(0))
    expected = np.linalg.norm(work - rest) / np.linalg.norm(rest)
    assert found["scalar/mode_gap"] == pytest.approx(expected, rel=1e-5)


def test_a_network_without_normalization_has_nothing_to_measure(chain, context):
    probe = make("batchnorm")
    probe.start(context(chain((2,), L.Dense(1)), X))
    assert probe.measure(0) == {}
    assert probe.finish()["layers"].tolist() == []
