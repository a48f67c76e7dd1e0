"""The differences that a study is about: variants, factors, contributions, generalisation gaps.

Each is a forest plot with a row per variant or effect; every seed's value has one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ablate.analysis import Comparison, MetricSummary
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import MOST_COLOURS, line_style
from ablate.report.names import shortened
from ablate.report.plots.forest import (
    MARGIN_BAND,
    MOST_ROWS,
    draw_differences,
    draw_row,
    margin_of,
    row_height,
    row_names,
    say_lost,
    styled,
)
from ablate.report.plots.theme import drawn, keyed, panels, within_shares
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Rows of the factors' effects, main effects first.
MOST_EFFECTS = 40


@drawn
def effects(report: ReportData) -> Iterator[Plot]:
    """Draw the paired differences of the headline metric to the baseline."""
    analysis = report.analysis
    rows = {
        name: effect
        for name in report.by_effect
        if analysis.source(name) != analysis.source(analysis.baseline)
        and (effect := analysis.effect(name)) is not None
        and effect.n
        # What a variant lacks that was made by leaving out is told as a contribution.
        and (effect.family != "leave one out" or not analysis.contributions)
    }
    if not rows:
        return
    names = styled(report, report.most_telling(list(rows), MOST_ROWS))
    figure = draw_differences(
        {name: rows[name] for name in names}, list(names.values()), "Difference", analysis
    )
    level = formatting.percent(analysis.confidence)
    caption = (
        f"Variant minus {analysis.baseline}: a mark per seed; the diamond is the mean, the line "
        f"the paired {level} interval of that comparison. A filled diamond is better or worse "
        "after correction for the comparisons, an open one is not. There is no interval under "
        "three seeds."
    )
    if len(names) > MOST_COLOURS:
        caption += " What is inconclusive is grey."
    if len(rows) > len(names):
        caption += (
            f" The {MOST_ROWS} variants with the largest differences are drawn; "
            f"{len(rows) - len(names)} more are in the table."
        )
    if margin_of(rows.values()) is not None:
        caption += MARGIN_BAND
    title = f"Difference to {shortened(analysis.baseline)}"
    finding = " ".join(analysis.answers.get("variants", ()))
    yield Plot("effects", title, caption, figure, finding or _found(rows))


def _found(rows: Mapping[str, Comparison]) -> str:
    """Return the sentences of comparisons."""
    return " ".join(f"{each.words}." for each in rows.values() if each.words)


@drawn
def values(report: ReportData) -> Iterator[Plot]:
    """Draw the headline metric of every seed."""
    analysis = report.analysis
    metric = analysis.metric
    summaries = {each.name: each.metrics.get(metric, MetricSummary()) for each in analysis.variants}
    if not any(each.n for each in summaries.values()):
        return
    lost = {each.name: each.failures.lost.count for each in analysis.variants}
    shown = [name for name in report.by_effect if summaries[name].n or lost[name]]
    names = styled(report, report.most_telling(shown, MOST_ROWS))
    scale = scale_of(analysis, metric)
    figure, axes = panels(height=row_height(len(names)))
    for row, (name, style) in enumerate(names.items()):
        if not summaries[name].n:
            say_lost(axes[0], row, lost[name])
            continue
        with keyed(axes[0], name):
            draw_row(axes[0], row, name, summaries[name], style, scale)
    row_names(axes[0], list(names))
    within_shares(axes[0], scale.unit == "%", horizontal=True)
    axes[0].set_xlabel(formatting.axis_title(metric))
    level = formatting.percent(analysis.confidence)
    caption = f"A mark per seed; the bar is their mean, the line its {level} interval."
    if len(shown) > len(names):
        caption += f" The {MOST_ROWS} variants with the largest differences are drawn."
    means = formatting.listed(
        f"{name} {scale.value(summaries[name].mean)}{f' {scale.unit}' if scale.unit else ''}"
        for name in names
        if summaries[name].n
    )
    title = f"{formatting.metric_title(metric).capitalize()} of every seed"
    yield Plot("values", title, caption, figure, f"Means over the seeds: {means}.")


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
    finding = " ".join(analysis.answers.get("factors", ()))
    yield Plot("factor-effects", "What each factor does", caption, figure, finding)


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
    finding = " ".join(analysis.answers.get("contributions", ()))
    yield Plot("contributions", "What each part adds", caption, figure, finding)


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
    measured = {each.variant for each in analysis.gaps if each.summary.n}
    names = styled(report, [name for name in report.by_effect if name in measured][:MOST_ROWS])
    if not metrics or not names:
        return
    figure, axes = panels(1, len(metrics), height=len(metrics) * row_height(len(names)))
    findings = []
    for axis, metric in zip(axes, metrics, strict=True):
        rows = {each.variant: each.summary for each in analysis.gaps if each.metric == metric}
        known = [each for each in rows.values() if each.mean is not None]
        scale = formatting.metric_scale(
            metric, [each.mean or 0.0 for each in known], [each.sd for each in known]
        )
        for row, (name, style) in enumerate(names.items()):
            summary = rows.get(name)
            if summary is None or not summary.n:
                continue
            with keyed(axis, name):
                draw_row(axis, row, name, summary, style, scale)
        axis.axvline(0, color="black", linewidth=1.0, zorder=1)
        label = f"{metric.replace('_', ' ').capitalize()}: training − test"
        axis.set_xlabel(scale.difference_titled(label))
        row_names(axis, list(names))
        means = formatting.listed(
            f"{name} {scale.difference(rows[name].mean)}" for name in names if name in rows
        )
        findings.append(f"{scale.difference_titled(label)}: {means}.")
    caption = (
        "Both in inference mode, on the weights training ended with. A mark per seed, the bar "
        "their mean, the line its interval. Far from zero, the network knows its training "
        "rows better than the test rows: it overfits."
    )
    yield Plot("gaps", "Generalisation gap", caption, figure, " ".join(findings))
