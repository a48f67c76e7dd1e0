"""Networks deeper than Python nests calls go through every operation."""

import keras
import numpy as np
import pytest
from keras import layers

from ablate.surgery import calibrate, certify, fold, fold_report, insert, remove
from ablate.surgery.recursion_limit import deep_graphs

X = np.abs(np.random.default_rng(0).normal(size=(8, 3))).astype("float32")


def chain(depth, every):
    """A chain of `depth` layers: a Dense, then activations, time and again."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((3,))
    for number in range(depth):
        if number % every == 0:
            x = layers.Dense(3, kernel_initializer="identity", name=f"dense{number}")(x)
        else:
            x = layers.ReLU(name=f"relu{number}")(x)
    with deep_graphs():
        return keras.Model(inputs, layers.Dense(2, name="out")(x))


def test_a_chain_of_a_thousand_layers_goes_through_surgery():
    model = chain(1000, every=500)
    new = insert(model, "BatchNormalization", at="after", where="Dense")
    assert len(new.layers) == len(model.layers) + 2
    assert fold(new).get_config() == remove(new).get_config() == model.get_config()
    assert certify(model, new, X, paths=("eager",)).max_rel_diff < 0.01


@pytest.mark.slow
def test_a_chain_of_a_thousand_layers_is_calibrated_and_certified():
    model = chain(1000, every=20)
    new = insert(model, "BatchNormalization", at="after", where="Dense", calibrate=X)
    assert certify(model, new, X).identical
    again = calibrate(new, X)
    assert len(fold_report(again).foldings) == 50
    assert fold(again).get_config() == remove(again).get_config() == model.get_config()
