"""Which way a metric points, and what a trial will report, by name alone.

A metric's name goes in as Keras's history spells it (with or without its split or an output's
name before it and Keras's counter behind it); whether more of it is better comes out, None where
a study has to say. No Keras needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

Direction = Literal["max", "min"]

SPLITS = ("test", "val", "train")

#: Metrics that are shares of 1, told in percent and points.
SHARES = frozenset({
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
    "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy", "precision", "recall",
    "auc", "f1_score", "fbeta_score", "iou", "io_u", "binary_io_u", "mean_io_u", "one_hot_io_u",
    "one_hot_mean_io_u", "precision_at_recall", "recall_at_precision",
    "sensitivity_at_specificity", "specificity_at_sensitivity",
})  # fmt: skip

#: Metrics of which more is better.
LARGER = SHARES | frozenset({
    "r2_score", "cosine_similarity", "true_positives", "true_negatives", "pearson_correlation",
    "concordance_correlation",
})  # fmt: skip

#: Metrics of which less is better.
SMALLER = frozenset({
    "loss", "mae", "mse", "rmse", "mape", "msle", "mean_absolute_error", "mean_squared_error",
    "root_mean_squared_error", "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error", "log_cosh", "logcosh", "log_cosh_error", "huber",
    "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy", "hinge",
    "squared_hinge", "categorical_hinge", "kl_divergence", "kullback_leibler_divergence",
    "poisson", "crossentropy", "error", "false_positives", "false_negatives",
})  # fmt: skip


def direction_of(metric: str, declared: str = "auto") -> Direction | None:
    """Return "max" or "min": which way `metric` gets better; None when that is not known.

    `declared` other than "auto" wins.

    >>> direction_of("val_accuracy"), direction_of("head_loss"), direction_of("charm")
    ('max', 'min', None)
    """
    if declared != "auto":
        return "max" if declared == "max" else "min"
    if _is_one_of(metric, SMALLER):
        return "min"
    return "max" if _is_one_of(metric, LARGER) else None


def is_share(metric: str) -> bool:
    """Whether `metric` is a share of 1, told in percent (accuracy, precision, …)."""
    return _is_one_of(metric, SHARES)


def bare(metric: str) -> str:
    """Return `metric` without its split: `test_accuracy` → `accuracy`."""
    split, _, rest = metric.partition("_")
    return rest if split in SPLITS and rest else metric


def reported(metrics: str | Sequence[Any]) -> list[str] | None:
    """Return the names that trials will report for `train.metrics`; None if that needs Keras."""
    if isinstance(metrics, str):
        return ["loss", "accuracy", "mae"]
    names = ["loss"]
    for each in metrics:
        name = each if isinstance(each, str) else getattr(each, "name", None)
        if name is None:
            return None  # anyone's own object names itself
        names += [name, _snake(name)]
    return list(dict.fromkeys(names))


def _is_one_of(metric: str, known: frozenset[str]) -> bool:
    name = re.sub(r"_\d+$", "", bare(metric)).lower()
    return name in known or any(name.endswith(f"_{each}") for each in known)


def _snake(name: str) -> str:
    """Return the name Keras gives an object of class `name`: AUC → auc, F1Score → f1_score."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
