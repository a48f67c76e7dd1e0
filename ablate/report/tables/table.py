"""A table as every format lays it out: titled columns and plain text cells.

The cells that several tables share (a difference with its interval, a share with its interval)
are written here, so that they read alike everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis import Comparison, VariantSummary
from ablate.report import formatting
from ablate.report.document import Column
from ablate.report.report_data import ReportData

#: How a verdict is said in a cell.
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "undecided": "not told apart",
    "described": "too few seeds",
    "missing": "no pairs",
}


def scale_of(material: ReportData, metric: str) -> formatting.Scale:
    """Return the scale in which every table and plot of the study writes `metric`."""
    summaries = [each.metrics.get(metric) for each in material.analysis.variants]
    kept = [each for each in summaries if each is not None]
    return formatting.metric_scale(
        metric,
        [value for each in kept for value in each.values.values()],
        [each.sd for each in kept],
    )


def in_unit(unit: str) -> str:
    return f" ({unit})" if unit else ""


def comparison_columns(material: ReportData, scale: formatting.Scale) -> tuple[Column, ...]:
    level = formatting.percent(material.analysis.confidence)
    return (
        Column("n"),
        Column(f"Difference{in_unit(scale.difference_unit)}"),
        Column(f"{level} interval", drop=2),
        Column("p (Holm)", drop=3),
        Column("Verdict", "left", drop=5),
    )


def difference_cells(effect: Comparison, scale: formatting.Scale) -> list[str]:
    """Return the cells mean, interval, p and verdict of a comparison."""
    return [
        scale.difference(effect.mean),
        scale.interval(effect.low, effect.high, sign=True),
        formatting.probability(effect.p_holm),
        VERDICTS[effect.verdict],
    ]


def holm_words(rows: Sequence[Comparison]) -> str:
    """Return over how many comparisons Holm's p is taken, family by family; "" of a single test."""
    families = {
        (each.family, getattr(each, "baseline", "")): each.family_size for each in rows if each.n
    }
    if max(families.values(), default=0) < 2:
        return ""
    if len(families) == 1:
        return f", p is Holm's over {next(iter(families.values()))} comparisons"
    several = len({baseline for _, baseline in families}) > 1
    sizes = [
        f"over {formatting.counted(size, 'comparison')} "
        f"({family}{f' with {baseline}' if several else ''})"
        for (family, baseline), size in families.items()
    ]
    return f", p is Holm's, each family for itself: {formatting.listed(sizes)}"


def share_text(share: float | None, low: float | None, high: float | None) -> str:
    if share is None:
        return formatting.NONE
    ends = "" if low is None or high is None else f" ({low * 100:.0f} to {high * 100:.0f})"
    return f"{share * 100:.0f} %{ends}"


def mark(baseline: bool, effect: Comparison | None, variant: VariantSummary | None = None) -> str:
    if baseline:
        return "baseline"
    if variant is not None and not variant.n and variant.failures.lost.count:
        return "lost"
    if effect is not None and effect.verdict in ("better", "worse"):
        return effect.verdict
    return ""
