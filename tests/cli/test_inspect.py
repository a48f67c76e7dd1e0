"""`ablate inspect`: a model's layers, sites and what selectors mean."""

import json

import keras
import pytest
from keras import layers

from ablate.surgery import change, insert, replace
from tests.cli.surgical import network, run


@pytest.fixture
def model():
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm", trainable=False)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Dropout(0.25, name="drop")(layers.GlobalMaxPooling2D(name="pool")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x), name="small")


@pytest.fixture
def source(model, tmp_path):
    insert(model, "Dropout", rate=0.5, at="before", where="pool").save(tmp_path / "small.keras")
    return tmp_path / "small.keras"


def test_the_table(source, capsys):
    status, said, _ = run(capsys, "inspect", source)
    assert status == 0
    table, _, selectors = said.partition("What selectors mean")
    words = [line.split() for line in table.splitlines() if line.strip()]
    lines = {first: " ".join(rest) for first, *rest in words}
    assert lines["conv"] == "Conv2D 6×6×4 108 bBAa → BN → ReLU → Dropout 0.5"
    assert lines["norm"] == "BN 6×6×4 16 bBAa momentum 0.99, epsilon 0.001, frozen"
    assert lines["pool_dropout"] == "Dropout 6×6×4 bBAa rate 0.5, inserted"
    assert lines["out"] == "Dense 3 15 bBAa softmax inside, output"
    assert "  hidden                 1: conv\n" in selectors


@pytest.fixture
def mixed(tmp_path):
    """A model with recurrent, nested, shared, replaced and changed layers, in a file."""
    inputs = keras.Input((5, 3), name="steps")
    inner = keras.Sequential(
        [keras.Input((5, 4)), layers.Dense(4, activation="relu", name="fc")], name="inner"
    )
    x = layers.LSTM(4, return_sequences=True, dropout=0.2, name="lstm")(inputs)
    x = layers.BatchNormalization(name="norm")(inner(inner(x)))
    x = layers.Dropout(0.5, name="drop", noise_shape=(None, 1, 4))(x)
    x = layers.Bidirectional(layers.GRU(3, recurrent_dropout=0.1), name="both")(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x), name="mixed")
    new = change(replace(model, "norm", "GroupNormalization", groups=2), "drop", rate=0.25)
    new.save(tmp_path / "mixed.keras")
    return tmp_path / "mixed.keras"


def test_all_that_a_person_needs_fits_eighty_columns(mixed, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, said, _ = run(capsys, "inspect", mixed)
    assert status == 0
    assert max(map(len, said.splitlines())) <= 80
    table = " ".join(said.partition("at: b before")[0].split())
    for words in (
        "lstm LSTM 5×4 128 bBAa dropout 0.2, tanh inside",
        "inner Sequential 5×4 20 bBAa shared by 2 calls, model",
        "inner/fc Dense 5×4 20 bBAa relu inside",
        "norm GN 5×4 8 bBAa epsilon 0.001, groups 2, was BN",
        "drop Dropout 5×4 bBAa rate 0.25, noise shape (None, 1, 4), was rate 0.5",
        "both Bidirectional 6 162 bBAa recurrent dropout 0.1",
    ):
        assert words in table.replace("Bidirectiona l", "Bidirectional"), (words, table)


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
            "followed_by": ["norm", "relu", "pool_dropout"],
            "arguments": {},
            "positions": ["before", "before_activation", "after_activation", "after"],
            "output_layer": False,
            "inserted": False,
            "before": None,
            "shared": 1,
            "tied": None,
        }
    ]
    assert document["parameters"] == 139
    assert document["selectors"]["Dropout"] == ["pool_dropout", "drop"]


def test_what_differs_from_a_second_model(model, source, capsys):
    new = change(model, "drop", rate=0.5)
    new.get_layer("out").bias.assign([0.0, 0.25, 0.0])
    new.save(source.parent / "new.keras")
    status, said, _ = run(capsys, "inspect", source, source.parent / "new.keras")
    assert status == 0
    assert said.splitlines()[2:] == [
        "Only in A (1 Dropout): pool_dropout",
        "  pool: reads relu instead of pool_dropout",
        "  drop: rate 0.25 → 0.5",
        "  out: bias differs by up to 0.25",
        "4 layers are the same in both, weights included.",
    ]
    _, said, _ = run(capsys, "inspect", source, source.parent / "new.keras", "--json")
    document = json.loads(said)
    assert document["first_only"] == [["pool_dropout", "Dropout"]]
    assert [each["path"] for each in document["changed"]] == ["pool", "drop", "out"]
    status, _, err = run(capsys, "inspect", source, source, "--where", "conv")
    assert status == 2 and "belong to a single model" in err


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
