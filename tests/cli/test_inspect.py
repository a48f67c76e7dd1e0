"""`ablate inspect`: a model's layers, sites and what selectors mean."""

import json

import keras
import pytest
from keras import layers

from ablate.surgery import insert
from tests.cli.surgical import network, run


@pytest.fixture
def source(tmp_path):
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm", trainable=False)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Dropout(0.25, name="drop")(layers.GlobalMaxPooling2D(name="pool")(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x), name="small")
    insert(model, "Dropout", rate=0.5, at="before", where="pool").save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


def test_the_table(source, capsys):
    status, said, _ = run(capsys, "inspect", source)
    assert status == 0
    table, _, selectors = said.partition("What selectors mean")
    lines = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}
    assert lines["conv"] == ["Conv2D", "conv", "6×6×4", "108", "→", "ReLU", "BN", "0.5", "bBAa"]
    assert lines["norm"][-1] == "frozen"
    assert lines["pool_dropout"][-1] == "inserted"
    assert lines["out"][-3:] == ["softmax", "bBAa", "output"]
    assert "  hidden                 1: conv\n" in selectors


def test_the_document(source, capsys):
    status, said, err = run(capsys, "inspect", source, "--json", "--where", "conv")
    assert (status, err) == (0, "")
    document = json.loads(said)
    assert document["layers"] == [
        {
            "path": "conv",
            "layer": "Conv2D",
            "kind": "conv",
            "output": "6×6×4",
            "parameters": 108,
            "trainable": True,
            "activation": "ReLU",
            "activation_layer": "relu",
            "normalized": {"norm": "BatchNormalization"},
            "dropped": {"pool_dropout": "0.5"},
            "positions": ["before", "before_activation", "after_activation", "after"],
            "output_layer": False,
            "inserted": False,
        }
    ]
    assert document["parameters"] == 139
    assert document["selectors"]["Dropout"] == ["pool_dropout", "drop"]


def test_where_a_layer_would_go(source, capsys):
    status, said, _ = run(
        capsys,
        *("inspect", source, "--layer", "BatchNormalization", "--at", "before_activation"),
        *("--where", "conv", "--where", "drop"),
    )
    assert status == 0
    assert "BatchNormalization at before_activation would go:" in said
    assert "before relu, as conv_bn" in said
    assert "directly after drop, which no activation follows, as drop_bn" in said


def test_an_application_needs_no_weights(capsys):
    status, said, _ = run(capsys, "inspect", "mobilenet", "--json")
    assert status == 0
    assert json.loads(said)["source"] == "MobileNet with random weights (seed 0)"


def test_mistakes(source, capsys):
    status, said, err = run(capsys, "inspect", source, "--where", "con")
    assert (status, said) == (2, "")
    assert "Did you mean 'conv'?" in err
    network().save(source.parent / "other.keras")
    status, _, err = run(capsys, "inspect", source.parent / "othr.keras")
    assert status == 2
    assert "other.keras'?" in err
