"""The metric over the learning rate: does a variant widen the range of rates that work?

Variants that differ in their learning rate alone form a line; rates stand on a log axis, every
seed is a mark, and a trial that diverged, failed or collapsed is a cross at the bottom.
`draw_response` serves any numeric parameter, so that a search draws its own with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import LineStyle, line_style
from ablate.report.names import common_beginning
from ablate.report.plots.theme import (
    drawn,
    keyed,
    legend,
    panels,
    plain_log,
    tell,
    within_shares,
)
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of
from ablate.study.resolved import ResolvedVariant


@dataclass(frozen=True)
class Response:
    """What one variant gave at one value of a parameter: its seeds' metrics, and those lost."""

    at: float
    values: tuple[float, ...]
    lost: int = 0


@drawn
def learning_rates(report: ReportData) -> Iterator[Plot]:
    """Draw the metric over the learning rate, where variants differ in nothing else."""
    lines = _lines(report)
    if not any(each.values for responses in lines.values() for each in responses):
        return
    analysis = report.analysis
    scale = scale_of(analysis, analysis.metric)
    figure, axes = panels(height=3.6)
    for index, (name, responses) in enumerate(lines.items()):
        draw_response(axes[0], responses, line_style(index), scale, name, at="learning rate")
    within_shares(axes[0], scale.unit == "%")
    finish_response(axes[0], lines, log=True)
    axes[0].set_xlabel("Learning rate (log)")
    axes[0].set_ylabel(formatting.axis_title(analysis.metric))
    legend(figure)
    yield Plot(
        "learning-rates",
        f"{formatting.metric_title(analysis.metric).capitalize()} over the learning rate",
        "A mark per seed, the line through the means. Crosses at the bottom count the trials "
        "that diverged, failed or collapsed at that rate; they are in no mean.",
        figure,
        response_finding(lines, scale, "learning rate", analysis.direction),
    )


def response_finding(
    lines: Mapping[str, Sequence[Response]], scale: formatting.Scale, what: str, direction: str
) -> str:
    """Return where each line has its best mean, and how many trials it lost in all."""
    parts = []
    for name, responses in lines.items():
        means = {each.at: float(np.mean(each.values)) for each in responses if each.values}
        lost = sum(each.lost for each in responses)
        words = "has no completed trial"
        if means:
            best = (max if direction == "max" else min)(means, key=lambda at: means[at])
            words = f"is best at {formatting.figures(best)}"
            words += f" ({scale.value(means[best])}{f' {scale.unit}' if scale.unit else ''})"
        parts.append(f"{name} {words}" + (f" and lost {lost}" if lost else ""))
    return f"Over the {what}, {formatting.listed(parts)}."


def draw_response(
    axis: Axes,
    responses: Sequence[Response],
    style: LineStyle,
    scale: formatting.Scale,
    name: str,
    *,
    at: str,
    joined: bool = True,
) -> None:
    """Draw one variant's response over `at`: a mark per seed, the line of means if `joined`."""
    ordered = sorted(responses, key=lambda each: each.at)
    dots = [(each.at, value * scale.factor) for each in ordered for value in each.values]
    means = [(each.at, np.mean(each.values) * scale.factor) for each in ordered if each.values]
    with keyed(axis, name):
        if dots:
            x, y = np.array(dots).T
            axis.plot(
                x, y, linestyle="none", marker=style.marker, markersize=4.5, markeredgewidth=0,
                color=style.colour, alpha=0.5,
            )  # fmt: skip
            tell(axis, name, x, y, at=at, unit=scale.unit)
        axis.plot(
            *(np.array(means).T if means else ([], [])),
            color=style.colour,
            linestyle=style.dash if joined else "none",
            marker=style.marker,
            markersize=5.5,
            label=name,
        )


def finish_response(axis: Axes, lines: Mapping[str, Sequence[Response]], *, log: bool) -> None:
    """Set the axis and mark the lost trials: one line of crosses per variant at the bottom."""
    if log:
        axis.set_xscale("log")
        ticks = {each.at for responses in lines.values() for each in responses}
        plain_log(axis.xaxis, sorted(ticks))
    for index, (name, responses) in enumerate(lines.items()):
        height = 0.025 + 0.045 * index
        for each in responses:
            if not each.lost:
                continue
            with keyed(axis, name):
                axis.plot(
                    each.at,
                    height,
                    transform=axis.get_xaxis_transform(),
                    marker="x",
                    markersize=6.5,
                    markeredgewidth=1.8,
                    color=line_style(index).colour,
                    clip_on=False,
                )
                axis.annotate(
                    str(each.lost),
                    (each.at, height),
                    xycoords=axis.get_xaxis_transform(),
                    xytext=(5, 0),
                    textcoords="offset points",
                    fontsize=7.5,
                    va="center",
                    color=line_style(index).colour,
                )
    if any(each.lost for responses in lines.values() for each in responses):
        low, high = axis.get_ylim()
        room = 0.05 + 0.045 * len(lines)
        axis.set_ylim(low - (high - low) * room / (1 - min(room, 0.5)), high)


def _lines(report: ReportData) -> dict[str, list[Response]]:
    """Return, for each set of variants that differ in the learning rate alone, its responses."""
    groups: dict[str, dict[float, ResolvedVariant]] = {}
    for name in report.order:
        variant = report.variant.get(name)
        if variant is not None and variant.alias_of is None:
            groups.setdefault(_without_rate(variant), {})[variant.spec.train.learning_rate] = (
                variant
            )
    several = [resolved for resolved in groups.values() if len(resolved) > 1]
    if not several or not any(rate > 0 for resolved in several for rate in resolved):
        return {}
    lines: dict[str, list[Response]] = {}
    metric = report.analysis.metric
    for resolved in several:
        responses = []
        for rate, variant in resolved.items():
            summary = report.analysis.variant(variant.name)
            found = summary.metrics.get(metric)
            collapsed = set(summary.failures.collapsed_seeds)
            values = {} if found is None else found.values
            kept = tuple(value for seed, value in values.items() if seed not in collapsed)
            if rate > 0:
                responses.append(Response(rate, kept, summary.failures.lost.count))
        if any(each.values or each.lost for each in responses):
            lines[_line_name(list(resolved.values()))] = responses
    return lines


def _without_rate(variant: ResolvedVariant) -> str:
    document = variant.spec.model_dump(mode="json", by_alias=True)
    document["train"].pop("learning_rate", None)
    return json.dumps(document, sort_keys=True)


def _line_name(resolved: list[ResolvedVariant]) -> str:
    """Return what the variants of a line share: factor levels, else the beginning of the names.

    Of names that share nothing it is the first one.
    """
    shared = [
        f"{name}={level}"
        for name, level in resolved[0].factors.items()
        if all(variant.factors.get(name) == level for variant in resolved)
    ]
    if shared:
        return ", ".join(shared)
    names = [variant.name for variant in resolved]
    ending = r"[-_.,=+]*(lr|rate|learning.rate)?[-_.,=+0-9]*$"
    beginning = re.sub(ending, "", common_beginning(names))
    return beginning or names[0]
