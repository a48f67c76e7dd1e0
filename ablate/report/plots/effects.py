"""Every seed's value beside the paired differences: the forest plot.

One row per variant, the baseline on top. Left: a dot per seed, the mean and its interval. Right:
a dot per paired difference to the baseline, their mean and interval, and zero. A filled diamond is
a difference that stands after Holm's correction, an open one is not told from zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from ablate.analysis import Comparison, Direction, MetricSummary
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.names import shortened
from ablate.report.plots.names import fitted_names, most_telling
from ablate.report.plots.theme import FAILED, GREY, Look, drawn, look, panels
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Rows that one figure holds; beyond, those with the largest effects are drawn.
MOST_ROWS = 60


@drawn
def effects(material: ReportData) -> Iterator[Plot]:
    """Draw the headline metric's values and paired differences."""
    analysis = material.analysis
    metric = analysis.metric
    summaries = {each.name: each.metrics.get(metric, MetricSummary()) for each in analysis.variants}
    if not any(each.n for each in summaries.values()):
        return
    lost = {each.name: each.failures.lost.count for each in analysis.variants}
    shown = [name for name in material.order if summaries[name].n or lost[name]]
    names = most_telling(material, shown, MOST_ROWS)
    scale = scale_of(analysis, metric)
    compared = any(each.n for each in analysis.effects if each.metric == metric)
    figure, axes = panels(2 if compared else 1, height=row_height(len(names)), sharey=True)
    rows = range(len(names))
    for row, name in zip(rows, names, strict=True):
        summary = summaries[name]
        style = look(material.order.index(name))
        if not summary.n:
            say_lost(axes[0], row, lost[name])
            continue
        values = np.array(list(summary.values.values())) * scale.factor
        draw_row(axes[0], row, values, summary.mean, summary.low, summary.high, style, scale)
        if compared and name != analysis.baseline:
            effect = analysis.effect(name)
            if effect is not None and effect.n:
                draw_difference(axes[1], row, effect, style, scale)
    row_names(axes[0], names)
    axes[0].set_xlabel(axis_title(metric))
    axes[0].set_title("Every seed")
    if compared:
        finish_differences(axes[1], "Difference", analysis.direction, scale)
        axes[1].set_title(f"Paired differences to {shortened(analysis.baseline, 22)}")
    yield Plot(
        "effects",
        f"Every seed, and the difference to {shortened(analysis.baseline)}",
        _caption(material, len(shown) - len(names)),
        figure,
    )


def axis_title(metric: str) -> str:
    """Return the axis label of a metric with its unit."""
    unit = " (%)" if formatting.is_share(metric) else ""
    return formatting.metric_title(metric).capitalize() + unit


def row_height(rows: int) -> float:
    """Return the height in inches of a figure with one line per row."""
    return 1.25 + 0.36 * max(rows, 2)


def row_names(axis: Axes, names: list[str], *, size: float = 9.0) -> None:
    """Name the rows of a forest plot, the first on top."""
    labels = fitted_names(names)
    axis.set_yticks(
        range(len(names)), [labels[each] for each in names], fontsize=size, linespacing=0.95
    )
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)


def scatter_offsets(count: int, spread: float = 0.16) -> np.ndarray:
    """Return vertical offsets that keep up to some hundred dots of one row apart, the same ever."""
    if count == 1:
        return np.zeros(1)
    steps = (np.arange(count) * 0.618034) % 1.0  # golden ratio: neighbours never side by side
    return (steps - 0.5) * 2 * spread


def draw_row(
    axis: Axes,
    row: float,
    values: np.ndarray,
    mean: float | None,
    low: float | None,
    high: float | None,
    style: Look,
    scale: formatting.Scale,
) -> None:
    """Draw one row: a dot per seed, the mean as a bar, the interval as a line below the dots."""
    many = len(values) > 40
    axis.plot(
        values,
        row - 0.12 + scatter_offsets(len(values), 0.12),
        linestyle="none",
        marker=style.marker,
        markersize=3.0 if many else 4.5,
        markerfacecolor=style.colour,
        markeredgewidth=0,
        alpha=0.35 if many else 0.55,
        rasterized=many,
    )
    if mean is None:
        return
    if low is not None and high is not None:
        axis.plot(
            [low * scale.factor, high * scale.factor],
            [row + 0.2] * 2,
            color=style.colour,
            linewidth=1.8,
            solid_capstyle="butt",
        )
    axis.plot(
        mean * scale.factor,
        row + 0.2,
        marker="|",
        markersize=9,
        markeredgewidth=2.2,
        color=style.colour,
    )


def say_lost(axis: Axes, row: float, count: int) -> None:
    """Say in the place of a row's marks that there are none, and why."""
    words = f"none completed, {count} lost"
    place = axis.get_yaxis_transform()
    axis.text(
        0.5, row, words, transform=place, ha="center", va="center", fontsize=8.5, color=FAILED
    )


def draw_difference(
    axis: Axes, row: float, effect: Comparison, style: Look, scale: formatting.Scale
) -> None:
    """Draw one row of paired differences with mean, interval and the numbers at its right."""
    values = np.array(list(effect.differences.values())) * scale.factor
    many = len(values) > 40
    axis.plot(
        values,
        row - 0.12 + scatter_offsets(len(values), 0.12),
        linestyle="none",
        marker=style.marker,
        markersize=3.0 if many else 4.5,
        markerfacecolor=style.colour,
        markeredgewidth=0,
        alpha=0.35 if many else 0.55,
        rasterized=many,
    )
    if effect.mean is None:
        return
    words = scale.difference(effect.mean)
    if effect.low is not None and effect.high is not None:
        axis.plot(
            [effect.low * scale.factor, effect.high * scale.factor],
            [row + 0.2] * 2,
            color=style.colour,
            linewidth=1.8,
            solid_capstyle="butt",
        )
        words += f"  [{scale.difference(effect.low)}, {scale.difference(effect.high)}]"
    stands = effect.verdict in ("better", "worse")
    axis.plot(
        effect.mean * scale.factor,
        row + 0.2,
        marker="D",
        markersize=6.5,
        color=style.colour,
        markerfacecolor=style.colour if stands else "white",
        markeredgewidth=1.5,
    )
    axis.text(
        1.02,
        row,
        words,
        transform=axis.get_yaxis_transform(),
        va="center",
        fontsize=8.5,
        color="black" if stands else GREY,
    )


def finish_differences(
    axis: Axes, label: str, direction: Direction, scale: formatting.Scale, word: str = "better"
) -> None:
    """Draw zero, name the axis with its unit, and say which way is better."""
    axis.axvline(0, color="black", linewidth=1.0, zorder=1)
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, 0), max(high, 0))
    unit = f" ({scale.difference_unit})" if scale.difference_unit else ""
    way = f"{word} →" if direction == "max" else f"← {word}"
    axis.set_xlabel(f"{label}{unit}    {way}")
    axis.tick_params(axis="y", length=0)
    axis.grid(False, axis="y")


def _caption(material: ReportData, left_out: int) -> str:
    analysis = material.analysis
    level = formatting.percent(analysis.confidence)
    parts = [
        f"Left, a mark for every seed; the bar is the mean and the line its {level} interval. "
        "Right, the difference to the baseline seed by seed; the diamond is its mean and the line "
        f"the paired {level} interval, per comparison. A filled diamond stands after Holm's "
        "correction, an open one is not told from zero. There is no interval under three seeds."
    ]
    if left_out:
        parts.append(
            f"The {MOST_ROWS} variants with the largest differences are drawn; {left_out} more "
            "are in the table."
        )
    return " ".join(parts)
