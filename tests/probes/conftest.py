"""A context to probe a small network in, as the runner would make it."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from ablate.probes import Context
from ablate.surgery import canonical_paths


@pytest.fixture
def context():
    """Return a function that makes a context of a model and rows, compiled if it is not."""

    def make(model, x, y=None, *, task="regression", classes=None, **changes):
        x = np.asarray(x, "float32")
        y = np.zeros((len(x), 1), "float32") if y is None else np.asarray(y)
        if not model.compiled:
            loss = "mse" if task == "regression" else "sparse_categorical_crossentropy"
            model.compile(keras.optimizers.SGD(0.1), loss)
        splits = SimpleNamespace(
            x_train=x, y_train=y, x_val=x, y_val=y, x_test=None, y_test=None,
            rows_train=np.arange(len(x)), rows_val=100 + np.arange(len(x)),
            task=task, classes=classes, class_names=None, input_shape=x.shape[1:],
        )  # fmt: skip
        fields = {
            "model": model, "splits": splits, "x": x, "y": y, "paths": canonical_paths(model),
            "seed": 0, "batch_size": 2, "epochs": 3,
        }  # fmt: skip
        return Context(**{**fields, **changes})

    return make


@pytest.fixture
def chain():
    """Return a function that makes layers one behind the other into a model."""

    def make(shape, *layers):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input(shape), *layers])
        return keras.Model(model.inputs, model.outputs)

    return make


@pytest.fixture
def rng():
    return np.random.default_rng(0)
