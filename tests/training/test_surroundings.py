"""Where layers were inserted, and what a model came with: what is said, and what is not."""

import keras
import pytest

from ablate.study.resolved import ResolvedVariant
from ablate.training import preview
from tests.training.small import BN, DROPOUT, run, spec_of, trial_of

layers = keras.layers


def backbone(frozen):
    """A nested model of two convolutions, and a head of two dense layers."""
    x = keras.Input((8, 8, 1))
    y = layers.Conv2D(2, 3, activation="relu", name="conv1")(x)
    y = layers.Conv2D(2, 3, activation="relu", name="conv2")(y)
    inner = keras.Model(x, y, name="body")
    inner.trainable = not frozen
    y = layers.Flatten(name="flat")(inner(x))
    y = layers.Dense(4, activation="relu", name="head")(y)
    return keras.Model(x, layers.Dense(10, activation="softmax", name="out")(y))


@pytest.fixture
def saved(tmp_path):
    def save(model):
        model.save(tmp_path / "mine.keras")
        return {"file": str(tmp_path / "mine.keras")}

    return save


def said(spec):
    """Return (notes, cautions) without those on kept weights."""
    (plan,) = preview([ResolvedVariant("mine", spec)])
    notes = tuple(each for each in plan.notes if "mine.keras" not in each)
    return notes, tuple(each for each in plan.cautions if "untrained" not in each)


def test_a_pattern_that_reaches_into_a_frozen_model_is_a_caution(saved):
    model = saved(backbone(frozen=True))
    notes, (caution,) = said(spec_of(BN, model=model))
    assert notes == ()
    assert caution.startswith("2 of 3 places for BatchNormalization lie inside 'body', frozen: ")
    assert "keeps a mean of 0 and a variance of 1, and never learns" in caution
    assert "set except: 'body/*'" in caution
    assert said(spec_of({**BN, "except": "body/*"}, model=model)) == ((), ())
    assert said(spec_of(BN, model=saved(backbone(frozen=False)))) == ((), ())


def test_calibrated_or_acting_layers_in_it(saved):
    model = saved(backbone(frozen=True))
    ((note,), cautions) = said(spec_of({**BN, "calibrate": True}, model=model))
    assert cautions == () and "keeps what calibration gave it" in note
    _, (caution,) = said(spec_of({**DROPOUT, "where": "conv"}, model=model))
    assert caution.startswith("2 of 2 places for Dropout lie inside 'body'")
    assert "acts while training" in caution


def test_a_frozen_inserted_layer_stays_and_one_beside_a_frozen_layer_trains(saved):
    """The facts behind what is said."""
    inside = spec_of({**BN, "where": "body/conv1"}, model=saved(backbone(frozen=True)))
    (plan,) = preview([ResolvedVariant("mine", inside)])
    assert plan.parameters - plan.trainable == 20 + 38 + 4 * 2
    (beside,) = preview([ResolvedVariant("mine", spec_of(BN, freeze="dense1"))])
    assert beside.trainable == 8 * 10 + 10 + 2 * 8


def test_layers_frozen_one_by_one(saved):
    _, (caution,) = said(spec_of(BN, freeze="dense1"))
    assert caution.startswith(
        "BatchNormalization is inserted at 1 frozen layer ('dense1'): what is inserted"
    )
    (note,), cautions = said(spec_of({**BN, "where": "dense1"}, freeze="dense1"))
    assert cautions == () and "trains, though" in note
    notes, cautions = said(spec_of(DROPOUT, freeze="dense1"))
    assert cautions == () and "acts while training" in notes[0]
    assert said(spec_of(BN, freeze="output")) == ((), ())


def test_a_second_normalization_is_a_caution(saved):
    own = keras.Sequential(
        [
            keras.Input((8, 8, 1)), layers.Flatten(),
            layers.Dense(6, name="a"), layers.BatchNormalization(name="own"), layers.ReLU(),
            layers.Dense(6, activation="relu", name="b"),
            layers.Dense(6, activation="relu", name="c"), layers.BatchNormalization(name="post"),
            layers.Dense(10, activation="softmax"),
        ]
    )  # fmt: skip
    model = saved(own)
    _, (caution,) = said(spec_of(BN, model=model))
    assert "'a_bn' beside 'own', 'c_bn' beside 'post'." in caution and "b_bn" not in caution
    _, (caution,) = said(spec_of({**BN, "at": "after", "where": "a"}, model=model))
    assert "'a_bn' beside 'own'" in caution
    for quiet in (
        spec_of({**BN, "where": "b"}, model=model),
        spec_of(BN, model=model, remove=[{"where": "BatchNormalization"}]),
        spec_of(BN, {**BN, "at": "after_activation"}),
    ):
        assert not any("second one" in each for each in said(quiet)[1])


def test_kept_weights_are_said_and_untrained_ones_are_a_caution(saved):
    model = backbone(frozen=False)
    (plan,) = preview([ResolvedVariant("mine", spec_of(model=saved(model)))])
    (caution,) = plan.cautions
    assert caution.startswith("'mine.keras' looks untrained") and "model.weights: fresh" in caution
    (fresh,) = preview(
        [ResolvedVariant("mine", spec_of(model={**saved(model), "weights": "fresh"}))]
    )
    assert fresh.cautions == () == fresh.notes
    for layer in model.get_layer("body").layers[1:]:
        layer.bias.assign(layer.bias + 0.5)
    (plan,) = preview([ResolvedVariant("mine", spec_of(model=saved(model)))])
    assert plan.cautions == () and "'head', 'out' of 'mine.keras' look untrained" in plan.notes[0]
    for name in ("head", "out"):
        bias = model.get_layer(name).bias
        bias.assign(bias + 0.5)
    (plan,) = preview([ResolvedVariant("mine", spec_of(model=saved(model)))])
    assert plan.notes == ("every seed starts from the weights of 'mine.keras'",)


LOSS_AND_METRICS = "loss sparse_categorical_crossentropy, metrics accuracy"


def test_what_a_model_was_compiled_with_and_trials_do_not_use_is_said(saved):
    model = backbone(frozen=False)
    adam = {"name": "adam"}
    model.compile(keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["acc"])
    spec = spec_of(model=saved(model), learning_rate=0.05)
    (used, note), _ = said(spec)
    assert used == "trained as the model came compiled: " + LOSS_AND_METRICS
    assert note == (
        "of what the model came compiled with, trials do not use its optimizer, adam at 0.001, "
        "but sgd at 0.05 (train.optimizer)"
    )
    (result,) = run(trial_of(spec))
    assert note in result.notes
    same = spec_of(model=saved(model), optimizer=adam, learning_rate=0.001)
    assert said(same) == (
        (
            f"trained as the model came compiled: adam at 0.001, {LOSS_AND_METRICS}. The state of "
            "its optimizer starts fresh",
        ),
        (),
    )

    adamw = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 9), clipnorm=1.0)
    model.compile(adamw, "kl_divergence", metrics=["acc", keras.metrics.AUC()])
    (note,), _ = said(spec_of(model=saved(model)))
    assert "adamw at CosineDecay, but sgd at 0.1 (train.optimizer)" in note
    assert "its loss, kl_divergence, but sparse_categorical_crossentropy (train.loss)" in note
    assert note.endswith("its metrics, auc (train.metrics)")
    model.compile(keras.optimizers.Adam(0.001, clipnorm=1.0), metrics=["accuracy"])
    (_, note), _ = said(spec_of(model=saved(model), optimizer=adam, learning_rate=0.001))
    assert note.endswith("do not use its optimizer's clipnorm: 1.0 (train.optimizer)")
