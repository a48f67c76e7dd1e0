import numpy as np
import pytest
from keras import layers as L

from ablate.probes import make
from ablate.probes.predictions import entropy, labels, probabilities


@pytest.fixture
def model(chain):
    """Two units that pass x on, one of them dropped half of the time, then their mean."""
    made = chain(
        (2,),
        L.Dense(2, "relu", use_bias=False, name="hidden"),
        L.Dropout(0.5, seed=3),
        L.Dense(1, use_bias=False, name="out"),
    )
    made.get_layer("hidden").kernel.assign(np.eye(2))
    made.get_layer("out").kernel.assign([[0.5], [0.5]])
    return made


X = np.array([[2.0, 0.0], [1.0, 3.0], [-1.0, 4.0]])
Y = np.array([[1.0], [2.0], [2.0]])


def test_sparsity_by_hand(model, context):
    probe = make("dropout", samples=2, bins=4)
    probe.start(context(model, X, Y))
    found = probe.measure(0)
    hidden = np.maximum(X, 0)
    assert found["scalar/hidden/mean"] == pytest.approx(hidden.mean())
    assert found["scalar/hidden/zero"] == pytest.approx(2 / 6)
    np.testing.assert_array_equal(
        found["counts/hidden/unit_mean"], np.histogram(hidden.mean(0), 4)[0]
    )


def test_many_samples_average_to_the_scaled_network(model, context):
    probe = make("dropout", samples=400)
    probe.start(context(model, X, Y))
    found = probe.measure(0)
    assert found["scalar/scaled_error"] == pytest.approx(0)  # the mean of the two is the target
    assert found["error"].shape == probe.finish()["samples"].shape
    assert found["scalar/averaged_error"] == found["error"][-1]
    assert found["error"][-1] < 0.05 < found["error"][0]
    # A unit of value a, kept half of the time at 2a and weighed by 1/2: deviation a/2.
    expected = np.sqrt((np.maximum(X, 0) ** 2).sum(1)) / 2
    assert found["scalar/spread"] == pytest.approx(expected.mean(), rel=0.1)


def test_a_rate_of_its_own_thins_whatever_the_layers_drop(chain, context):
    made = chain((1,), L.Dropout(0.0, name="drop"), L.Dense(1, use_bias=False, name="out"))
    made.get_layer("out").kernel.assign([[1.0]])
    x = np.ones((4000, 1))
    one = make("dropout", samples=1, rate=0.75)
    one.start(context(made, x, x, seed=3))
    found = one.measure(2)
    # Kept with probability 1/4, then worth 4: squared errors of 1 (three in four) and of 9.
    assert found["scalar/averaged_error"] == pytest.approx(3, rel=0.1)
    assert found["scalar/scaled_error"] == 0
    again = make("dropout", samples=1, rate=0.75)
    again.start(context(made, x, x, seed=3))
    assert again.measure(2) == found


def test_without_a_dropout_there_is_nothing_to_average(chain, context):
    probe = make("dropout")
    probe.start(context(chain((2,), L.Dense(2, "relu", name="hidden"), L.Dense(1)), X, Y))
    found = probe.measure(0)
    assert "error" not in found and "scalar/hidden/zero" in found


def test_classes_have_errors_and_entropies(chain, context):
    model = chain((2,), L.Dropout(0.5, seed=1), L.Dense(2, "softmax", use_bias=False, name="out"))
    model.get_layer("out").kernel.assign(np.eye(2) * 9)
    x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    probe = make("dropout", samples=20)
    probe.start(context(model, x, np.array([0, 1, 1]), task="classification", classes=2))
    found = probe.measure(0)
    assert found["scalar/scaled_error"] == pytest.approx(1 / 3)
    chances = np.array([1, np.exp(-9)]) / (1 + np.exp(-9))
    assert found["scalar/scaled_entropy"] == pytest.approx(entropy(chances), rel=1e-3)
    assert found["scalar/averaged_entropy"] > found["scalar/scaled_entropy"]


def test_probabilities_come_of_softmax_sigmoid_and_logits():
    def of(*rows):
        return probabilities(np.array(rows))

    np.testing.assert_allclose(of([0.2, 0.8]), [[0.2, 0.8]])
    np.testing.assert_allclose(of([0.3]), [[0.7, 0.3]])
    np.testing.assert_allclose(of([0.0], [-2.0])[0], [0.5, 0.5])
    np.testing.assert_allclose(of([0.0, np.log(3)]), [[0.25, 0.75]])
    assert labels(np.array([[0, 1], [1, 0]])).tolist() == [1, 0]
    assert labels(np.array([[2.0], [1.0]])).tolist() == [2, 1]
    assert entropy(np.array([0.5, 0.5])) == pytest.approx(np.log(2))
    assert entropy(np.array([1.0, 0.0])) == 0
