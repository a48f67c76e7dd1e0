"""What a model that is handed over begins with."""

import keras
import numpy as np
import pytest

from ablate.models.origin import compiled_with, untrained
from ablate.study.archives import compiled_in

layers = keras.layers


def network(**arguments):
    x = keras.Input((6, 4))
    y = layers.LSTM(3, name="rnn")(x)
    y = layers.Dense(5, name="fc", **arguments)(y)
    y = layers.BatchNormalization(name="bn")(y)
    return keras.Model(x, layers.Dense(2, use_bias=False, name="out")(y))


def test_a_model_that_nothing_trained_looks_untrained():
    assert untrained(network()) == (["fc", "bn"], True)
    assert untrained(network(bias_initializer=keras.initializers.Constant(0.1))) == (
        ["fc", "bn"], True,
    )  # fmt: skip
    assert untrained(network(bias_initializer="random_normal")) == (["bn"], True)


def test_a_step_of_training_shows():
    model = network()
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 6, 4))
    model.fit(x, np.ones((8, 2)), verbose=0)
    assert untrained(model) == ([], False)
    new = keras.Model(model.input, layers.Dense(1, name="new")(model.output))
    assert untrained(new) == (["new"], False)
    assert untrained(new, fresh=["new"]) == ([], False)


def test_nested_layers_have_their_paths_and_nothing_is_said_where_nothing_tells():
    x = keras.Input((6, 4))
    outer = keras.Model(x, network()(x), name="outer")
    (inner,) = (each.name for each in outer.layers if isinstance(each, keras.Model))
    found, whole = untrained(outer)
    assert sorted(found) == [f"{inner}/bn", f"{inner}/fc"] and whole
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(2, use_bias=False)])
    assert untrained(plain) == ([], False)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore")
def test_files_tell_how_they_were_compiled(ending, tmp_path):
    model = network()
    path = tmp_path / f"model.{ending}"
    model.save(path)
    assert compiled_in(path) is None and compiled_with(model) is None
    model.compile(keras.optimizers.AdamW(0.002), "mse", metrics=["mae"])
    model.save(path)
    again = network()  # saving as .h5 takes the optimizer out of what a model says of itself
    again.compile(keras.optimizers.AdamW(0.002), "mse", metrics=["mae"])
    for found in (compiled_in(path), compiled_with(again)):
        assert found["optimizer"]["class_name"] == "AdamW" and found["loss"] == "mse"
        assert found["optimizer"]["config"]["learning_rate"] == pytest.approx(0.002)


def test_what_is_no_file_of_keras_tells_nothing(tmp_path):
    (tmp_path / "a").write_text("nothing")
    assert compiled_in(tmp_path / "a") is None and compiled_in(tmp_path / "b") is None
