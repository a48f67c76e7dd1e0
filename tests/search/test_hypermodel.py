"""A variant in Keras Tuner's own tuners, as they are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import keras_tuner as kt
import numpy as np
import pytest

import ablate
from ablate.errors import StudyError
from tests.search.small import RATE, RATES, study

SPACE = RATES | {
    "train.batch_size": {"choice": [16, 32]},
    "insert.Dropout.rate": {"choice": [0.1, 0.5]},
    "insert.Dropout.present": {"bool": True},
}

TUNERS = {
    "RandomSearch": (kt.RandomSearch, {"max_trials": 2, "executions_per_trial": 2}),
    "Hyperband": (kt.Hyperband, {"max_epochs": 2, "factor": 2}),
    "BayesianOptimization": (
        kt.BayesianOptimization,
        {"max_trials": 3, "num_initial_points": 2},
    ),
    "GridSearch": (kt.GridSearch, {"max_trials": 2}),
}

TRAIN = {"epochs": 1, "threads": 1, "dtype": "mixed_bfloat16"}


def hyper(variant="dropout", **rest):
    return ablate.hypermodel(study({"space": SPACE}, **rest), variant=variant)


def at(**values):
    """Hyperparameters of the dropout variant with some values set."""
    hp = kt.HyperParameters()
    hyper().spec(hp)
    hp.values.update(values)
    return hp


def searched(name, model, folder, callbacks=(), **changes):
    """A stock tuner that has searched with a model."""
    kind, options = TUNERS[name]
    tuner = kind(
        model, objective="val_loss", directory=folder, project_name="tuned", seed=3,
        **options | changes,
    )  # fmt: skip
    tuner.search(**model.data, verbose=0, callbacks=list(callbacks))
    return tuner


def outcomes(tuner):
    """Every trial of a tuner: its point and all that it measured."""
    return {
        key: (
            trial.hyperparameters.values,
            {name: history.get_history() for name, history in trial.metrics.metrics.items()},
        )
        for key, trial in sorted(tuner.oracle.trials.items())
    }


def plainly(found):
    """Outcomes as text, for another process to print."""
    return repr(
        {
            key: (
                values,
                {name: [(o.step, o.value) for o in steps] for name, steps in seen.items()},
            )
            for key, (values, seen) in found.items()
        }
    )


@pytest.mark.parametrize("name", TUNERS)
def test_stock_tuners_search_it_as_they_are(name, tmp_path):
    model = hyper(train=TRAIN)
    tuner = searched(
        name, model, tmp_path / "one", [keras.callbacks.TensorBoard(tmp_path / "events")]
    )
    trials = list(tuner.oracle.trials.values())
    assert trials and {each.status for each in trials} == {"COMPLETED"}
    assert all(np.isfinite(each.score) for each in trials)
    names = {RATE, "train.batch_size", "insert.Dropout.rate", "insert.Dropout.present"}
    assert {hp.name for hp in tuner.oracle.get_space().space} >= names
    assert list((tmp_path / "events").rglob("*tfevents*"))
    best = tuner.get_best_models()[0]
    assert best.get_layer("dense1").compute_dtype == "bfloat16"  # the policy survived


def test_a_second_tuner_finds_the_same(tmp_path):
    model = hyper(train={"epochs": 1, "threads": 1})
    first, second = (
        outcomes(searched("RandomSearch", model, tmp_path / each, max_trials=1)) for each in "ab"
    )
    assert plainly(first) == plainly(second)


def test_a_build_begins_as_a_trial_does():
    from ablate.training.model_cache import prepared_model
    from ablate.training.rows import rows_of

    model = hyper()
    hp = at(**{RATE: 0.02})
    built = model.build(hp)
    spec, seed = model.spec(hp), model.seed
    rows = rows_of(spec, seed)
    prepared = prepared_model(spec, rows, seed, own=True)
    prepared.begin(seed, spec.train.learning_rate, rows)
    for mine, theirs in zip(built.get_weights(), prepared.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert float(built.optimizer.learning_rate) == np.float32(0.02)


def compiled(input_shape, **arguments):
    """Return a network that comes with an optimizer."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    return model


def test_a_model_is_trained_as_it_came_compiled():
    asked = study({"space": RATES}, "plain", model={"call": f"{__name__}:compiled"})
    model = ablate.hypermodel(asked)
    hp = kt.HyperParameters()
    model.spec(hp)
    assert hp.values[RATE] == 0.003
    assert isinstance(model.build(hp).optimizer, keras.optimizers.Adam)


def test_a_session_that_was_cleared_changes_nothing():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = hyper()
        first = model.build(at()).get_weights()
        keras.backend.clear_session()
        keras.config.set_dtype_policy("float32")  # what clearing leaves behind
        keras.utils.set_random_seed(5)
        again = model.build(at()).get_weights()
        assert keras.config.dtype_policy().name == "float64"
    finally:
        keras.config.set_dtype_policy(before)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_executions_have_seeds_of_their_own_and_the_points_batch_size(tmp_path):
    space = {"train.batch_size": {"choice": [16]}, "insert.bn.momentum": {"choice": [0.5, 0.9]}}
    bn = {"layer": "BatchNormalization", "name": "bn", "where": "hidden", "momentum": 0.5}
    model = ablate.hypermodel(
        study(
            {"space": space}, "plain", train={"epochs": 1, "threads": 1, "batch_size": 16},
            variants={"bn": {"insert": [{**bn, "calibrate": True}]}},
        )
    )  # fmt: skip
    begun = []

    class Begun(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            begun.append((self.params["steps"], self.model.get_weights()))

    tuner = kt.GridSearch(
        model, "val_loss", executions_per_trial=2, directory=tmp_path, project_name="tuned"
    )
    tuner.search(**model.data, verbose=0, callbacks=[Begun()])
    rows = len(model.data["x"])
    assert [steps for steps, _ in begun] == [-(-rows // 16)] * 4
    expected = [
        ablate.hypermodel(model.study, seed=model.seed + k).build(kt.HyperParameters())
        for k in (0, 1)
    ] * 2
    for (_, weights), same in zip(begun, expected, strict=True):
        assert all(map(np.array_equal, weights, same.get_weights()))


def test_to_fit_a_point_twice_is_to_repeat_it():
    model = hyper(train={"epochs": 1, "threads": 1})
    state = np.random.get_state()[1].tolist()
    first, again = (
        model.fit(at(), model.build(at()), **model.data, verbose=0).history for _ in range(2)
    )
    assert first == again
    assert np.random.get_state()[1].tolist() == state  # the caller's own draws go on


OWN = {
    "train.learning_rate": {"float": [1e-3, 1.0], "sampling": "log"},
    "train.batch_size": {"int": [8, 64]},
    "train.epochs": {"int": [1, 9], "step": 2},
    "train.optimizer.momentum": {"float": [0.0, 0.9]},
    "train.optimizer.nesterov": {"bool": True},
    "train.schedule.alpha": {"choice": [0.5, 0.0]},
    "insert.drop.present": {"bool": True},
    "insert.drop.rate": {"float": [0.1, 0.5], "step": 0.2},
    "insert.drop.at": {"choice": ["before", "after"]},
    "insert.BatchNormalization.momentum": {"choice": [0.5, 0.9, 0.99]},
    "insert.BatchNormalization.epsilon": {"choice": [0.1, 1e-3]},
}


def own_study(space, **train):
    document = {
        "epochs": 3, "threads": 1, "batch_size": 24, "learning_rate": 0.05,
        "optimizer": {"name": "sgd", "momentum": 0.7}, "schedule": "cosine",
    }  # fmt: skip
    insert = [
        {"layer": "BatchNormalization", "where": "hidden", "momentum": 0.9},
        {"layer": "Dropout", "name": "drop", "rate": 0.3, "where": "hidden"},
    ]
    return study(
        {"space": space}, "plain", variants={"both": {"insert": insert}}, train=document | train
    )


def test_where_a_tuner_chooses_nothing_it_is_the_studys_network(tmp_path, recwarn):
    from ablate.training.network import network
    from ablate.training.rows import rows_of

    model = ablate.hypermodel(own_study(OWN))
    assert not recwarn.list
    hp = kt.HyperParameters()
    built, own = model.build(hp), model.variant.spec
    # What the study leaves to Keras is spelt out, at the value that it has there.
    assert hp.values == {
        "train.learning_rate": 0.05, "train.batch_size": 24, "train.epochs": 3,
        "train.optimizer.momentum": 0.7, "train.optimizer.nesterov": False,
        "train.schedule.alpha": 0.0, "insert.drop.present": True, "insert.drop.rate": 0.3,
        "insert.drop.at": "after", "insert.BatchNormalization.momentum": 0.9,
        "insert.BatchNormalization.epsilon": 1e-3,
    }  # fmt: skip
    plain = network(own, rows_of(own, model.seed).splits).model
    assert [each.get_config() for each in built.layers] == [
        each.get_config() for each in plain.layers
    ]
    assert built.optimizer.momentum == 0.7
    assert float(built.optimizer._learning_rate(0)) == np.float32(0.05)

    only = kt.HyperParameters()
    only.Float("train.learning_rate", 1e-3, 1.0, sampling="log")
    tuner = kt.RandomSearch(
        model, "val_loss", max_trials=1, seed=1, hyperparameters=only, tune_new_entries=False,
        directory=tmp_path, project_name="tuned",
    )  # fmt: skip
    tuner.search(**model.data, verbose=0)
    (trial,) = tuner.oracle.trials.values()
    found = model.spec(trial.hyperparameters)
    rate = trial.hyperparameters.values["train.learning_rate"]
    assert found.train.learning_rate == rate != 0.05
    assert found.train.batch_size == 24
    assert [each.rate for each in found.insert if each.label == "drop"] == [0.3]


@pytest.mark.parametrize(
    ("path", "dimension", "default", "own"),
    [
        ("train.learning_rate", {"float": [0.1, 1.0]}, 0.1, "0.05"),
        ("train.learning_rate", {"float": [1e-4, 1e-2], "sampling": "log"}, 0.01, "0.05"),
        ("train.batch_size", {"int": [32, 64]}, 32, "24"),
        ("train.batch_size", {"choice": [16, 31]}, 31, "24"),
        ("train.max_norm", {"float": [1.0, 4.0]}, 1.0, "None"),
        ("insert.drop.at", {"choice": ["before", "after_activation"]}, "before", "'after'"),
        ("insert.drop.rate", {"float": [0.0, 0.5], "step": 0.25}, 0.25, "0.3"),
    ],
)
def test_a_value_outside_of_the_space_becomes_the_nearest_and_is_said(
    path, dimension, default, own
):
    with pytest.warns(UserWarning, match=f"search.space.{path}: variant 'both' has {own} ") as told:
        model = ablate.hypermodel(own_study({path: dimension}))
    assert len(told) == 1 and told[0].filename == __file__
    hp = kt.HyperParameters()
    model.spec(hp)
    assert hp.values == {path: default}
    assert f"is {default!r} instead" in str(told[0].message)


def test_placements_of_one_name_that_differ_are_said():
    two = [{"layer": "Dropout", "rate": rate, "where": "hidden"} for rate in (0.1, 0.5)]
    small = study(
        {"space": {"insert.Dropout.rate": {"choice": [0.1, 0.5]}}},
        variants={"two": {"insert": two}},
    )
    with pytest.warns(UserWarning, match="has 0.1 and 0.5 here"):
        ablate.hypermodel(small)


def test_callbacks_schedules_and_class_weights_come_with_the_point():
    train = {
        "epochs": 3, "threads": 1, "early_stopping": {"monitor": "val_loss", "patience": 0},
        "schedule": {"name": "cosine"}, "class_weight": "balanced",
    }  # fmt: skip
    model = hyper("plain", train=train)
    built = model.build(kt.HyperParameters())
    assert isinstance(built.optimizer._learning_rate, keras.optimizers.schedules.CosineDecay)
    history = model.fit(kt.HyperParameters(), built, **model.data, verbose=0)
    assert 1 <= len(history.epoch) <= 3


@pytest.mark.parametrize(
    ("search", "variant", "words"),
    [
        ({}, "dropuot", "no variant 'dropuot'.*Did you mean 'dropout'"),
        (None, "bn", "no 'search' section"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(search, variant, words):
    small = study({})
    if search is None:
        small = small.model_copy(update={"search": None})
    with pytest.raises(StudyError, match=words):
        ablate.hypermodel(small, variant=variant)


@pytest.mark.slow
def test_every_tuner_finds_the_same_again_here_and_in_a_fresh_process(tmp_path):
    code = """
import sys
from pathlib import Path
from tests.search.test_hypermodel import TRAIN, TUNERS, hyper, outcomes, plainly, searched

model = hyper(train=TRAIN)
for name in TUNERS:
    for each in "ab":
        print(plainly(outcomes(searched(name, model, Path(sys.argv[1], each, name)))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(ablate.__file__).parents[1],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}, text=True, capture_output=True, check=True,
    )  # fmt: skip
    there = [line for line in done.stdout.splitlines() if line.startswith("{")]
    model = hyper(train=TRAIN)
    here = [plainly(outcomes(searched(name, model, tmp_path / "here" / name))) for name in TUNERS]
    assert there[0::2] == there[1::2] == here


PROCESS = """
import sys
import keras_tuner as kt
import ablate
from tests.search.small import study

model = ablate.hypermodel(study({}, train={"epochs": 1, "threads": 1}), variant="bn")
tuner = kt.RandomSearch(
    model, objective="val_loss", max_trials=2, directory=sys.argv[1], project_name="tuned", seed=1
)
tuner.search(**model.data, verbose=0)
print(sorted((t.status, round(t.score, 3)) for t in tuner.oracle.get_best_trials(2)))
"""


@pytest.mark.slow
def test_chief_and_worker_are_processes_on_loopback(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {
        "KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }  # fmt: skip
    root = Path(ablate.__file__).parents[1]
    ids = ("chief", "tuner0")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path)],
            env=shared | {"KERASTUNER_TUNER_ID": each}, cwd=root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for each in ids
    ]  # fmt: skip
    try:
        said = [each.communicate(timeout=600) for each in processes]
    finally:
        for each in processes:
            each.kill()
    assert [each.returncode for each in processes] == [0, 0], said
    assert said[1][0].count("COMPLETED") == 2
