"""What differs between two models, layer by layer."""

import keras
import numpy as np
from keras import layers

from ablate.surgery import change, insert, replace
from ablate.surgery.compare import Comparison, LayerChange, compare
from tests.surgery.cases import CASES


def test_a_model_does_not_differ_from_its_copy():
    for name in ("plain", "three_levels", "siamese"):
        model, _ = CASES[name]()
        found = compare(model, change(model, "all", trainable=True))
        assert found == Comparison((), (), (), found.alike) and found.alike > 3


def test_layers_arguments_weights_flags_and_connections_are_told():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3), name="image")
    x = layers.Conv2D(4, 1, kernel_initializer="he_normal", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(inputs, layers.Dense(2, name="fc")(layers.Flatten(name="flat")(x)))
    other = change(model, "conv", kernel_initializer="zeros", activation="relu", trainable=False)
    other = replace(other, "norm", "LayerNormalization")
    other = insert(other, "Dropout", rate=0.5, at="after", where="norm")
    other.get_layer("fc").bias.assign([0.5, 0.0])
    found = compare(model, other)
    assert (found.first_only, found.second_only) == ((), (("norm_dropout", "Dropout"),))
    assert found.alike == 1
    conv, norm, flat, fc = found.changed
    assert conv == LayerChange(
        "conv",
        arguments={
            "activation": ("linear", "relu"),
            "kernel_initializer": ("HeNormal", "Zeros"),
        },
        trainable=(True, False),
    )
    assert norm.layer_class == ("BatchNormalization", "LayerNormalization")
    assert norm.weights == {"moving_mean": ((4,), None), "moving_variance": ((4,), None)}
    assert flat == LayerChange("flat", inputs=(("norm",), ("norm_dropout",)))
    assert fc == LayerChange("fc", weights={"bias": 0.5})


def test_values_that_are_not_numbers_are_no_difference_where_they_are_in_both():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="fc")])
    model.layers[0].bias.assign([np.nan, 1.0])
    assert compare(model, change(model, "fc", kernel_regularizer=None)).changed == ()
