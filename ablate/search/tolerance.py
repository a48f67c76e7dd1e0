"""The range of learning rates that work, as a number with an interval.

A search whose variants saw the same learning rates goes in; for each variant and seed the
unbroken range of rates within one point (0.01) of that variant's own best comes out, and the
paired comparison of their widths, in decades, with the baseline's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis import Effect, Tolerance, compare_tolerance, tolerated
from ablate.analysis.search import Tolerated
from ablate.study.metrics import is_share

if TYPE_CHECKING:
    from ablate.search.results import SearchResults

RATE = "train.learning_rate"

#: "Within one point of the best."
POINT = 0.01


def tolerances(found: SearchResults) -> Tolerated | None:
    """Return the ranges and their comparison; None where nothing can be said.

    Needs a searched learning rate and a metric that is a share, so that a point means something.
    Widths are compared only where the variants saw the same rates with the same seeds. Where
    other parameters vary, too, a rate counts with the best of what was tried there.
    """
    metric = _metric(found)
    if metric is None or RATE not in found.search.space:
        return None
    tables = {arm.name: _table(found, arm.name, metric) for arm in found.resolved}
    tables = {name: table for name, table in tables.items() if table}
    ranges: dict[str, Tolerance] = {}
    seeds = sorted({seed for table in tables.values() for row in table.values() for seed in row})
    for name, table in tables.items():
        rates = sorted(table)
        values = [[table[rate].get(seed, np.nan) for rate in rates] for seed in seeds]
        ranges[name] = tolerated(rates, values, tolerance=POINT, direction="max")
    if not ranges:
        return None
    return Tolerated(
        metric=metric,
        tolerance=POINT,
        seeds=tuple(seeds),
        rates={name: tuple(sorted(table)) for name, table in tables.items()},
        ranges=ranges,
        effects=tuple(_effects(found, ranges, tables, seeds)),
    )


def _effects(
    found: SearchResults,
    ranges: dict[str, Tolerance],
    tables: Mapping[str, Mapping[float, Mapping[int, float]]],
    seeds: list[int],
) -> list[Effect]:
    baseline = found.study.baseline_name
    if baseline not in ranges:
        return []
    same = [name for name in ranges if tables[name].keys() == tables[baseline].keys()]
    return compare_tolerance(
        {name: ranges[name] for name in same},
        baseline,
        seeds=seeds,
        confidence=found.study.analysis.confidence,
        rng=np.random.default_rng(0),
    )


def _metric(found: SearchResults) -> str | None:
    """Return the validation share that is read: the objective, else the study's own metric."""
    objective = found.search.objective
    if is_share(objective) and found.direction == "max":
        return objective
    names = {name for each in found.results.values() for name in each.metrics}
    asked = found.study.analysis.metric
    wanted = "val_accuracy" if asked == "auto" else f"val_{asked}"
    return wanted if wanted in names and is_share(wanted) else None


def _table(found: SearchResults, variant: str, metric: str) -> dict[float, dict[int, float]]:
    """Return the metric by rate and seed, NaN for what was lost; only points that have ended."""
    table: dict[float, dict[int, float]] = {}
    for point in found.of(variant):
        if RATE not in point.values or not all(t in found.results for t in point.trials.values()):
            continue
        row = table.setdefault(float(point.values[RATE]), {})
        for seed, trial in point.trials.items():
            result = found.results[trial]
            value = result.metrics.get(metric) if result.status == "completed" else None
            row[seed] = float(np.fmax(row.get(seed, np.nan), np.nan if value is None else value))
    return table
