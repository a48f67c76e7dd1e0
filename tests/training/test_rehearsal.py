"""What fails in the first epoch of training fails before it, with its field."""

import sys
import types

import keras
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.study.resolved import ResolvedVariant
from ablate.training import preview
from tests.training.small import BN, DROPOUT, spec_of

layers = keras.layers


@keras.saving.register_keras_serializable("ablate_tests")
class Fickle(layers.Layer):
    """Refuses to train on batches of fewer than `least` rows, or to be differentiated."""

    def __init__(self, least=0, differentiable=True, **kwargs):
        super().__init__(**kwargs)
        self.least, self.differentiable = least, differentiable

    def call(self, x, training=False):
        if training and x.shape[0] is not None and x.shape[0] < self.least:
            raise ValueError("too few rows")
        if not self.differentiable:
            import tensorflow as tf

            @tf.custom_gradient
            def refuse(x):
                def gradient(upstream):
                    raise RuntimeError("no gradient here")

                return x, gradient

            return refuse(x)
        return x


@keras.saving.register_keras_serializable("ablate_tests")
class OwnStep(keras.Model):
    """Trains by a step that fails on the rest of an epoch."""

    def train_step(self, data):
        if data[0].shape[0] == 4:
            raise ValueError("a rest")
        return super().train_step(data)


def small(**arguments):
    """A model with a layer of `arguments`' making."""
    kind = OwnStep if arguments.pop("own", False) else keras.Model
    x = keras.Input((8, 8, 1))
    made = arguments.pop("layer")
    flat = layers.Dense(64)(layers.Flatten()(x))
    out = layers.Dense(10, activation="softmax", name="out")(made(**arguments)(flat))
    return kind(x, out)


class Subclassed(keras.Model):
    """A model whose graph cannot be read."""

    def __init__(self):
        super().__init__()
        self.flat, self.out = layers.Flatten(), layers.Dense(10, activation="softmax")
        self.drop = layers.Dropout(0.5, noise_shape=(None, 3), name="bad")

    def call(self, x, training=False):
        return self.out(self.drop(self.flat(x), training=training))


@pytest.fixture
def calls(monkeypatch):
    """Let a study call `make`."""

    def call(make):
        module = types.ModuleType("models_of_a_rehearsal")
        module.make = make
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return {"call": f"{module.__name__}:make"}

    return call


CASES = {
    "noise_of_the_batch": (
        {"layer": layers.Dropout, "rate": 0.5, "noise_shape": (32, 1), "name": "mine"},
        r"model: 'mine' \(Dropout\) fails in training on the last batch of an epoch, of 4 rows: "
        r"noise_shape \[32, 1\] does not fit \(4, 64\)\. Write null",
    ),
    "noise_of_the_features": (
        {"layer": layers.Dropout, "rate": 0.5, "noise_shape": (None, 3), "name": "mine"},
        r"'mine' \(Dropout\) fails in training on a batch of 32 rows: noise_shape \[null, 3\] does",
    ),
    "rest": (
        {"layer": Fickle, "least": 5, "name": "mine"},
        r"model: 'mine' \(Fickle\) .* last batch of an epoch, of 4 rows: ValueError: too few rows. "
        "If it needs whole batches, let train.batch_size divide",
    ),
    "gradient": (
        {"layer": Fickle, "differentiable": False},
        "train: a step of training fails on a batch of 32 rows: RuntimeError: no gradient here",
    ),
    "own_step": (
        {"layer": Fickle, "own": True},
        "train: a step of training fails on the last batch of an epoch, of 4 rows: ValueError: a r",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_model_brings_fails_before_training(case, calls):
    arguments, said = CASES[case]
    spec = spec_of(model=calls(lambda: small(**arguments)))
    with pytest.raises(StudyError, match=f"variant 'mine': .*{said}"):
        preview([ResolvedVariant("mine", spec)])


def test_a_subclassed_model_too(calls):
    spec = spec_of(model=calls(Subclassed), loss="sparse_categorical_crossentropy")
    with pytest.raises(StudyError, match=r"model: 'bad' \(Dropout\) .* does not fit \(32, 64\)"):
        preview([ResolvedVariant("mine", spec)])


def test_what_is_inserted_is_told_by_its_place():
    bad = {**DROPOUT, "noise_shape": [32, 1]}
    with pytest.raises(StudyError, match=r"insert\[1\]: 'dense1_dropout' .* of 4 rows: noise_sh"):
        preview([ResolvedVariant("mine", spec_of(BN, bad))])


@pytest.mark.parametrize(
    "spec",
    [
        spec_of(BN, {**DROPOUT, "noise_shape": [None, 1]}, class_weight="balanced"),
        spec_of({**DROPOUT, "noise_shape": [32, 1]}, data={"limit": 96}),
        spec_of({**DROPOUT, "noise_shape": [32, 1]}, epochs=0),
        spec_of(DROPOUT, batch_size=512, optimizer={"name": "adam", "clipnorm": 1.0}),
        spec_of(BN, dtype="mixed_float16", freeze="dense1"),
    ],
)
def test_what_fits_is_let_pass(spec):
    (plan,) = preview([ResolvedVariant("mine", spec)])
    assert plan.metrics == ("accuracy", "loss", "val_accuracy", "val_loss")


def test_a_model_that_somebody_holds_is_left_as_it_was(calls):
    model = small(layer=layers.BatchNormalization)
    before = [np.array(each) for each in model.get_weights()]
    preview([ResolvedVariant("mine", spec_of(model=calls(lambda: model)))])
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
