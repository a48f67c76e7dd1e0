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
    "RandomSearch": (kt.RandomSearch, {"max_trials": 2}),
    "Hyperband": (kt.Hyperband, {"max_epochs": 2}),
    "BayesianOptimization": (
        kt.BayesianOptimization,
        {"max_trials": 3, "num_initial_points": 2},
    ),
    "GridSearch": (kt.GridSearch, {"max_trials": 2}),
}


def hyper(variant="dropout", **rest):
    return ablate.hypermodel(study({"space": SPACE}, **rest), variant=variant)


def at(**values):
    """Hyperparameters of the dropout variant with some values set."""
    hp = kt.HyperParameters()
    hyper().spec(hp)
    hp.values.update(values)
    return hp


@pytest.mark.parametrize("name", TUNERS)
def test_stock_tuners_search_it_as_they_are(name, tmp_path):
    kind, options = TUNERS[name]
    model = hyper(train={"epochs": 1, "threads": 1, "dtype": "mixed_bfloat16"})
    tuner = kind(
        model, objective="val_loss", directory=tmp_path, project_name="tuned", seed=0, **options
    )
    tuner.search(
        **model.data, verbose=0, callbacks=[keras.callbacks.TensorBoard(tmp_path / "events")]
    )
    trials = list(tuner.oracle.trials.values())
    assert trials and {each.status for each in trials} == {"COMPLETED"}
    assert all(np.isfinite(each.score) for each in trials)
    names = {RATE, "train.batch_size", "insert.Dropout.rate", "insert.Dropout.present"}
    assert {hp.name for hp in tuner.oracle.get_space().space} >= names
    assert list((tmp_path / "events").rglob("*tfevents*"))
    best = tuner.get_best_models()[0]
    assert best.get_layer("dense1").compute_dtype == "bfloat16"  # the policy survived


def test_a_build_begins_as_a_trial_does():
    from ablate.training.bench import bench_for
    from ablate.training.rows import rows_of

    model = hyper()
    hp = at(**{RATE: 0.02})
    built = model.build(hp)
    spec, seed = model.spec(hp), model.seed
    rows = rows_of(spec, seed)
    bench = bench_for(spec, rows, seed, own=True)
    bench.begin(seed, spec.train.learning_rate, rows)
    for mine, theirs in zip(built.get_weights(), bench.model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert float(built.optimizer.learning_rate) == np.float32(0.02)


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


def test_repetitions_have_seeds_of_their_own_and_the_points_batch_size():
    model = hyper(train={"epochs": 1, "threads": 1})
    hp = at(**{"train.batch_size": 16})
    seen, weights = [], []

    class Steps(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            weights.append(self.model.get_weights()[0])
            seen.append(self.params["steps"])

    losses = [
        model.fit(hp, model.build(hp), **model.data, verbose=0, callbacks=[Steps()]).history
        for _ in range(2)
    ]
    rows = len(model.data["x"])
    assert seen == [-(-rows // 16)] * 2
    assert not np.array_equal(*weights)
    assert losses[0] != losses[1]
    again = hyper(train={"epochs": 1, "threads": 1})
    repeated = again.fit(hp, again.build(hp), **again.data, verbose=0).history
    assert repeated["loss"] == losses[0]["loss"]


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
