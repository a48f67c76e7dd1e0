import numpy as np
import pytest
from keras import layers as L

from ablate.errors import StudyError
from ablate.probes import make

X = np.array([[-1.0], [0.0], [1.0]])


def test_the_curve_of_a_line_goes_beyond_the_data(chain, context):
    model = chain((1,), L.Dense(1, name="line"))
    model.get_layer("line").kernel.assign([[2.0]])
    model.get_layer("line").bias.assign([1.0])
    probe = make("fitted_curve", points=5, margin=0.5)
    probe.start(context(model, X, 2 * X))
    found, left = probe.measure(0), probe.finish()
    np.testing.assert_allclose(left["grid"], [-2, -1, 0, 1, 2])
    np.testing.assert_allclose(found["curve"], [-3, -1, 1, 3, 5])
    np.testing.assert_allclose(left["train_y"], [-2, 0, 2])
    assert set(found) == {"curve"}


def test_thinned_networks_spread(chain, context):
    model = chain((1,), L.Dropout(0.5, seed=1), L.Dense(1, use_bias=False, name="line"))
    model.get_layer("line").kernel.assign([[1.0]])
    probe = make("fitted_curve", points=3, margin=0.0, samples=200)
    probe.start(context(model, X, X))
    np.testing.assert_allclose(probe.measure(0)["spread"], [1, 0, 1], atol=0.05)


def test_anything_but_one_number_is_refused(chain, context):
    with pytest.raises(StudyError, match="a function of one number"):
        make("fitted_curve").start(context(chain((2,), L.Dense(1)), np.zeros((4, 2))))
