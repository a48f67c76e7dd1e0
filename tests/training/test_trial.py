"""A trial from spec to result: its outcomes, its choices, what it writes."""

import os
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from ablate.data import Target
from ablate.study.progress import Event
from ablate.study.schema.data import Data
from ablate.training import model_cache, run_group
from ablate.training.rows import rows_of
from tests.training.small import (
    BN,
    DROPOUT,
    binary_spec,
    run,
    spec_of,
    trial_of,
    two_classes,
    two_ended_spec,
)


def test_a_result_has_curves_metrics_and_what_it_cost():
    events = []
    spec = spec_of(DROPOUT, epochs=2)
    (result,) = run(trial_of(spec, seed=2), report=events.append)
    assert result.status == "completed" and result.epochs == 2 and result.steps == 8
    assert {name: len(curve) for name, curve in result.curves.items()} == {
        "loss": 3, "accuracy": 3, "val_loss": 3, "val_accuracy": 3, "learning_rate": 3,
    }  # fmt: skip
    assert result.curves["loss"][0] is None and result.curves["val_loss"][0] > 0
    assert result.curves["learning_rate"] == [0.1, 0.1, 0.1]
    assert set(result.metrics) == {
        f"{split}_{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")
    }
    assert result.metrics["val_loss"] == result.curves["val_loss"][-1]
    assert result.rows == {"train": 100, "validation": 216, "test": 359}
    assert result.parameters == 64 * 8 + 8 + 8 * 10 + 10 and result.bn_momentum is None
    labels = rows_of(spec, 0).splits.y_val
    assert result.majority == np.bincount(labels).max() / len(labels)
    assert {"total", "train", "evaluate", "build", "trace"} <= set(result.seconds)
    assert len(result.inference) == 2 and result.environment["tensorflow"]
    assert [(e.kind, e.epoch) for e in events] == [
        ("started", 0), ("epoch", 0), ("epoch", 1), ("epoch", 2),
    ]  # fmt: skip
    assert events[2].logs["loss"] == result.curves["loss"][1]
    assert isinstance(events[0], Event) and events[0].trial == "trial-2"


def test_a_metric_has_one_name_in_every_variant(fresh):
    asked = {
        "metrics": ["AUC", {"name": "AUC", "as": "pr", "curve": "PR"}],
        "early_stopping": {"monitor": "val_pr", "patience": 5},
    }
    specs = [binary_spec(**asked), binary_spec(BN, **asked), binary_spec(DROPOUT, **asked)]
    results = run(*(trial_of(spec, name=f"v{at}") for at, spec in enumerate(specs)))
    expected = {f"{s}_{n}" for s in ("train", "val", "test") for n in ("loss", "auc", "pr")}
    assert [set(each.metrics) for each in results] == [expected] * 3
    # The worse of two areas is not the better: `as` points as its class does.
    assert all(
        each.curves["val_pr"][each.best_epoch] == max(each.curves["val_pr"][1:]) for each in results
    )


def unnamed(input_shape):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(3, activation="relu")(inputs)
    ends = keras.layers.Dense(1, activation="sigmoid")(x), keras.layers.Dense(1)(x)
    return keras.Model(inputs, ends)


def two_unnamed_targets():
    x, y = two_classes()
    return {"x_train": x, "y_train": [y, x[:, :1]]}


def test_unnamed_outputs_are_not_counted_by_the_models_before(fresh):
    model, data = {"call": f"{__name__}:unnamed"}, Data(call=f"{__name__}:two_unnamed_targets")
    specs = [binary_spec(model=model), binary_spec(DROPOUT, model=model)]
    specs = [each.model_copy(update={"data": data}) for each in specs]
    results = run(*(trial_of(spec, name=f"v{at}") for at, spec in enumerate(specs)))
    names = {"loss", "dense_1_loss", "dense_1_accuracy", "dense_2_loss", "dense_2_mae"}
    expected = {f"{split}_{name}" for split in ("train", "val", "test") for name in names}
    assert [set(each.metrics) for each in results] == [expected] * 2


@pytest.mark.parametrize("ending, arguments", [("sigmoid", {}), ("linear", {"from_logits": True})])
def test_the_area_under_the_curve_is_scikit_learns(tmp_path, ending, arguments):
    from sklearn.metrics import roc_auc_score

    model = {"call": f"{__name__}:one_unit", "ending": ending}
    metrics = [{"name": "AUC", "num_thresholds": 1000, **arguments}]
    spec = binary_spec(model=model, metrics=metrics, save="final", epochs=20)
    ((result, _, path),) = run_group([trial_of(spec)], work=lambda name: tmp_path)
    splits = rows_of(spec, 0).splits
    outputs = keras.saving.load_model(path).predict(splits.x_test, verbose=0)
    area = roc_auc_score(splits.y_test, outputs[:, 0])
    assert 0.6 < area < 0.95 and result.metrics["test_auc"] == pytest.approx(area, abs=0.01)


def one_unit(input_shape, ending):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(1, activation=ending)(inputs))


def test_no_epochs_measure_the_beginning():
    norms = [{**BN, "momentum": 0.9}, {**BN, "momentum": 0.999, "trainable": False}]
    (result,) = run(trial_of(spec_of(*norms, epochs=0)))
    assert result.epochs == 0 and result.steps == 0
    assert result.bn_momentum == 0.9  # of those that train
    assert result.metrics["val_loss"] == result.curves["val_loss"][0]


def test_divergence_is_an_outcome_with_its_step_and_no_score():
    spec = spec_of(
        data={"name": "noisy_line", "limit": None},
        epochs=40,
        learning_rate=30.0,
        early_stopping={"patience": 50},
    )
    (result,) = run(trial_of(spec))
    assert result.status == "diverged" and result.diverged is not None
    epochs = result.epochs
    steps = -(-result.rows["train"] // 32)
    assert result.diverged == {"epoch": epochs + 1, "step": result.steps - epochs * steps}
    assert 1 <= result.diverged["step"] <= steps and 0 < epochs < 40
    assert set(result.metrics.values()) == {None} and "test_mae" in result.metrics
    assert result.best_epoch is None
    losses = result.curves["val_loss"]
    assert len(losses) == epochs + 2 and losses[-1] is None and losses[-2] > 0


@keras.saving.register_keras_serializable("ablate_tests")
class Explosive(keras.layers.Layer):
    """Counts steps in a weight that training never reads; infinite after the fifth."""

    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x, training=False):
        if training:
            self.seen.assign(keras.ops.where(self.seen >= 4.0, np.inf, self.seen + 1.0))
        return x


def test_a_weight_that_is_not_finite_is_a_divergence(tmp_path, monkeypatch):
    insert = {"layer": "ablate_tests>Explosive", "at": "after", "where": "dense1"}
    (result,) = run(trial_of(spec_of(insert, epochs=4)))
    assert result.status == "diverged" and result.diverged == {"epoch": 2, "step": 4}


def test_the_best_epoch_is_restored_or_saved(tmp_path):
    stopping = spec_of(epochs=9, learning_rate=0.8, early_stopping={"patience": 1})
    (stopped,) = run(trial_of(stopping, seed=1))
    losses = stopped.curves["val_loss"][1:]
    assert stopped.best_epoch == 1 + int(np.argmin(losses)) < stopped.epochs < 9
    assert stopped.metrics["val_loss"] == min(losses)

    spec = spec_of(epochs=stopped.epochs, learning_rate=0.8, save="best")
    ((result, _, path),) = run_group([trial_of(spec, seed=1)], work=lambda trial: tmp_path)
    assert result.curves == stopped.curves
    assert result.metrics["val_loss"] == losses[-1]  # saving changes nothing
    assert result.saved == "best" and path == tmp_path / "model.keras"
    splits = rows_of(spec, 1).splits
    found = keras.saving.load_model(path).evaluate(splits.x_val, splits.y_val, verbose=0)
    assert found[0] == pytest.approx(min(losses), rel=1e-6)


class Failing(keras.callbacks.Callback):
    """Raises in the second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise OSError("the disk is on fire")


class Touching(keras.callbacks.Callback):
    """Changes the model in a way that another trial must not inherit."""

    def on_train_begin(self, logs=None):
        self.model.get_layer("dense1").activation = keras.activations.tanh


@pytest.fixture
def callbacks(monkeypatch):
    module = types.ModuleType("callbacks_of_a_test")
    module.Failing, module.Touching = Failing, Touching
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return lambda name: [{"call": f"{module.__name__}:{name}"}]


def test_a_failure_is_recorded_and_the_next_trial_goes_on(callbacks):
    spec = spec_of()
    bad = spec_of(callbacks=callbacks("Failing"))
    wrong = spec_of(early_stopping={"monitor": "val_acuracy", "mode": "max"})
    results = [
        result for result, _, _ in run_group([trial_of(bad), trial_of(wrong), trial_of(spec)])
    ]
    assert [result.status for result in results] == ["failed", "failed", "completed"]
    assert "the disk is on fire" in results[0].error and "Traceback" in results[0].error
    assert results[0].epochs == 1 or results[0].curves["loss"]
    assert "Did you mean 'val_accuracy'?" in results[1].error
    assert "Traceback" not in results[1].error


def test_a_trial_that_failed_still_says_what_its_data_and_network_are(callbacks):
    spec = spec_of(data={"limit": 5000}, callbacks=callbacks("Failing"))
    ((result, _, _),) = run_group([trial_of(spec)])
    assert result.status == "failed"
    assert result.notes == ("limit 5000: there are only 1222 training rows",)


def test_a_callback_that_touches_the_model_has_it_for_itself(callbacks):
    plain, touched = spec_of(), spec_of(callbacks=callbacks("Touching"))
    before, changed, after = run(trial_of(plain), trial_of(touched), trial_of(plain))
    assert before.metrics == after.metrics != changed.metrics


def test_a_time_limit_ends_a_trial_in_plain_words():
    ((result, _, _),) = run_group([trial_of(spec_of(time_limit=1e-9))])
    assert result.status == "failed"
    assert result.error.startswith("Stopped after") and "train.time_limit" in result.error


def test_frozen_bounded_and_calibrated():
    spec = spec_of(
        {**BN, "calibrate": True},
        model={"name": "mlp", "units": [8, 6]},
        freeze="dense1",
        max_norm=0.3,
        learning_rate=0.5,
    )
    rows = rows_of(spec, 0)
    run(trial_of(spec))
    made = model_cache.prepared_model(spec, rows, 0, own=False)
    trained = {v.path: v.numpy() for v in made.model.weights}
    made.begin(0, 0.1, rows)
    begun = {v.path: v.numpy() for v in made.model.weights}
    moved = {path for path, value in begun.items() if not np.array_equal(value, trained[path])}
    assert {path.split("/")[-2] for path in moved} == {
        "dense1_bn", "dense2", "dense2_bn", "output",
    }  # fmt: skip
    for name in ("dense2", "output"):
        kernel = next(v for p, v in trained.items() if p.endswith(f"{name}/kernel"))
        assert np.linalg.norm(kernel, axis=0).max() <= 0.3 + 1e-6
    # Calibrated on the training rows, the normalizations change nothing at inference.
    x = rows.splits.x_train
    dense1 = made.model.get_layer("dense1")
    linear = np.maximum(0, dense1(x.reshape(len(x), -1)).numpy())
    inner = keras.Model(made.model.inputs, made.model.get_layer("dense1_activation").output)
    np.testing.assert_allclose(inner(x).numpy(), linear, rtol=1e-6, atol=1e-6)


def test_several_inputs_and_outputs():
    spec = two_ended_spec(DROPOUT, loss={"size": "mae"})
    assert isinstance(rows_of(spec, 0).splits.targets["kind"], Target)
    (result,) = run(trial_of(spec))
    assert {"loss", "kind_loss", "size_loss", "kind_accuracy", "size_mae"} <= set(result.curves)
    assert result.metrics["test_size_loss"] == pytest.approx(result.metrics["test_size_mae"])


def test_what_callbacks_put_into_the_logs_are_metrics(tmp_path):
    score = {"call": "tests.training.small:Score", "best": 2}
    stopping = {"monitor": "val_score", "mode": "max", "patience": 1}
    (result,) = run(trial_of(spec_of(epochs=5, callbacks=[score], early_stopping=stopping)))
    assert (result.epochs, result.best_epoch) == (3, 2)
    assert result.curves["val_score"] == [None, 0.0, 1.0, 0.0]
    assert (result.metrics["val_score"], result.metrics["train_own"]) == (1.0, 1.0)
    (result,) = run(trial_of(spec_of(epochs=3, callbacks=[score])))
    assert (result.metrics["val_score"], result.metrics["train_own"]) == (0.0, 2.0)
    spec = spec_of(callbacks=[score], early_stopping={"monitor": "val_scor", "mode": "max"})
    ((result, _, _),) = run_group([trial_of(spec)])
    assert result.error is not None and result.epochs == 1
    assert result.error.startswith(
        "train.early_stopping.monitor: training reports no 'val_scor'. Did you mean 'val_score'?"
    )


def test_phases_freeze_thaw_and_start_their_optimizer_fresh(tmp_path):
    phases = [{"epochs": 1, "freeze": "dense1"}, {"epochs": 2, "learning_rate": 0.01}]
    spec = spec_of(model={"name": "mlp", "units": [8]}, epochs=None, phases=phases, save="final")
    ((result, _, path),) = run_group([trial_of(spec)], work=lambda trial: tmp_path)
    assert (result.epochs, result.phases, result.steps) == (3, (1, 3), 12)
    assert result.curves["learning_rate"] == [0.1, 0.1, 0.01, 0.01]
    model = keras.saving.load_model(path)
    assert int(model.optimizer.iterations) == 8 and model.get_layer("dense1").trainable
    stopped = spec_of(epochs=None, phases=phases[:1])
    ((frozen, _, path),) = run_group([trial_of(
        stopped.model_copy(update={"train": stopped.train.model_copy(update={"save": "final"})})
    )], work=lambda trial: tmp_path / "one")  # fmt: skip
    assert frozen.phases == () and frozen.curves["val_loss"] == result.curves["val_loss"][:2]


def test_compiled_with_xla_and_weighed_by_class():
    spec = spec_of(jit_compile=True, class_weight={0: 2.0, 3: 0.0}, epochs=1)
    (result,) = run(trial_of(spec))
    assert result.status == "completed" and result.metrics["val_loss"] > 0


class Subclassed(keras.Model):
    """A model of Python code, with a layer that draws."""

    def __init__(self):
        super().__init__()
        self.flat = keras.layers.Flatten()
        self.hidden = keras.layers.Dense(6, activation="relu")
        self.drop = keras.layers.Dropout(0.3)
        self.out = keras.layers.Dense(10)

    def call(self, x, training=False):
        return self.out(self.drop(self.hidden(self.flat(x)), training=training))


class OwnStep(Subclassed):
    def train_step(self, data):
        return super().train_step(data)


def test_a_subclassed_model_trains_like_any_other(monkeypatch, fresh):
    module = types.ModuleType("subclassed_of_a_test")
    module.model = Subclassed
    monkeypatch.setitem(sys.modules, module.__name__, module)
    model = {"call": f"{module.__name__}:model"}
    loss = {"name": "sparse_categorical_crossentropy", "from_logits": True}
    spec = spec_of(model=model, loss=loss)
    zero, one = run(trial_of(spec, 0), trial_of(spec, 1))
    assert zero.parameters == 64 * 6 + 6 + 60 + 10
    assert zero.curves["val_loss"][0] != one.curves["val_loss"][0]
    model_cache.forget()
    (again,) = run(trial_of(spec, 1))
    assert again.curves == one.curves
    ((inserted, _, _),) = run_group([trial_of(spec_of(DROPOUT, model=model, loss=loss))])
    assert inserted.status == "completed" and inserted.parameters == zero.parameters
    module.model = OwnStep
    model_cache.forget()
    (alone,) = run(trial_of(spec, 1))
    assert alone.status == "completed"
    ((refused, _, _),) = run_group([trial_of(spec_of(DROPOUT, model=model, loss=loss))])
    assert refused.status == "failed" and "has its own 'train_step'" in refused.error


class Writing(keras.callbacks.Callback):
    """Writes a file of the user's over at every epoch, and reads what it wrote."""

    def on_epoch_end(self, epoch, logs=None):
        before = Path("notes.txt").read_text() if epoch else ""
        with open("notes.txt", "w") as stream:
            stream.write(f"{before}{epoch} ")


def test_what_callbacks_write_is_kept_with_the_trial(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "best.keras").write_text("mine")
    spec = spec_of(
        callbacks=[
            {"call": f"{__name__}:Writing"},
            {"call": "keras.callbacks:ModelCheckpoint", "filepath": "best.keras"},
            {"call": "keras.callbacks:CSVLogger", "filename": str(tmp_path.parent / "log.csv")},
            {"call": "keras.callbacks:TensorBoard", "log_dir": "board"},
        ]
    )
    before = sorted(os.listdir(tmp_path))
    for name in ("one", "other"):
        work = tmp_path.parent / f"{tmp_path.name}-{name}"
        (result,) = run(trial_of(spec), work=lambda trial, place=work: place)
        assert result.status == "completed", result.error
        assert (work / "files" / "notes.txt").read_text() == "0 1 "
        assert keras.saving.load_model(work / "files" / "best.keras").count_params() > 0
        assert [*(work / "files" / "board" / "train").glob("*tfevents*")]
        assert len((work / "files" / "log.csv").read_text().splitlines()) == 3
    assert sorted(os.listdir(tmp_path)) == before
    assert {(tmp_path / each).read_text() for each in ("notes.txt", "best.keras")} == {"mine"}
    (result,) = run(trial_of(spec))
    assert result.status == "completed" and sorted(os.listdir(tmp_path)) == before
