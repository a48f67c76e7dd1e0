"""Canonical paths: the same for the same place, whatever was built or inserted before."""

import keras
from keras import layers

from ablate.study.schema.placement import Placement
from ablate.surgery import canonical_paths, insert, remove
from tests.surgery.cases import CASES


def unnamed():
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, layers.Dense(4, activation="relu")(layers.Dense(4)(inner_in)))
    inputs = keras.Input((4,))
    x = layers.BatchNormalization()(layers.Dense(4, activation="relu")(inputs))
    x = layers.Dropout(0.1)(inner(x))
    left, right = layers.Dense(3, activation="relu")(x), layers.Dense(3, name="right")(x)
    x = layers.Add()([right, layers.BatchNormalization()(left)])
    return keras.Model(inputs, layers.Dense(2)(x))


PATHS = [
    "InputLayer[0]",
    "Dense[0]",
    "BatchNormalization[0]",
    "Functional[0]",
    "Functional[0]/InputLayer[0]",
    "Functional[0]/Dense[0]",
    "Functional[0]/Dense[1]",
    "Dropout[0]",
    "right",
    "Dense[1]",
    "BatchNormalization[1]",
    "Add[0]",
    "Dense[2]",
]


def test_automatic_names_become_class_and_ordinal():
    first, second = unnamed(), unnamed()
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    assert list(canonical_paths(first).values()) == PATHS
    assert list(canonical_paths(second).values()) == PATHS


def test_given_names_stay_but_for_those_keras_would_give():
    model, _ = CASES["three_levels"]()
    assert list(canonical_paths(model).values()) == [
        *("row", "fc", "middle", "middle/middle_row", "middle/deep", "middle/deep/deep_row"),
        *("middle/deep/fc", "middle/fc", "middle/Add[0]", "head"),
    ]


def test_insertion_shifts_nothing():
    base = unnamed()
    new = insert(
        base,
        [
            Placement(layer="BatchNormalization", at="before_activation", where="hidden"),
            Placement(layer="Dropout", rate=0.5, at="after", where="dense[0]"),
        ],
    )
    expected = {
        *PATHS,
        *("Dense[0]_bn", "Dense[0]_activation", "Dense[0]_dropout"),
        *("Dense[1]_bn", "Dense[1]_activation", "right_bn"),
        *("Functional[0]/Dense[0]_bn", "Functional[0]/Dense[1]_bn"),
        "Functional[0]/Dense[1]_activation",
    }
    for given in (None, base):
        paths = canonical_paths(new, given)
        assert set(paths.values()) == expected
        assert len(paths) == len(expected)
    assert canonical_paths(new)[new.layers[-1]] == "Dense[2]"


def test_an_inserted_layers_path_does_not_depend_on_other_placements():
    def path(*placements):
        model = insert(unnamed(), list(placements))
        found = canonical_paths(model)
        return next(p for layer, p in found.items() if layer.name.endswith("_layer_normalization"))

    one = Placement(layer="LayerNormalization", where="right")
    other = Placement(layer="Dropout", rate=0.5, where="hidden")
    assert path(one) == path(other, one) == path(one, other) == "right_layer_normalization"


def test_removal_shifts_nothing_given_the_base():
    base = unnamed()
    new = remove(base, "norm[0]")
    assert "BatchNormalization[0]" in canonical_paths(new).values()
    assert list(canonical_paths(new, base).values()) == [
        path for path in PATHS if path != "BatchNormalization[0]"
    ]


def test_a_layer_inserted_beside_an_inserted_one():
    model, _ = CASES["plain"]()
    once = insert(model, "BatchNormalization", where="fc")
    twice = insert(once, "Dropout", rate=0.5, where="fc_bn")
    assert "fc_bn_dropout" in canonical_paths(twice).values()
