"""The networks of keras.applications: tops, heads, weights from files, downloads that fail.

MobileNet at a quarter of its width stands for all: it is the smallest.
"""

import keras
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.models import InputOutputSpec, Target, base, build, origin
from ablate.study.schema.model import Model

SMALL = {"alpha": 0.25}
TEN = Target("classification", (), 10)


def names(model):
    return [layer.name for layer in model.layers]


def test_a_pooled_head():
    model = build("MobileNet", (32, 32, 3), 10, dense=[8], **SMALL)
    assert names(model)[-3:] == ["pool", "dense1", "output"]
    assert model.output_shape == (None, 10)
    assert model.get_layer("output").activation.__name__ == "softmax"
    numbers = build("mobilenet", (32, 32, 3), outputs=2, pooling="flatten", **SMALL)
    assert names(numbers)[-2:] == ["flatten", "output"]
    assert numbers.get_layer("output").activation.__name__ == "linear"


def test_its_own_top_stays_at_the_usual_size_with_its_last_layer_exchanged():
    model = build("mobilenetv2", (224, 224, 3), 10, alpha=0.35)
    assert names(model)[-1] == "predictions" and model.output_shape == (None, 10)
    kept = build("mobilenetv2", (224, 224, 3), 10, alpha=0.35, head="keep")
    assert names(kept)[-1] == "predictions" and kept.output_shape == (None, 1000)
    whole = build("mobilenetv2", (224, 224, 3), 1000, alpha=0.35)
    assert names(whole)[-1] == "predictions" and whole.output_shape == (None, 1000)


def test_a_last_layer_that_is_not_there_cannot_be_kept():
    with pytest.raises(StudyError, match=r"model\.head: .* for images of 224×224×3"):
        build("mobilenet", (32, 32, 3), 10, head="keep", **SMALL)


def test_a_top_that_ends_in_a_convolution_is_refused():
    with pytest.raises(StudyError, match="ends in no Dense layer"):
        build("mobilenet", (224, 224, 3), 10, top="own", **SMALL)


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """A file with the weights of the body, and one with those of the whole network."""
    folder = tmp_path_factory.mktemp("weights")
    whole = keras.applications.MobileNet(weights=None, alpha=0.25)
    whole.save_weights(folder / "whole.weights.h5")
    part = keras.applications.MobileNet(
        weights=None, alpha=0.25, include_top=False, input_shape=(32, 32, 3)
    )
    part.save_weights(folder / "body.weights.h5")
    return folder, whole.get_layer("conv1").get_weights(), part.get_layer("conv1").get_weights()


def test_weights_from_a_file_of_the_body_or_of_the_whole(body):
    folder, whole, part = body
    fresh = names(build("mobilenet", (32, 32, 3), 10, **SMALL))[1:]
    for file, expected in (("body", part), ("whole", whole)):
        section = Model(name="mobilenet", weights=str(folder / f"{file}.weights.h5"), **SMALL)
        model = base(section, InputOutputSpec((32, 32, 3), TEN))
        np.testing.assert_array_equal(model.get_layer("conv1").get_weights()[0], expected[0])
        assert origin(model).kept and origin(model).fresh == ("pool", "output")
        assert names(model)[1:] == fresh  # one graph; the input's name is automatic
        assert section.keeps_weights and "its head of 10 is new" in origin(model).notes[0]


def test_weights_that_do_not_fit(body):
    folder, *_ = body
    whole_model = folder / "model.keras"
    whole_model.write_bytes(b"")
    path = str(folder / "body.weights.h5")
    with pytest.raises(StudyError, match="does not hold the weights of 'mobilenet'"):
        build("mobilenet", (224, 224, 3), 1000, weights=path, top="own", **SMALL)
    with pytest.raises(StudyError, match="Bring it by 'file'"):
        build("mobilenet", (32, 32, 3), 10, weights=str(whole_model), **SMALL)


def test_a_download_that_fails_says_where_the_file_goes(monkeypatch):
    def fails(**arguments):
        raise Exception(f"URL fetch failure on https://example.org/w/x.h5: {arguments} -- offline")

    monkeypatch.setattr(keras.applications, "VGG16", fails)
    with pytest.raises(StudyError) as error:
        build("vgg16", (64, 64, 3), 10, weights="imagenet")
    assert "https://example.org/w/x.h5" in str(error.value)
    assert "models/x.h5" in str(error.value) and "model.weights=PATH" in str(error.value)


def test_vgg16_takes_small_images():
    model = build("vgg16", (32, 32, 3), 10)
    assert names(model)[1] == "block1_conv1" and names(model)[-2:] == ["pool", "output"]
