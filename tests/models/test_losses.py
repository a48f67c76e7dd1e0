"""Loss and metrics are read off the output and the labels, or asked for."""

import keras
import pytest

from ablate.errors import StudyError
from ablate.models import Target, auto_loss, auto_metrics, output_activations

LABELS = Target("classification", (), 3)
ONE_HOT = Target("classification", (3,), 3, one_hot=True)
BINARY = Target("classification", (), 2)
NUMBERS = Target("regression", (1,))


def ending(units, activation, separate=False):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(units, activation=None if separate else activation)(inputs)
    if separate:
        x = keras.layers.Activation(activation)(x)
    return keras.Model(inputs, x)


def said(loss):
    config = loss.get_config()
    return type(loss).__name__, config.get("from_logits")


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    "units, activation, goal, expected, metrics",
    [
        (3, "softmax", LABELS, ("SparseCategoricalCrossentropy", False), ["accuracy"]),
        (3, "linear", LABELS, ("SparseCategoricalCrossentropy", True), ["accuracy"]),
        (3, "softmax", ONE_HOT, ("CategoricalCrossentropy", False), ["accuracy"]),
        (3, "linear", ONE_HOT, ("CategoricalCrossentropy", True), ["accuracy"]),
        (1, "sigmoid", BINARY, ("BinaryCrossentropy", False), ["accuracy"]),
        (2, "softmax", BINARY, ("SparseCategoricalCrossentropy", False), ["accuracy"]),
        (1, "linear", NUMBERS, ("MeanSquaredError", None), ["mae"]),
    ],
)
def test_plain_cases(units, activation, goal, expected, metrics, separate):
    model = ending(units, activation, separate)
    assert said(auto_loss(model, goal)) == expected
    assert auto_metrics(model, goal) == metrics


def test_one_logit_is_cut_at_zero():
    model = ending(1, "linear")
    assert said(auto_loss(model, BINARY)) == ("BinaryCrossentropy", True)
    (metric,) = auto_metrics(model, BINARY)
    assert metric.name == "accuracy"
    metric.update_state([[0], [1]], [[-0.1], [0.1]])
    assert float(metric.result()) == 1.0


@pytest.mark.parametrize(
    "units, activation, goal, says",
    [
        (1, "sigmoid", NUMBERS, "ends in sigmoid"),
        (3, "relu", LABELS, "ending in relu"),
        (3, "sigmoid", LABELS, "3 units ending in sigmoid"),
        (1, "linear", LABELS, "3 classes and output has 1 units"),
        (2, "softmax", LABELS, "2 units"),
    ],
)
def test_anything_else_is_asked_for(units, activation, goal, says):
    with pytest.raises(StudyError, match=says):
        auto_loss(ending(units, activation), goal)


def test_a_subclassed_model_is_asked_for():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(StudyError, match="subclassed"):
        auto_loss(Own(), NUMBERS)


def test_several_outputs():
    inputs = keras.Input((4,))
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(inputs)
    size = keras.layers.Dense(1, name="size")(inputs)
    model = keras.Model(inputs, [kind, size])
    listed = auto_loss(model, [LABELS, NUMBERS])
    assert [said(each)[0] for each in listed] == [
        "SparseCategoricalCrossentropy",
        "MeanSquaredError",
    ]
    named = keras.Model(inputs, {"kind": kind, "size": size})
    goals = {"size": NUMBERS, "kind": LABELS}
    assert {key: said(each)[0] for key, each in auto_loss(named, goals).items()} == {
        "kind": "SparseCategoricalCrossentropy",
        "size": "MeanSquaredError",
    }
    assert auto_metrics(named, goals) == {"kind": ["accuracy"], "size": ["mae"]}
    with pytest.raises(StudyError, match="Expected: the same names"):
        auto_loss(named, {"siz": NUMBERS, "kind": LABELS})


def test_what_ends_an_output_is_found_behind_reshapes_wrappers_and_models():
    inputs = keras.Input((6, 4))
    x = keras.layers.TimeDistributed(keras.layers.Dense(3, activation="softmax"))(inputs)
    a = keras.layers.Reshape((6, 3, 1))(x)
    b = keras.layers.Dropout(0.1)(ending(3, "tanh")(keras.layers.Dense(4)(inputs[:, 0])))
    c = keras.layers.BatchNormalization()(keras.layers.Dense(2, activation="relu")(inputs))
    d = keras.ops.softmax(keras.layers.Dense(2)(inputs))
    e = keras.layers.Softmax()(inputs)
    model = keras.Model(inputs, [a, b, c, d, e])
    assert output_activations(model) == ["softmax", "tanh", "linear", "softmax", "softmax"]
    sequential = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "relu")])
    assert output_activations(sequential) == ["relu"]


SEVERAL = Target("classification", (4,), 2)


def test_several_labels_of_their_own():
    assert said(auto_loss(ending(4, "sigmoid"), SEVERAL)) == (
        "BinaryCrossentropy", False,
    )  # fmt: skip
    model = ending(4, "linear")
    assert said(auto_loss(model, SEVERAL)) == ("BinaryCrossentropy", True)
    (metric,) = auto_metrics(model, SEVERAL)
    assert metric.name == "binary_accuracy"
    metric.update_state([[1, 1, 0, 0]], [[0.1, 3.0, -0.1, 2.0]])
    assert float(metric.result()) == 0.75


def test_numbers_of_another_shape_are_refused_where_keras_would_repeat_them():
    inputs = keras.Input((6, 3))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    with pytest.raises(StudyError, match=r"target has the shape \(1,\) and output the shape"):
        auto_loss(model, NUMBERS)


def test_auto_is_asked_only_of_outputs_that_need_it():
    inputs = keras.Input((4,))
    ends = [keras.layers.Dense(3, activation=each)(inputs) for each in ("softmax", "tanh")]
    model, targets = keras.Model(inputs, ends), [LABELS, LABELS]
    with pytest.raises(StudyError, match="ending in tanh"):
        auto_loss(model, targets)
    losses = auto_loss(model, targets, lambda index: index == 0)
    assert said(losses[0])[0] == "SparseCategoricalCrossentropy" and losses[1] is None
