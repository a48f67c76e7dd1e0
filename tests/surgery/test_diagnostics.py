"""Dropout that feeds a BatchNormalization is told."""

import keras
from keras import layers

from ablate.surgery import dropout_before_norm
from tests.surgery.cases import CASES


def stack(*chain):
    return keras.Sequential([keras.Input((4,)), *chain])


def test_the_first_normalization_downstream_is_told():
    model = stack(
        layers.Dropout(0.5, name="drop"),
        layers.Dense(4, activation="relu", name="fc"),
        layers.BatchNormalization(name="norm1"),
        layers.BatchNormalization(name="norm2"),
        layers.Dropout(0.5, name="last"),
    )
    assert dropout_before_norm(model) == [("drop", "norm1")]


def test_every_branch_is_followed():
    inputs = keras.Input((4,))
    x = layers.SpatialDropout1D(0.1, name="drop")(layers.Reshape((2, 2))(inputs))
    left = layers.BatchNormalization(name="left")(x)
    right = layers.BatchNormalization(name="right")(layers.Conv1D(2, 1)(x))
    model = keras.Model(inputs, layers.Add()([left, right]))
    assert dropout_before_norm(model) == [("drop", "left"), ("drop", "right")]


def test_what_does_no_harm_is_not_told():
    assert dropout_before_norm(CASES["plain"]()[0]) == []
    assert dropout_before_norm(stack(layers.Dropout(0.0), layers.BatchNormalization())) == []
    assert dropout_before_norm(stack(layers.BatchNormalization(), layers.Dropout(0.5))) == []
    assert dropout_before_norm(stack(layers.Dropout(0.5), layers.LayerNormalization())) == []
