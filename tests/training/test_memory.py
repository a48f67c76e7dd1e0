"""What large sets take of memory, measured in processes of their own."""

import json
import subprocess
import sys

import numpy as np
import pytest

#: What TensorFlow takes itself is measured by a trial on a hundred rows before.
SCRIPT = """
import json, sys, threading, time
from ablate.study.schema.data import Data
from ablate.training import configure, run_group
configure(1)
from tests.training.small import spec_of, trial_of

def resident():
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) * 1024 for line in stream if line.startswith("VmRSS"))

peak = 0
def watch():
    global peak
    while True:
        peak = max(peak, resident())
        time.sleep(0.005)

def go(data, name):
    spec = spec_of(model={"call": model}, epochs=1)
    spec = spec.model_copy(update={"data": Data(**data)})
    (result, _, _), = run_group([trial_of(spec, name=name)])
    assert result.status == "completed", result.error
    return result

small, large, model = json.loads(sys.argv[1])
go(small, "small")
before = resident()
threading.Thread(target=watch, daemon=True).start()
result = go(large, "large")
print("bytes", peak - before, result.rows["train"])
"""

IMAGE = (256, 256, 3)
ROWS = 101_725  # of 196 608 bytes each: 20 GB


def network():
    """Return a network that looks at a few pixels of an image, so that steps cost little."""
    import keras

    inputs = keras.Input(IMAGE)
    seen = keras.layers.Cropping2D(124)(inputs)
    seen = keras.layers.Flatten()(seen)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(seen))


class Generated:
    """Images that are made when they are asked for."""

    def __init__(self, rows):
        self.rows = rows

    def read(self, rows):
        x = np.empty((len(rows), *IMAGE), np.uint8)
        x[:] = (rows % 251).astype(np.uint8)[:, None, None, None]
        return x, rows % 2

    def labels(self):
        return np.arange(self.rows) % 2

    def digest(self):
        return f"rows and their numbers, {self.rows}"


def generated(rows):
    return Generated(rows)


def images(rows):
    """Return arrays of bytes, as any function may."""
    return {"train": (np.ones((rows, *IMAGE), np.uint8), np.arange(rows) % 2)}


def masks(rows):
    """Return images and targets of their size."""
    x = np.ones((rows, *IMAGE[:2], 1), np.uint8)
    return {"train": (x, x[..., 0] * (np.arange(rows) % 2).astype(np.uint8)[:, None, None])}


def pixels():
    """Return a network that says the class of each pixel."""
    import keras

    inputs = keras.Input((*IMAGE[:2], 1))
    return keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax")(inputs))


def pipeline(rows):
    """Return few rows to train on, and many to validate on, as pipelines."""
    import tensorflow as tf

    def dataset(count):
        made = tf.data.Dataset.range(count)
        return made.map(lambda row: (tf.ones(IMAGE, tf.uint8), row % 2)).batch(32)

    return {"train": dataset(64), "validation": dataset(rows), "test": dataset(32), "classes": 2}


def taken(small, large, model="network"):
    """Return the bytes that a trial on `large` takes beyond one on `small`, and its rows."""
    request = json.dumps([small, large, f"{__name__}:{model}"])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, request], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
    words = next(line for line in done.stdout.splitlines() if line.startswith("bytes")).split()
    return int(words[1]), int(words[2])


def sparse(folder, rows):
    """Return a folder with images of zeros that take no room on the disk."""
    folder.mkdir()
    with (folder / "x_train.npy").open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (rows, *IMAGE)}
        np.lib.format.write_array_header_2_0(stream, header)
        stream.truncate(stream.tell() + rows * int(np.prod(IMAGE)))
    np.save(folder / "y_train.npy", np.arange(rows) % 2)
    return {"path": str(folder)}


SHARES = {"validation": 0.005, "test": 0.005, "limit": 6000}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reader", "memmap"])
def test_a_set_of_20_gb_trains_within_one_and_a_half(kind, tmp_path):
    if kind == "reader":
        here = f"{__name__}:generated"
        small, large = ({"call": here, "rows": rows} for rows in (400, ROWS))
    else:
        small, large = sparse(tmp_path / "small", 400), sparse(tmp_path / "large", ROWS)
    found, rows = taken(small, large | SHARES | {"load": "stream"})
    assert rows == SHARES["limit"]  # 1.2 GB of images, read from all over the set
    assert found < 1.5e9


@pytest.mark.slow
def test_a_set_in_memory_is_held_once(tmp_path):
    size = 3000 * int(np.prod(IMAGE))
    found, _ = taken(
        sparse(tmp_path / "small", 400), sparse(tmp_path / "large", 3000) | {"load": "memory"}
    )
    assert found < 1.3 * size + 2**27


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "model", "row"),
    [("images", "network", int(np.prod(IMAGE))), ("masks", "pixels", 2 * 256 * 256)],
)
def test_arrays_of_a_call_are_held_once(call, model, row):
    rows = 200_000_000 // row
    here = {"call": f"{__name__}:{call}", "validation": 0.01, "test": 0.01}
    found, _ = taken(here | {"rows": 200}, here | {"rows": rows}, model)
    assert found < 1.3 * rows * row + 2**27


@pytest.mark.slow
def test_large_validation_parts_of_a_pipeline_are_not_held():
    rows = 3000  # 590 MB
    here = {"call": f"{__name__}:pipeline"}
    found, _ = taken(here | {"rows": 64}, here | {"rows": rows})
    assert found < 0.6 * rows * int(np.prod(IMAGE))
