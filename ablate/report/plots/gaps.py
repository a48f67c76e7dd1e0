"""The generalisation gap: the metric on the training rows minus the test rows, seed by seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.plots.effects import MOST_ROWS, draw_row, row_height, row_names
from ablate.report.plots.theme import drawn, look, panels
from ablate.report.report_data import ReportData


@drawn
def gaps(material: ReportData) -> Iterator[Plot]:
    """Draw the gap of the headline's metric and of the loss, side by side."""
    analysis = material.analysis
    bare = analysis.metric.split("_", 1)[-1]
    metrics = [
        name
        for name in dict.fromkeys((bare, "loss"))
        if any(each.metric == name and each.summary.n for each in analysis.gaps)
    ]
    names = [
        name
        for name in material.order
        if any(each.variant == name and each.summary.n for each in analysis.gaps)
    ][:MOST_ROWS]
    if not metrics or not names:
        return
    figure, axes = panels(len(metrics), height=row_height(len(names)), sharey=True)
    for axis, metric in zip(axes, metrics, strict=True):
        rows = {each.variant: each.summary for each in analysis.gaps if each.metric == metric}
        factor = 100.0 if formatting.is_share(metric) else 1.0
        scale = formatting.Scale(factor)
        for row, name in enumerate(names):
            summary = rows.get(name)
            if summary is None or not summary.n:
                continue
            values = np.array(list(summary.values.values())) * factor
            style = look(material.order.index(name))
            draw_row(axis, row, values, summary.mean, summary.low, summary.high, style, scale)
        axis.axvline(0, color="black", linewidth=1.0, zorder=1)
        unit = " (points)" if factor == 100.0 else ""
        axis.set_xlabel(f"{metric.replace('_', ' ').capitalize()}: training − test{unit}")
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
    row_names(axes[0], names)
    caption = (
        "Both in inference mode, on the weights training ended with. A mark per seed, the bar "
        "their mean, the line its interval. Far from zero, the network knows its training "
        "rows better than the test rows: it overfits."
    )
    yield Plot("gaps", "Generalisation gap", caption, figure)
