"""What a metric is called, and which way it points, by name alone.

A metric has one name in every variant and file: `as` where `train.metrics` says so, else the
snake case of its class, never Keras's counter (`auc_2`). From a name as Keras's history spells
it (with or without its split or an output's name before it) follows whether more of it is
better, None where a study has to say. No Keras needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from ablate.study.keras_names import is_own, metric_name

Direction = Literal["max", "min"]

SPLITS = ("test", "val", "train")

#: Short forms of which Keras chooses the class, by the shapes of targets and output.
SHORT_FORMS = frozenset({"accuracy", "acc", "crossentropy", "ce"})

#: What results hold beside metrics.
RESERVED = frozenset({"loss", "learning_rate"})

#: Metrics that are shares of 1, shown in percent and points.
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


def direction_of(metric: str, declared: str = "auto", metrics: Any = ()) -> Direction | None:
    """Return "max" or "min": which way `metric` gets better; None when that is not known.

    `declared` other than "auto" wins. `metrics` are those of the `train` section, whose `as`
    names point as their classes do.

    >>> direction_of("val_accuracy"), direction_of("head_loss"), direction_of("charm")
    ('max', 'min', None)
    """
    if declared != "auto":
        return "max" if declared == "max" else "min"
    name = metric
    for each in flat(metrics):
        given, _, renamed, _ = _parts(each)
        if renamed is not None and given is not None and _is_one_of(metric, frozenset({renamed})):
            name = metric_name(given)
    if _is_one_of(name, SMALLER):
        return "min"
    return "max" if _is_one_of(name, LARGER) else None


def is_share(metric: str) -> bool:
    """Whether `metric` is a share of 1, shown in percent (accuracy, precision, …)."""
    return _is_one_of(metric, SHARES)


def bare(metric: str) -> str:
    """Return `metric` without its split: `test_accuracy` → `accuracy`."""
    split, _, rest = metric.partition("_")
    return rest if split in SPLITS and rest else metric


def by_output(metrics: Any) -> list[tuple[tuple[str | int, ...], list[Any]]]:
    """Return the lists of `train.metrics`, each with its path: one for all outputs, or one each.

    >>> by_output("auto"), by_output(["auc"]), by_output({"head": ["auc"]})
    ([], [((), ['auc'])], [(('head',), ['auc'])])
    """
    if metrics is None or isinstance(metrics, str):
        return []
    if isinstance(metrics, Mapping):
        return [((name,), list(each)) for name, each in metrics.items()]
    if any(isinstance(each, list | tuple) for each in metrics):
        return [((index,), list(each)) for index, each in enumerate(metrics)]
    return [((), list(metrics))]


def flat(metrics: Any) -> list[Any]:
    """Return every metric of `train.metrics`, whatever output it is for; none for auto."""
    return [metric for _, found in by_output(metrics) for metric in found]


def reported(metrics: Any) -> list[str] | None:
    """Return the names that trials will report for `train.metrics`; None if that needs Keras."""
    if isinstance(metrics, str):
        return ["loss", "accuracy", "mae"]
    names = [reported_as(each) for each in flat(metrics)]
    return None if None in names else ["loss", *(name for name in names if name is not None)]


def reported_as(metric: Any) -> str | None:
    """Return the one name of a metric of `train.metrics`; None where its object decides.

    >>> reported_as("AUC"), reported_as({"name": "AUC", "as": "pr", "curve": "PR"})
    ('auc', 'pr')
    """
    name, _, renamed, _ = _parts(metric)
    if renamed is not None:
        return renamed
    return None if name is None or is_own(name) else metric_name(name)


def metric_key(metric: Any, kind: str = "", output: str | int | None = None) -> str:
    """Return the canonical string of a metric of `train.metrics`, whatever its spelling.

    `kind` is "weighted" for one of `weighted_metrics`, `output` the one output that it is for.

    >>> metric_key("AUC") == metric_key({"name": "auc", "as": None})
    True
    """
    name, call, renamed, arguments = _parts(metric)
    said = {"name": name if name is None or is_own(name) else metric_name(name), "call": call}
    document = {**said, "as": renamed, "arguments": arguments, "kind": kind}
    kept: dict[str, Any] = {key: value for key, value in document.items() if value}
    kept |= {} if output is None else {"output": output}
    return json.dumps(kept, sort_keys=True, default=str)


def alike(name: str, one: Any, other: Any) -> str:
    """Return what to say of two metrics that would both be called `name`."""
    first, second = (each if isinstance(each, str) else _label(each) for each in (one, other))
    return (
        f"'{first}' and '{second}' are both called '{name}'. Keep one, or give one a name of its "
        f"own: {{name: {second}, …, as: another_name}}."
    )


def without_counters(numbers: Mapping[str, Any], metrics: Any) -> dict[str, Any]:
    """Return results by the stable names of `metrics`, where Keras had counted: `val_auc_2`.

    Trials of earlier versions have such names. A number whose stable name is there already
    keeps its own.
    """
    if isinstance(metrics, str) or not any(key[-1:].isdigit() for key in numbers):
        return dict(numbers)
    known = [name for each in flat(metrics) if (name := reported_as(each)) is not None]
    found: dict[str, Any] = {}
    for key, value in numbers.items():
        match = re.fullmatch(r"(.+)_\d+", key)
        plain = match.group(1) if match else key
        counted = any(plain == name or plain.endswith(f"_{name}") for name in known)
        itself = any(key == name or key.endswith(f"_{name}") for name in known)
        found[plain if counted and not itself and plain not in numbers else key] = value
    return found


def _parts(metric: Any) -> tuple[str | None, str | None, str | None, dict[str, Any]]:
    """Return name, call, as and arguments of a metric, given as text, mapping or section."""
    if isinstance(metric, str):
        return metric, None, None, {}
    if isinstance(metric, Mapping):
        rest = {key: value for key, value in metric.items() if key not in _OWN_KEYS}
        return metric.get("name"), metric.get("call"), metric.get("as", metric.get("as_")), rest
    return (
        getattr(metric, "name", None),
        getattr(metric, "call", None),
        getattr(metric, "as_", None),
        metric.arguments,
    )


_OWN_KEYS = frozenset({"name", "call", "as", "as_"})


def _label(metric: Any) -> str:
    name, call, _, _ = _parts(metric)
    return str(name or call)


def _is_one_of(metric: str, known: frozenset[str]) -> bool:
    name = re.sub(r"_\d+$", "", bare(metric)).lower()
    return name in known or any(name.endswith(f"_{each}") for each in known)
