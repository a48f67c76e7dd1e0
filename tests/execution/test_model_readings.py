"""What a model brings along is stated in the plan where the study is silent."""

import sys
import types

import keras
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.execution.model_readings import with_model
from ablate.study.identity import trial_ids
from ablate.study.study import Study
from ablate.training import brought_by_model
from tests.training.small import pulled

HERE = "tests.training.small"


def network():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(4, activation="relu", name="base")(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="head")(x))


def study(**fields):
    base = {"study": "mine", "data": {"name": "digits"}, "variants": {"plain": {}}}
    return Study(**{**base, **fields})


@pytest.fixture
def module(tmp_path, monkeypatch):
    made = types.ModuleType("brought_by_a_test")
    made.pulled = pulled
    monkeypatch.setitem(sys.modules, made.__name__, made)
    (tmp_path / f"{made.__name__}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    made.__spec__ = types.SimpleNamespace(origin=str(tmp_path / f"{made.__name__}.py"))
    return made


def test_a_files_settings_are_stated_where_the_study_is_silent(tmp_path):
    model = network()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 9)
    model.compile(
        keras.optimizers.AdamW(schedule, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(ignore_class=3),
        metrics=["acc", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")],
    )
    model.save(tmp_path / "m.keras")
    silent = study(model={"file": str(tmp_path / "m.keras")}, train={"epochs": 3})
    train = with_model(silent, {}).train
    assert (train.optimizer.name, train.learning_rate) == ("adamw", 0.1)
    assert train.optimizer.arguments["clipnorm"] == 1.0
    assert (train.schedule.name, train.schedule.arguments) == ("cosine", {"decay_steps": 9})
    assert train.loss.arguments["ignore_class"] == 3 and train.epochs == 3
    assert [train.metrics[0], train.metrics[1].as_] == ["acc", "top"]
    assert with_model(silent.model_copy(update={"numerics": 1}), {}).train == silent.train

    rate = with_model(study(model=silent.model, train={"learning_rate": 0.5}), {}).train
    assert (rate.optimizer.name, rate.learning_rate, rate.schedule) == ("adamw", 0.5, None)
    named = study(model=silent.model, train={"optimizer": "adam", "loss": "mse"})
    train = with_model(named, {}).train
    assert (train.optimizer.name, train.learning_rate) == ("adam", 0.01)
    assert train.loss == "mean_squared_error" and len(train.metrics) == 2


def test_what_a_call_returns_is_told_once_and_remembered(module):
    def make():
        model = network()
        model.get_layer("base").kernel.assign(np.ones((64, 4)))
        model.compile(keras.optimizers.RMSprop(0.002), pulled, metrics=["mae"])
        return model

    module.make, memory, asked = make, {}, []

    def look(spec):
        asked.append(spec)
        return brought_by_model(spec)

    silent = study(model={"call": "brought_by_a_test:make"}, train={"epochs": 1, "threads": 1})
    assert with_model(silent, memory) is silent
    for _ in range(2):
        made = with_model(silent, memory, look)
        assert (made.train.optimizer.name, made.train.learning_rate) == ("rmsprop", 0.002)
        assert made.train.loss.call == "brought_by_a_test:pulled"
        assert made.model.kept is True and made.model.keeps_weights
    assert len(asked) == 1


def test_a_function_that_builds_fresh_and_uncompiled_changes_no_id(module):
    module.make = network
    train = {"loss": "sparse_categorical_crossentropy", "threads": 1}
    silent = study(model={"call": "brought_by_a_test:make"}, train=train)
    made = with_model(silent, {}, brought_by_model)
    ids = [trial_ids(each.resolved[0].spec, [0]) for each in (silent, made)]
    assert ids[0] == ids[1]


def test_a_variant_cannot_merge_into_an_optimizer_that_only_the_model_knows():
    variants = {"plain": {}, "fast": {"train": {"optimizer": {"momentum": 0.9}}}}
    with pytest.raises(StudyError, match=r"variants\.fast\.train\.optimizer: the study states no"):
        study(model={"file": "m.keras"}, variants=variants)
    assert len(study(model={"name": "mlp"}, variants=variants).resolved) == 2
    stated = study(model={"file": "m.keras"}, variants=variants, train={"optimizer": "sgd"})
    assert stated.resolved[1].spec.train.optimizer.arguments == {"momentum": 0.9}
