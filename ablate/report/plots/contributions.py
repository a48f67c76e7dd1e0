"""What each layer, site or placement adds: the leave-one-out study as a ranked forest plot."""

from __future__ import annotations

from collections.abc import Iterator

from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.plots.effects import (
    MOST_ROWS,
    draw_difference,
    finish_differences,
    row_height,
    row_names,
)
from ablate.report.plots.theme import drawn, look, panels
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of


@drawn
def contributions(material: ReportData) -> Iterator[Plot]:
    """Draw the contributions to the headline metric, the most helpful on top."""
    analysis = material.analysis
    rows = [each for each in analysis.contributions if each.metric == analysis.metric and each.n]
    if not rows:
        return
    rows.sort(key=lambda each: (each.rank is None, each.rank))
    shown = rows[:MOST_ROWS]
    scale = scale_of(analysis, analysis.metric)
    figure, axes = panels(height=row_height(len(shown)))
    for row, each in enumerate(shown):
        draw_difference(axes[0], row, each, look(1), scale)
    row_names(axes[0], [each.what for each in shown])
    label = f"Contribution to {formatting.metric_title(analysis.metric)}"
    finish_differences(axes[0], label, analysis.direction, scale, "helps")
    origin = formatting.listed(dict.fromkeys(each.origin for each in shown))
    level = formatting.percent(analysis.confidence)
    caption = (
        f"{origin} minus the same without what is named, seed by seed. A mark per seed; the "
        f"diamond is the mean, the line its paired {level} interval; a filled diamond stands "
        "after Holm's correction."
    )
    if len(rows) > len(shown):
        caption += f" The first {len(shown)} of {len(rows)} are drawn."
    yield Plot("contributions", "What each part adds", caption, figure)
