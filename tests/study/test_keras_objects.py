"""Keras objects in a train section become the text that YAML has for them, or say why not."""

import json

import keras
import pytest

from ablate.errors import StudyError
from ablate.study.schema.train import Train
from ablate.study.schema.variant import Variant
from ablate.study.study import Study
from ablate.training.objectives import compile_for, optimizer_of
from ablate.training.rows import rows_of
from tests.training.small import Score, confidence, pulled, spec_of

HERE = "tests.training.small"
S, losses, metrics = keras.optimizers.schedules, keras.losses, keras.metrics
layers = keras.layers


@keras.saving.register_keras_serializable("ablate_tests")
class Focused(losses.Loss):
    """A loss of anyone's own, with an argument and a configuration."""

    def __init__(self, gamma=2.0, **options):
        super().__init__(**options)
        self.gamma = gamma

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** self.gamma, axis=-1)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


class Forgets(losses.Loss):
    """One that keeps its argument under another name and has no configuration."""

    def __init__(self, gamma=2.0):
        super().__init__()
        self.g = gamma

    def call(self, y_true, y_pred):
        return y_pred * self.g


def written(**train):
    return json.loads(Train(**train).model_dump_json(by_alias=True, exclude_unset=True))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"optimizer": keras.optimizers.AdamW(1e-3, weight_decay=1e-4, clipnorm=1.0)},
            {
                "optimizer": {"name": "adamw", "weight_decay": 1e-4, "clipnorm": 1.0},
                "learning_rate": 0.001,
            },
        ),
        (
            {"optimizer": keras.optimizers.SGD(S.CosineDecay(0.1, 100))},
            {
                "optimizer": {"name": "sgd"},
                "learning_rate": 0.1,
                "schedule": {"name": "cosine", "decay_steps": 100},
            },
        ),
        (
            {"learning_rate": S.PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01])},
            {
                "learning_rate": 0.1,
                "schedule": {"name": "piecewise", "steps": [11, 21], "factors": [1.0, 0.5, 0.1]},
            },
        ),
        ({"loss": losses.MeanSquaredError()}, {"loss": "mean_squared_error"}),
        ({"loss": losses.Huber(delta=2.0)}, {"loss": {"name": "huber", "delta": 2.0}}),
        ({"loss": losses.mean_squared_error}, {"loss": "mean_squared_error"}),
        ({"loss": pulled}, {"loss": {"call": f"{HERE}:pulled"}}),
        ({"loss": Focused(3.0)}, {"loss": {"call": f"{__name__}:Focused", "gamma": 3.0}}),
        (
            {"loss": {"a": losses.Dice(), "b": "mse"}},
            {"loss": {"a": "dice", "b": "mean_squared_error"}},
        ),
        ({"metrics": confidence}, {"metrics": [{"call": f"{HERE}:confidence"}]}),
        (
            {"metrics": [metrics.AUC(name="auc_3"), metrics.AUC(num_thresholds=9, name="roc")]},
            {"metrics": ["AUC", {"name": "AUC", "as": "roc", "num_thresholds": 9}]},
        ),
        (
            {"augment": [layers.RandomFlip(seed=3), layers.RandomZoom(0.1, fill_mode="nearest")]},
            {
                "augment": [
                    {"layer": "RandomFlip"},
                    {"layer": "RandomZoom", "height_factor": 0.1, "fill_mode": "nearest"},
                ]
            },
        ),
        (
            {"augment": keras.Sequential([keras.Input((8, 8, 1)), layers.MixUp()])},
            {"augment": [{"layer": "MixUp"}]},
        ),
        (
            {"augment": [layers.RandomErasing, pulled, {"call": pulled, "by": 2}]},
            {
                "augment": [
                    {"layer": "RandomErasing"},
                    {"call": f"{HERE}:pulled"},
                    {"call": f"{HERE}:pulled", "by": 2},
                ]
            },
        ),
        (
            {"callbacks": [Score(3), keras.callbacks.EarlyStopping("val_own", patience=2)]},
            {
                "callbacks": [
                    {"call": f"{HERE}:Score", "best": 3},
                    {"call": "keras.callbacks:EarlyStopping", "monitor": "val_own", "patience": 2},
                ]
            },
        ),
    ],
)  # fmt: skip
def test_an_object_is_its_text(given, text):
    assert written(**given) == text
    assert written(**text) == text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": lambda t, p: t - p}, "loss: a lambda has no name in a module"),
        ({"loss": Forgets(3.0)}, "loss: what this Forgets was made with cannot be read"),
        ({"optimizer": keras.optimizers.Adam}, "optimizer: expected an optimizer"),
        ({"learning_rate": S.CosineDecay}, "learning_rate: expected a number or an object"),
        ({"augment": [layers.Rescaling(2.0)]}, "no augmentation of Keras is called 'Rescaling'"),
        ({"augment": [lambda x: x]}, r"augment\[0\]: a lambda has no name in a module"),
        ({"metrics": [object()]}, r"metrics\[0\]"),
        (
            {"callbacks": [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)]},
            r"callbacks\[0\]\.schedule: expected a number, a text or a list\. Received: a lambda",
        ),
    ],
)
def test_what_no_text_can_say_is_refused(given, said):
    with pytest.raises(StudyError, match=said):
        Train(**given)


def test_an_optimizer_of_a_variant_leaves_nothing_of_the_one_it_replaces():
    study = Study(
        study="mine", data={"name": "digits"}, model={"name": "mlp"},
        train={"optimizer": {"name": "sgd", "nesterov": True, "momentum": 0.9}},
        variants={"a": {}, "b": Variant(train={"optimizer": keras.optimizers.SGD(0.5)})},
    )  # fmt: skip
    a, b = (each.spec.train for each in study.resolved)
    assert (a.optimizer.arguments["nesterov"], a.learning_rate) == (True, 0.01)
    assert (b.optimizer.arguments["nesterov"], b.learning_rate) == (False, 0.5)


def test_an_optimizer_and_a_schedule_of_ones_own():
    train = Train(optimizer={"call": f"{__name__}:Halved", "beta": 0.5}, learning_rate=0.2)
    made = optimizer_of(train)
    assert isinstance(made, Halved) and float(made.learning_rate) == pytest.approx(0.2)
    assert written(optimizer=made) == {
        "optimizer": {"call": f"{__name__}:Halved", "beta": 0.5},
        "learning_rate": 0.2,
    }
    with pytest.raises(StudyError, match=r"train\.optimizer: expected a keras\.Optimizer from"):
        optimizer_of(Train(optimizer={"call": "builtins:dict"}, learning_rate=0.1))


class Halved(keras.optimizers.SGD):
    """An optimizer of anyone's own."""

    def __init__(self, learning_rate=0.1, beta=0.9, **options):
        super().__init__(learning_rate, **options)
        self.beta = beta

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


def test_a_loss_by_call_is_made_from_its_class_or_fixed_or_taken_as_it_is():
    splits = rows_of(spec_of(), 0).splits
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    for given, kind in (
        ({"call": f"{__name__}:Focused", "gamma": 3.0}, Focused),
        ({"call": f"{HERE}:pulled"}, type(pulled)),
    ):
        compile_for(model, Train(loss=given, metrics=[]), splits)
        assert isinstance(model.loss, kind)
    compile_for(model, Train(loss={"call": f"{HERE}:pulled", "power": 3.0}, metrics=[]), splits)
    assert float(model.loss(0.0, keras.ops.array([2.0]))) == 8.0
    with pytest.raises(StudyError, match=r"train\.loss: '.*pulled' refused: it takes no 'str"):
        compile_for(model, Train(loss={"call": f"{HERE}:pulled", "strength": 3.0}), splits)
