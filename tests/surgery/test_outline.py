from __future__ import annotations

import keras
import pytest

from ablate.errors import SurgeryError
from ablate.surgery import outline


def test_layers_from_input_to_output_with_nested_models_opened():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name="one"), keras.layers.ReLU(name="two")],
        name="tower",
    )
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    joined = keras.layers.Concatenate(name="joined")([inner(left), inner(right)])
    model = keras.Model([left, right], keras.layers.Dropout(0.5, name="out")(joined))
    found = outline(model)
    assert [(each.path, each.layer, each.size, each.call) for each in found] == [
        ("left", "InputLayer", "", 0),
        ("right", "InputLayer", "", 0),
        ("tower/one", "Dense", "3", 0),
        ("tower/two", "ReLU", "", 0),
        ("tower/one", "Dense", "3", 1),
        ("tower/two", "ReLU", "", 1),
        ("joined", "Concatenate", "", 0),
        ("out", "Dropout", "rate 0.5", 0),
    ]
    assert [each.inputs for each in found] == [(), (), (0,), (2,), (1,), (4,), (3, 5), (6,)]
    assert [each.path for each in found if each.output] == ["out"]


def test_an_output_inside_a_nested_model_is_an_output():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="last")], name="body")
    x = keras.Input((4,), name="x")
    found = outline(keras.Model(x, inner(x)))
    assert [(each.path, each.output) for each in found] == [("x", False), ("body/last", True)]


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(SurgeryError):
        outline(Own())
