"""The report for programs: CSV, a row per variant and metric, and the documented JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from ablate.analysis import Comparison, MetricSummary
from ablate.report.report_data import ReportData, material_of

if TYPE_CHECKING:
    from ablate.study.results import StudyResults

_COLUMNS = (
    "study", "variant", "baseline", "metric", "planned", "completed", "diverged", "failed",
    "collapsed", "n", "mean", "sd", "low", "high", "pairs", "difference", "difference_low",
    "difference_high", "p", "p_holm", "verdict",
)  # fmt: skip


def as_csv(material: ReportData) -> str:
    """Return a row per variant and metric, full precision, with a column per factor and seed."""
    analysis = material.analysis
    factors = list(analysis.factors)
    metrics = list(dict.fromkeys(name for each in analysis.variants for name in each.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    seeds = [f"seed{each}" for each in analysis.seeds]
    writer.writerow([*_COLUMNS[:3], *factors, *_COLUMNS[3:], *seeds])
    for name in material.order:
        variant = analysis.variant(name)
        for metric in metrics or [analysis.metric]:
            summary = variant.metrics.get(metric, MetricSummary())
            effect: Comparison | None = analysis.effect(name, metric)
            failures = variant.failures
            writer.writerow(
                [
                    analysis.study,
                    name,
                    analysis.baseline,
                    *(variant.factors.get(each, "") for each in factors),
                    metric,
                    failures.planned,
                    failures.completed,
                    failures.diverged.count,
                    failures.failed.count,
                    failures.collapsed.count,
                    summary.n,
                    *map(_cell, (summary.mean, summary.sd, summary.low, summary.high)),
                    *_difference(effect),
                    *(_cell(summary.values.get(each)) for each in analysis.seeds),
                ]
            )
    return text.getvalue()


def as_json(material: ReportData) -> str:
    """Return the analysis as one JSON document; `schema_version` says how to read it."""
    return json.dumps(material.analysis.to_json(), indent=2, allow_nan=False) + "\n"


def as_document(results: StudyResults) -> dict[str, Any]:
    """Return the document of `as_json` for the results of a run, as a mapping."""
    return material_of(results).analysis.to_json()


def _difference(effect: Comparison | None) -> list[str | int]:
    if effect is None:
        return [""] * 7
    numbers = (effect.mean, effect.low, effect.high, effect.p, effect.p_holm)
    return [effect.n, *map(_cell, numbers), effect.verdict]


def _cell(value: float | None) -> str:
    return "" if value is None else format(value, ".9g")
