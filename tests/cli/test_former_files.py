"""Files of former versions of Keras, and files that need a user's classes, on the command line."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from tests.cli.surgical import certificate, run
from tests.models import former

OWN = """
import keras
from keras import layers


@keras.saving.register_keras_serializable("own")
class Net(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(4, activation="relu", name="hidden")
        self.out = layers.Dense(2, name="out")

    def call(self, x):
        return self.out(self.hidden(x))
"""


def operate(capsys, source, folder, *more):
    """Inspect a file, insert into it, fold it, remove from it; return what inspect found."""
    status, out, err = run(capsys, "inspect", source, "--json", *more)
    assert status == 0, err
    found = json.loads(out)
    norm = ("--layer", "BatchNormalization", "--where", "hidden", "--at", "after")
    for before, command, after in (
        (source, ("insert", *norm), folder / "inserted.keras"),
        (folder / "inserted.keras", ("fold",), folder / "folded.keras"),
        (folder / "inserted.keras", ("remove",), folder / "removed.keras"),
    ):
        status, _, err = run(capsys, command[0], before, after, *command[1:], *more)
        assert status == 0, err
    assert certificate(folder / "folded.keras")["paths"]["eager"]["max_rel_diff"] < 1e-5
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", [each for each in former.FILES if "hard" not in each])
def test_files_of_former_versions_go_through_every_command(tmp_path, capsys, kind):
    make, name, _ = former.FILES[kind]
    x, expected = make(tmp_path / name)
    operate(capsys, tmp_path / name, tmp_path)
    model = keras.saving.load_model(tmp_path / "removed.keras")
    assert np.allclose(np.asarray(model(x)), expected, atol=1e-6)


def test_what_was_translated_is_said(tmp_path, capsys):
    make, name, _ = former.FILES["groups"]
    make(tmp_path / name)
    status, out, err = run(capsys, "fold", tmp_path / name, tmp_path / "out.keras")
    assert status == 0 and "1 merged" in out
    assert "Note: 'm.h5' is of Keras 2.11.0, translated: groups, which Keras 3" in err


def test_a_subclassed_model_in_a_file_needs_its_module_and_is_opened(tmp_path, capsys, monkeypatch):
    (tmp_path / "own_net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_net

    model = own_net.Net(name="net")
    model(np.zeros((1, 3), "float32"))
    model.save("net.keras")
    forget(monkeypatch, "Net")
    import sys

    del sys.modules["own_net"]
    status, _, err = run(capsys, "inspect", "net.keras")
    assert status == 2 and "'Net'" in err and "--import package.module" in err
    found = operate(capsys, "net.keras", tmp_path, "--import", "own_net")
    assert [each["path"] for each in found["layers"]][1:] == ["hidden", "out"]
    status, _, err = run(capsys, "inspect", "net.keras", "--import", "no_such")
    assert status == 2 and "--import: there is no module 'no_such'" in err


def forget(monkeypatch, name):
    """Take what is registered under a name out of Keras's registry for the rest of the test."""
    for registered in [key for key in keras.saving.get_custom_objects() if key.endswith(name)]:
        monkeypatch.delitem(keras.saving.get_custom_objects(), registered)


def test_composite_layers_that_are_opened_are_named(tmp_path, capsys, monkeypatch):
    @keras.saving.register_keras_serializable("tests_former")
    class Pair(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first = layers.Dense(4, activation="relu", name="first")
            self.second = layers.Dense(4, name="second")

        def build(self, shape):
            self.first.build(shape)
            self.second.build((*shape[:-1], 4))

        def call(self, x):
            return self.second(self.first(x))

    inputs = keras.Input((3,), name="row")
    keras.Model(inputs, layers.Dense(2, name="out")(Pair(name="pair")(inputs))).save(
        tmp_path / "m.keras"
    )
    status, _, err = run(
        capsys, "insert", tmp_path / "m.keras", tmp_path / "out.keras", "--layer", "Dropout",
        "--arg", "rate=0.5", "--where", "pair/first",
    )  # fmt: skip
    assert status == 0
    assert "opened as functional models, whose classes are not kept: 1 × Pair" in err
    forget(monkeypatch, "Pair")
    assert keras.saving.load_model(tmp_path / "out.keras").get_layer("pair").layers[1].name == (
        "first"
    )
