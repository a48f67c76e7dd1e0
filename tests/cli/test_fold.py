"""`ablate fold`: the model, the certificate beside it, and what is told."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from ablate.cli import run_cli
from ablate.surgery import insert


@pytest.fixture(scope="module")
def network():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="own"),
            layers.Flatten(),
            layers.Dense(5, activation="relu", name="fc"),
            layers.Dense(2, name="logits"),
        ],
        name="net",
    )
    layer = model.get_layer("own")
    layer.moving_mean.assign([0.1, 0.2, 0.3, 0.4])
    layer.moving_variance.assign([0.5, 1.0, 1.5, 2.0])
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(9, 6, 6, 3)).astype("float32")


def test_folding_a_calibrated_insertion_gives_the_model_back(network, images, tmp_path, capsys):
    new = insert(network, "BatchNormalization", at="before_activation", calibrate=images)
    new.save(tmp_path / "in.keras")
    np.save(tmp_path / "images.npy", images)
    source, out = str(tmp_path / "in.keras"), tmp_path / "out.keras"
    assert run_cli(["fold", source, str(out), "--check", str(tmp_path / "images.npy")]) == 0
    told = capsys.readouterr().out
    assert "2 removed" in told and "Removed: conv_bn, fc_bn." in told
    assert "Kept own: before it, 'flatten'" not in told
    assert "Kept own: before it, 'conv" in told
    assert told.rstrip().endswith("identical")
    folded = keras.models.load_model(out)
    assert json.loads(folded.to_json()) == json.loads(network.to_json())
    assert np.array_equal(folded(images), network(images))
    certificate = json.loads((tmp_path / "out.certificate.json").read_text())
    assert certificate["identical"] is True and certificate["rows"] == 9


def test_json_is_one_document_with_the_reason_for_each_layer(network, tmp_path, capsys):
    network.save(tmp_path / "in.keras")
    arguments = ["fold", str(tmp_path / "in.keras"), str(tmp_path / "out.keras"), "--json"]
    assert run_cli(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    (own,) = document["folded"]
    assert own["layer"] == "own" and own["action"] == "kept"
    assert "'conv' applies its activation" in own["reason"]
    assert document["certificate"]["identical"] is True


def test_a_file_that_is_no_model_is_an_error_and_nothing_is_written(tmp_path, capsys):
    (tmp_path / "in.keras").write_text("no model")
    out = tmp_path / "out.keras"
    assert run_cli(["fold", str(tmp_path / "in.keras"), str(out)]) == 2
    assert "is not a Keras model file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "in.keras"]
