"""The loop gives the numbers `model.fit` gives for the same batches, to the bit."""

import keras
import numpy as np
import pytest

from ablate.study.phases import phases_of, spec_of_phase
from ablate.study.schema.data import Data
from ablate.training import model_cache, run_group
from ablate.training.callbacks import CallbackSet
from ablate.training.objectives import compile_for
from ablate.training.rows import rows_of, weighted
from ablate.training.schedules import keras_schedule
from ablate.training.seeding import order
from tests.training.small import BN, DROPOUT, Heard, spec_of, trial_of, two_ended_spec

CNN = {"name": "cnn", "filters": [4], "dense": [8]}
SMALL = "tests.training.small"
HEARD = f"{SMALL}:Heard"
S = keras.optimizers.schedules


class Batches(keras.utils.PyDataset):
    """A trial's batches, epoch by epoch."""

    def __init__(self, rows, seed, size):
        super().__init__()
        self.rows = [keras.tree.map_structure(np.asarray, each) for each in rows]
        self.count = len(keras.tree.flatten(self.rows)[0])
        self.seed, self.size, self.epoch = seed, size, 0

    def __len__(self):
        return -(-self.count // self.size)

    def __getitem__(self, index):
        chosen = order(self.count, self.seed, self.epoch)
        chosen = chosen[index * self.size : (index + 1) * self.size]
        return tuple(keras.tree.map_structure(lambda rows: rows[chosen], self.rows))


def by_fit(spec, seed):
    """Train a trial's model with `model.fit`, once for each phase; return history and weights."""
    rows, curves, left = rows_of(spec, seed), {}, []
    for train in phases_of(spec.train):
        made = model_cache.make(spec_of_phase(spec, train), rows, seed)
        for variable, value in made.initial_state.of(seed):
            variable.assign(value)
        for variable, value in zip(made.model.variables, left, strict=False):
            variable.assign(value)
        first = len(curves.get("loss", ()))
        for name, curve in _fitted(made.model, train, rows, seed, first).items():
            curves.setdefault(name, []).extend(curve)
        left = [np.array(each) for each in made.model.variables]
    return curves, made.model.get_weights()


def _fitted(model, train, rows, seed, first):
    """Fit a model for a phase that begins after epoch `first`; return the history."""
    compile_for(model, train, rows.splits)
    examples = weighted(rows.train, rows.splits, train.class_weight)
    batches = Batches(examples.batch(0, examples.rows), seed, train.batch_size)
    schedule = keras_schedule(train, len(batches))
    if schedule is not None:
        config = model.optimizer.get_config()
        inner = config.get("inner_optimizer")
        (inner["config"] if inner else config)["learning_rate"] = schedule
        model.optimizer = (
            keras.optimizers.LossScaleOptimizer(
                type(model.optimizer.inner_optimizer).from_config(inner["config"])
            )
            if inner
            else type(model.optimizer).from_config(config)
        )

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = epoch

    history = model.fit(
        batches,
        initial_epoch=first,
        epochs=first + train.epochs,
        shuffle=False,
        validation_data=keras.tree.map_structure(
            np.asarray, rows.validation.batch(0, rows.validation.rows)
        ),
        validation_batch_size=train.batch_size,
        callbacks=[*CallbackSet.of(train, True).callbacks, Turn()],
        verbose=0,
    )
    return history.history


WEIGHTED = spec_of(
    DROPOUT, model={"name": "mlp", "units": [4]}, batch_size=16, optimizer="adam", epochs=3
).model_copy(update={"data": Data(call="tests.training.small:weighted_rows")})

CASES = {
    "weights": WEIGHTED,
    "weights_of_rows_and_classes": WEIGHTED.model_copy(
        update={"train": WEIGHTED.train.model_copy(update={"class_weight": {0: 3.0}})}
    ),
    "bn_dropout": spec_of(
        BN, DROPOUT, model=CNN, optimizer={"name": "sgd", "momentum": 0.9}, max_norm=1.0
    ),
    "adam_cosine_weights": spec_of(
        DROPOUT,
        optimizer={"name": "adam", "use_ema": True, "ema_overwrite_frequency": 3},
        schedule={"name": "cosine", "warmup_steps": 3},
        class_weight="balanced",
        metrics=["accuracy", "SparseTopKCategoricalAccuracy"],
        learning_rate=0.01,
    ),
    "stopping_plateau_accumulated": spec_of(
        BN,
        epochs=4,
        optimizer={"name": "rmsprop", "gradient_accumulation_steps": 2},
        schedule={"name": "plateau", "patience": 1, "min_delta": 5.0, "factor": 0.5},
        early_stopping={"patience": 1, "min_delta": 0.5},
    ),
    "exponential_regression": spec_of(
        data={"name": "noisy_line", "limit": 64},
        optimizer={"name": "adamw", "weight_decay": 0.01},
        schedule={"name": "exponential", "decay_rate": 0.5, "decay_steps": 3},
    ),
    "mixed": spec_of(
        BN, dtype="mixed_float16", schedule={"name": "inverse_time", "decay_rate": 0.3}
    ),
    # What is measured before training must leave no trace in the states of generators.
    "noise_in_inference": spec_of(model={"call": "tests.training.small:noisy_network"}),
    "callback": spec_of(BN, callbacks=[{"call": HEARD}]),
    "batches": spec_of(DROPOUT, callbacks=[{"call": HEARD + "Batches"}]),
    "cycle": spec_of(BN, epochs=4, callbacks=[{"call": "tests.training.small:Cycle"}]),
    "outputs": two_ended_spec(
        BN,
        loss={
            "kind": keras.losses.SparseCategoricalCrossentropy(),
            "size": {"call": f"{SMALL}:pulled", "power": 1.5},
        },
        loss_weights={"kind": 1.0, "size": 0.25},
        metrics={"kind": ["accuracy"], "size": [keras.metrics.MeanAbsoluteError(), "mse"]},
    ),
    "objects": spec_of(
        DROPOUT,
        optimizer=keras.optimizers.AdamW(
            S.CosineDecay(0.0, 5, warmup_target=0.02, warmup_steps=3),
            weight_decay=0.01,
            clipnorm=0.5,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")],
        weighted_metrics=["accuracy", {"call": f"{SMALL}:named_confidence"}],
        class_weight={3: 4.0},
    ),
    # Objects are there before Keras knows its metrics, which it does once a step was traced.
    "metrics_of_classes": spec_of(metrics=["SparseCategoricalAccuracy"]),
    "stopped_by_own_score": spec_of(
        BN,
        epochs=5,
        callbacks=[{"call": f"{SMALL}:Score"}],
        early_stopping={"monitor": "val_score", "mode": "max", "patience": 1},
    ),
    "phases": spec_of(
        BN,
        DROPOUT,
        model=CNN,
        epochs=None,
        optimizer={"name": "sgd", "momentum": 0.9},
        schedule="cosine",
        phases=[
            {"epochs": 2, "freeze": "conv"},
            {
                "epochs": 3,
                "learning_rate": 0.01,
                "early_stopping": {"min_delta": 9.0, "patience": 1},
            },
            {"epochs": 1, "freeze": "dense[0]", "optimizer": keras.optimizers.Adam(0.003)},
        ],
    ),
    "stop": spec_of(BN, epochs=3, callbacks=[{"call": "tests.training.small:Stop"}]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_trial_equals_fit_to_the_bit(case, tmp_path):
    spec = CASES[case]
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"save": "final"})})
    Heard.said.clear()
    ((result, _, path),) = run_group([trial_of(spec, seed=3)], work=lambda trial: tmp_path)
    assert result.status == "completed", result.error
    said = list(Heard.said)
    Heard.said.clear()
    history, weights = by_fit(spec, seed=3)

    curves = {name: curve[1:] for name, curve in result.curves.items()}
    history.pop("learning_rate", None)  # a plateau's own entry, in float32
    assert {name: curves[name] for name in history} == history
    trained = keras.saving.load_model(path, compile=False).get_weights()
    assert len(trained) == len(weights)
    for ours, theirs in zip(trained, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert said == Heard.said


def test_test_rows_count_by_their_weights_as_in_evaluate(tmp_path):
    spec = WEIGHTED.model_copy(
        update={"train": WEIGHTED.train.model_copy(update={"save": "final"})}
    )
    ((result, _, path),) = run_group([trial_of(spec)], work=lambda trial: tmp_path)
    model, parts = keras.saving.load_model(path, compile=False), rows_of(spec, 0).splits
    model.compile(loss="sparse_categorical_crossentropy")
    weighted_loss = model.evaluate(
        parts.x_test, parts.y_test, sample_weight=parts.weight_test, batch_size=512, verbose=0
    )
    plain = model.evaluate(parts.x_test, parts.y_test, batch_size=512, verbose=0)
    assert result.metrics["test_loss"] == weighted_loss != plain
