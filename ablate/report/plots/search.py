"""A search, drawn: what a budget buys, and the response to each parameter.

A `Searched` value enters, `Plot`s leave. Variants are compared at every budget by the expected best
of k points, and the response over a learning rate stands on a log axis with the lost trials marked
at its foot.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from ablate.analysis import expected_best
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import line, line_style
from ablate.report.plots.response import (
    Response,
    draw_response,
    finish_response,
    response_finding,
)
from ablate.report.plots.theme import keyed, legend, panels, tell, themed, within_shares

if TYPE_CHECKING:
    from ablate.analysis.search import Searched


def plots(searched: Searched) -> list[Plot]:
    """Return the search's figures: expected best of k, and the response to each parameter."""
    with themed():
        drawn = [_budget_curve(searched)]
        names = dict.fromkeys(name for each in searched.points for name in each.values)
        drawn += [_response(searched, name) for name in names]
    return [each for each in drawn if each is not None]


def _budget_curve(searched: Searched) -> Plot | None:
    figure, axes = panels(height=3.4)
    factor = formatting.factor_of(searched.objective)
    unit = " %" if factor == 100.0 else ""
    ends: list[str] = []
    for index, variant in enumerate(searched.variants):
        values = [math.nan if each.score is None else each.score for each in searched.of(variant)]
        curve = expected_best(values, searched.direction) * factor
        if not len(curve):
            continue
        style = line_style(index)
        points, sparse = np.arange(1, len(curve) + 1), max(len(curve) // 8, 1)
        with keyed(axes[0], variant):
            line(axes[0], points, curve, style, variant, markevery=sparse)
        tell(axes[0], variant, points, curve, at="points", unit=unit)
        ends.append(f"{variant} {formatting.figures(curve[-1])}{unit} after {len(curve)}")
    if not ends:
        return None
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_xlabel("Points tried, k")
    axes[0].set_ylabel(formatting.axis_title(searched.objective))
    legend(figure)
    return Plot(
        "search-budget",
        "Expected best of k points",
        "What the best of k points would have been on average (unbiased over all subsets of the "
        "points tried; a lost point counts as the worst). Compare variants at one k.",
        figure,
        f"The expected best is {formatting.listed(ends)} points.",
    )


def _response(searched: Searched, name: str) -> Plot | None:
    values = [each.values[name] for each in searched.points if name in each.values]
    numeric = all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
    levels = sorted({str(each) for each in values})
    lines: dict[str, list[Response]] = {}
    for variant in searched.variants:
        lines[variant] = [
            Response(
                float(each.values[name])
                if numeric
                else float(levels.index(str(each.values[name]))),
                each.scores,
                each.lost,
            )
            for each in searched.of(variant)
            if name in each.values
        ]
    lines = {key: points for key, points in lines.items() if points}
    if len({each.at for points in lines.values() for each in points}) < 2:
        return None
    log = name in searched.log and numeric
    alone = not any(len(each.values) > 1 for each in searched.points)
    scores = [score for each in searched.points for score in each.scores]
    scale = formatting.metric_scale(searched.objective, scores, [])
    title = formatting.parameter(name)
    figure, axes = panels(height=3.6)
    for variant, points in lines.items():
        style = line_style(searched.variants.index(variant))
        # A line through points that differ in more than this parameter would say too much.
        joined = not any(len(each.values) > 1 for each in searched.of(variant))
        draw_response(axes[0], points, style, scale, variant, at=title, joined=joined)
    within_shares(axes[0], scale.unit == "%")
    finish_response(axes[0], lines, log=log)
    if not numeric:
        axes[0].set_xticks(range(len(levels)), levels)
    axes[0].set_xlabel(f"{title}{' (log)' if log else ''}")
    axes[0].set_ylabel(formatting.axis_title(searched.objective))
    legend(figure)
    return Plot(
        f"search-{formatting.anchor(name)}",
        f"Response to {title}",
        "A mark per trial. Crosses at the foot count the trials that were lost there."
        + (
            " The lines join the means."
            if alone
            else " A line joins the means where nothing else varies; elsewhere other parameters do."
        ),
        figure,
        response_finding(lines, scale, title, searched.direction) if numeric else "",
    )
