"""Statistics alone: gamma and beta stay, and the function changes as in training."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from ablate import surgery
from ablate.study.placement import Placement


def test_the_layer_normalizes_what_it_sees():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu", name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="b")(hidden))
    x = np.random.default_rng(0).normal(3.0, 2.0, (64, 3)).astype("float32")
    placed = Placement(
        layer="BatchNormalization", at="before_activation", where="a", calibrate="statistics"
    )
    new = surgery.insert(model, [placed], calibrate=x)
    norm = new.get_layer("a_bn")
    before = x @ model.get_layer("a").get_weights()[0] + model.get_layer("a").get_weights()[1]
    np.testing.assert_array_equal(ops.convert_to_numpy(norm.gamma), 1.0)
    np.testing.assert_array_equal(ops.convert_to_numpy(norm.beta), 0.0)
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_mean), before.mean(0), rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_variance), before.var(0), rtol=1e-5)
    assert np.abs(new.predict(x, verbose=0) - model.predict(x, verbose=0)).max() > 0.1
