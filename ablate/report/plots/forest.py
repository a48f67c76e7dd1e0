"""Forest plots: a row per variant or effect, a dot per seed, the mean and its interval.

A filled diamond is better or worse after correction for the comparisons, an open one is not. Rows
are drawn from the top; names are made to fit at their left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.analysis import Analysis, Comparison, Direction, MetricSummary
from ablate.report import formatting
from ablate.report.lines import GREY, LineStyle
from ablate.report.names import fitted_names
from ablate.report.plots.theme import FAILED, panels
from ablate.report.tables import scale_of

#: Rows that one figure holds; beyond, those with the largest effects are drawn.
MOST_ROWS = 60


def draw_differences(
    rows: Mapping[str, Comparison],
    styles: Sequence[LineStyle],
    label: str,
    analysis: Analysis,
    word: str = "better",
) -> Figure:
    """Return a figure with a row of paired differences for each named comparison."""
    scale = scale_of(analysis, analysis.metric)
    figure, axes = panels(height=row_height(len(rows)))
    for row, (effect, style) in enumerate(zip(rows.values(), styles, strict=True)):
        draw_difference(axes[0], row, effect, style, scale)
    row_names(axes[0], list(rows))
    finish_differences(axes[0], label, analysis.direction, scale, word, margin_of(rows.values()))
    return figure


def margin_of(rows: Iterable[Comparison]) -> float | None:
    """Return the margin that comparisons have in common, if one was set."""
    return next((each.margin for each in rows if each.margin is not None), None)


#: What a caption says of the band.
MARGIN_BAND = " The band is the margin of what is called equivalent."


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
    plain_rows(axis)


def plain_rows(axis: Axes) -> None:
    """Take the marks and lines off the axis that names the rows."""
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)


def scatter_offsets(count: int, spread: float = 0.16) -> np.ndarray:
    """Return vertical offsets that keep up to some hundred dots of one row apart, the same ever."""
    if count == 1:
        return np.zeros(1)
    steps = (np.arange(count) * 0.618034) % 1.0  # golden ratio: neighbours never side by side
    return (steps - 0.5) * 2 * spread


def draw_row(
    axis: Axes, row: float, summary: MetricSummary, style: LineStyle, scale: formatting.Scale
) -> None:
    """Draw one row: a dot per seed, the mean as a bar, the interval as a line below the dots."""
    _draw_seeds(axis, row, summary.values, style, scale)
    _draw_interval(axis, row, summary.low, summary.high, style, scale)
    if summary.mean is not None:
        axis.plot(
            summary.mean * scale.factor,
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
    axis: Axes, row: float, effect: Comparison, style: LineStyle, scale: formatting.Scale
) -> None:
    """Draw one row of paired differences with mean, interval and the numbers at its right."""
    _draw_seeds(axis, row, effect.differences, style, scale)
    if effect.mean is None:
        return
    words = scale.difference(effect.mean)
    if _draw_interval(axis, row, effect.low, effect.high, style, scale):
        words += f"  [{scale.interval(effect.low, effect.high, sign=True)}]"
    holds = effect.verdict in ("better", "worse")
    axis.plot(
        effect.mean * scale.factor,
        row + 0.2,
        marker="D",
        markersize=6.5,
        color=style.colour,
        markerfacecolor=style.colour if holds else "white",
        markeredgewidth=1.5,
    )
    axis.text(
        1.02,
        row,
        words,
        transform=axis.get_yaxis_transform(),
        va="center",
        fontsize=8.5,
        color="black" if holds else GREY,
    )


def finish_differences(
    axis: Axes,
    label: str,
    direction: Direction,
    scale: formatting.Scale,
    word: str = "better",
    margin: float | None = None,
) -> None:
    """Draw zero and the margin around it, name the axis with its unit, say which way is better."""
    axis.axvline(0, color="black", linewidth=1.0, zorder=1)
    if margin is not None:
        half = margin * scale.factor
        axis.axvspan(-half, half, color=GREY, alpha=0.15, linewidth=0, zorder=0)
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, 0), max(high, 0))
    way = f"{word} →" if direction == "max" else f"← {word}"
    axis.set_xlabel(f"{scale.difference_titled(label)}    {way}")
    plain_rows(axis)


def _draw_seeds(
    axis: Axes, row: float, values: Mapping[int, float], style: LineStyle, scale: formatting.Scale
) -> None:
    many = len(values) > 40
    axis.plot(
        np.array(list(values.values())) * scale.factor,
        row - 0.12 + scatter_offsets(len(values), 0.12),
        linestyle="none",
        marker=style.marker,
        markersize=3.0 if many else 4.5,
        markerfacecolor=style.colour,
        markeredgewidth=0,
        alpha=0.35 if many else 0.55,
        rasterized=many,
    )


def _draw_interval(
    axis: Axes,
    row: float,
    low: float | None,
    high: float | None,
    style: LineStyle,
    scale: formatting.Scale,
) -> bool:
    """Draw the interval as a line, if there is one; return whether there is."""
    if low is None or high is None:
        return False
    axis.plot(
        [low * scale.factor, high * scale.factor],
        [row + 0.2] * 2,
        color=style.colour,
        linewidth=1.8,
        solid_capstyle="butt",
    )
    return True
