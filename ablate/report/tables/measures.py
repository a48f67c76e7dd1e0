"""What else was measured: every metric, the generalisation gap, learning speed, costs."""

from __future__ import annotations

from ablate.analysis import MetricSummary, Spread
from ablate.report import formatting
from ablate.report.document import Column, Table
from ablate.report.report_data import ReportData
from ablate.report.tables.table import in_unit, scale_of


def every_metric(material: ReportData) -> Table | None:
    """Return mean and standard deviation of every final metric."""
    variants = [material.analysis.variant(name) for name in material.order]
    names = list(dict.fromkeys(name for each in variants for name in each.metrics))
    if not names or not any(each.n for each in variants):
        return None
    scales = {name: scale_of(material, name) for name in names}
    rows = []
    for each in variants:
        cells = [each.name]
        for name in names:
            summary = each.metrics.get(name, MetricSummary())
            spread = "" if summary.sd is None else f" ± {scales[name].value(summary.sd)}"
            cells.append(f"{scales[name].value(summary.mean)}{spread}")
        rows.append(tuple(cells))
    return Table(
        "metrics",
        "Every metric",
        (
            Column("Variant", "left"),
            *(
                Column(
                    formatting.metric_title(name).capitalize() + in_unit(scales[name].unit),
                    drop=1 + place,
                )
                for place, name in enumerate(names)
            ),
        ),
        tuple(rows),
        ("Mean ± standard deviation over the completed trials, all in inference mode.",),
    )


def gaps(material: ReportData) -> Table | None:
    """Return the generalisation gaps and how they differ from the baseline's."""
    analysis = material.analysis
    rows = [each for each in analysis.gaps if each.summary.n]
    if not rows:
        return None
    level = formatting.percent(analysis.confidence)
    cells, marks = [], []
    for each in rows:
        factor = scale_of(material, f"test_{each.metric}")
        against = each.against
        cells.append(
            (
                each.variant,
                each.metric.replace("_", " ") + in_unit(factor.difference_unit),
                factor.difference(each.summary.mean),
                factor.interval(each.summary.low, each.summary.high, sign=True),
                factor.difference(None if against is None else against.mean),
                formatting.NONE
                if against is None
                else factor.interval(against.low, against.high, sign=True),
            )
        )
        marks.append("baseline" if each.variant == analysis.baseline else "")
    return Table(
        "gaps",
        "Generalisation gap: training minus test",
        (
            Column("Variant", "left"),
            Column("Metric", "left"),
            Column("Gap"),
            Column(f"{level} interval", drop=2),
            Column("Against baseline"),
            Column(f"{level} interval", drop=3),
        ),
        tuple(cells),
        ("Both sides in inference mode, on the weights training ended with.",),
        tuple(marks),
    )


def speeds(material: ReportData) -> Table | None:
    """Return how long each variant takes to reach the target."""
    rows = [each for each in material.analysis.speeds if each.n]
    if not rows:
        return None
    kind = rows[0].target_kind
    curve = rows[0].curve
    scale = formatting.metric_scale(curve, [each.target for each in rows if each.target], [])
    target = f"{scale.value(rows[0].target)}{f' {scale.unit}' if scale.unit else ''}"
    what = (
        f"{formatting.metric_title(curve)} of {target}"
        if kind == "given"
        else f"the baseline's final {formatting.metric_title(curve)} "
        f"({target} on average, per seed)"
    )
    return Table(
        "speeds",
        "Learning speed",
        (
            Column("Variant", "left"),
            Column("Seeds that reach it"),
            Column("Epochs (median)"),
            Column("Steps (median)"),
            Column("Times the baseline's speed"),
        ),
        tuple(
            (
                each.variant,
                f"{each.reached} of {each.n}",
                formatting.figures(each.median_epochs, 3),
                formatting.NONE if each.median_steps is None else f"{each.median_steps:,.0f}",
                formatting.NONE
                if each.speedup is None
                else f"{formatting.figures(each.speedup, 2)}×",
            )
            for each in rows
        ),
        (f"Until {what} is first reached. A seed that never does counts as never.",),
    )


def costs(material: ReportData) -> Table | None:
    """Return parameters, training time and inference time."""
    rows = [each for each in material.analysis.costs if each.parameters or each.seconds]
    if not rows:
        return None
    return Table(
        "costs",
        "Costs",
        (
            Column("Variant", "left"),
            Column("Parameters"),
            Column("×", drop=5),
            Column("Per epoch"),
            Column("Quartiles", drop=3),
            Column("×", drop=5),
            Column("Inference, 1000 examples"),
            Column("Quartiles", drop=3),
            Column("×", drop=5),
            Column("All trials", drop=4),
        ),
        tuple(
            (
                each.variant,
                formatting.whole(each.parameters),
                _ratio(each.parameters_ratio),
                *_spread(each.seconds_per_epoch),
                _ratio(each.seconds_per_epoch_ratio),
                *_spread(each.inference),
                _ratio(each.inference_ratio),
                formatting.duration(each.seconds),
            )
            for each in rows
        ),
        ("× is the ratio to the baseline. Times are medians, under the load there was.",),
    )


def _ratio(ratio: float | None) -> str:
    return formatting.NONE if ratio is None else f"{formatting.figures(ratio, 3)}"


def _spread(spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return formatting.NONE, formatting.NONE
    return (
        formatting.duration(spread.median),
        f"{formatting.duration(spread.low)} to {formatting.duration(spread.high)}",
    )
