"""Statistics alone: gamma and beta stay, and the function changes as in training."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from ablate import surgery
from ablate.study.schema.placement import Placement


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


def test_what_is_to_change_nothing_is_set_before_statistics_are_measured_behind_it():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu", name="a")(inputs)
    hidden = keras.layers.Dense(4, activation="relu", name="b")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(2, name="c")(hidden))
    x = np.random.default_rng(0).normal(3.0, 2.0, (64, 3)).astype("float32")
    norm = {"layer": "BatchNormalization", "at": "before_activation", "epsilon": 0.5}
    placed = [
        Placement(**norm, where="a", calibrate=True),
        Placement(**norm, where="b", calibrate="statistics"),
    ]
    new = surgery.insert(model, placed, calibrate=x)
    alone = surgery.insert(model, placed[1:], calibrate=x)
    ours, theirs = new.get_layer("b_bn"), alone.get_layer("b_bn")
    np.testing.assert_array_equal(ours.moving_mean, theirs.moving_mean)
    np.testing.assert_array_equal(ours.moving_variance, theirs.moving_variance)
    np.testing.assert_array_equal(new(x), alone(x))


def test_renormalized_layers_are_measured_as_plain_ones_are():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="relu", name="a")(inputs)
    hidden = keras.layers.Dense(4, activation="relu", name="b")(hidden)
    model = keras.Model(inputs, keras.layers.Dense(2, name="c")(hidden))
    x = np.random.default_rng(0).normal(3.0, 2.0, (64, 3)).astype("float32")
    plain, renormed = (
        surgery.insert(
            model,
            [
                Placement(
                    layer="BatchNormalization",
                    at="before_activation",
                    calibrate="statistics",
                    **more,
                )
            ],
            calibrate=x,
        )
        for more in ({}, {"renorm": True, "renorm_clipping": {"rmax": 3.0, "dmax": 5.0}})
    )
    np.testing.assert_array_equal(plain(x), renormed(x))
    again = surgery.calibrate(renormed, x, keep="parameters", batch_size=64)
    for name in ("a_bn", "b_bn"):
        norm = again.get_layer(name)
        assert norm.renorm
        np.testing.assert_array_equal(norm.renorm_mean, norm.moving_mean)
        deviation = np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
        np.testing.assert_allclose(norm.renorm_stddev, deviation, rtol=1e-6)
    # Consistent statistics correct the batch's own away: training starts from the function.
    np.testing.assert_allclose(again(x, training=True), again(x), rtol=1e-4, atol=1e-4)
