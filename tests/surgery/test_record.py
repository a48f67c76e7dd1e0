"""The record of what was inserted: where it goes, and what it survives."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from ablate.surgery import Inserted, fold, insert, inserted, remove
from tests.surgery.cases import CASES


def test_entries_say_what_was_done():
    model, _ = CASES["plain"]()
    new = insert(model, "BatchNormalization", at="before_activation", where="fc", name="bn1")
    assert inserted(new) == (
        Inserted(
            host="fc",
            layer="Activation",
            name="fc_activation",
            path="fc_activation",
            at="before_activation",
            label="activation",
            role="activation",
        ),
        Inserted(
            host="fc",
            layer="BatchNormalization",
            name="fc_bn",
            path="fc_bn",
            at="before_activation",
            label="bn1",
        ),
    )
    assert inserted(model) == ()


@pytest.mark.parametrize("name", ["plain", "sequential", "three_levels", "dictionaries"])
def test_it_survives_a_configuration_round_trip(name):
    model, _ = CASES[name]()
    new = insert(model, "Dropout", rate=0.5)
    again = type(new).from_config(json.loads(json.dumps(new.get_config())))
    assert inserted(again) == inserted(new)


def test_it_survives_the_older_file_format(tmp_path):
    model, x = CASES["plain"]()
    new = insert(model, "BatchNormalization", at="before_activation")
    new.save(tmp_path / "new.h5")
    loaded = keras.models.load_model(tmp_path / "new.h5")
    assert inserted(loaded) == inserted(new)
    assert np.array_equal(remove(loaded)(x), model(x))


FOREIGN = """
import sys
import keras
model = keras.models.load_model(sys.argv[1])
assert not any(name.split(".")[0] == "ablate" for name in sys.modules)
assert type(model.layers[0]) is keras.layers.InputLayer
model.save(sys.argv[2])
"""


def test_it_survives_a_process_that_has_never_heard_of_it(tmp_path):
    model, x = CASES["plain"]()
    new = insert(model, "BatchNormalization", at="before_activation")
    there, back = tmp_path / "there.keras", tmp_path / "back.keras"
    new.save(there)
    command = [sys.executable, "-c", FOREIGN, str(there), str(back)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = keras.models.load_model(back)
    assert inserted(loaded) == inserted(new)
    assert np.array_equal(loaded(x), new(x))
    plain = remove(loaded)
    assert np.array_equal(plain(x), model(x))
    assert [layer.name for layer in plain.layers] == [layer.name for layer in model.layers]


def test_the_inputs_own_setting_comes_back():
    model, _ = CASES["optional_input"]()
    new = insert(model, "Dropout", rate=0.5)
    assert [each.optional for each in remove(new).layers if hasattr(each, "optional")] == [
        *(False, True),
    ]
    inputs = keras.Input((3,), optional=True)
    optional = keras.Model(inputs, layers.Dense(2, name="head")(layers.Dense(3, name="fc")(inputs)))
    assert remove(insert(optional, "Dropout", rate=0.5)).layers[0].optional is True


def test_layers_that_are_gone_are_not_told():
    model, _ = CASES["plain"]()
    new = insert(model, "Dropout", rate=0.5)
    part = keras.Model(new.input, new.get_layer("conv2").output)
    assert [each.name for each in inserted(part)] == ["conv1_dropout"]


def test_a_model_inside_another_keeps_its_record():
    model, _ = CASES["submodel"]()
    backbone = insert(model, "Dropout", rate=0.5, where="conv")
    inputs = keras.Input((8, 8, 3), name="outer_image")
    x = layers.Dense(4, activation="relu", name="top")(backbone(inputs))
    outer = keras.Model(inputs, layers.Dense(2, name="head")(x), name="outer")
    assert [each.path for each in inserted(outer)] == [
        *("features/conv1_dropout", "features/conv2_dropout"),
    ]
    more = insert(outer, "BatchNormalization", at="before_activation", where="top")
    assert [each.path for each in inserted(more)] == [
        *("top_activation", "top_bn", "features/conv1_dropout", "features/conv2_dropout"),
    ]
    less = remove(more, "features/conv1_dropout")
    assert [each.name for each in inserted(less)] == ["top_activation", "top_bn", "conv2_dropout"]
    assert inserted(remove(more)) == ()
    assert remove(more).get_layer("features").get_config() == model.get_config()


def test_what_is_no_record_is_no_record():
    for strange in ("text", "[1]", "{}", True):
        inputs = keras.Input((3,))
        model = keras.Model(inputs, layers.Dense(2)(inputs))
        model.layers[0].optional = strange
        assert inserted(model) == ()


def twins(**arguments):
    """A model with two nested ones whose layers have equal names."""

    def inner(name):
        layer = layers.Dense(4, activation="relu", name="d", **arguments)
        return keras.Sequential([keras.Input((4,)), layer], name=name)

    inputs = keras.Input((4,))
    outputs = layers.Dense(2, name="o")(inner("b")(inner("a")(inputs)))
    return keras.Model(inputs, outputs)


def test_undoing_one_of_two_layers_of_equal_name_keeps_the_others_record():
    model = twins()
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    new = insert(model, "BatchNormalization", at="before_activation", where=["a/d", "b/d"])
    left = remove(new, where="a/d_bn")
    assert [each.path for each in inserted(left)] == ["b/d_activation", "b/d_bn"]
    plain = remove(left)
    assert inserted(plain) == ()
    assert plain.get_config() == model.get_config()
    assert np.array_equal(plain(x), model(x))


def test_folding_one_of_two_layers_of_equal_name_keeps_the_others_record():
    model = twins(kernel_constraint="max_norm")
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    new = insert(model, "BatchNormalization", at="before_activation", where="a/d", calibrate=x)
    new = insert(new, "BatchNormalization", at="before_activation", where="b/d")
    folded = fold(new)  # the one is the identity and goes, the other meets a constraint
    assert [each.path for each in inserted(folded)] == ["b/d_activation", "b/d_bn"]
    assert np.array_equal(remove(folded)(x), model(x))
