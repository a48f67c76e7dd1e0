"""From trial results to arrays: who completed what, seed by seed.

For every metric an array with seeds as rows, variants as columns and NaN where no trial completed.
An alias (a variant equal to another) has that one's column. All that follows is arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ablate.analysis.effects import Direction
from ablate.errors import StudyError, nearest
from ablate.study.metrics import SPLITS, direction_of, flat
from ablate.study.resolved import ResolvedVariant
from ablate.study.trial import TrialResult


@dataclass(frozen=True)
class ResultTable:
    """The results of a study as arrays: rows are seeds, columns are variants."""

    resolved: tuple[ResolvedVariant, ...]
    seeds: tuple[int, ...]
    trials: Mapping[tuple[str, int], TrialResult]  # of variants that train, by variant and seed
    metrics: Mapping[str, np.ndarray]  # (seeds, variants), NaN: no completed trial

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variants' names, in the order of the columns."""
        return tuple(each.name for each in self.resolved)

    def column(self, variant: str) -> int:
        """Return the column of `variant`."""
        return self._columns[variant]

    def source(self, variant: str) -> str:
        """Return the variant whose trials `variant` has: itself, unless it is an alias."""
        return self._sources[variant]

    def of(self, variant: str) -> list[TrialResult]:
        """Return the results of `variant` (of an alias: those it shares), by seed."""
        return self._by_variant[self._sources[variant]]

    def completed(self, variant: str) -> list[TrialResult]:
        """Return the completed results of `variant`, by seed."""
        return [each for each in self.of(variant) if each.status == "completed"]

    def direction(self, metric: str, declared: str = "auto") -> Direction | None:
        """Return which way `metric` gets better, as `direction_of` knows those of the study."""
        return direction_of(metric, declared, self.declared)

    @cached_property
    def declared(self) -> list[Any]:
        """The metrics that the variants' `train` sections name."""
        trains = (each.spec.train for each in self.resolved)
        given = ((each.metrics, each.weighted_metrics) for each in trains)
        return [each for both in given for metrics in both for each in flat(metrics)]

    def values(self, metric: str) -> np.ndarray:
        """Return the (seeds, variants) array of `metric`; all NaN when no trial reports it."""
        empty = np.full((len(self.seeds), len(self.resolved)), np.nan)
        return self.metrics.get(metric, empty)

    def families(self, baseline: str) -> dict[str, list[int]]:
        """Return the columns compared with `baseline`, by the family that Holm takes together.

        Declared variants are one family, what is left out of one another; the trials that are the
        baseline's own, or another variant's, are not compared a second time.
        """
        found: dict[str, list[int]] = {}
        for column, variant in enumerate(self.resolved):
            if variant.alias_of is None and variant.name != self._sources[baseline]:
                name = "leave one out" if variant.origin == "leave_one_out" else "variants"
                found.setdefault(name, []).append(column)
        return dict(sorted(found.items(), reverse=True))

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    @cached_property
    def _sources(self) -> dict[str, str]:
        return sources(self.resolved)

    @cached_property
    def _by_variant(self) -> dict[str, list[TrialResult]]:
        found: dict[str, list[TrialResult]] = {name: [] for name in self._sources.values()}
        for trial in sorted(self.trials.values(), key=lambda each: each.seed):
            found.setdefault(trial.variant, []).append(trial)
        return found


def collect(
    results: Iterable[TrialResult],
    resolved: Sequence[ResolvedVariant],
    measurements: Mapping[str, Mapping[tuple[str, int], float]] | None = None,
) -> ResultTable:
    """Arrange results as arrays.

    Args:
        results: trial results; those of variants that `resolved` lacks are left out.
        resolved: the variants, which order the columns.
        measurements: further numbers of completed trials (of a probe, say) by name, then by
            variant and seed; they are treated as metrics.

    Returns:
        The table; its seeds are those of the results, ascending.
    """
    known = {variant.name for variant in resolved}
    trials = {(each.variant, each.seed): each for each in results if each.variant in known}
    seeds = tuple(sorted({seed for _, seed in trials}))
    row = {seed: index for index, seed in enumerate(seeds)}
    columns: dict[str, list[int]] = {}
    for index, source in enumerate(sources(resolved).values()):
        columns.setdefault(source, []).append(index)

    numbers = {key: dict(e.metrics) for key, e in trials.items() if e.status == "completed"}
    for metric, by_trial in (measurements or {}).items():
        for key, value in by_trial.items():
            if key in numbers:
                numbers[key][metric] = value
    names = sorted({name for own in numbers.values() for name in own}, key=_metric_order)
    metrics = {name: np.full((len(seeds), len(resolved)), np.nan) for name in names}
    for (variant, seed), own in numbers.items():
        for metric, number in own.items():
            if number is not None and np.isfinite(number):
                metrics[metric][row[seed], columns.get(variant, [])] = number
    return ResultTable(tuple(resolved), seeds, trials, metrics)


def sources(resolved: Sequence[ResolvedVariant]) -> dict[str, str]:
    """Return for each variant the name under which its trials were trained: aliases followed."""
    aliases = {variant.name: variant.alias_of for variant in resolved}
    found = {}
    for name in aliases:
        source, seen = name, {name}
        while (target := aliases.get(source)) is not None and target not in seen:
            seen.add(target)
            source = target
        found[name] = source
    return found


def headline(
    available: Iterable[str],
    metric: str = "auto",
    direction: str = "auto",
    declared: Sequence[Any] = (),
) -> tuple[str, Direction]:
    """Return the metric that is reported, with its split, and its direction.

    "auto" is accuracy, else the loss; on test data, which is evaluated
    once, else on validation data. A name without a split gets one by the same rule. Without any
    available metric (nothing has completed) the wish is kept. `declared` are the metrics of the
    `train` sections, which know the direction of their `as` names.

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
    found = direction_of(chosen, direction, declared)
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
    wishes = [metric] if metric != "auto" else ["accuracy", "loss"]
    for split in SPLITS:
        own = [name for name in names if name.startswith(f"{split}_")]
        for wish in wishes:
            if f"{split}_{wish}" in own:
                return f"{split}_{wish}"
            behind = [name for name in own if name.endswith(f"_{wish}")]
            if metric == "auto" and behind:
                return behind[0]
    return names[0] if metric == "auto" else None


def _metric_order(metric: str) -> tuple[int, str]:
    split = metric.partition("_")[0]
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS), metric)
