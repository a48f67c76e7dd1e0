"""Scripts in the style of tutorials: what is captured, and `fit` gives the trial's numbers."""

import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from ablate.capture.rerun import Rerun
from ablate.errors import StudyError
from ablate.training import model_cache, run_group
from ablate.training.rows import rows_of
from tests.training.small import trial_of
from tests.training.test_against_fit import Batches

EXAMPLES = Path(__file__).parent / "examples"

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
    work = tmp_path / "work"
    ((result, _, path),) = run_group([trial_of(spec, seed)], work=lambda trial: work)
    assert result.status == "completed", result.error
    rows = rows_of(spec, seed)
    made = model_cache.make(spec, rows, seed)
    for variable, value in made.initial_state.of(seed):
        variable.assign(value)
    inputs = next((tmp_path / "logs").glob("*/inputs"))
    source = json.loads((inputs / "capture.json").read_text())["source"]
    model, history = made.model, {}
    phases = spec.train.phases or [None]
    for number, phase in enumerate(phases, 1):
        call, _, _ = Rerun(inputs, source)._call(None if phase is None else number)
        for mine, theirs in zip(call.model.variables, model.variables, strict=True):
            mine.assign(theirs)
        model, done = call.model, len(history.get("loss", ()))
        epochs = (phase or spec.train).epochs
        for key, values in _fitted(call, rows, seed, spec.train.batch_size, done, epochs).items():
            history.setdefault(_TODAY.get(key, key), []).extend(values)
    assert {key: each[1:] for key, each in result.curves.items() if key in history} == history
    with keras.saving.custom_object_scope(own or {}):
        trained = keras.saving.load_model(path, compile=False).get_weights()
    for mine, theirs in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    return result


def _fitted(call, rows, seed, batch_size, done, epochs):
    """Fit a script's model on a trial's batches, after `done` epochs; return the history."""
    batches = Texts(rows.train.batch(0, rows.train.rows), seed, batch_size)

    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            batches.epoch = done + epoch

    given = [
        each
        for each in call.arguments["callbacks"] or []
        if not isinstance(each, keras.callbacks.TensorBoard)
    ]
    validation = rows.validation
    history = call.model.fit(
        batches,
        epochs=epochs,
        shuffle=False,
        validation_data=None
        if validation is None
        else keras.tree.map_structure(
            lambda leaf: _tensor_of_texts(np.asarray(leaf)), validation.batch(0, validation.rows)
        ),
        validation_batch_size=batch_size,
        callbacks=[*given, Turn()],
        verbose=0,
    )
    for each in given:
        if getattr(each, "save_best_only", False):
            call.model.load_weights(each.filepath)  # as the script does then
    return history.history


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
    assert any("drops by its own dropout=0.2, taken out with Dropout" in line for line in lines)
    (change,) = study.resolved[1].spec.change
    assert change.dropout == 0.0 and change.where.startswith("path:")
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


@pytest.mark.slow
def test_a_subclassed_model(study_of, tmp_path):
    study, _ = study_of("subclassed.py")
    assert {name: removed(each) for name, each in variants(study).items()} == {
        "own": [],
        "without-dropout": ["Dropout"],
    }
    against_fit(study, tmp_path)


@pytest.mark.slow
def test_transfer_learning_in_two_fits(study_of, tmp_path):
    with pytest.raises(StudyError, match=r"there is another fit in transfer\.py:42"):
        study_of("transfer.py")
    study, lines = study_of("transfer.py", rehearse=True)
    assert study.train.epochs == 5
    first, second = study.train.phases
    assert (first.epochs, first.freeze) == (3, ["path:base"])
    assert (second.epochs, second.freeze, second.learning_rate) == (2, [], 1e-5)
    assert set(study.model.kept) == {"base/conv", "base/bn"}
    assert any("1 frozen BatchNormalization of 'base' stays" in line for line in lines)
    assert against_fit(study, tmp_path).epochs == 5
    tuned, _ = study_of("transfer.py", **{"script.fit": 2})
    assert tuned.model.weights == "keep" and tuned.train.learning_rate == 1e-5
    assert {"base/conv", "dense"} <= {name.partition("_")[0] for name in tuned.model.kept}


def test_a_checkpoint_that_is_loaded_is_the_best_weights(study_of, tmp_path):
    study, lines = study_of("checkpoint.py")
    train = study.train
    assert train.early_stopping.model_dump() == {
        "monitor": "val_accuracy", "patience": 3, "min_delta": 0.0, "mode": "auto",
    }  # fmt: skip
    last, notes = train.callbacks
    assert (last.call, last.filepath) == ("keras.callbacks:ModelCheckpoint", "last.keras")
    assert notes.call.endswith(":Notes")
    said = "\n".join(lines)
    assert "the script loads best.weights.h5, the best weights by val_accuracy" in said
    assert "each trial writes last.keras to its own folder" in said
    assert "CSVLogger is left out" in said
    (tmp_path / "notes.txt").write_text("mine")
    result = against_fit(study, tmp_path)
    assert result.best_epoch < result.epochs
    written = tmp_path / "work" / "files"
    epochs = range(result.epochs)
    assert (written / "notes.txt").read_text() == "mine" + "".join(f"{n}\n" for n in epochs)
    assert sorted(each.name for each in written.iterdir()) == ["last.keras", "notes.txt"]


FITS = """
import keras, numpy as np
x = np.random.rand(40, 3).astype("float32")
y = x.sum(1)
m = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
m.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
"""


@pytest.mark.slow
def test_fits_that_go_on_with_one_optimizer_are_one_training(study_of, tmp_path):
    (tmp_path / "on.py").write_text(f"{FITS}for i in range(3):\n    m.fit(x, y, epochs=2)\n")
    study, lines = study_of(str(tmp_path / "on.py"), rehearse=True)
    assert study.train.phases is None and study.train.epochs == 6
    assert "Fits of one model are one training" in lines[1]


@pytest.mark.slow
def test_each_phase_has_its_own_callbacks_schedule_and_optimizer(study_of, tmp_path):
    (tmp_path / "two.py").write_text(
        f"{FITS}"
        "class Own(keras.callbacks.Callback):\n"
        "    def __init__(self, by):\n"
        "        super().__init__()\n"
        "        self.by = by if by else print\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        logs['own'] = 2.0 if self.by is print else 1.0\n"
        "m.fit(x, y, epochs=2, validation_split=0.2, callbacks=[Own(lambda: 1)])\n"
        "rate = keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.9)\n"
        "m.compile(keras.optimizers.SGD(rate), 'mse')\n"
        "m.fit(x, y, epochs=3, validation_split=0.2, callbacks=[Own(None),\n"
        "      keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)])\n"
    )
    study, _ = study_of(str(tmp_path / "two.py"), rehearse=True)
    first, second = study.train.phases
    assert first.callbacks[0].call.endswith(":callback_0") and first.schedule is None
    assert second.callbacks[0].call.endswith(":callback_0_of_fit_2")
    assert second.schedule.name == "exponential" and second.optimizer.momentum == 0.0
    assert first.early_stopping is None and second.early_stopping.patience == 2
    result = against_fit(study, tmp_path)
    assert result.curves["own"][1:] == [1.0, 1.0, 2.0, 2.0, 2.0]


def test_phases_have_batches_in_common(study_of, tmp_path):
    (tmp_path / "two.py").write_text(f"{FITS}m.fit(x, y)\nm.fit(x, y, batch_size=8)\n")
    with pytest.raises(
        StudyError, match=r"has another .batch_size. than that of two\.py:7"
    ) as error:
        study_of(str(tmp_path / "two.py"), rehearse=True)
    assert "--set script.fit=2" in str(error.value)


@pytest.mark.slow
def test_a_folder_of_images_with_augmentation(study_of, tmp_path):
    draw = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for index in range(16):
            pixels = draw.integers(0, 255, (20, 20, 3)).astype("float32")
            keras.utils.save_img(str(tmp_path / "photos" / label / f"{index}.png"), pixels)
    study, _ = study_of("image_folder.py", "photos")
    assert study.train.batch_size == 8 and study.data.call.endswith(":data")
    assert list(variants(study)) == ["own", "without-bn", "without-dropout", "without-either"]
    assert study.train.metrics[0].as_ == "accuracy"
    spec = study.resolved[0].spec
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"threads": 1})})
    twice = [
        run_group([trial_of(spec, name=name)], work=lambda trial: tmp_path) for name in ("a", "b")
    ]
    one, other = (result for ((result, _, _),) in twice)
    assert one.status == "completed", one.error
    assert one.curves == other.curves and one.epochs == 2


def test_what_was_captured_is_used_again_until_something_changes(study_of, tmp_path):
    script = tmp_path / "train.py"
    text = (
        (EXAMPLES / "mlp_one_hot.py")
        .read_text()
        .replace("default_rng(0)", "default_rng(int(open('seed').read()))")
    )
    script.write_text(text)
    (tmp_path / "seed").write_text("1")
    first, lines = study_of(str(script))
    assert lines[0].startswith("Running ")
    again, lines = study_of(str(script))
    assert again == first and not any(line.startswith("Running ") for line in lines)
    script.write_text(f"{text}# a comment\n")
    commented, lines = study_of(str(script))
    assert lines[0].startswith("Running ")
    assert commented.data == first.data
    (module,) = (tmp_path / "logs" / "train" / "inputs").glob("capture.json")
    assert json.loads(module.read_text())["script"]["file"] == str(script)


def test_a_notebook(study_of, tmp_path):
    cells = [
        ["%matplotlib inline\n", "!pip install keras\n", "import keras\n", "import numpy as np"],
        ["%%bash\n", "ls"],
        [
            "model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])\n",
            "model.compile('sgd', 'mse')\n",
        ],
        ["%%time\n", "h = model.fit(np.load('x.npy'), np.zeros((30, 2)), epochs=2)"],
        ["raise SystemExit"],
    ]
    folder = tmp_path / "notes"
    folder.mkdir()
    np.save(folder / "x.npy", np.ones((30, 3)))
    document = {"cells": [{"cell_type": "code", "source": each} for each in cells]}
    (folder / "a net.ipynb").write_text(json.dumps(document))
    study, lines = study_of(str(folder / "a net.ipynb"))
    assert study.study == "a-net" and study.train.epochs == 2
    assert any("a net.ipynb, cell 4, line 2: fit of" in line for line in lines)


def test_one_model_fitted_again_on_other_rows(study_of, tmp_path):
    (tmp_path / "again.py").write_text(
        "import keras, numpy as np\n"
        "x = np.random.rand(30, 3)\n"
        "m = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])\n"
        "m.compile('sgd', 'mse')\n"
        "for i in range(2):\n"
        "    m.fit(x[i * 10:], x[i * 10:, :1], verbose=0)\n"
    )
    with pytest.raises(StudyError, match="One and the same model is fitted again") as error:
        study_of(str(tmp_path / "again.py"), rehearse=True)
    assert "fit 2, again.py:6:" in str(error.value) and "(that of fit 1)" in str(error.value)


def test_two_scripts_of_one_name_are_two_studies(study_of, tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.py").write_text(f"{FITS}m.fit(x, y)\n")
    first, _ = study_of(str(tmp_path / "one" / "train.py"))
    with pytest.raises(StudyError, match="is the study of another script of this name") as error:
        study_of(str(tmp_path / "other" / "train.py"))
    assert "--set study=other-train" in str(error.value)
    second, _ = study_of(str(tmp_path / "other" / "train.py"), study="other-train")
    assert (first.study, second.study) == ("train", "other-train")


def test_an_epoch_has_every_row_once(study_of, tmp_path):
    fit = "m.fit(x, y, batch_size=16, steps_per_epoch={})\n"
    (tmp_path / "whole.py").write_text(FITS + fit.format("len(x) // 16"))
    study, lines = study_of(str(tmp_path / "whole.py"))
    assert study.train.steps_per_epoch is None
    assert any("trials take the last, smaller batch of an epoch as well" in line for line in lines)
    (tmp_path / "part.py").write_text(FITS + fit.format("1"))
    with pytest.raises(StudyError, match="its steps_per_epoch is 1, and 40 rows in batches of 16"):
        study_of(str(tmp_path / "part.py"))


def test_metrics_in_the_third_place(study_of, tmp_path):
    (tmp_path / "third.py").write_text(
        "import keras, numpy as np\n"
        "m = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])\n"
        "m.compile('sgd', 'mse', ['mae'])\n"
        "m.fit(np.ones((9, 3)), np.ones(9))\n"
    )
    with pytest.raises(StudyError, match=r"Write metrics=… by name"):
        study_of(str(tmp_path / "third.py"))


SCRIPTS = {
    "sys.exit": ("import sys\nsys.exit('no data')", "train.py:2: the script ended itself"),
    "no fit": ("print(1)", "it ran to its end without a fit of a Keras model"),
    "input": ("input('which? ')", "It asks for input"),
    "missing": ("import nothing_of_the_kind", "Install it where `ablate` runs"),
    "file": ("open('rows.csv')", "Files are looked for from the folder where `ablate` is called"),
    "never trained": (
        "import keras\nm = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])",
        "it builds a model and never trains it",
    ),
    "batches": (
        "import keras, numpy as np\n"
        "m = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "m.compile('sgd', 'mse')\n"
        "m.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))",
        "train.py:4: the script trains its model by `train_on_batch`",
    ),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_script_without_a_fit_is_refused_with_the_reason(study_of, tmp_path, case, monkeypatch):
    text, said = SCRIPTS[case]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    (tmp_path / "train.py").write_text(text)
    with pytest.raises(StudyError) as error:
        study_of(str(tmp_path / "train.py"))
    assert said in str(error.value)
