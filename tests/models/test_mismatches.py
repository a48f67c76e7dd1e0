"""Losses and metrics that were named are held against the output and the labels."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest

from ablate.models import Judged, Output, Target, loss_mismatch, metric_mismatch
from ablate.study.keras_names import LOSSES, METRICS


@dataclass(frozen=True)
class Floats(Target):
    """Numbers of which the values are known."""

    values: tuple[float, ...] | None = None


BINARY = Target("classification", (), 2)
CLASSES = Target("classification", (), 3)
ONE_HOT = Target("classification", (3,), 3, one_hot=True)
PAIRS = Target("classification", (2,), 2, one_hot=True)
LABELS = Target("classification", (4,), 2)  # four of 0 or 1
TOKENS = Target("classification", (5,), 3)  # a class for each of five positions
MASK = Target("classification", (8, 8, 1), 2)
REAL = Target("regression", (1,))
ZERO_ONE = Floats("regression", (1,), values=(0.0, 1.0))
SIGNS = Floats("regression", (1,), values=(-1.0, 1.0))
FLOAT_LABELS = Floats("regression", (4,), values=(0.0, 1.0))
LOGITS = {"from_logits": True}


def judged(aim, activation, *shape, known=True, scores=False):
    return Judged(aim, Output("", shape, activation, known), scores)


@pytest.mark.parametrize(
    "loss, arguments, aim, ending",
    [
        ("binary_crossentropy", {}, BINARY, ("sigmoid", 1)),
        ("binary_crossentropy", LOGITS, BINARY, ("linear", 1)),
        ("binary_crossentropy", {}, LABELS, ("sigmoid", 4)),
        ("binary_crossentropy", {}, FLOAT_LABELS, ("sigmoid", 4)),
        ("binary_crossentropy", {}, ONE_HOT, ("sigmoid", 3)),  # one against the rest
        ("binary_crossentropy", {}, PAIRS, ("softmax", 2)),  # the same as categorical
        ("binary_crossentropy", {}, MASK, ("sigmoid", 8, 8, 1)),
        ("binary_crossentropy", {}, MASK, ("sigmoid", 8, 8)),
        ("binary_crossentropy", {}, REAL, ("sigmoid", 1)),  # soft labels
        ("sparse_categorical_crossentropy", {}, CLASSES, ("softmax", 3)),
        ("sparse_categorical_crossentropy", {}, TOKENS, ("softmax", 5, 3)),
        ("sparse_categorical_crossentropy", LOGITS, CLASSES, ("linear", 9)),
        ("categorical_crossentropy", {}, ONE_HOT, ("softmax", 3)),
        ("categorical_crossentropy", {"axis": 1}, CLASSES, ("sigmoid", 3)),  # other axes: unknown
        ("categorical_crossentropy", LOGITS, ONE_HOT, ("log_softmax", 3)),
        ("mean_squared_error", {}, REAL, ("linear", 1)),
        ("mean_squared_error", {}, BINARY, ("sigmoid", 1)),  # the Brier score
        ("mean_squared_error", {}, ONE_HOT, ("softmax", 3)),
        ("mean_squared_error", {}, BINARY, ("linear", 1)),
        ("hinge", {}, BINARY, ("linear", 1)),
        ("hinge", {}, SIGNS, ("tanh", 1)),
        ("categorical_hinge", {}, ONE_HOT, ("linear", 3)),
        ("dice", {}, MASK, ("sigmoid", 8, 8, 1)),
        ("poisson", {}, REAL, ("linear", 1)),
        ("circle", {}, CLASSES, ("linear", 16)),
        ("ctc", {}, TOKENS, ("linear", 9, 7)),
    ],
)
def test_what_is_meant_is_left_alone(loss, arguments, aim, ending):
    assert loss_mismatch(loss, arguments, judged(aim, *ending)) is None


@pytest.mark.parametrize(
    "loss, arguments, aim, ending, says, remedy",
    [
        ("binary_crossentropy", {}, BINARY, ("linear", 1), "ends in linear", "from_logits: true"),
        ("sparse_categorical_crossentropy", {}, CLASSES, ("linear", 3), "linear", "softmax"),
        ("categorical_crossentropy", {}, ONE_HOT, ("relu", 3), "ends in relu", "from_logits: true"),
        ("binary_focal_crossentropy", {}, BINARY, ("tanh", 1), "ends in tanh", "sigmoid"),
        ("dice", {}, MASK, ("linear", 8, 8, 1), "ends in linear", "End the model in sigmoid"),
        ("kl_divergence", {}, ONE_HOT, ("linear", 3), "ends in linear", "End the model in softmax"),
        ("binary_crossentropy", LOGITS, BINARY, ("sigmoid", 1), "once more", "Leave from_logits"),
        ("categorical_crossentropy", LOGITS, ONE_HOT, ("softmax", 3), "once more", "out"),
        ("categorical_crossentropy", {}, ONE_HOT, ("sigmoid", 3), "ends in sigmoid", "softmax"),
        ("sparse_categorical_crossentropy", {}, CLASSES, ("sigmoid", 3), "sigmoid", "softmax"),
        ("binary_crossentropy", {}, ONE_HOT, ("softmax", 3), "softmax over 3", "categorical"),
        ("binary_crossentropy", {}, BINARY, ("softmax", 1), "always 1", "sigmoid"),
        ("mean_squared_error", {}, BINARY, ("softmax", 1), "always 1", "unit per class"),
        ("sparse_categorical_crossentropy", {}, BINARY, ("sigmoid", 1), "has one", "binary_"),
        ("sparse_categorical_crossentropy", {}, ONE_HOT, ("softmax", 3), "one-hot", "Use categ"),
        ("sparse_categorical_crossentropy", {}, LABELS, ("sigmoid", 4), "each unit", "Use binary"),
        ("categorical_crossentropy", {}, CLASSES, ("softmax", 3), "class numbers", "Use sparse_"),
        ("binary_crossentropy", {}, BINARY, ("softmax", 2), "class numbers", "Use sparse_"),
        ("mean_squared_error", {}, CLASSES, ("softmax", 3), "class numbers", "one-hot"),
        ("mean_squared_error", {}, REAL, ("linear", 5, 1), "repeat the one", "the same shape"),
        ("hinge", {}, CLASSES, ("linear", 3), "class numbers", "one-hot"),
        ("binary_crossentropy", {}, SIGNS, ("sigmoid", 1), "these are -1, 1", "hinge"),
        (
            "binary_crossentropy", {}, Target("classification", (4,), 3), ("sigmoid", 4),
            "3 classes", "sparse_categorical_crossentropy",
        ),
    ],
)  # fmt: skip
def test_a_loss_that_means_something_else_is_told(loss, arguments, aim, ending, says, remedy):
    told = loss_mismatch(loss, arguments, judged(aim, *ending))
    assert told is not None and says in told and remedy in told


def test_what_is_not_known_is_not_judged():
    for loss in LOSSES:
        subclassed = Judged(CLASSES, Output("", None, None, False))
        assert loss_mismatch(loss, {}, subclassed) is None
    hidden = judged(BINARY, "linear", 1, known=False)  # a Lambda, say
    assert loss_mismatch("binary_crossentropy", {}, hidden) is None
    assert loss_mismatch("binary_crossentropy", LOGITS, judged(BINARY, "own_thing", 1)) is None
    for metric in METRICS:
        assert metric_mismatch(metric, {}, Judged(CLASSES, Output("", None, None, False))) is None


@pytest.mark.parametrize(
    "metric, arguments, aim, ending, scores",
    [
        ("accuracy", {}, CLASSES, ("linear", 3), True),
        ("accuracy", {}, ONE_HOT, ("softmax", 3), False),
        ("accuracy", {}, ONE_HOT, ("sigmoid", 3), False),
        ("accuracy", {}, BINARY, ("sigmoid", 1), False),
        ("accuracy", {}, BINARY, ("linear", 1), False),  # by least squares: cut at one half
        ("accuracy", {}, ZERO_ONE, ("sigmoid", 1), False),
        ("accuracy", {}, TOKENS, ("softmax", 5, 3), False),
        ("accuracy", {}, Target("regression", (3,)), ("softmax", 3), False),  # soft labels
        ("acc", {}, MASK, ("sigmoid", 8, 8, 1), False),
        ("BinaryAccuracy", {"threshold": 0.0}, BINARY, ("linear", 1), True),
        ("binary_accuracy", {}, LABELS, ("sigmoid", 4), False),
        ("AUC", {}, BINARY, ("sigmoid", 1), False),
        ("AUC", LOGITS, BINARY, ("linear", 1), True),
        ("AUC", {"multi_label": True}, ONE_HOT, ("softmax", 3), False),
        ("Precision", {"thresholds": 0.0}, BINARY, ("linear", 1), True),
        ("Recall", {"top_k": 2}, ONE_HOT, ("linear", 3), True),
        ("F1Score", {}, ONE_HOT, ("softmax", 3), False),
        ("F1Score", {"threshold": 0.5}, ZERO_ONE, ("sigmoid", 1), False),
        ("BinaryIoU", {}, MASK, ("sigmoid", 8, 8, 1), False),
        ("MeanIoU", {"sparse_y_pred": False}, CLASSES, ("softmax", 3), False),
        ("OneHotMeanIoU", {}, ONE_HOT, ("softmax", 3), False),
        ("mae", {}, REAL, ("linear", 1), False),
        ("R2Score", {}, REAL, ("linear", 1), False),
        ("mse", {}, BINARY, ("sigmoid", 1), False),
        ("crossentropy", {}, CLASSES, ("softmax", 3), False),
        ("SparseTopKCategoricalAccuracy", {"k": 2}, CLASSES, ("softmax", 3), False),
    ],
)
def test_metrics_that_are_meant_are_left_alone(metric, arguments, aim, ending, scores):
    assert metric_mismatch(metric, arguments, judged(aim, *ending, scores=scores)) is None


@pytest.mark.parametrize(
    "metric, arguments, aim, ending, scores, says, remedy",
    [
        ("accuracy", {}, BINARY, ("linear", 1), True, "one half", "as: accuracy, threshold: 0.0"),
        ("BinaryAccuracy", {}, BINARY, ("linear", 1), True, "one half", "threshold: 0.0"),
        ("accuracy", {}, LABELS, ("sigmoid", 4), False, "largest", "binary_accuracy"),
        ("accuracy", {}, FLOAT_LABELS, ("sigmoid", 4), False, "largest", "binary_accuracy"),
        ("accuracy", {}, REAL, ("linear", 1), False, "are numbers", "mae"),
        ("accuracy", {}, Target("regression", (3,)), ("linear", 3), False, "largest", "mae"),
        ("categorical_accuracy", {}, CLASSES, ("softmax", 3), False, "class numbers", "sparse_"),
        ("categorical_accuracy", {}, BINARY, ("sigmoid", 1), False, "has one", "BinaryAccuracy"),
        ("sparse_categorical_accuracy", {}, ONE_HOT, ("softmax", 3), False, "class numbers",
         "Use categorical_accuracy"),
        ("binary_accuracy", {}, ONE_HOT, ("softmax", 3), False, "by itself", "Use categorical"),
        ("binary_accuracy", {}, CLASSES, ("softmax", 3), False, "class numbers", "Use sparse_"),
        ("AUC", {}, BINARY, ("softmax", 2), False, "class numbers", "one sigmoid unit"),
        ("AUC", {}, BINARY, ("linear", 1), True, "logits", "from_logits: true"),
        ("AUC", LOGITS, BINARY, ("sigmoid", 1), False, "ends in sigmoid", "Leave from_logits"),
        ("Precision", {}, BINARY, ("linear", 1), True, "logits", "thresholds: 0.0"),
        ("Recall", {}, BINARY, ("softmax", 2), False, "class numbers", "one sigmoid unit"),
        ("PrecisionAtRecall", {}, BINARY, ("linear", 1), True, "logits", "End the model"),
        ("F1Score", {}, CLASSES, ("softmax", 3), False, "same shape", "one-hot"),
        ("F1Score", {}, ZERO_ONE, ("sigmoid", 1), False, "always is", "threshold: 0.5"),
        ("BinaryIoU", {}, MASK, ("linear", 8, 8, 1), True, "one half", "threshold: 0.0"),
        ("MeanIoU", {}, MASK, ("sigmoid", 8, 8, 1), False, "class numbers", "Use BinaryIoU"),
        ("MeanIoU", {}, TOKENS, ("softmax", 5, 3), False, "numbers", "sparse_y_pred: false"),
        ("OneHotMeanIoU", {}, TOKENS, ("softmax", 5, 3), False, "one-hot", "MeanIoU"),
        ("mae", {}, CLASSES, ("softmax", 3), False, "class numbers", "one-hot"),
        ("crossentropy", {}, BINARY, ("linear", 1), True, "probabilities", "from_logits: true"),
        ("binary_crossentropy", {}, CLASSES, ("softmax", 3), False, "class numbers", "Use sparse"),
    ],
)  # fmt: skip
def test_a_metric_that_means_something_else_is_told(
    metric, arguments, aim, ending, scores, says, remedy
):
    told = metric_mismatch(metric, arguments, judged(aim, *ending, scores=scores))
    assert told is not None and says in told and remedy in told


def test_every_metric_and_loss_of_keras_is_judged_without_an_error():
    outputs = [
        ("softmax", 3),
        ("sigmoid", 1),
        ("linear", 4),
        ("linear", 8, 8, 1),
        ("softmax", 5, 3),
    ]
    aims = [BINARY, CLASSES, ONE_HOT, LABELS, TOKENS, MASK, REAL, ZERO_ONE]
    for aim in aims:
        for ending in outputs:
            for scores in (False, True):
                case = judged(aim, *ending, scores=scores)
                told = [metric_mismatch(each, {}, case) for each in METRICS]
                told += [loss_mismatch(each, {}, case) for each in LOSSES]
                assert all(each is None or each.endswith(".") for each in told)


def test_the_mistakes_are_keras_own():
    """What is refused is wrong in Keras itself: the numbers that it gives without a word."""
    logits, y = np.array([[0.2], [-0.3], [3.0]]), np.array([[1], [0], [1]])
    cut_at_half = keras.metrics.BinaryAccuracy()
    cut_at_half.update_state(y, logits)
    assert float(cut_at_half.result()) == pytest.approx(2 / 3)
    cut_at_zero = keras.metrics.BinaryAccuracy(threshold=0.0)
    cut_at_zero.update_state(y, logits)
    assert float(cut_at_zero.result()) == 1.0
    # The largest of four labels of their own is not whether each of them is right.
    labels, right = np.array([[1, 1, 0, 0]]), np.array([[0.8, 0.9, 0.1, 0.1]])
    largest = keras.metrics.CategoricalAccuracy()
    largest.update_state(labels, right)
    assert float(largest.result()) == 0.0
    # Numbers between 0 and 1 are all class 0 to MeanIoU.
    overlap = keras.metrics.MeanIoU(num_classes=2)
    overlap.update_state([[1], [0]], [[0.9], [0.1]])
    assert float(overlap.result()) == 0.25
    # One unit is always the largest.
    f1 = keras.metrics.F1Score()
    f1.update_state(np.array([[1.0], [0.0]]), np.array([[0.9], [0.1]]))
    assert float(f1.result()[0]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("loss", "aim", "ending", "says"),
    [
        ("hinge", BINARY, ("sigmoid", 1), "End the model in linear or tanh"),
        ("categorical_hinge", ONE_HOT, ("softmax", 3), "End the model in linear or tanh"),
        ("sparse_categorical_crossentropy", CLASSES, ("log_softmax", 3), "from_logits: true"),
        ("binary_crossentropy", BINARY, ("softplus", 1), "from_logits: true"),
    ],
)
def test_outputs_that_a_loss_cannot_take(loss, aim, ending, says):
    assert says in loss_mismatch(loss, {}, judged(aim, *ending))


def test_an_f_score_of_labels_of_their_own_needs_a_threshold():
    labels = judged(LABELS, "sigmoid", 4)
    assert "threshold: 0.5" in metric_mismatch("F1Score", {}, labels)
    assert metric_mismatch("F1Score", {"threshold": 0.5}, labels) is None
    assert metric_mismatch("F1Score", {}, judged(ONE_HOT, "softmax", 3)) is None


def test_logits_of_one_choice_have_no_thresholds_of_their_own():
    choice = judged(ONE_HOT, "linear", 3, scores=True)
    for arguments in ({}, LOGITS):
        assert "End the model in softmax" in metric_mismatch("AUC", arguments, choice)
    own = judged(LABELS, "linear", 4, scores=True)
    assert metric_mismatch("AUC", LOGITS, own) is None


@pytest.mark.parametrize("arguments", [{}, {"k": 3}])
def test_the_top_k_of_no_more_units_is_always_right(arguments):
    for name, aim in (
        ("SparseTopKCategoricalAccuracy", CLASSES),
        ("top_k_categorical_accuracy", ONE_HOT),
    ):
        found = metric_mismatch(name, arguments, judged(aim, "softmax", 3))
        assert f"among the {arguments.get('k', 5)} largest of 3 units, which it always is" in found
