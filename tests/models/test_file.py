"""Files of models that load, in whole or in part, and what is said of those that do not."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import AblateError
from ablate.models import file
from ablate.study.archives import keras_version


def small():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, activation="relu", name="d"), layers.Dense(2)]
    )
    model.compile("adam", keras.losses.MeanSquaredError())
    return model


def rewrite_h5(place, attribute, change, version="2.4.0"):
    """Change a JSON attribute of an HDF5 model file, and who wrote it."""
    with h5py.File(place, "a") as stored:
        document = json.loads(stored.attrs[attribute])
        change(document)
        stored.attrs[attribute] = json.dumps(document)
        stored.attrs["keras_version"] = version


def rewrite_keras(place, change, version="2.13.1"):
    """Change the configuration in a .keras file, and who wrote it."""
    with zipfile.ZipFile(place) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members["config.json"])
    change(document)
    members["config.json"] = json.dumps(document).encode()
    members["metadata.json"] = json.dumps({"keras_version": version}).encode()
    with zipfile.ZipFile(place, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def forget_the_optimizer(document):
    old = document["optimizer_config"]["config"]
    old["lr"] = old.pop("learning_rate")


def unknown_loss(document):
    unknown = {"module": "package", "class_name": "Mine", "config": {}, "registered_name": "Mine"}
    document["compile_config"]["loss"] = unknown


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_is_compiled_where_its_file_says_how(tmp_path, suffix):
    small().save(tmp_path / f"m.{suffix}")
    assert not file.load(tmp_path / f"m.{suffix}").compiled
    assert file.load(tmp_path / f"m.{suffix}", compiled=True).compiled


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_an_optimizer_or_loss_of_yore_keeps_no_model_from_loading(tmp_path, suffix):
    model, place = small(), tmp_path / f"m.{suffix}"
    model.save(place)
    if suffix == "h5":
        rewrite_h5(place, "training_config", forget_the_optimizer)
    else:
        rewrite_keras(place, unknown_loss)
    notes = []
    loaded = file.load(place, compiled=True, notes=notes)
    assert not loaded.compiled
    assert len(notes) == 1
    assert notes[0].endswith("the model is not compiled.")
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def layer_takes(key, value):
    def change(document):
        document["config"]["layers"][1]["config"][key] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (
            "colour",
            1,
            "Unrecognized keyword arguments passed to Dense: {'colour': 1} (in Dense 'd')",
        ),
        ("units", -1, "Received an invalid value for `units`"),
    ],
)
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_file_of_another_keras_tells_its_reason_and_who_wrote_it(
    tmp_path, suffix, key, value, reason
):
    place = tmp_path / f"m.{suffix}"
    small().save(place)
    if suffix == "h5":
        rewrite_h5(place, "model_config", layer_takes(key, value), "2.4.0")
    else:
        rewrite_keras(place, layer_takes(key, value), "2.4.0")
    with pytest.raises(AblateError) as error:
        file.load(place)
    said = str(error.value)
    assert reason in said
    assert f"Keras 2.4.0 wrote the file, and Keras {keras.__version__} runs here" in said
    assert "take the weights over from the file" in said
    assert "kernel_initializer" not in said  # the dump of the configuration


def test_a_damaged_file_is_no_matter_of_versions(tmp_path):
    place = tmp_path / "m.h5"
    small().save(place)
    place.write_bytes(place.read_bytes()[:3000])
    with pytest.raises(AblateError, match=r"could not be loaded.*model.save wrote .*, whole"):
        file.load(place)
    assert keras_version(place) is None
