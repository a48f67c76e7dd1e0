"""Names in the train section against the Keras that is installed."""

import inspect
import re

import keras
import pytest

from ablate.errors import StudyError
from ablate.study import keras_names
from ablate.study.schema.train import Train
from ablate.training import objectives
from ablate.training.objectives import compile_for, optimizer_of
from ablate.training.rows import rows_of
from tests.training.small import spec_of


def test_the_tables_are_keras():
    wrappers = {"optimizer", "lossscaleoptimizer", "multioptimizer"}
    assert set(keras_names.OPTIMIZERS) == set(objectives._OPTIMIZERS) - wrappers
    assert set(keras_names.LOSSES) == set(objectives._LOSSES) - {"loss"}
    short = {"accuracy", "acc", "crossentropy", "ce", "mse", "mae", "mape", "msle", "bce"}
    parents = {"metric", "mean", "mean_metric_wrapper", "sum"}
    assert keras_names.METRICS - short == set(objectives._METRICS) - parents - short
    # Averages of whatever they are given make no metric of a model; the rest is there.
    for name, arguments in keras_names.OPTIMIZERS.items():
        taken = set(inspect.signature(objectives._OPTIMIZERS[name]).parameters)
        assert set(arguments) == taken - {"learning_rate", "name", "kwargs"}, name
    for name, arguments in keras_names.LOSSES.items():
        taken = set(inspect.signature(objectives._LOSSES[name]).parameters)
        assert set(arguments) | {"reduction", "name", "dtype"} == taken, name


@pytest.mark.parametrize("name", sorted(keras_names.OPTIMIZERS))
def test_every_optimizer_is_made(name):
    optimizer = optimizer_of(Train(optimizer=name, learning_rate=0.25))
    assert float(optimizer.learning_rate) == 0.25
    assert type(optimizer).__name__.lower() == name


def test_arguments_that_keras_refuses_are_told():
    with pytest.raises(StudyError, match="SGD refused"):
        optimizer_of(Train(optimizer={"name": "sgd", "momentum": 7}))
    with pytest.raises(StudyError, match="nothing is registered with Keras as"):
        optimizer_of(Train(optimizer="nobody>Knows"))


def test_every_metric_has_the_name_that_keras_gives_its_first():
    needed = {
        "precision_at_recall": {"recall": 0.5},
        "recall_at_precision": {"precision": 0.5},
        "sensitivity_at_specificity": {"specificity": 0.5},
        "specificity_at_sensitivity": {"sensitivity": 0.5},
        "io_u": {"num_classes": 2, "target_class_ids": [0]},
        "one_hot_io_u": {"num_classes": 2, "target_class_ids": [0]},
        "mean_io_u": {"num_classes": 2},
        "one_hot_mean_io_u": {"num_classes": 2},
    }
    for name in sorted(keras_names.METRICS & set(objectives._METRICS)):
        kind = objectives._METRICS[name]
        first = re.sub(r"_\d+$", "", kind(**needed.get(name, {})).name)
        assert keras_names.metric_name(kind.__name__) == first
        given = {"name": kind.__name__, **needed.get(name, {})}
        (made,) = Train(metrics=[given]).metrics
        assert [objectives._metric(made).name for _ in range(2)] == [first, first]


class Hits(keras.metrics.Sum):
    """A metric of anyone's own, which leaves its name to Keras."""

    def __init__(self):
        super().__init__(name=None)


class Named(keras.metrics.Sum):
    """One that names itself."""

    def __init__(self, name="mine_2", **kwargs):
        super().__init__(name=name, **kwargs)


def spread(y_true, y_pred):
    return keras.ops.max(y_pred, axis=-1) - keras.ops.min(y_pred, axis=-1)


@pytest.mark.parametrize(
    "call, name", [("Hits", "hits"), ("Named", "mine_2"), ("spread", "spread")]
)
def test_metrics_of_ones_own_are_not_counted(call, name):
    path = f"{__name__}:{call}"
    for given, expected in (({"call": path}, name), ({"call": path, "as": "mine"}, "mine")):
        (metric,) = Train(metrics=[given]).metrics
        assert [objectives._metric(metric).name for _ in range(2)] == [expected, expected]


def test_metrics_that_turn_out_to_be_called_alike_are_refused():
    splits = rows_of(spec_of(), 0).splits
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    train = Train(loss="mse", metrics=[{"call": f"{__name__}:spread"}, "mine>spread"])
    with (
        keras.saving.custom_object_scope({"mine>spread": spread}),
        pytest.raises(StudyError, match=r"train\.metrics: .* are both called 'spread'"),
    ):
        compile_for(model, train, splits)


def test_losses_by_output_and_metrics_by_name():
    splits = rows_of(spec_of(), 0).splits
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    metrics = ["accuracy", {"name": "SparseTopKCategoricalAccuracy", "k": 2}]
    compile_for(model, Train(metrics=metrics), splits)
    assert objectives.loss_names(model) == "sparse_categorical_crossentropy"
    assert model.loss.get_config()["from_logits"]
    logs = model.test_step((splits.x_train[:4], splits.y_train[:4]))
    assert set(logs) == {"loss", "accuracy", "sparse_top_k_categorical_accuracy"}
    with pytest.raises(StudyError, match="there is no output 'haed'"):
        compile_for(model, Train(loss={"haed": "mse"}), splits)
    with pytest.raises(StudyError, match="there are 2 losses and the model has 1 output"):
        compile_for(model, Train(loss=["mse", "mae"]), splits)
    with pytest.raises(StudyError, match="'mse' is a short form"):
        compile_for(model, Train(metrics=[{"name": "mse", "axis": 1}]), splits)
