"""Files in the formats of Keras 1 and 2, written from models of today.

Each maker writes one file with fixed weights and returns inputs and what Keras 2 computes for them.
The reference outputs are worked out in NumPy by Keras 2's formulas, or by the same layers of today
where these did not change.
"""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
from keras import layers


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def fixed(model):
    """Give a model weights that do not depend on how Keras draws."""
    for index, weight in enumerate(model.weights):
        values = draw(*weight.shape, seed=index + 1)
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    return model


def each(document):
    """Yield every serialized object of a configuration."""
    if isinstance(document, dict):
        if "class_name" in document:
            yield document
        for value in document.values():
            yield from each(value)
    elif isinstance(document, list):
        for value in document:
            yield from each(value)


def hdf5(model, place, change=None, version="2.2.4", train=None):
    """Write an HDF5 file as Keras 2 did: no modules, plain dtypes, a version of then."""
    whole = place.with_suffix(".h5")
    model.save(whole)
    with h5py.File(whole, "r+") as stored:
        document = json.loads(stored.attrs["model_config"])
        for one in each(document):
            for key in ("module", "registered_name", "build_config"):
                one.pop(key, None)
            if isinstance(config := one.get("config"), dict):
                config.pop("quantization_config", None)
                if isinstance(config.get("dtype"), dict):
                    config["dtype"] = "float32"
        if change:
            change(document)
        stored.attrs["model_config"] = json.dumps(document)
        stored.attrs["keras_version"] = version
        if train:
            stored.attrs["training_config"] = json.dumps(train)
    if whole != place:
        shutil.move(whole, place)


def archive(model, place, change, move=None, version="2.13.1"):
    """Write a .keras file with another configuration and other paths of weights."""
    model.save(place)
    with zipfile.ZipFile(place) as stored:
        members = {name: stored.read(name) for name in stored.namelist()}
    document = json.loads(members["config.json"])
    change(document)
    weights = place.with_suffix(".weights.h5")
    weights.write_bytes(members["model.weights.h5"])
    if move:
        with h5py.File(weights, "r+") as stored:
            move(stored)
    members["config.json"] = json.dumps(document).encode()
    members["metadata.json"] = json.dumps({"keras_version": version}).encode()
    members["model.weights.h5"] = weights.read_bytes()
    weights.unlink()
    with zipfile.ZipFile(place, "w") as stored:
        for name, content in members.items():
            stored.writestr(name, content)


def updating(kind, **arguments):
    def change(document):
        for one in each(document):
            if one["class_name"] == kind:
                one["config"].update(arguments)

    return change


def old_hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def convolutional():
    return fixed(
        keras.Sequential(
            [
                keras.Input((8, 8, 3), name="image"),
                layers.Conv2D(4, 3, activation="relu", name="conv"),
                layers.DepthwiseConv2D(3, name="depthwise"),
                layers.BatchNormalization(name="bn"),
                layers.ReLU(name="relu"),
                layers.GlobalAveragePooling2D(name="pool"),
                layers.Dense(3, name="logits"),
            ],
            name="convolutional",
        )
    )


def _known(model, x):
    return x, np.asarray(model(x))


def sequential_list(place):
    model = convolutional()

    def change(document):
        found = [one for one in document["config"]["layers"] if one["class_name"] != "InputLayer"]
        found[0]["config"]["batch_input_shape"] = [None, 8, 8, 3]
        document["config"] = found

    hdf5(model, place, change, version="2.1.6")
    return _known(model, draw(4, 8, 8, 3))


def depthwise_groups(place):
    model = convolutional()
    hdf5(model, place, updating("DepthwiseConv2D", groups=1), version="2.11.0")
    return _known(model, draw(4, 8, 8, 3))


def bn_axis_list(place):
    model = convolutional()
    of_then = {"axis": [3], "fused": True, "renorm": False, "virtual_batch_size": None}
    hdf5(model, place, updating("BatchNormalization", **of_then), version="2.4.0")
    return _known(model, draw(4, 8, 8, 3))


def optimizer_lr(place):
    model = convolutional()
    train = {
        "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.01, "decay": 0.0}},
        "loss": "mse",
        "metrics": [],
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    hdf5(model, place, train=train)
    return _known(model, draw(4, 8, 8, 3))


def hdf5_named_keras(place):
    model = convolutional()
    hdf5(model, place)
    return _known(model, draw(4, 8, 8, 3))


def hard_sigmoid(place):
    """A dense layer, wrapped, and a GRU of then: `reset_after` came later."""
    model = fixed(
        keras.Sequential(
            [
                keras.Input((5, 3), name="rows"),
                layers.TimeDistributed(layers.Dense(4, activation="hard_sigmoid"), name="each"),
                layers.GRU(3, recurrent_activation="hard_sigmoid", reset_after=False, name="gru"),
                layers.Activation("hard_sigmoid", name="gate"),
            ]
        )
    )

    def change(document):
        for one in each(document):
            if one["class_name"] == "GRU":
                one["config"].pop("reset_after")
                one["config"].update(time_major=False, implementation=1)

    hdf5(model, place, change, version="2.1.3")
    kernel, bias, inner, recurrent, offset = (np.asarray(weight) for weight in model.weights[:5])
    x = draw(4, 5, 3)
    rows = old_hard_sigmoid(x @ kernel + bias)
    state = np.zeros((4, 3))
    for step in range(5):
        z, r, new = np.split(rows[:, step] @ inner + offset, 3, axis=-1)
        uz, ur, un = np.split(recurrent, 3, axis=-1)
        z, r = old_hard_sigmoid(z + state @ uz), old_hard_sigmoid(r + state @ ur)
        state = z * state + (1 - z) * np.tanh(new + (r * state) @ un)
    return x, old_hard_sigmoid(state)


def archive_of_engine(place):
    model = convolutional()

    def change(document):
        document["module"] = "keras.src.engine.sequential"

    def move(stored):
        stored.move("layers", "_layer_checkpoint_dependencies")

    archive(model, place, change, move)
    return _known(model, draw(4, 8, 8, 3))


def archive_of_windows(place):
    model = convolutional()

    def change(document):
        document["module"] = "keras.src.engine.sequential"
        updating("DepthwiseConv2D", groups=1)(document)
        updating("Dense", activation="hard_sigmoid")(document)

    def move(stored):
        for name in list(stored["layers"]):
            stored.move(f"layers/{name}", f"layers\\{name}")

    archive(model, place, change, move)
    x = draw(4, 8, 8, 3)
    return x, old_hard_sigmoid(np.asarray(model(x)))


def slashes(place):
    inputs = keras.Input((4,), name="in")
    x = layers.Dense(3, activation="tanh", name="block_fc")(inputs)
    model = fixed(keras.Model(inputs, layers.Dense(2, name="out")(x), name="slashes"))

    def change(document):
        text = json.dumps(document).replace('"block_fc"', '"block/fc"')
        document |= json.loads(text)

    hdf5(model, place, change)
    return _known(model, draw(4, 4))


#: By name: who writes the file, its name, and what is said of it (a pattern).
FILES = {
    "a list of layers": (sequential_list, "m.h5", "2.1.6, translated: a list of layers became"),
    "groups": (depthwise_groups, "m.h5", "groups, which Keras 3 does not take.*'depthwise'"),
    "a list of axes": (bn_axis_list, "m.h5", "the axis of BatchNormalization is one.*'bn'"),
    "an optimizer's lr": (optimizer_lr, "m.h5", "not compiled"),
    "HDF5 named .keras": (hdf5_named_keras, "m.keras", None),
    "HDF5 without a suffix": (hdf5_named_keras, "weights-best", None),
    "the hard sigmoid": (hard_sigmoid, "m.hdf5", r"reset_after is False.*hard_sigmoid.*0\.2 x"),
    "slashes": (slashes, "m.h5", "names without slashes: 'block/fc'"),
    "former modules": (archive_of_engine, "m.keras", "modules of today.*under the paths of today"),
    "backslashes": (archive_of_windows, "m.keras", "hard_sigmoid.*under the paths of today"),
}
