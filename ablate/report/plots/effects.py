"""The differences that a study is about: variants, factors, contributions, generalisation gaps.

Each is a forest plot. Variants have every seed's value at the left and the paired differences to
the baseline at the right; the others have a row per effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from ablate.analysis import MetricSummary
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import line_style
from ablate.report.names import most_telling, shortened
from ablate.report.plots.forest import (
    MARGIN_BAND,
    MOST_ROWS,
    draw_difference,
    draw_differences,
    draw_row,
    finish_differences,
    margin_of,
    plain_rows,
    row_height,
    row_names,
    say_lost,
)
from ablate.report.plots.theme import drawn, panels
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Rows of the factors' effects, main effects first.
MOST_EFFECTS = 40


@drawn
def effects(report: ReportData) -> Iterator[Plot]:
    """Draw the headline metric's values and paired differences."""
    analysis = report.analysis
    metric = analysis.metric
    summaries = {each.name: each.metrics.get(metric, MetricSummary()) for each in analysis.variants}
    if not any(each.n for each in summaries.values()):
        return
    lost = {each.name: each.failures.lost.count for each in analysis.variants}
    shown = [name for name in report.by_effect if summaries[name].n or lost[name]]
    names = most_telling(report, shown, MOST_ROWS)
    scale = scale_of(analysis, metric)
    compared = any(each.n for each in analysis.effects if each.metric == metric)
    figure, axes = panels(2 if compared else 1, height=row_height(len(names)), sharey=True)
    rows = range(len(names))
    for row, name in zip(rows, names, strict=True):
        summary = summaries[name]
        style = line_style(report.order.index(name))
        if not summary.n:
            say_lost(axes[0], row, lost[name])
            continue
        draw_row(axes[0], row, summary, style, scale)
        if compared and name != analysis.baseline:
            effect = analysis.effect(name)
            if effect is not None and effect.n:
                draw_difference(axes[1], row, effect, style, scale)
    row_names(axes[0], names)
    axes[0].set_xlabel(formatting.axis_title(metric))
    axes[0].set_title("Every seed")
    if compared:
        finish_differences(
            axes[1], "Difference", analysis.direction, scale, margin=margin_of(analysis.effects)
        )
        axes[1].set_title(f"Paired differences to {shortened(analysis.baseline, 22)}")
    yield Plot(
        "effects",
        f"Every seed, and the difference to {shortened(analysis.baseline)}",
        _caption(report, len(shown) - len(names)),
        figure,
    )


@drawn
def factor_effects(report: ReportData) -> Iterator[Plot]:
    """Draw the main effects and interactions of a factorial study on the headline metric."""
    analysis = report.analysis
    rows = [each for each in analysis.factor_effects if each.metric == analysis.metric and each.n]
    if not rows:
        return
    shown = sorted(rows, key=lambda each: each.order)[:MOST_EFFECTS]
    figure = draw_differences(
        {each.name: each for each in shown},
        [line_style(each.order) for each in shown],
        f"Effect on {formatting.metric_title(analysis.metric)}",
        analysis,
    )
    level = formatting.percent(analysis.confidence)
    caption = (
        "Main effects: the level named against the factor's first level, averaged over all "
        "others. Interactions (×): how much more one factor does with the other than without "
        f"it. A mark per seed; the diamond is the mean, the line its paired {level} interval; "
        "a filled diamond differs from zero after correction for the comparisons."
    )
    if len(rows) > len(shown):
        caption += f" {len(rows) - len(shown)} more are in the table."
    if margin_of(rows) is not None:
        caption += MARGIN_BAND
    yield Plot("factor-effects", "What each factor does", caption, figure)


@drawn
def contributions(report: ReportData) -> Iterator[Plot]:
    """Draw the contributions to the headline metric, the most helpful on top."""
    analysis = report.analysis
    rows = [each for each in analysis.contributions if each.metric == analysis.metric and each.n]
    if not rows:
        return
    rows.sort(key=lambda each: (each.rank is None, each.rank))
    shown = rows[:MOST_ROWS]
    figure = draw_differences(
        {each.what: each for each in shown},
        [line_style(1)] * len(shown),
        f"Contribution to {formatting.metric_title(analysis.metric)}",
        analysis,
        "helps",
    )
    origin = formatting.listed(dict.fromkeys(each.origin for each in shown))
    level = formatting.percent(analysis.confidence)
    caption = (
        f"{origin} minus the same without what is named, seed by seed. A mark per seed; the "
        f"diamond is the mean, the line its paired {level} interval; a filled diamond differs "
        "from zero after correction for the comparisons."
    )
    if len(rows) > len(shown):
        caption += f" The first {len(shown)} of {len(rows)} are drawn."
    if margin_of(rows) is not None:
        caption += MARGIN_BAND
    yield Plot("contributions", "What each part adds", caption, figure)


@drawn
def gaps(report: ReportData) -> Iterator[Plot]:
    """Draw the gap of the headline's metric and of the loss, side by side."""
    analysis = report.analysis
    bare = analysis.metric.split("_", 1)[-1]
    metrics = [
        name
        for name in dict.fromkeys((bare, "loss"))
        if any(each.metric == name and each.summary.n for each in analysis.gaps)
    ]
    names = [
        name
        for name in report.order
        if any(each.variant == name and each.summary.n for each in analysis.gaps)
    ][:MOST_ROWS]
    if not metrics or not names:
        return
    figure, axes = panels(len(metrics), height=row_height(len(names)), sharey=True)
    for axis, metric in zip(axes, metrics, strict=True):
        rows = {each.variant: each.summary for each in analysis.gaps if each.metric == metric}
        scale = formatting.metric_scale(metric, (), ())
        for row, name in enumerate(names):
            summary = rows.get(name)
            if summary is None or not summary.n:
                continue
            draw_row(axis, row, summary, line_style(report.order.index(name)), scale)
        axis.axvline(0, color="black", linewidth=1.0, zorder=1)
        label = f"{metric.replace('_', ' ').capitalize()}: training − test"
        axis.set_xlabel(scale.difference_titled(label))
        plain_rows(axis)
    row_names(axes[0], names)
    caption = (
        "Both in inference mode, on the weights training ended with. A mark per seed, the bar "
        "their mean, the line its interval. Far from zero, the network knows its training "
        "rows better than the test rows: it overfits."
    )
    yield Plot("gaps", "Generalisation gap", caption, figure)


def _caption(report: ReportData, left_out: int) -> str:
    analysis = report.analysis
    level = formatting.percent(analysis.confidence)
    parts = [
        f"Left, a mark for every seed; the bar is the mean and the line its {level} interval. "
        "Right, the difference to the baseline seed by seed; the diamond is its mean and the line "
        f"the paired {level} interval, per comparison. A filled diamond is better or worse "
        "after correction for the comparisons, an open one is not. There is no interval under "
        "three seeds."
    ]
    if margin_of(analysis.effects) is not None:
        parts.append(MARGIN_BAND.strip())
    if left_out:
        parts.append(
            f"The {MOST_ROWS} variants with the largest differences are drawn; {left_out} more "
            "are in the table."
        )
    return " ".join(parts)
