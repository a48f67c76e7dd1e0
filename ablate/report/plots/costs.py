"""Cost against quality: the headline metric over training time, inference time and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.analysis import Cost, Direction, MetricSummary, Spread
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import GREY, MOST_COLOURS, LineStyle, line_style
from ablate.report.names import fitted_names
from ablate.report.plots.theme import drawn, keyed, panels, tell, within_shares
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Inches of one panel.
_HEIGHT = 2.7


@dataclass(frozen=True)
class _Price:
    middle: float
    low: float
    high: float


@drawn
def costs(report: ReportData) -> Iterator[Plot]:
    """Draw each variant's mean metric over what it costs."""
    analysis = report.analysis
    metric = analysis.metric
    summaries = {
        each.name: each.metrics[metric]
        for each in analysis.variants
        if metric in each.metrics and each.metrics[metric].mean is not None
    }
    by_name = {each.variant: each for each in analysis.costs}
    names = [name for name in report.order if name in summaries and name in by_name]
    kinds = [
        (label, prices)
        for label, prices in _kinds([by_name[name] for name in names])
        if len(prices) > 1
    ]
    if not kinds:
        return
    scale = scale_of(analysis, metric)
    figure, axes = panels(1, len(kinds), height=_HEIGHT * len(kinds))
    findings = []
    for axis, (label, prices) in zip(axes, kinds, strict=True):
        shown = {
            name: _Point(prices[name], summaries[name], line_style(report.order.index(name)))
            for name in names
            if name in prices
        }
        named = _efficient(shown, analysis.direction) | {analysis.baseline}
        for name, point in shown.items():
            quiet = len(shown) > MOST_COLOURS and name not in named
            with keyed(axis, name):
                _draw_point(axis, point, scale, GREY if quiet else point.style.colour)
            mean = (point.summary.mean or 0.0) * scale.factor
            tell(axis, name, [point.price.middle], [mean], at=label.lower(), unit=scale.unit)
        axis.set_xlabel(label)
        axis.set_ylabel(formatting.axis_title(metric))
        _roomy(axis)
        within_shares(axis, scale.unit == "%")
        some = len(shown) > MOST_COLOURS
        _label(axis, {n: p for n, p in shown.items() if n in named or not some}, scale)
        best = formatting.listed(name for name in shown if name in named)
        findings.append(f"{label}: nothing cheaper is better than one of {best}.")
    caption = ("Up is better" if analysis.direction == "max" else "Down is better") + (
        ", left is cheaper. Horizontal lines span the quartiles of the measured times, vertical"
        " ones the interval of the mean. Times are of this machine under the load it had."
    )
    if len(names) > MOST_COLOURS:
        caption += " Named: the baseline, and those than which none is both cheaper and better."
    yield Plot("costs", "What quality costs", caption, figure, " ".join(findings))


@dataclass(frozen=True)
class _Point:
    price: _Price
    summary: MetricSummary
    style: LineStyle


def _efficient(points: Mapping[str, _Point], direction: Direction) -> set[str]:
    """Return those than which none is both cheaper and better."""
    sign = 1 if direction == "max" else -1
    found, best = set(), -math.inf
    ranked = sorted(points, key=lambda n: (points[n].price.middle, -sign * _mean(points[n])))
    for name in ranked:
        if sign * _mean(points[name]) > best:
            best = sign * _mean(points[name])
            found.add(name)
    return found


def _mean(point: _Point) -> float:
    return point.summary.mean or 0.0


def _draw_point(axis: Axes, point: _Point, scale: formatting.Scale, colour: str) -> None:
    summary, price = point.summary, point.price
    mean = _mean(point) * scale.factor
    ends = None
    if summary.low is not None and summary.high is not None:
        ends = [[mean - summary.low * scale.factor], [summary.high * scale.factor - mean]]
    axis.errorbar(
        price.middle,
        mean,
        xerr=[[price.middle - price.low], [price.high - price.middle]],
        yerr=ends,
        color=colour,
        marker=point.style.marker,
        markersize=6,
        linewidth=1.0,
        linestyle="none",
    )


def _label(axis: Axes, points: Mapping[str, _Point], scale: formatting.Scale) -> None:
    """Name the points at the right of the axes, as high as they lie, with room between names."""
    low, high = axis.get_ylim()
    room = 11 / ((_HEIGHT - 0.6) * 72)
    ranked = sorted(points, key=lambda name: _mean(points[name]))
    heights = [(_mean(points[name]) * scale.factor - low) / (high - low) for name in ranked]
    for index in range(1, len(heights)):
        heights[index] = max(heights[index], heights[index - 1] + room)
    beyond = max(heights[-1] - 1.0, 0.0) if heights else 0.0
    for index in range(len(heights) - 1, -1, -1):
        ceiling = heights[index + 1] - room if index + 1 < len(heights) else heights[-1] - beyond
        heights[index] = min(heights[index], ceiling)
    labels = fitted_names(ranked, 22, 1)
    for name, height in zip(ranked, heights, strict=True):
        point = points[name]
        with keyed(axis, name):
            axis.annotate(
                labels[name],
                (point.price.middle, _mean(point) * scale.factor),
                xytext=(1.04, height),
                textcoords="axes fraction",
                va="center",
                fontsize=8.5,
                color=point.style.colour,
                arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": GREY, "shrinkB": 3},
            )


def _kinds(costs: list[Cost]) -> list[tuple[str, dict[str, _Price]]]:
    parameters = {
        each.variant: _Price(each.parameters, each.parameters, each.parameters)
        for each in costs
        if each.parameters is not None
    }
    epochs = {each.variant: each.seconds_per_epoch for each in costs if each.seconds_per_epoch}
    inference = {each.variant: each.inference for each in costs if each.inference}
    kinds = [
        _times("Training time of an epoch", epochs),
        _times("Inference time of 1000 examples", inference),
    ]
    counts = [each.middle for each in parameters.values()]
    if counts and max(counts) > 1.1 * min(counts):  # less is no cost that anyone weighs
        kinds.append(("Parameters", parameters))
    return kinds


def _times(label: str, spreads: Mapping[str, Spread]) -> tuple[str, dict[str, _Price]]:
    """Return times in one unit, in which none is a small share of 1."""
    longest = max((each.median for each in spreads.values()), default=1.0)
    factor, unit = (1.0, "s") if longest >= 1 else (1000.0, "ms")
    return f"{label} ({unit})", {
        name: _Price(factor * each.median, factor * each.low, factor * each.high)
        for name, each in spreads.items()
    }


def _roomy(axis: Axes) -> None:
    """Start a cost axis at zero, so that ratios are seen as they are."""
    axis.set_xlim(0, axis.dataLim.x1 * 1.08)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=4))
