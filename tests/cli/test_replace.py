"""`ablate replace` and `ablate change`: layers made anew on the command line, and brought back."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from tests.cli.surgical import certificate, images, run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="conv1")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn1")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Dropout(0.5, name="drop")(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x), name="small")
    for weight in model.get_layer("bn1").weights:
        weight.assign(np.random.default_rng(0).uniform(0.3, 1.2, weight.shape))
    model.save(folder / "small.keras")
    np.save(folder / "images.npy", images())
    return folder / "small.keras", folder / "images.npy"


def test_normalization_is_replaced_on_images_certified_and_brought_back(source, tmp_path, capsys):
    model, where = source
    new, back = tmp_path / "new.keras", tmp_path / "back.keras"
    status, said, _ = run(
        capsys, "replace", model, new, "--where", "norm", "--layer", "GroupNormalization",
        "--arg", "groups=2", "--calibrate", where,
    )  # fmt: skip
    assert status == 0
    assert "  bn1: BatchNormalization → GroupNormalization (groups 2)\n" in said
    assert "max |Δ|" in said and "identical" not in said
    assert certificate(new)["rows"] == 8
    status, said, _ = run(capsys, "remove", new, back)
    assert status == 0
    assert said.splitlines()[0] == "As they were before replace or change: bn1."
    plain, again = (keras.models.load_model(path) for path in (model, back))
    assert all(map(np.array_equal, again.get_weights(), plain.get_weights()))


def test_what_keeps_the_function_is_certified_identical(source, tmp_path, capsys):
    model, _ = source
    new = tmp_path / "new.keras"
    status, said, _ = run(
        capsys, "change", model, new, "--where", "Dropout", "--arg", "rate=0.2", "--json"
    )
    document = json.loads(said)
    assert status == 0 and document["certificate"]["identical"] is True
    assert document["changed"] == [
        {"path": "drop", "layer": "Dropout", "before": {"rate": 0.5}, "after": {"rate": 0.2}}
    ]
    assert keras.models.load_model(new).get_layer("drop").rate == 0.2


def test_one_group_per_channel_before_a_global_average_is_warned_of(source, tmp_path, capsys):
    model, _ = source
    _, _, err = run(
        capsys, "replace", model, tmp_path / "new.keras", "--where", "bn1",
        "--layer", "GroupNormalization", "--arg", "groups=4",
    )  # fmt: skip
    assert "'bn1' has one group per channel" in err and "'pool' takes the mean" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("change", "--where", "Dropout", "--arg", "rte=0.2"), "Did you mean 'rate'?"),
        (("change", "--where", "Dropot", "--arg", "rate=0.2"), "Did you mean 'Dropout'?"),
        (("change", "--where", "Dropout"), "nothing to change"),
        (("change", "--where", "Dropout", "--arg", "rate"), "expected NAME=VALUE"),
        (("change", "--arg", "rate=0.1"), "Missing option '--where'"),
        (("change", "--where", "drop", "--arg", "layer=ReLU"), "is a matter of 'replace'"),
        (
            ("replace", "--where", "norm", "--layer", "GroupNorm"),
            "Did you mean 'GroupNormalization'",
        ),
        (
            ("replace", "--where", "norm", "--layer", "GroupNormalization", "--arg", "groups=3"),
            "None of the 1 layers",
        ),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(source, tmp_path, capsys, arguments, words):
    command, *options = arguments
    new = tmp_path / "new.keras"
    status, said, err = run(capsys, command, source[0], new, *options)
    assert (status, said) == (2, "")
    assert words in err and "Traceback" not in err
    assert not new.exists()
