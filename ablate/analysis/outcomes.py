"""From trial results to arrays: who completed what, seed by seed.

In go the results and the arms, out comes an `Outcomes` value: for every metric an array with
seeds as rows, variants as columns and NaN where no trial completed. An alias (an arm equal to
another) has the column of the arm it stands for. Everything after this module is arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.findings import Direction
from ablate.errors import StudyError, nearest
from ablate.study.arm import Arm
from ablate.study.trial import TrialResult

SPLITS = ("test", "val", "train")

#: Metrics that are shares of 1, told in percent and points.
SHARES = frozenset({
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
    "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy", "precision", "recall",
    "auc", "f1_score", "fbeta_score", "iou", "binary_io_u", "mean_io_u", "one_hot_io_u",
    "one_hot_mean_io_u", "precision_at_recall", "recall_at_precision",
    "sensitivity_at_specificity", "specificity_at_sensitivity",
})  # fmt: skip

_LARGER = SHARES | frozenset({
    "r2_score", "cosine_similarity", "true_positives", "true_negatives",
})  # fmt: skip

_SMALLER = frozenset({
    "loss", "mae", "mse", "rmse", "mape", "msle", "mean_absolute_error", "mean_squared_error",
    "root_mean_squared_error", "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error", "log_cosh", "logcosh", "huber", "binary_crossentropy",
    "categorical_crossentropy", "sparse_categorical_crossentropy", "hinge", "squared_hinge",
    "categorical_hinge", "kl_divergence", "kullback_leibler_divergence", "poisson",
    "crossentropy", "error", "false_positives", "false_negatives",
})  # fmt: skip


@dataclass(frozen=True)
class Outcomes:
    """The results of a study as arrays: rows are seeds, columns are variants."""

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    trials: Mapping[tuple[str, int], TrialResult]  # of arms that train, by variant and seed
    metrics: Mapping[str, np.ndarray]  # (seeds, variants), NaN: no completed trial

    @property
    def names(self) -> tuple[str, ...]:
        """The variants' names, in the order of the columns."""
        return tuple(arm.name for arm in self.arms)

    def column(self, variant: str) -> int:
        """Return the column of `variant`."""
        return self.names.index(variant)

    def of(self, variant: str) -> list[TrialResult]:
        """Return the results of `variant` (an alias: of what it stands for), by seed."""
        source = trained_as(self.arms, variant)
        found = (self.trials.get((source, seed)) for seed in self.seeds)
        return [each for each in found if each is not None]

    def completed(self, variant: str) -> list[TrialResult]:
        """Return the completed results of `variant`, by seed."""
        return [each for each in self.of(variant) if each.status == "completed"]

    def values(self, metric: str) -> np.ndarray:
        """Return the (seeds, variants) array of `metric`; all NaN when no trial reports it."""
        empty = np.full((len(self.seeds), len(self.arms)), np.nan)
        return self.metrics.get(metric, empty)


def collect(
    results: Iterable[TrialResult],
    arms: Sequence[Arm],
    measurements: Mapping[str, Mapping[tuple[str, int], float]] | None = None,
) -> Outcomes:
    """Arrange results as arrays.

    Args:
        results: trial results; those of variants that `arms` lacks are left out.
        arms: the study's arms, which order the columns.
        measurements: further numbers of completed trials (of a probe, say) by name, then by
            variant and seed; they are treated as metrics.

    Returns:
        The outcomes; the seeds are those of the results, ascending.
    """
    known = {arm.name for arm in arms}
    trials = {(each.variant, each.seed): each for each in results if each.variant in known}
    seeds = tuple(sorted({seed for _, seed in trials}))
    row = {seed: index for index, seed in enumerate(seeds)}
    columns: dict[str, list[int]] = {}
    for index, arm in enumerate(arms):
        columns.setdefault(trained_as(arms, arm.name), []).append(index)

    metrics: dict[str, np.ndarray] = {}

    def put(metric: str, variant: str, seed: int, value: float | None) -> None:
        if metric not in metrics:
            metrics[metric] = np.full((len(seeds), len(arms)), np.nan)
        if value is not None and np.isfinite(value):
            metrics[metric][row[seed], columns.get(variant, [])] = value

    for (variant, seed), result in trials.items():
        if result.status == "completed":
            for metric, value in result.metrics.items():
                put(metric, variant, seed, value)
    for metric, by_trial in (measurements or {}).items():
        for (variant, seed), value in by_trial.items():
            trial = trials.get((variant, seed))
            if trial is not None and trial.status == "completed":
                put(metric, variant, seed, value)
    ordered = sorted(metrics, key=_metric_order)
    return Outcomes(tuple(arms), seeds, trials, {name: metrics[name] for name in ordered})


def trained_as(arms: Sequence[Arm], variant: str) -> str:
    """Return the name under which the trials of `variant` were trained: aliases followed."""
    aliases = {arm.name: arm.alias_of for arm in arms}
    seen: set[str] = set()
    while (target := aliases.get(variant)) and variant not in seen:
        seen.add(variant)
        variant = target
    return variant


def bare(metric: str) -> str:
    """Return `metric` without its split: `test_accuracy` → `accuracy`."""
    split, _, rest = metric.partition("_")
    return rest if split in SPLITS and rest else metric


def direction_of(metric: str, declared: str = "auto") -> Direction | None:
    """Return "max" or "min": which way `metric` gets better; None when that is not known.

    Keras's own metrics and losses are known, with or without a split (`test_`) or an output's
    name before them and Keras's counter (`auc_1`) behind them. `declared` other than "auto" wins.
    """
    if declared != "auto":
        return "max" if declared == "max" else "min"
    if _is_one_of(metric, _SMALLER):
        return "min"
    return "max" if _is_one_of(metric, _LARGER) else None


def is_share(metric: str) -> bool:
    """Whether `metric` is a share of 1, told in percent (accuracy, precision, …)."""
    return _is_one_of(metric, SHARES)


def headline(
    available: Iterable[str], metric: str = "auto", direction: str = "auto"
) -> tuple[str, Direction]:
    """Return the metric that is reported, with its split, and its direction.

    "auto" is accuracy, else mean absolute error, else the loss; on test data, which is evaluated
    once, else on validation data. A name without a split gets one by the same rule. Without any
    available metric (nothing has completed) the wish stands.

    Raises:
        StudyError: no trial reports `metric`, or its direction is neither known nor given.
    """
    names = list(available)
    chosen = _find(names, metric)
    if chosen is None:
        raise StudyError(
            f"analysis.metric: no trial reports '{metric}'.{nearest(metric, names)} "
            f"Expected one of: {', '.join(names)}."
        )
    found = direction_of(chosen, direction)
    if found is None:
        raise StudyError(
            f"analysis.direction: whether a larger '{chosen}' is better is not known. "
            "Expected 'max' or 'min'; received 'auto'. Set analysis.direction."
        )
    return chosen, found


def _find(names: list[str], metric: str) -> str | None:
    if metric in names:
        return metric
    if not names:
        return "test_accuracy" if metric == "auto" else metric
    wishes = [metric] if metric != "auto" else ["accuracy", "mae", "mean_absolute_error", "loss"]
    for split in SPLITS:
        own = [name for name in names if name.startswith(f"{split}_")]
        for wish in wishes:
            if f"{split}_{wish}" in own:
                return f"{split}_{wish}"
            behind = [name for name in own if name.endswith(f"_{wish}")]
            if metric == "auto" and behind:
                return behind[0]
    return names[0] if metric == "auto" else None


def _is_one_of(metric: str, known: frozenset[str]) -> bool:
    name = re.sub(r"_\d+$", "", bare(metric)).lower()
    return name in known or any(name.endswith(f"_{each}") for each in known)


def _metric_order(metric: str) -> tuple[int, str]:
    split = metric.partition("_")[0]
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), metric)
