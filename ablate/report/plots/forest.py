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
from ablate.report.lines import GREY, MOST_COLOURS, LineStyle, line_style
from ablate.report.names import fitted_names
from ablate.report.plots.theme import FAILED, keyed, panels, tell
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Rows that one figure holds; beyond, those with the largest effects are drawn.
MOST_ROWS = 60
_QUIET = LineStyle(GREY, "o", "-")


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
    for row, ((name, effect), style) in enumerate(zip(rows.items(), styles, strict=True)):
        with keyed(axes[0], name):
            draw_difference(axes[0], row, name, effect, style, scale)
    row_names(axes[0], list(rows))
    finish_differences(axes[0], label, analysis.direction, scale, word, margin_of(rows.values()))
    return figure


def margin_of(rows: Iterable[Comparison]) -> float | None:
    """Return the margin that comparisons have in common, if one was set."""
    return next((each.margin for each in rows if each.margin is not None), None)


#: What a caption says of the band.
MARGIN_BAND = " The band is the margin of what is called equivalent."


def styled(report: ReportData, names: Sequence[str]) -> dict[str, LineStyle]:
    """Return how each variant's row looks; of many, those of which nothing is decided are grey."""
    found = {}
    for name in names:
        effect = report.analysis.effect(name)
        decided = effect is not None and effect.verdict in ("better", "worse")
        plain = len(names) <= MOST_COLOURS or decided or name == report.analysis.baseline
        found[name] = line_style(report.order.index(name)) if plain else _QUIET
    return found


def row_height(rows: int) -> float:
    """Return the height in inches of a figure with one line per row."""
    return 0.75 + (0.36 if rows <= MOST_COLOURS else 0.25) * max(rows, 2)


def row_names(axis: Axes, names: list[str]) -> None:
    """Name the rows of a forest plot, the first on top."""
    few = len(names) <= MOST_COLOURS
    labels, size = fitted_names(names, 24, 2 if few else 1), 9.0 if few else 8.0
    axis.set_yticks(
        range(len(names)), [labels[each] for each in names], fontsize=size, linespacing=1.1
    )
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="x", labeltop=not few)  # many rows: the numbers at both ends
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
    axis: Axes,
    row: float,
    name: str,
    summary: MetricSummary,
    style: LineStyle,
    scale: formatting.Scale,
) -> None:
    """Draw one row: a dot per seed, the mean as a bar, the interval as a line below the dots."""
    _draw_seeds(axis, row, name, summary.values, style, scale, scale.unit)
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
        tell(axis, name, [summary.mean * scale.factor], [row + 0.2], "mean", at="",
             unit=scale.unit, sideways=True)  # fmt: skip


def say_lost(axis: Axes, row: float, count: int) -> None:
    """Say in the place of a row's marks that there are none, and why."""
    words = f"none completed, {count} lost"
    place = axis.get_yaxis_transform()
    axis.text(
        0.5, row, words, transform=place, ha="center", va="center", fontsize=8.5, color=FAILED
    )


def draw_difference(
    axis: Axes,
    row: float,
    name: str,
    effect: Comparison,
    style: LineStyle,
    scale: formatting.Scale,
) -> None:
    """Draw one row of paired differences with mean, interval and the numbers at its right."""
    unit = scale.difference_unit
    _draw_seeds(axis, row, name, effect.differences, style, scale, unit)
    if effect.mean is None:
        return
    words = scale.difference(effect.mean)
    label = "mean difference"
    if _draw_interval(axis, row, effect.low, effect.high, style, scale):
        words += f"  [{scale.interval(effect.low, effect.high, sign=True)}]"
        label += f" of {formatting.counted(effect.n, 'seed')}"
    tell(axis, name, [effect.mean * scale.factor], [row + 0.2], label, at="", unit=unit,
         sideways=True)  # fmt: skip
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
        fontsize=8.0,
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
    axis.set_xlabel(f"{scale.difference_titled(label)} · {way}")
    plain_rows(axis)


def _draw_seeds(
    axis: Axes,
    row: float,
    name: str,
    values: Mapping[int, float],
    style: LineStyle,
    scale: formatting.Scale,
    unit: str,
) -> None:
    many = len(values) > 40
    heights = row - 0.12 + scatter_offsets(len(values), 0.12)
    places = np.array(list(values.values())) * scale.factor
    seeds = [f"seed {seed}" for seed in values]
    tell(axis, name, places, heights, seeds, at="", unit=unit, sideways=True)
    axis.plot(
        places,
        heights,
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
