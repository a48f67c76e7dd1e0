"""Small trials on the digits, and callbacks for them, that the tests of training share."""

from __future__ import annotations

import keras
import numpy as np

from ablate.study.trial import Spec, Trial
from ablate.training import run_group

BN = {"layer": "BatchNormalization", "at": "before_activation", "where": "hidden"}
DROPOUT = {"layer": "Dropout", "rate": 0.4, "at": "after_activation", "where": "hidden"}


def spec_of(*insert, model=None, data=None, remove=(), **train):
    """Return the spec of a small network: 100 rows of digits, two epochs, batches of 32."""
    return Spec(
        data={"name": "digits", "limit": 100, **(data or {})},
        model=model or {"name": "mlp", "units": [8]},
        train={
            key: each
            for key, each in {"epochs": 2, "learning_rate": 0.1, **train}.items()
            if each is not None
        },
        insert=list(insert),
        remove=list(remove),
    )


def two_classes():
    """Return 160 rows of four numbers, of two classes that overlap."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 160)
    x = draw.normal(size=(160, 4)).astype("float32")
    x[:, 0] += y
    return x, y


def weighted_rows():
    """Return the two classes with a weight for each row, a third of them 0."""
    x, y = two_classes()
    weights = np.arange(160) % 3 / 2
    return {"train": (x[:100], y[:100], weights[:100]), "test": (x[100:], y[100:], weights[100:])}


def binary_spec(*insert, model=None, **train):
    """Return the spec of a small network with one sigmoid unit, for two classes."""
    return Spec(
        data={"call": f"{__name__}:two_classes"},
        model=model or {"name": "mlp", "units": [4], "output_activation": "sigmoid"},
        train={"epochs": 2, "learning_rate": 0.1, **train},
        insert=list(insert),
    )


def two_ended(input_shape, **arguments):
    """Return a network with two inputs and two outputs, by name."""
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    x = keras.layers.Dense(4, activation="relu", name="hidden")(
        keras.layers.Concatenate(name="both")([a, b])
    )
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(x)
    size = keras.layers.Dense(1, name="size")(x)
    return keras.Model({"a": a, "b": b}, {"kind": kind, "size": size})


def two_ended_rows():
    """Return 90 rows for it, 30 of them for tests."""
    draw = np.random.RandomState(0)
    x = {"a": draw.normal(size=(90, 3)), "b": draw.normal(size=(90, 2))}
    y = {"kind": draw.randint(0, 3, 90), "size": draw.normal(size=(90, 1))}
    return {
        "x_train": {k: v[:60] for k, v in x.items()}, "y_train": {k: v[:60] for k, v in y.items()},
        "x_test": {k: v[60:] for k, v in x.items()}, "y_test": {k: v[60:] for k, v in y.items()},
    }  # fmt: skip


def two_ended_spec(*insert, **train):
    """Return the spec of that network on those rows."""
    model, data = {"call": f"{__name__}:two_ended"}, {"call": f"{__name__}:two_ended_rows"}
    return Spec(
        data=data, model=model, train={"epochs": 2, "learning_rate": 0.1, **train},
        insert=list(insert),
    )  # fmt: skip


def pulled(y_true, y_pred, power=2.0):
    """Return how far outputs are off, by a power: a loss of anyone's own."""
    return keras.ops.mean(keras.ops.abs(y_pred - keras.ops.cast(y_true, y_pred.dtype)) ** power)


def confidence(y_true, y_pred):
    """Return the largest output of each row: a metric of anyone's own."""
    return keras.ops.max(y_pred, axis=-1)


def named_confidence():
    """Return it as a metric with a name."""
    return keras.metrics.MeanMetricWrapper(confidence, name="sure")


class Score(keras.callbacks.Callback):
    """Puts values of its own into the logs of each epoch."""

    def __init__(self, best=2):
        super().__init__()
        self.best = best

    def on_epoch_end(self, epoch, logs=None):
        logs["val_score"] = 1.0 - abs(epoch + 1 - self.best)
        logs["own"] = float(epoch)


def trial_of(spec, seed=0, name="trial", **fields):
    """Return a trial of `spec`."""
    return Trial(id=f"{name}-{seed}", variant=name, seed=seed, spec=spec, **fields)


def run(*trials, **arguments):
    """Train trials and return their results, which must not have failed."""
    results = [result for result, _, _ in run_group(trials, **arguments)]
    for result in results:
        assert result.status != "failed", result.error
    return results


def numbers(result):
    """Return all of a result that law 1 speaks of."""
    document = result.to_json()
    for key in ("seconds", "inference", "environment", "id", "variant", "notes", "spec"):
        del document[key]
    return document


@keras.saving.register_keras_serializable("ablate_tests")
class AlwaysNoisy(keras.layers.Layer):
    """Adds noise, in inference too."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)


def noisy_network():
    """Return a network for the digits that draws whenever it is called."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(AlwaysNoisy()(x)))


class Heard(keras.callbacks.Callback):
    """Writes down what it hears, and when."""

    said: list = []

    def on_train_begin(self, logs=None):
        self.said.append("train")

    def on_epoch_begin(self, epoch, logs=None):
        self.said.append(epoch)

    def on_test_end(self, logs=None):
        self.said.append(dict(logs))

    def on_epoch_end(self, epoch, logs=None):
        self.said.append(dict(logs))

    def on_train_end(self, logs=None):
        self.said.append(dict(logs))


class HeardBatches(Heard):
    """Hears single steps, too, and stops in the middle of the second epoch."""

    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.said.append((batch, dict(logs)))
        self.steps += 1
        self.model.stop_training = self.steps == 6

    def on_test_batch_end(self, batch, logs=None):
        self.said.append(("test", batch, dict(logs)))


class Cycle(keras.callbacks.Callback):
    """Sets the rate before each step, and ends the training and an evaluation early."""

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.2 / (1 + batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.model.stop_training = epoch == 2

    def on_test_begin(self, logs=None):
        self.seen = getattr(self, "seen", 0) + 1
        self.model.stop_evaluating = self.seen == 2


class Stop(keras.callbacks.Callback):
    """Asks to stop when the second epoch begins, and hears no batches."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.stop_training = epoch == 1
