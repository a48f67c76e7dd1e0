import numpy as np
import pytest
from keras import layers as L

from ablate.probes import make
from ablate.probes.variance_shift import closed_form


@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_at_mean_zero_the_ratio_is_one_over_keep(keep):
    assert closed_form(0.0, 3.0, keep) == pytest.approx(1 / keep)


def test_behind_the_relu_of_a_standard_normal_it_is_2_47():
    mean, second = 1 / np.sqrt(2 * np.pi), 0.5
    assert closed_form(mean, second - mean**2, 0.5) == pytest.approx(2.47, abs=0.005)


@pytest.mark.parametrize(("before", "ratio"), [([], 2.0), ([L.ReLU(name="relu")], 2.47)])
def test_a_dropout_directly_before_shifts_the_variance_so(chain, context, rng, before, ratio):
    model = chain((4,), *before, L.Dropout(0.5, seed=1, name="d"), L.BatchNormalization(name="bn"))
    probe = make("variance_shift", samples=20)
    probe.start(context(model, rng.normal(size=(4000, 4))))
    found = probe.measure(0)
    assert found["scalar/bn/dropout_ratio"] == pytest.approx(ratio, rel=0.03)
    assert found["scalar/bn/closed_form"] == pytest.approx(ratio, rel=0.05)
    assert found["scalar/bn/over_closed_form"] == pytest.approx(1, rel=0.03)
    assert probe.finish()["feeds"].tolist() == ["d → bn"]


def test_the_shift_is_the_larger_of_the_two_ratios(chain, context):
    model = chain((2,), L.BatchNormalization(name="bn"))
    model.get_layer("bn").moving_variance.assign([0.5, 8.0])
    x = np.array([[1.0, 0.0], [3.0, 4.0]])  # variances 1 and 4
    probe = make("variance_shift")
    probe.start(context(model, x))
    found = probe.measure(0)
    np.testing.assert_allclose(found["inference_variance/bn"], [1, 4])
    assert found["scalar/bn/shift"] == pytest.approx((2 + 2) / 2, rel=1e-3)
    assert found["scalar/bn/dropout_ratio"] == 1
    assert "scalar/bn/closed_form" not in found
    assert probe.finish()["feeds"].tolist() == []


def test_a_dropout_after_the_last_normalization_shifts_nothing(chain, context, rng):
    model = chain((3,), L.BatchNormalization(name="bn"), L.Dropout(0.5), L.Dense(1))
    probe = make("variance_shift")
    probe.start(context(model, rng.normal(size=(32, 3))))
    assert probe.measure(0)["scalar/bn/dropout_ratio"] == pytest.approx(1)
