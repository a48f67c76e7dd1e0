"""The analysed metric row by row: what is kept agrees with Keras, and keeping it moves no bit."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from ablate.training import model_cache, run_group
from ablate.training.feed import InMemory
from ablate.training.program import Program
from ablate.training.row_scores import row_scores
from ablate.training.rows import rows_of, tensors
from tests.training.small import (
    BN,
    DROPOUT,
    binary_spec,
    numbers,
    run,
    spec_of,
    trial_of,
)


def trained(spec, **fields):
    """Return the result and the arrays of a trial."""
    ((result, arrays, _),) = run_group([trial_of(spec, **fields)])
    assert result.status == "completed", result.error
    return result, arrays


def right(result, arrays):
    return np.unpackbits(arrays["rows/test"])[: result.rows["test"]].astype(bool)


def test_bits_of_accuracy_say_which_rows_were_right():
    spec = spec_of()
    result, arrays = trained(spec)
    assert result.row_metric == "test_accuracy"
    assert arrays["rows/test"].dtype == np.uint8 and arrays["rows/test"].nbytes == 45
    prepared = model_cache.prepared_model(spec, rows_of(spec, 0), 0, own=False)
    splits = rows_of(spec, 0).splits
    predicted = prepared.model.predict(splits.x_test, verbose=0).argmax(axis=1)
    assert np.array_equal(right(result, arrays), predicted == splits.y_test.reshape(-1))
    assert right(result, arrays).mean() == pytest.approx(result.metrics["test_accuracy"], abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "metric", "wanted"),
    [
        (binary_spec(), "test_accuracy", "auto"),
        (binary_spec(metrics=[{"name": "BinaryAccuracy", "threshold": 0.3, "as": "low"}]),
         "test_low", "low"),
        (spec_of(), "test_loss", "loss"),
        (spec_of(metrics=[{"name": "SparseTopKCategoricalAccuracy", "k": 3}]),
         "test_sparse_top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"),
        (spec_of(data={"name": "digits"}, jit_compile=True), "test_accuracy", "auto"),
    ],
    ids=["one unit", "threshold", "loss", "top k", "xla"],
)  # fmt: skip
def test_the_mean_over_rows_is_the_metric(spec, metric, wanted):
    result, arrays = trained(spec, metric=wanted)
    assert result.row_metric == metric
    values = arrays["rows/test"]
    if values.dtype == np.uint8:
        values = right(result, arrays)
    assert values.shape == (result.rows["test"],)
    assert values.mean(dtype=float) == pytest.approx(result.metrics[metric], rel=1e-4)


def regression():
    x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def test_a_regression_keeps_its_error_of_each_row():
    spec = binary_spec(model={"name": "mlp", "units": [4]})
    data = {"call": f"{__name__}:regression"}
    spec = spec.model_copy(update={"data": type(spec.data)(**data)})
    for wanted, metric in (("auto", "test_loss"), ("mae", "test_mae")):
        result, arrays = trained(spec, metric=wanted)
        assert result.row_metric == metric
        assert arrays["rows/test"].dtype == np.float32
        assert arrays["rows/test"].mean(dtype=float) == pytest.approx(
            result.metrics[metric], rel=1e-4
        )


@pytest.mark.parametrize("metric", ["auc", "no_such_metric", "val_accuracy"])
def test_what_is_no_mean_over_test_rows_is_not_kept(metric):
    result, arrays = trained(binary_spec(metrics=["accuracy", "AUC"]), metric=metric)
    assert result.row_metric is None and arrays == {}


def test_a_penalty_in_the_loss_is_no_part_of_a_row(fresh):
    penalized = {"layer": "Dense", "units": 8, "kernel_regularizer": "l2"}
    result, arrays = trained(spec_of({**penalized, "where": "dense1"}), metric="loss")
    assert result.row_metric is None and arrays == {}


def test_groups_of_rows_are_kept_as_numbers():
    spec = spec_of()
    rows = rows_of(spec, 0)
    names = np.array(["b", "a", "c"])[np.arange(359) % 3]
    splits = replace(rows.splits, groups_test=names)
    prepared = model_cache.prepared_model(spec, rows, 0, own=False)
    logs = prepared.program.evaluate(rows.test, 64)
    metrics = {f"test_{name}": value for name, value in logs.items()}
    name, arrays = row_scores(prepared.program, rows.test, splits, 64, metrics, "auto")
    assert name == "test_accuracy"
    assert arrays["rows/groups"].dtype == np.int32
    assert arrays["rows/groups"][:4].tolist() == [1, 0, 2, 1]


def test_a_row_of_many_targets_scores_their_mean():
    inputs = keras.Input((3, 2))
    outputs = keras.layers.Dense(4, activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(20, 3, 2)).astype("float32"), draw.integers(0, 4, (20, 3))
    program, feed = Program(model), InMemory(tensors(x, y))
    metrics = {f"test_{key}": each for key, each in program.evaluate(feed, 8).items()}

    class Ungrouped:
        groups_test = None

    name, arrays = row_scores(program, feed, Ungrouped, 8, metrics, "accuracy")
    right = model.predict(x, verbose=0).argmax(axis=-1) == y
    assert name == "test_accuracy"
    assert np.allclose(arrays["rows/test"], right.mean(axis=1))


def test_keeping_rows_moves_no_bit_of_any_trial_that_follows():
    found = {}
    for metric in ("auto", "none"):
        model_cache.forget()
        trials = [
            trial_of(spec, seed=seed, metric=metric)
            for spec in (spec_of(BN), spec_of(DROPOUT))
            for seed in (0, 1)
        ]
        found[metric] = [numbers(each) for each in run(*trials)]
    kept = [each.pop("row_metric") for results in found.values() for each in results]
    assert kept == ["test_accuracy"] * 4 + [None] * 4
    assert found["auto"] == found["none"]
