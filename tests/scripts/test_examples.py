"""Scripts in the style of tutorials: what is captured, and `fit` gives the trial's numbers."""

import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.errors import StudyError
from ablate.training import model_cache, run_group
from ablate.training.rows import rows_of
from tests.training.small import trial_of
from tests.training.test_against_fit import Batches

#: Names of old scripts, and what trials report.
_TODAY = {"acc": "accuracy", "val_acc": "val_accuracy"}


def variants(study):
    return {each.name: each.spec for each in study.resolved}


def removed(spec):
    return [each.where for each in spec.remove]


class Texts(Batches):
    """Batches that may hold texts, which Keras takes as tensors alone."""

    def __getitem__(self, index):
        return keras.tree.map_structure(_tensor_of_texts, super().__getitem__(index))


def _tensor_of_texts(rows):
    return tf.constant(rows) if rows.dtype.kind in "OSU" else rows


def against_fit(study, tmp_path, seed=3, own=None):
    """Assert that a trial has the history and the weights of the script's own call of fit."""
    spec = study.resolved[0].spec
    spec = spec.model_copy(
        update={"train": spec.train.model_copy(update={"save": "final", "threads": 1})}
    )
    ((result, _, path),) = run_group([trial_of(spec, seed)], work=lambda trial: tmp_path)
    assert result.status == "completed", result.error
    rows = rows_of(spec, seed)
    made = model_cache.make(spec, rows, seed)
    for variable, value in made.initial_state.of(seed):
        variable.assign(value)
    inputs = next((tmp_path / "logs").glob("*/inputs"))
    (file,) = inputs.glob("*_again_*.py")
    call, _, _ = importlib.import_module(file.stem)._again._call(None)
    for mine, theirs in zip(call.model.variables, made.model.variables, strict=True):
        mine.assign(theirs)
    batches = Texts(rows.train.batch(0, rows.train.rows), seed, spec.train.batch_size)

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = epoch

    given = [
        each
        for each in call.arguments["callbacks"] or []
        if not isinstance(each, keras.callbacks.TensorBoard)
    ]
    validation = rows.validation
    history = call.model.fit(
        batches,
        epochs=spec.train.epochs,
        shuffle=False,
        validation_data=None
        if validation is None
        else keras.tree.map_structure(
            lambda leaf: _tensor_of_texts(np.asarray(leaf)), validation.batch(0, validation.rows)
        ),
        validation_batch_size=spec.train.batch_size,
        callbacks=[*given, Turn()],
        verbose=0,
    )
    history = {_TODAY.get(key, key): values for key, values in history.history.items()}
    assert {key: each[1:] for key, each in result.curves.items() if key in history} == history
    with keras.saving.custom_object_scope(own or {}):
        trained = keras.saving.load_model(path, compile=False).get_weights()
    for mine, theirs in zip(call.model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    return result


def test_a_perceptron_with_one_hot_labels(study_of, tmp_path):
    study, lines = study_of("mlp_one_hot.py")
    assert study.study == "mlp_one_hot" and study.baseline_name == "own"
    found = variants(study)
    assert {name: removed(each) for name, each in found.items()} == {
        "own": [],
        "without-dropout": ["Dropout"],
    }
    own = found["own"]
    assert own.model.weights == "fresh" and own.data.scale == "none"
    train = own.train
    assert (train.epochs, train.batch_size, train.learning_rate) == (3, 16, 0.001)
    assert train.optimizer.name == "adam" and train.loss == "categorical_crossentropy"
    assert train.early_stopping.model_dump() == {
        "monitor": "val_loss", "patience": 2, "min_delta": 0.0, "mode": "auto",
    }  # fmt: skip
    assert train.callbacks == [] and any("TensorBoard is left out" in line for line in lines)
    assert "Rows: 120 to train on, 30 to validate on, 50 to score on." in "\n".join(lines)
    against_fit(study, tmp_path)


@pytest.mark.slow
def test_two_inputs_and_two_outputs(study_of, tmp_path):
    study, lines = study_of("two_ends.py")
    assert {name: removed(each) for name, each in variants(study).items()} == {
        "own": [],
        "without-bn": ["BatchNormalization"],
    }
    train = study.train
    assert set(train.loss) == {"priority", "department"}
    assert train.loss_weights == {"priority": 1.0, "department": 0.2}
    assert any("a fifth of its rows is held out" in line for line in lines)
    against_fit(study, tmp_path)


@pytest.mark.slow
def test_a_train_step_of_its_own(study_of, tmp_path):
    study, _ = study_of("custom_step.py")
    assert study.model.file is None and study.train.optimizer.name == "sgd"
    result = against_fit(study, tmp_path)
    assert result.metrics["val_loss"] > 0


@pytest.mark.slow
def test_arguments_and_plots(study_of, tmp_path):
    draw = np.random.default_rng(0)
    np.savez("rows.npz", x=draw.normal(size=(50, 3)).astype("float32"), y=draw.normal(size=50))
    study, _ = study_of("arguments.py", "rows.npz", "--lr", "0.01")
    assert list(variants(study)) == ["plain", "bn", "dropout", "both"]
    assert study.train.learning_rate == 0.01
    assert study.script.arguments == ["rows.npz", "--lr", "0.01"]
    against_fit(study, tmp_path)
    with pytest.raises(StudyError, match="asks for arguments") as error:
        study_of("arguments.py")
    assert "arguments.py:9" in str(error.value)


@pytest.mark.slow
def test_parts_of_the_scripts_own(study_of, tmp_path):
    study, _ = study_of("own_parts.py")
    assert list(variants(study)) == ["own", "without-bn", "without-dropout", "without-either"]
    assert study.train.schedule.name == "exponential"
    assert study.train.loss.call.endswith(":loss") and study.model.call.endswith(":model")
    result = against_fit(study, tmp_path)
    assert result.curves["counted"][1:] == [2.0, 3.0]


@pytest.mark.slow
def test_texts(study_of, tmp_path):
    study, lines = study_of("text.py")
    assert {name: removed(each) for name, each in variants(study).items()} == {
        "own": [],
        "without-dropout": ["Dropout"],
    }
    assert any("drops by its own dropout=0.2" in line for line in lines)
    against_fit(study, tmp_path)


def test_configurations_in_a_loop(study_of, tmp_path):
    with pytest.raises(StudyError, match="may not be the only fit") as error:
        study_of("configurations.py")
    assert "--rehearse" in str(error.value) and "'plain', 66 parameters" in str(error.value)
    (tmp_path / "best.json").write_text('{"mine": 1}')
    study, lines = study_of("configurations.py", rehearse=True)
    assert [each.name for each in study.resolved] == ["plain", "bn", "dropped"]
    assert any("compares 3 models itself" in line for line in lines)
    assert json.loads((tmp_path / "best.json").read_text()) == {"mine": 1}
    assert study.train.metrics == ["accuracy"]
    against_fit(study, tmp_path)
    first, _ = study_of("configurations.py", **{"script.fit": 1})
    assert list(variants(first)) == ["plain", "bn", "dropout", "both"]


def test_a_script_that_ends_before_its_fit(study_of):
    with pytest.raises(StudyError, match="raised before it came to a fit") as error:
        study_of("crashes.py")
    said = str(error.value)
    assert "crashes.py:6" in said and "Adam(lr=0.1)" in said
    assert said.endswith("`lr=` is `learning_rate=` now.")


def test_a_loop_of_its_own(study_of, tmp_path):
    with pytest.raises(StudyError, match="by `GradientTape`, in a loop of its own") as error:
        study_of("own_loop.py")
    (model,) = (tmp_path / "logs").rglob("model-*.keras")
    assert str(model) in str(error.value) and "own_loop.py:10" in str(error.value)
