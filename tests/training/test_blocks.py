"""Rows that are read block by block give the bits of rows in memory."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.data import column, split
from ablate.study.schema.data import Data
from ablate.training import blocks, model_cache, rows, run_group
from tests.training.small import BN, DROPOUT, numbers, run, spec_of, trial_of

CNN = {"name": "cnn", "filters": [2], "dense": [4]}


def images():
    """Return 200 grey images of bytes, of three classes."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, 200)
    x = draw.integers(0, 200, (200, 8, 8, 1), dtype=np.uint8)
    return x + (20 * y[:, None, None, None]).astype(np.uint8), y


def features():
    """Return 200 rows of numbers in double precision, of two classes, with weights."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 200)
    return {"x": draw.normal(size=(200, 5)) + y[:, None], "y": y, "weight": draw.random(200)}


def masks():
    """Return 60 grey images of bytes, and the class of each pixel."""
    x, _ = images()
    return {"x": x[:60], "y": (x[:60, ..., 0] > 90).astype(np.uint8)}


def pixels():
    """Return a network that says the class of each pixel."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, padding="same", activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(x))


splitting, load = sys.modules[split.__module__], sys.modules["ablate.data.load"]

SOURCES = {
    "digits": {"name": "digits", "limit": 100},
    "bytes": {"call": f"{__name__}:images"},
    "bytes_standard": {"call": f"{__name__}:images", "scale": "standard"},
    "bytes_binary": {"call": f"{__name__}:images", "binarize": 0.4},
    "inputs": {"name": "digits", "limit": 100, "target": "inputs"},
    "masks": {"call": f"{__name__}:masks"},
}


@pytest.fixture(autouse=True)
def forgotten():
    model_cache.forget()
    rows.forget()
    yield
    rows.forget()


def found(data, size, monkeypatch, **train):
    """Return the numbers of a trial whose rows are read in blocks of `size` bytes."""
    model = {"name": "mlp", "units": [8]} if "target" in data else CNN
    model = {"call": f"{__name__}:pixels"} if "masks" in data.get("call", "") else model
    rows.forget()
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    monkeypatch.setattr(rows, "BLOCK_BYTES", size)
    made = spec_of(BN, DROPOUT, model=model, **train)
    spec = made.model_copy(update={"data": Data(**data)})
    return numbers(run(trial_of(spec))[0])


@pytest.mark.parametrize("name", SOURCES)
def test_any_size_of_block_gives_the_bits_of_memory(name, monkeypatch):
    data = SOURCES[name]
    expected = found(data | {"load": "memory"}, 2**25, monkeypatch)
    for size in (1, 9000, 2**25):
        assert found(data | {"load": "stream"}, size, monkeypatch) == expected
    splitting.forget()
    load.forget()
    monkeypatch.setattr(column, "LARGE", 0)
    monkeypatch.setattr(rows, "LARGE", 0)
    for size in (1, 9000, 2**25):
        assert found(data | {"load": "memory"}, size, monkeypatch) == expected
    splitting.forget()
    load.forget()


def test_the_first_block_is_small_since_nothing_trains_while_it_is_read(monkeypatch):
    monkeypatch.setattr(blocks, "_FIRST_BYTES", 100)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 400)
    asked = []

    def read(rows):
        asked.append(len(rows))
        return rows.astype(np.float32)[:, None], rows

    feed = blocks.Blocks.of(read, 100, (None,))  # of 12 bytes a row
    given, rows, stop = feed.start(np.arange(99, -1, -1), 2), [], 0
    while stop < given.steps:
        piece = given.piece(stop)
        stop, order = piece.stop, piece.indices.numpy()
        rows += piece.data[1].numpy()[order].tolist()
    given.close()
    assert rows == list(range(99, -1, -1))
    assert asked == [1, 8, 16, 32, 32, 12]


def test_folders_are_decoded_while_it_trains_to_the_same_bits(tmp_path, monkeypatch):
    x, y = images()
    for number, (image, label) in enumerate(zip(x[:60], y, strict=False)):
        place = tmp_path / "images" / f"class{label}"
        place.mkdir(parents=True, exist_ok=True)
        tf.io.write_file(str(place / f"{number}.png"), tf.io.encode_png(image))
    data = {"directory": str(tmp_path / "images"), "image_size": [8, 8], "color_mode": "grayscale"}
    expected = found(data, 2**25, monkeypatch)
    assert found(data | {"load": "stream"}, 1000, monkeypatch) == expected
    broken = next((tmp_path / "images").rglob("*.png"))
    whole = broken.read_bytes()
    broken.write_bytes(whole[:40])
    spec = spec_of(model=CNN).model_copy(update={"data": Data(**data, load="stream")})
    ((failed, _, _),) = run_group([trial_of(spec)])
    assert failed.status == "failed"
    assert f"the image '{broken.parent.name}/{broken.name}' cannot be read" in failed.error
