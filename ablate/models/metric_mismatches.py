"""Hold a metric that was named against the output it judges and the labels it is given.

A metric by Keras's name and what is known of an output, its target and its loss go in; out comes a
sentence that says what does not fit and what to do, or None. As for losses, only true mistakes are
told: a logit cut at one half, numbers taken for classes, class numbers repeated along units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.models.fitting import by_class_number, several_labels
from ablate.models.loss_mismatches import Judged, loss_mismatch, not_by_value
from ablate.models.specs import Aim
from ablate.study.keras_names import LOSSES, loss_name, metric_name

#: Counts and shares of what lies above a threshold of one half.
_ABOVE = frozenset({
    "precision", "recall", "true_positives", "true_negatives", "false_positives", "false_negatives",
})  # fmt: skip

#: Metrics over thresholds from 0 to 1.
_OVER = frozenset({
    "precision_at_recall", "recall_at_precision", "sensitivity_at_specificity",
    "specificity_at_sensitivity",
})  # fmt: skip

#: Distances of numbers, which need a number of the output for each number of the target.
_DISTANCES = frozenset({
    "concordance_correlation", "cosine_similarity", "logcosh", "pearson_correlation", "r2_score",
    "root_mean_squared_error",
})  # fmt: skip

_TWO_UNITS = (
    "End the model in one sigmoid unit (of a network by name: model.output_activation: sigmoid)"
)


def metric_mismatch(name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    """Return why a metric cannot mean what it says, with the remedy; None if nothing speaks
    against.

    Args:
        name: of a metric of Keras, however it is spelt.
        arguments: of the metric.
        judged: the output, its target and how its loss takes it.
    """
    if judged.output.shape is None or arguments.get("axis", -1) != -1:
        return None
    metric = metric_name(name)
    if metric in ("accuracy", "acc"):
        chosen = _chosen(judged)
        return _accuracy(f"{chosen}_accuracy", name, arguments, judged)
    if metric in ("crossentropy", "ce"):
        metric = f"{_chosen(judged)}_crossentropy"
    if loss_name(metric) in LOSSES:
        return loss_mismatch(loss_name(metric), arguments, judged)
    if metric.endswith("_accuracy"):
        return _accuracy(metric, name, arguments, judged)
    if metric in ("auc", *_ABOVE, *_OVER):
        return _thresholds(metric, name, arguments, judged)
    if metric in ("f1_score", "fbeta_score"):
        return _f_score(name, arguments, judged)
    if metric.endswith("io_u"):
        return _overlap(metric, name, arguments, judged)
    if metric in _DISTANCES:
        return _by_value(name, judged, "Leave it out")
    return None


def _chosen(judged: Judged) -> str:
    """Return which of its kinds Keras takes for a short form, by the shapes."""
    labels, shape = judged.aim.shape, judged.shape
    if judged.units == 1:
        return "binary"
    sparse = len(labels) < len(shape) or labels[-1:] == (1,)
    return "sparse_categorical" if sparse else "categorical"


def _accuracy(metric: str, name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    if metric.startswith("binary"):
        return _binary_accuracy(name, arguments, judged)
    aim, where = judged.aim, judged.where
    if judged.units == 1:
        return f"'{name}' looks for the largest unit, and {where} has one. Use BinaryAccuracy."
    if metric.startswith("sparse"):
        if by_class_number(aim.shape, judged.shape):
            return None
        use = "Use categorical_accuracy." if aim.one_hot else "Use binary_accuracy."
        return f"'{name}' takes class numbers, and a row's target has the shape {aim.shape}. {use}"
    wrong = _by_value(name, judged, f"Use sparse_{metric}")
    if wrong is not None:
        return wrong
    alone = judged.ends("sigmoid") and not aim.one_hot
    numbers = aim.task == "regression" and judged.ends("linear") and not judged.scores
    if alone or numbers or (several_labels(aim, judged.shape) and not judged.ends("softmax")):
        instead = "mae" if numbers and not judged.two_values else "binary_accuracy"
        return (
            f"'{name}' asks whether the largest of the units is the largest of the targets, and "
            f"the targets are {judged.units} values of their own. Use {instead}."
        )
    return None


def _binary_accuracy(name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    where = judged.where
    wrong = _by_value(name, judged, "Use sparse_categorical_accuracy")
    if wrong is not None:
        return wrong
    if not judged.two_values:
        return (
            f"'{name}' compares with labels of 0 and 1, and the targets are "
            f"{_targets(judged.aim)}. Use mae, or give classes: integers, or data.task: "
            "classification."
        )
    if judged.ends("softmax") and (judged.units or 0) > 2:
        return (
            f"'{name}' takes each of the {judged.units} units of {where} by itself, so that "
            "naming none is right for all but one. Use categorical_accuracy."
        )
    if judged.scores and arguments.get("threshold") is None:
        called = f"as: {name}, " if name in ("accuracy", "acc") else ""
        return (
            f"'{name}' cuts {where} at one half, and the loss takes it as logits, where a "
            f"class begins at 0. Say {{name: BinaryAccuracy, {called}threshold: 0.0}}."
        )
    return None


def _thresholds(metric: str, name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    wrong = _by_value(name, judged, _TWO_UNITS)
    if wrong is not None:
        return wrong
    if metric == "auc":
        return _auc(name, bool(arguments.get("from_logits")), judged)
    given = arguments.get("thresholds") is not None or arguments.get("top_k") is not None
    if not judged.scores or (metric in _ABOVE and given):
        return None
    remedy = "Say thresholds: 0.0 beside its name, or end" if metric in _ABOVE else "End"
    return (
        f"'{name}' goes by thresholds from 0 to 1, and the loss takes {judged.where} as "
        f"logits. {remedy} the model in sigmoid."
    )


def _auc(name: str, from_logits: bool, judged: Judged) -> str | None:
    if judged.scores and not from_logits:
        return (
            f"'{name}' goes by thresholds from 0 to 1, and the loss takes {judged.where} as "
            "logits. Say {name: AUC, from_logits: true}, or end the model in sigmoid."
        )
    if from_logits and judged.ends("softmax", "sigmoid"):
        return (
            f"'{name}' with from_logits: true takes logits, and {judged.where} ends in "
            f"{judged.output.activation}. Leave from_logits out."
        )
    return None


def _f_score(name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    labels, shape, where = judged.aim.shape, judged.shape, judged.where
    if len(labels) != 1 or len(shape) != 1 or (None not in (*labels, *shape) and labels != shape):
        return (
            f"'{name}' takes targets and outputs of the same shape (rows, units): a row's "
            f"target has the shape {labels} and the output {shape}. Give one-hot labels, or "
            "use Precision and Recall."
        )
    threshold = arguments.get("threshold")
    if threshold is None and judged.units == 1:
        return (
            f"'{name}' takes the largest unit for the class, and {where} has one, which it "
            f"always is. Say {{name: {name}, threshold: 0.5}}."
        )
    if threshold is not None and judged.scores:
        return (
            f"'{name}' goes by a threshold from 0 to 1, and the loss takes {where} as "
            "logits. End the model in sigmoid."
        )
    return None


def _overlap(metric: str, name: str, arguments: Mapping[str, Any], judged: Judged) -> str | None:
    where = judged.where
    if metric == "binary_io_u":
        wrong = _by_value(name, judged, "Use {name: MeanIoU, …, sparse_y_pred: false}")
        if wrong is not None:
            return wrong
        if judged.scores and arguments.get("threshold") is None:
            return (
                f"'{name}' cuts {where} at one half, and the loss takes it as logits, where "
                f"a class begins at 0. Say {{name: {name}, threshold: 0.0}}."
            )
        return None
    values = judged.scores or judged.ends("softmax", "sigmoid", "linear")
    if metric in ("io_u", "mean_io_u") and arguments.get("sparse_y_pred", True) and values:
        use = (
            "Use BinaryIoU."
            if judged.units == 1
            else f"Say sparse_y_pred: false beside the name of {name}."
        )
        return f"'{name}' takes the numbers of {where} for class numbers. {use}"
    one_hot = metric.startswith("one_hot") or not arguments.get("sparse_y_true", True)
    labels_are = judged.aim.one_hot or judged.aim.task == "regression"
    if one_hot and not labels_are:
        return (
            f"'{name}' takes one-hot labels, and the labels are class numbers. Use "
            "{name: MeanIoU, …, sparse_y_pred: false}."
        )
    if not one_hot and judged.aim.one_hot:
        return (
            f"'{name}' takes class numbers, and the labels are one-hot. Say "
            f"sparse_y_true: false beside the name of {name}."
        )
    return None


def _by_value(name: str, judged: Judged, instead: str) -> str | None:
    return not_by_value(f"'{name}'", judged, instead)


def _targets(aim: Aim) -> str:
    return "numbers" if aim.task == "regression" else f"{aim.classes} classes"
