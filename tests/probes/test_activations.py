import numpy as np
import pytest
from keras import layers as L

from ablate.probes import make


@pytest.fixture
def probed(chain, context):
    """Two units: x and −x − 10, so the second is dead behind a ReLU."""
    model = chain((1,), L.Dense(2, "relu", name="hidden"), L.Dense(1))
    model.get_layer("hidden").kernel.assign([[1.0, -1.0]])
    model.get_layer("hidden").bias.assign([0.0, -10.0])
    x = np.array([[-1.0], [0.0], [1.0], [2.0]])
    probe = make("activations", unit=0, bins=4)
    probe.start(context(model, x))
    return probe, x


def test_percentiles_of_both_sides_by_hand(probed):
    probe, x = probed
    found = probe.measure(0)
    entering = np.concatenate([x, -x - 10], axis=1)
    leaving = np.maximum(entering, 0)
    for side, values in (("input", entering), ("output", leaving)):
        expected = np.percentile(values, [15, 50, 85])
        series = [found[f"scalar/hidden/{side}/p{p}"] for p in (15, 50, 85)]
        np.testing.assert_allclose(series, expected, atol=1e-6)
        unit = np.percentile(values[:, 0], [15, 50, 85])
        np.testing.assert_allclose(found[f"unit/hidden/{side}"], unit, atol=1e-6)
        np.testing.assert_array_equal(found[f"counts/hidden/{side}"], np.histogram(values, 4)[0])


def test_dead_units_are_counted(probed):
    probe, _ = probed
    found = probe.measure(0)
    assert found["scalar/hidden/dead"] == 0.5
    assert np.isnan(found["scalar/hidden/saturated"])
    assert probe.finish()["activation"].tolist() == ["relu"]


def test_saturated_sigmoids_are_counted(chain, context):
    model = chain((1,), L.Dense(1, "sigmoid", name="hidden"), L.Dense(1))
    model.get_layer("hidden").kernel.assign([[1.0]])
    probe = make("activations")
    probe.start(context(model, [[-5.0], [0.0], [5.0], [1.0]]))
    assert probe.measure(0)["scalar/hidden/saturated"] == 0.5


def test_every_measurement_has_the_same_keys_and_shapes(probed):
    probe, _ = probed
    first, second = probe.measure(0), probe.measure(1)
    assert {key: np.shape(value) for key, value in first.items()} == {
        key: np.shape(value) for key, value in second.items()
    }
