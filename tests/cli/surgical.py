"""What the tests of the surgical commands share: a small model in a file, and images for it."""

import json

import keras
import numpy as np
from keras import layers

from ablate.cli import run_cli


def network(name="small", side=8):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((side, side, 3), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(inputs)
    x = layers.Conv2D(4, 3, activation="relu", name="conv2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(6, activation="relu", name="fc")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="out")(x), name=name)


def images(rows=8, side=8):
    return np.random.default_rng(0).integers(0, 256, (rows, side, side, 3)).astype("uint8")


def run(capsys, *arguments):
    status = run_cli([str(each) for each in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def certificate(out):
    return json.loads(out.with_name(f"{out.stem}.certificate.json").read_text())
