"""Check a metric that was named against the output it judges and the labels it is given.

As for losses, a mismatch is a sentence with the remedy, and only true mistakes are reported: a
logit cut at one half, numbers taken for classes, class numbers repeated along units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ablate.models.fitting import Judged, by_class_number, several_labels
from ablate.models.loss_mismatches import loss_mismatches, not_by_value
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
    return next(_mismatches(metric_name(name), name, arguments, judged), None)


def _mismatches(
    metric: str, name: str, arguments: Mapping[str, Any], judged: Judged
) -> Iterator[str]:
    """Yield what speaks against `metric`, which messages call `name`, the gravest first."""
    if judged.shape is None or arguments.get("axis", -1) != -1:
        return
    if metric in ("accuracy", "acc"):
        metric = f"{_chosen(judged)}_accuracy"
    elif metric in ("crossentropy", "ce"):
        metric = f"{_chosen(judged)}_crossentropy"
    if loss_name(metric) in LOSSES:
        yield from loss_mismatches(loss_name(metric), arguments, judged)
    elif metric.endswith("_accuracy"):
        yield from _accuracy(metric, name, arguments, judged)
    elif metric in ("auc", *_ABOVE, *_OVER):
        yield from not_by_value(f"'{name}'", judged, _TWO_UNITS)
        yield from _thresholds(metric, name, arguments, judged)
    elif metric in ("f1_score", "fbeta_score"):
        yield from _f_score(name, arguments, judged)
    elif metric == "binary_io_u":
        yield from _binary_overlap(name, arguments, judged)
    elif metric.endswith("io_u"):
        yield from _overlap(metric, name, arguments, judged)
    elif metric in _DISTANCES:
        yield from not_by_value(f"'{name}'", judged, "Leave it out")


def _chosen(judged: Judged) -> str:
    """Return which of its kinds Keras takes for a short form, by the shapes."""
    labels, shape = judged.target.shape, judged.shape
    if judged.units == 1:
        return "binary"
    sparse = len(labels) < len(shape) or labels[-1:] == (1,)
    return "sparse_categorical" if sparse else "categorical"


def _accuracy(
    metric: str, name: str, arguments: Mapping[str, Any], judged: Judged
) -> Iterator[str]:
    if metric.startswith("binary"):
        yield from _binary_accuracy(name, arguments, judged)
        return
    target, where, k = judged.target, judged.where, arguments.get("k", 5)
    if "top_k" in metric and judged.units is not None and 1 < judged.units <= k:
        yield (
            f"'{name}' asks whether the class is among the {k} largest of {judged.units} units, "
            f"which it always is. Say {{name: {name}, k: 1}}, or any k below {judged.units}."
        )
    if judged.units == 1:
        yield f"'{name}' looks for the largest unit, and {where} has one. Use BinaryAccuracy."
    if metric.startswith("sparse"):
        if not by_class_number(target.shape, judged.shape):
            use = "categorical_accuracy" if target.one_hot else "binary_accuracy"
            yield (
                f"'{name}' takes class numbers, and a row's target has the shape {target.shape}. "
                f"Use {use}."
            )
        return
    yield from not_by_value(f"'{name}'", judged, f"Use sparse_{metric}")
    alone = judged.ends("sigmoid") and not target.one_hot
    numbers = target.task == "regression" and judged.ends("linear") and not judged.scores
    if alone or numbers or (several_labels(target, judged.shape) and not judged.ends("softmax")):
        instead = "mae" if numbers and not judged.two_values else "binary_accuracy"
        yield (
            f"'{name}' asks whether the largest of the units is the largest of the targets, and "
            f"the targets are {judged.units} values of their own. Use {instead}."
        )


def _binary_accuracy(name: str, arguments: Mapping[str, Any], judged: Judged) -> Iterator[str]:
    where = judged.where
    yield from not_by_value(f"'{name}'", judged, "Use sparse_categorical_accuracy")
    if not judged.two_values:
        target = judged.target
        are = "numbers" if target.task == "regression" else f"{target.classes} classes"
        yield (
            f"'{name}' compares with labels of 0 and 1, and the targets are {are}. Use mae, or "
            "give classes: integers, or data.task: classification."
        )
    if judged.ends("softmax") and (judged.units or 0) > 2:
        yield (
            f"'{name}' takes each of the {judged.units} units of {where} by itself, so that "
            "naming none is right for all but one. Use categorical_accuracy."
        )
    if judged.scores and arguments.get("threshold") is None:
        called = f"as: {name}, " if name in ("accuracy", "acc") else ""
        yield (
            f"'{name}' cuts {where} at one half, and the loss takes it as logits, where a "
            f"class begins at 0. Say {{name: BinaryAccuracy, {called}threshold: 0.0}}."
        )


def _thresholds(
    metric: str, name: str, arguments: Mapping[str, Any], judged: Judged
) -> Iterator[str]:
    if metric == "auc":
        yield from _auc(name, bool(arguments.get("from_logits")), judged)
        return
    given = arguments.get("thresholds") is not None or arguments.get("top_k") is not None
    if not judged.scores or (metric in _ABOVE and given):
        return
    remedy = "Say thresholds: 0.0 beside its name, or end" if metric in _ABOVE else "End"
    yield (
        f"'{name}' goes by thresholds from 0 to 1, and the loss takes {judged.where} as "
        f"logits. {remedy} the model in sigmoid."
    )


def _auc(name: str, from_logits: bool, judged: Judged) -> Iterator[str]:
    if judged.scores and judged.target.one_hot and (judged.units or 0) > 1:
        yield (
            f"'{name}' goes by thresholds from 0 to 1, and the loss takes {judged.where} as the "
            "logits of one choice, which only a softmax over all units makes probabilities. End "
            "the model in softmax."
        )
    if judged.scores and not from_logits:
        yield (
            f"'{name}' goes by thresholds from 0 to 1, and the loss takes {judged.where} as "
            "logits. Say {name: AUC, from_logits: true}, or end the model in sigmoid."
        )
    if from_logits and judged.ends("softmax", "sigmoid"):
        yield (
            f"'{name}' with from_logits: true takes logits, and {judged.where} ends in "
            f"{judged.output.activation}. Leave from_logits out."
        )


def _f_score(name: str, arguments: Mapping[str, Any], judged: Judged) -> Iterator[str]:
    labels, shape, where = judged.target.shape, judged.shape, judged.where
    if len(labels) != 1 or len(shape) != 1 or (None not in (*labels, *shape) and labels != shape):
        yield (
            f"'{name}' takes targets and outputs of the same shape (rows, units): a row's "
            f"target has the shape {labels} and the output {shape}. Give one-hot labels, or "
            "use Precision and Recall."
        )
    threshold = arguments.get("threshold")
    if threshold is None and judged.units == 1:
        yield (
            f"'{name}' takes the largest unit for the class, and {where} has one, which it "
            f"always is. Say {{name: {name}, threshold: 0.5}}."
        )
    elif threshold is None and several_labels(judged.target, shape) and not judged.ends("softmax"):
        yield (
            f"'{name}' takes the largest unit for the one class of a row, and the targets are "
            f"{judged.units} labels of their own. Say {{name: {name}, threshold: 0.5}}."
        )
    if threshold is not None and judged.scores:
        yield (
            f"'{name}' goes by a threshold from 0 to 1, and the loss takes {where} as "
            "logits. End the model in sigmoid."
        )


def _binary_overlap(name: str, arguments: Mapping[str, Any], judged: Judged) -> Iterator[str]:
    instead = "Use {name: MeanIoU, …, sparse_y_pred: false}"
    yield from not_by_value(f"'{name}'", judged, instead)
    if judged.scores and arguments.get("threshold") is None:
        yield (
            f"'{name}' cuts {judged.where} at one half, and the loss takes it as logits, where "
            f"a class begins at 0. Say {{name: {name}, threshold: 0.0}}."
        )


def _overlap(metric: str, name: str, arguments: Mapping[str, Any], judged: Judged) -> Iterator[str]:
    values = judged.scores or judged.ends("softmax", "sigmoid", "linear")
    if metric in ("io_u", "mean_io_u") and arguments.get("sparse_y_pred", True) and values:
        use = f"Say sparse_y_pred: false beside the name of {name}."
        use = "Use BinaryIoU." if judged.units == 1 else use
        yield f"'{name}' takes the numbers of {judged.where} for class numbers. {use}"
    one_hot = metric.startswith("one_hot") or not arguments.get("sparse_y_true", True)
    labels_are = judged.target.one_hot or judged.target.task == "regression"
    if one_hot and not labels_are:
        yield (
            f"'{name}' takes one-hot labels, and the labels are class numbers. Use "
            "{name: MeanIoU, …, sparse_y_pred: false}."
        )
    if not one_hot and judged.target.one_hot:
        yield (
            f"'{name}' takes class numbers, and the labels are one-hot. Say "
            f"sparse_y_true: false beside the name of {name}."
        )
