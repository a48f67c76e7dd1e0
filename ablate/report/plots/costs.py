"""Cost against quality: the headline metric over training time, inference time and parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.analysis import Cost, Spread
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import line_style
from ablate.report.names import shortened
from ablate.report.plots.theme import drawn, panels
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Variants that the figure can name with marks of their own.
MOST_MARKS = 36


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
    figure, axes = panels(len(kinds), height=3.2, sharey=True)
    for axis, (label, prices) in zip(axes, kinds, strict=True):
        for name in names[:MOST_MARKS]:
            if name not in prices:
                continue
            summary = summaries[name]
            assert summary.mean is not None
            style = line_style(report.order.index(name))
            price = prices[name]
            mean = summary.mean * scale.factor
            ends = (
                None
                if summary.low is None or summary.high is None
                else (summary.low * scale.factor, summary.high * scale.factor)
            )
            axis.errorbar(
                price.middle,
                mean,
                xerr=[[price.middle - price.low], [price.high - price.middle]],
                yerr=None if ends is None else [[mean - ends[0]], [ends[1] - mean]],
                color=style.colour,
                marker=style.marker,
                markersize=6,
                linewidth=1.0,
                linestyle="none",
                label=shortened(name),
            )
        axis.set_xlabel(label)
        _roomy(axis)
    axes[0].set_ylabel(formatting.axis_title(metric))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4 if len(names) > 3 else 3)
    caption = ("Up is better" if analysis.direction == "max" else "Down is better") + (
        ", left is cheaper. Horizontal lines span the quartiles of the measured times, vertical"
        " ones the interval of the mean. Times are of this machine under the load it had."
    )
    if len(names) > MOST_MARKS:
        caption += f" The first {MOST_MARKS} of {len(names)} variants are drawn."
    yield Plot("costs", "What quality costs", caption, figure)


def _kinds(costs: list[Cost]) -> list[tuple[str, dict[str, _Price]]]:
    seconds = {
        each.variant: _price(each.seconds_per_epoch) for each in costs if each.seconds_per_epoch
    }
    inference = {each.variant: _price(each.inference) for each in costs if each.inference}
    parameters = {
        each.variant: _Price(each.parameters, each.parameters, each.parameters)
        for each in costs
        if each.parameters is not None
    }
    kinds = [
        ("Training: seconds per epoch", seconds),
        ("Inference: seconds per 1000 examples", inference),
    ]
    counts = [each.middle for each in parameters.values()]
    if counts and max(counts) > 1.1 * min(counts):  # less is no cost that anyone weighs
        kinds.append(("Parameters", parameters))
    return kinds


def _price(spread: Spread) -> _Price:
    return _Price(spread.median, spread.low, spread.high)


def _roomy(axis: Axes) -> None:
    """Start a cost axis at zero, so that ratios are seen as they are."""
    axis.set_xlim(0, axis.dataLim.x1 * 1.08)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=4))
