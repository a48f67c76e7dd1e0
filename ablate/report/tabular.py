"""The report for programs: CSV, a row per variant and metric, and the documented JSON."""

from __future__ import annotations

import csv
import io
import json

from ablate.analysis import Analysis, MetricSummary, VariantSummary
from ablate.report.report_data import ReportData

#: The columns of a comparison whose names a mean's would clash with.
_DIFFERENCE = {"mean": "difference", "low": "difference_low", "high": "difference_high"}


def as_csv(report: ReportData) -> str:
    """Return a row per variant and metric, full precision, with a column per factor and seed."""
    analysis = report.analysis
    metrics = dict.fromkeys(name for each in analysis.variants for name in each.metrics)
    rows = [
        _row(analysis, analysis.variant(name), metric)
        for name in report.order
        for metric in metrics or [analysis.metric]
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(analysis: Analysis, variant: VariantSummary, metric: str) -> dict[str, str | int]:
    """Return a row by its columns' names; a number that is not there leaves its cell empty."""
    summary = variant.metrics.get(metric, MetricSummary())
    effect = analysis.effect(variant.name, metric)
    failures = variant.failures
    return {
        "study": analysis.study,
        "variant": variant.name,
        "baseline": analysis.baseline,
        **{name: variant.factors.get(name, "") for name in analysis.factors},
        "metric": metric,
        "planned": failures.planned,
        "completed": failures.completed,
        "diverged": failures.diverged.count,
        "failed": failures.failed.count,
        "collapsed": failures.collapsed.count,
        "n": summary.n,
        **{name: _cell(getattr(summary, name)) for name in ("mean", "sd", "low", "high")},
        "pairs": effect.n if effect else "",
        **{
            _DIFFERENCE.get(name, name): _cell(getattr(effect, name, None))
            for name in ("mean", "low", "high", "p", "p_holm")
        },
        "verdict": effect.verdict if effect else "",
        **{f"seed{seed}": _cell(summary.values.get(seed)) for seed in analysis.seeds},
    }


def as_json(report: ReportData) -> str:
    """Return the analysis as one JSON document; `schema_version` says how to read it."""
    document = {**report.analysis.to_json(), **report.documents}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else format(value, ".9g")
