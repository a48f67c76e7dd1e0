"""The report for programs: CSV or Parquet, a row per variant and metric; the documented JSON."""

from __future__ import annotations

import csv
import io
import json

from ablate.analysis import Analysis, MetricSummary, VariantSummary
from ablate.errors import MissingExtraError
from ablate.report.report_data import ReportData

#: The columns of a comparison whose names a mean's would clash with.
_DIFFERENCE = {"mean": "difference", "low": "difference_low", "high": "difference_high"}


def as_csv(report: ReportData) -> str:
    """Return a row per variant and metric, full precision, with a column per factor and seed."""
    rows = _rows(report)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def as_parquet(report: ReportData) -> bytes:
    """Return the rows of `as_csv` as a Parquet file, numbers as numbers.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtraError(
            "--format parquet needs pyarrow: pip install 'keras-ablate[tables]'. "
            "--format csv has the same rows without it."
        ) from None
    rows, file = _rows(report), pyarrow.BufferOutputStream()
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    kinds = {
        # A column of nothing would have no type.
        key: None if any(each is not None for each in values) else pyarrow.float64()
        for key, values in columns.items()
    }
    arrays = {key: pyarrow.array(values, kinds[key]) for key, values in columns.items()}
    parquet.write_table(pyarrow.table(arrays), file)
    return bytes(file.getvalue())


def _rows(report: ReportData) -> list[dict[str, str | int | float | None]]:
    analysis = report.analysis
    metrics = dict.fromkeys(name for each in analysis.variants for name in each.metrics)
    return [
        _row(analysis, analysis.variant(name), metric)
        for name in report.order
        for metric in metrics or [analysis.metric]
    ]


def _row(
    analysis: Analysis, variant: VariantSummary, metric: str
) -> dict[str, str | int | float | None]:
    """Return a row by its columns' names; what is not there is None."""
    summary = variant.metrics.get(metric, MetricSummary())
    effect = analysis.effect(variant.name, metric)
    failures = variant.failures
    return {
        "study": analysis.study,
        "variant": variant.name,
        "baseline": analysis.baseline,
        **{name: variant.factors.get(name) for name in analysis.factors},
        "metric": metric,
        "planned": failures.planned,
        "completed": failures.completed,
        "diverged": failures.diverged.count,
        "failed": failures.failed.count,
        "collapsed": failures.collapsed.count,
        "n": summary.n,
        **{name: getattr(summary, name) for name in ("mean", "sd", "low", "high")},
        "pairs": effect.n if effect else None,
        **{
            _DIFFERENCE.get(name, name): getattr(effect, name, None)
            for name in ("mean", "low", "high", "p", "p_holm")
        },
        "verdict": effect.verdict if effect else None,
        **{f"seed{seed}": summary.values.get(seed) for seed in analysis.seeds},
    }


def as_json(report: ReportData) -> str:
    """Return the analysis as one JSON document; `schema_version` says how to read it."""
    document = {**report.analysis.to_json(), **report.documents}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _cell(value: str | int | float | None) -> str | int:
    if isinstance(value, float):
        return format(value, ".9g")
    return "" if value is None else value
