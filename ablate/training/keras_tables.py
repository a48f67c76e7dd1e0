"""What the installed Keras calls its optimizers, losses, … and what each takes.

`make docs` writes these tables to `ablate/study/keras.json`, which checks study files
without importing Keras; a test compares the file with the Keras that is installed.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any

import keras

from ablate.study.keras_names import CHECKED_LAYERS, TABLES
from ablate.training.objectives import _LOSSES, _METRICS, _OPTIMIZERS

#: Wrappers and parents that no study can name.
_NOT_NAMED = {
    "optimizer", "lossscaleoptimizer", "multioptimizer", "loss",
    "metric", "mean", "mean_metric_wrapper", "sum", "get", "serialize", "deserialize", "stft",
    "glu", "threshold",  # glu halves its input, threshold needs arguments
}  # fmt: skip


#: Layers that draw for the rows of training, and the one that makes room for a random crop.
_AUGMENTING = ("AugMix", "CutMix", "GaussianNoise", "MixUp", "RandAugment", "ZeroPadding2D")


def keras_tables() -> dict[str, Any]:
    """Return the tables: names, and for each what it takes (an argument of Keras's per text)."""
    activations = [name for name, each in vars(keras.activations).items()
                   if inspect.isfunction(each)]  # fmt: skip
    initializers = [n for n in dir(keras.initializers) if n[0].islower() and n[0] != "_"]
    layers = {name: getattr(keras.layers, name).__init__ for name in CHECKED_LAYERS}
    augmenting = [*_AUGMENTING, *(n for n in dir(keras.layers) if n.startswith("Random"))]
    return {
        "optimizers": _taken(_OPTIMIZERS, {"learning_rate", "name", "kwargs"}),
        "losses": _taken(_LOSSES, {"reduction", "name", "dtype"}),
        "metrics": _named(_METRICS),
        "activations": _named(activations),
        # The axes say which of a weight's axes count; layers know that themselves.
        "initializers": _taken(
            {name: getattr(keras.initializers, name) for name in initializers},
            {"seed", "input_axes", "output_axes"},
        ),
        "augmentations": _taken(
            {name: getattr(keras.layers, name).__init__ for name in sorted(augmenting)},
            {"self", "kwargs", "name", "seed", "data_format"},
        ),
        "layers": {
            name: sorted({*taken, "trainable", "dtype"})
            for name, taken in _taken(layers, {"self", "kwargs", "name", "seed"}).items()
        },
    }


def _named(names: Iterable[str]) -> list[str]:
    return sorted(set(names) - _NOT_NAMED)


def _taken(kinds: dict[str, Any], beyond: set[str]) -> dict[str, list[str]]:
    """Return what each of `kinds` takes, but for the arguments `beyond`."""
    return {
        name: [each for each in inspect.signature(kinds[name]).parameters if each not in beyond]
        for name in _named(kinds)
    }


if __name__ == "__main__":
    TABLES.write_text(json.dumps(keras_tables(), indent=1) + "\n", encoding="utf-8")
