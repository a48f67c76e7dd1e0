"""The classification and regression sets of `keras.datasets`.

They are downloaded by Keras, or read from a local npz file (`data.path`), which gives the same
rows in the same order. What Keras prints while it
downloads goes to standard error, so that `--json` stays one document.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ablate.data import npz
from ablate.data.check import source
from ablate.data.source import Source
from ablate.downloads import address_in, downloading, keras_home
from ablate.errors import DataError
from ablate.reasons import sentence
from ablate.study.schema.data import Data
from ablate.study.schema.sources import KERAS_SETS

#: Keras's own shares and seeds for the sets that it splits itself.
_TEST_SHARE = 0.2
_SEED = 113
#: Keras's numbers for the beginning of a text and for a word that is left out.
_START, _UNKNOWN, _FIRST_WORD = 1, 2, 3
_CLASS_NAMES = {
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer",
        "dog", "frog", "horse", "ship", "truck",
    ),
    "fashion_mnist": (
        "t-shirt", "trouser", "pullover", "dress", "coat",
        "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "imdb": ("negative", "positive"),
    "mnist": tuple(str(digit) for digit in range(10)),
}  # fmt: skip


def keras_set(data: Data, labels: bool = True) -> Source:
    """Return a set of `keras.datasets`, from `data.path` or through Keras.

    Raises:
        DataError: the download fails (naming the file and where to put it), or the local file
            has not the set's arrays.
    """
    name = str(data.name)
    facts = KERAS_SETS[name]
    arguments = data.complete_arguments()
    parts = _local(name, data.path, arguments) if data.path else _download(name, arguments)
    if name in ("imdb", "reuters"):
        parts = {
            key: _encode(value, arguments) if key.startswith("x") else value
            for key, value in parts.items()
        }
    classes = 20 if arguments.get("label_mode") == "coarse" else facts.classes
    return source(
        name,
        parts,
        labels=labels,
        task=facts.task,
        classes=classes,
        tokens=arguments.get("encoding") == "padded",
        add_channel=facts.shape == (28, 28, 1),
        class_names=_CLASS_NAMES.get(name),
    )


def _download(name: str, arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    import keras

    chosen = {
        key: arguments[key] for key in ("label_mode", "version", "num_words") if key in arguments
    }
    try:
        with downloading(name):
            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data(**chosen)
    except Exception as error:
        raise DataError(_not_fetched(name, error)) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _not_fetched(name: str, error: Exception) -> str:
    facts = KERAS_SETS[name]
    files = ", ".join(str(keras_home() / "datasets" / file) for file in facts.files)
    origin = address_in(error) or facts.origin
    return (
        f"data.name: '{name}' could not be fetched from {origin}. {sentence(error)} Put the "
        f"file there yourself: {files}; or give an npz file with the arrays x_train, y_train, "
        f"x_test, y_test: --set data.path={name}.npz"
    )


def _local(name: str, path: str, arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    """Read a set from an npz file, as Keras's own or with the arrays of any study."""
    parts = npz.read(path, ragged=name in ("imdb", "reuters"))
    if "x_train" not in parts and {"x", "y"} <= set(parts):
        rows = 600 if arguments.get("version") == "small" else None
        x, y = _shuffled(parts["x"][:rows], parts["y"][:rows], np.random.RandomState(_SEED))
        cut = int(len(x) * (1 - _TEST_SHARE))
        parts = {"x_train": x[:cut], "y_train": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}
    elif name == "imdb" and parts.get("x_train", np.empty(0)).dtype == object:
        # Keras shuffles both parts with one stream, the training rows first.
        random = np.random.RandomState(_SEED)
        for inputs, labels in (("x_train", "y_train"), ("x_test", "y_test")):
            shuffled = _shuffled(parts[inputs], parts[labels], random)
            parts |= {inputs: shuffled[0], labels: shuffled[1]}
    _check_arrays(name, path, parts)
    if parts["x_train"].dtype == object:
        parts |= {
            key: _numbered(parts[key], arguments["num_words"])
            for key in ("x_train", "x_test")
            if key in parts
        }
    return parts


def _check_arrays(name: str, path: str, parts: dict[str, np.ndarray]) -> None:
    if not {"x_train", "y_train"} <= set(parts):
        raise DataError(
            f"data.path: '{path}' has not the arrays of '{name}'. Expected: x_train, y_train, "
            f"x_test, y_test. Found: {', '.join(sorted(parts)) or 'none'}."
        )
    declared = KERAS_SETS[name].shape
    shape = None if callable(declared) else declared
    found = parts["x_train"].shape[1:]
    if shape is not None and found not in (shape, shape[:-1] if shape[-1] == 1 else shape):
        raise DataError(
            f"data.path: an example in '{path}' has shape {found}; one of '{name}' has {shape}. "
            "Your own data comes by 'path' without a 'name'."
        )


def _shuffled(
    x: np.ndarray, y: np.ndarray, random: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in the order in which Keras delivers them."""
    index = np.arange(len(x))
    random.shuffle(index)
    return x[index], y[index]


def _numbered(texts: np.ndarray, num_words: int) -> np.ndarray:
    """Number words as Keras does: 1 begins a text, 2 is a rarer word, words begin at 4."""
    numbered = np.empty(len(texts), dtype=object)
    for row, text in enumerate(texts):
        words = np.asarray(text, dtype=np.int64) + _FIRST_WORD
        words[words >= num_words] = _UNKNOWN
        numbered[row] = [_START, *words.tolist()]
    return numbered


def _encode(texts: np.ndarray, arguments: dict[str, Any]) -> np.ndarray:
    """Return texts as padded rows (zeros in front, the end of a long text kept) or 0/1 columns."""
    if texts.dtype != object and arguments["encoding"] == "padded":
        texts = texts[:, -arguments["maxlen"] :]
    if arguments["encoding"] == "multi_hot":
        columns = np.zeros((len(texts), arguments["num_words"]), np.float32)
        for row, text in enumerate(texts):
            columns[row, np.asarray(text, np.int64)] = 1.0
        return columns
    padded = np.zeros((len(texts), arguments["maxlen"]), np.int32)
    for row, text in enumerate(texts):
        end = np.asarray(text, np.int32)[-arguments["maxlen"] :]
        if len(end):
            padded[row, -len(end) :] = end
    return padded
