"""Files of Keras 1 and 2: translated, and what cannot be is refused by its reason."""

import re

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from ablate.errors import AblateError
from ablate.models import file, legacy
from tests.models import former


@pytest.mark.parametrize("kind", former.FILES)
def test_a_file_of_a_former_keras_computes_what_it_computed(tmp_path, kind):
    make, name, said = former.FILES[kind]
    x, expected = make(tmp_path / name)
    notes: list[str] = []
    model = file.load(tmp_path / name, compiled=True, notes=notes)
    assert np.allclose(np.asarray(model(x)), expected, atol=1e-6)
    assert not model.compiled
    if said is None:
        assert notes == []
    else:
        (note,) = notes
        assert re.search(said, note)
    model.save(tmp_path / "today.keras")
    again = keras.saving.load_model(tmp_path / "today.keras")
    assert np.array_equal(np.asarray(again(x)), np.asarray(model(x)))


def test_the_hard_sigmoid_of_today_is_another_one():
    x = former.draw(100)
    ours = np.asarray(legacy.hard_sigmoid_of_keras_2(x))
    assert np.allclose(ours, former.old_hard_sigmoid(x))
    assert np.abs(ours - np.asarray(keras.activations.hard_sigmoid(x))).max() > 0.03


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (former.updating("DepthwiseConv2D", groups=2), r"'depthwise' .*groups=2, which Keras 3"),
        (former.updating("BatchNormalization", axis=[1, 3]), r"'bn' normalizes over the axes"),
        (former.updating("BatchNormalization", virtual_batch_size=8), "virtual_batch_size=8"),
    ],
)
def test_what_keras_3_cannot_do_is_refused(tmp_path, change, words):
    former.hdf5(former.convolutional(), tmp_path / "m.h5", change)
    with pytest.raises(AblateError, match=words):
        file.load(tmp_path / "m.h5")


def test_unknown_classes_are_all_named_with_what_makes_them_known(tmp_path):
    def change(document):
        for one in former.each(document):
            if one["class_name"] in ("Dense", "ReLU"):
                one["class_name"] = f"My{one['class_name']}"

    former.hdf5(former.convolutional(), tmp_path / "m.h5", change)
    with pytest.raises(AblateError, match=r"'MyReLU', 'MyDense'.*--import.*model\.imports"):
        file.load(tmp_path / "m.h5")


def test_weights_that_would_not_be_taken_over_are_an_error(tmp_path):
    def move(stored):
        del stored["layers/conv2d"]

    def change(document):
        document["module"] = "keras.src.engine.sequential"

    former.archive(former.convolutional(), tmp_path / "m.keras", change, move)
    with pytest.raises(AblateError, match=r"m\.keras"):
        file.load(tmp_path / "m.keras")


def test_files_of_today_are_read_as_they_are(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="hard_sigmoid")])
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        loaded = file.load(tmp_path / name)
        assert loaded.layers[0].activation is keras.activations.hard_sigmoid
    with h5py.File(tmp_path / "m.h5") as stored:
        assert stored.attrs["keras_version"] == keras.__version__
