"""What else was measured: every metric, the generalisation gap, learning speed, costs."""

from __future__ import annotations

from ablate.analysis import Gap, MetricSummary, Spread, VariantSummary
from ablate.report.document import Cells, Column, Table, tabulated
from ablate.report.formatting import (
    NONE,
    Scale,
    duration,
    figures,
    metric_scale,
    metric_title,
    whole,
)
from ablate.report.report_data import ReportData
from ablate.report.tables.cells import interval_title, scale_of, variant_column


def every_metric(report: ReportData) -> Table | None:
    """Return mean and standard deviation of every final metric."""
    variants = [report.analysis.variant(name) for name in report.order]
    names = list(dict.fromkeys(name for each in variants for name in each.metrics))

    def column(place: int, name: str) -> Cells:
        scale = scale_of(report.analysis, name)

        def cell(each: VariantSummary) -> str:
            summary = each.metrics.get(name, MetricSummary())
            spread = "" if summary.sd is None else f" ± {scale.value(summary.sd)}"
            return f"{scale.value(summary.mean)}{spread}"

        return Column(scale.titled(metric_title(name).capitalize()), drop=1 + place), cell

    return tabulated(
        "metrics",
        "Every metric",
        variants if names and any(each.n for each in variants) else (),
        (
            (Column("Variant", "left"), lambda each: each.name),
            *(column(place, name) for place, name in enumerate(names)),
        ),
        ("Mean ± standard deviation over the completed trials, all in inference mode.",),
        detail=True,
    )


def gaps(report: ReportData) -> Table | None:
    """Return the generalisation gaps and how they differ from the baseline's."""
    analysis = report.analysis
    interval = interval_title(analysis)

    def scale(each: Gap) -> Scale:
        return scale_of(analysis, f"test_{each.metric}")

    return tabulated(
        "gaps",
        "Generalisation gap: training minus test",
        [each for each in analysis.gaps if each.summary.n],
        (
            variant_column(),
            (
                Column("Metric", "left"),
                lambda each: scale(each).difference_titled(each.metric.replace("_", " ")),
            ),
            (Column("Gap"), lambda each: scale(each).difference(each.summary.mean)),
            (
                Column(interval, drop=2),
                lambda each: scale(each).interval(each.summary.low, each.summary.high, sign=True),
            ),
            (
                Column("Against baseline"),
                lambda each: scale(each).difference(each.against and each.against.mean),
            ),
            (
                Column(interval, drop=3),
                lambda each: (
                    scale(each).interval(each.against.low, each.against.high, sign=True)
                    if each.against
                    else NONE
                ),
            ),
        ),
        ("Both sides in inference mode, on the weights training ended with.",),
        mark=lambda each: "baseline" if each.variant == analysis.baseline else "",
        detail=True,
    )


def speeds(report: ReportData) -> Table | None:
    """Return how long each variant takes to reach the target."""
    rows = [each for each in report.analysis.speeds if each.n]
    if not rows:
        return None
    curve = metric_title(rows[0].curve)
    scale = metric_scale(rows[0].curve, [each.target for each in rows if each.target], [])
    target = f"{scale.value(rows[0].target)}{f' {scale.unit}' if scale.unit else ''}"
    what = (
        f"{curve} of {target}"
        if rows[0].target_kind == "given"
        else f"the baseline's final {curve} ({target} on average, per seed)"
    )
    return tabulated(
        "speeds",
        "Learning speed",
        rows,
        (
            variant_column(),
            (Column("Seeds that reach it"), lambda each: f"{each.reached} of {each.n}"),
            (Column("Epochs (median)"), lambda each: figures(each.median_epochs, 3)),
            (
                Column("Steps (median)"),
                lambda each: whole(each.median_steps),
            ),
            (
                Column("Times the baseline's speed"),
                lambda each: NONE if each.speedup is None else f"{figures(each.speedup, 2)}×",
            ),
        ),
        (f"Until {what} is first reached. A seed that never does counts as never.",),
        detail=True,
    )


def costs(report: ReportData) -> Table | None:
    """Return parameters, training time and inference time."""

    def timed(title: str, measure: str) -> tuple[Cells, ...]:
        """Return median, quartiles and ratio of a measured time."""
        return (
            (Column(title), lambda each: duration(_median(getattr(each, measure)))),
            (Column("Quartiles", drop=3), lambda each: _quartiles(getattr(each, measure))),
            (Column("×", drop=5), lambda each: figures(getattr(each, f"{measure}_ratio"), 3)),
        )

    return tabulated(
        "costs",
        "Costs",
        [each for each in report.analysis.costs if each.parameters or each.seconds],
        (
            variant_column(),
            (Column("Parameters"), lambda each: whole(each.parameters)),
            (Column("×", drop=5), lambda each: figures(each.parameters_ratio, 3)),
            *timed("Per epoch", "seconds_per_epoch"),
            *timed("Inference, 1000 examples", "inference"),
            (Column("All trials", drop=4), lambda each: duration(each.seconds)),
        ),
        ("× is the ratio to the baseline. Times are medians, under the load there was.",),
        detail=True,
    )


def _median(spread: Spread | None) -> float | None:
    return spread.median if spread else None


def _quartiles(spread: Spread | None) -> str:
    return f"{duration(spread.low)} to {duration(spread.high)}" if spread else NONE
