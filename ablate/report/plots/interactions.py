"""How two factors work together: the metric over one's levels, a line for each of the other's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes

from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import line, line_style
from ablate.report.plots.theme import drawn, keyed, panels, tell
from ablate.report.report_data import ReportData
from ablate.report.tables import scale_of

#: Pairs of factors in one figure.
MOST_PAIRS = 12


@drawn
def interactions(report: ReportData) -> Iterator[Plot]:
    """Draw the metric over the levels of one factor, by level of another, for every pair."""
    analysis = report.analysis
    usable = {name: levels for name, levels in analysis.factors.items() if len(levels) > 1}
    pairs = list(combinations(usable, 2))
    values = _cells(report)
    if not pairs or not values:
        return
    shown = pairs[:MOST_PAIRS]
    scale = scale_of(analysis, analysis.metric)
    rows = len(shown)
    figure, axes = panels(2, rows, height=0.3 + 2.4 * rows, sharey=True)
    for axis, (first, second) in zip(
        axes, [each for pair in shown for each in (pair, pair[::-1])], strict=False
    ):
        _draw_pair(axis, values, usable, first, second, scale)
    for axis in axes[::2]:
        axis.set_ylabel(formatting.axis_title(analysis.metric))
    caption = (
        "Means over all other factors; thin lines are the seeds. Each pair of factors is "
        "drawn both ways. Parallel lines: the two factors add up. Lines that cross or fan "
        "out: what one does depends on the other."
    )
    if len(pairs) > len(shown):
        caption += f" The first {len(shown)} of {len(pairs)} pairs are drawn."
    finding = " ".join(analysis.answers.get("factors", ()))
    yield Plot("interactions", "How the factors work together", caption, figure, finding)


def _cells(report: ReportData) -> list[tuple[Mapping[str, str], Mapping[int, float]]]:
    """Return the levels and the seeds' values of every variant that completed something."""
    metric = report.analysis.metric
    return [
        (each.factors, each.metrics[metric].values)
        for each in report.analysis.variants
        if each.factors and metric in each.metrics and each.metrics[metric].n
    ]


def _draw_pair(
    axis: Axes,
    cells: list[tuple[Mapping[str, str], Mapping[int, float]]],
    levels: Mapping[str, tuple[str, ...]],
    along: str,
    lines: str,
    scale: formatting.Scale,
) -> None:
    places = np.arange(len(levels[along]))
    for index, level in enumerate(levels[lines]):
        style = line_style(index)
        by_seed: dict[int, np.ndarray] = {}
        for place, other in enumerate(levels[along]):
            for seed, value in _averaged(cells, {lines: level, along: other}).items():
                row = by_seed.setdefault(seed, np.full(len(places), np.nan))
                row[place] = value * scale.factor
        if not by_seed:
            continue
        rows = np.array(list(by_seed.values()))
        counts = np.isfinite(rows).sum(axis=0)
        with np.errstate(invalid="ignore"):
            means = np.where(counts > 0, np.nansum(rows, axis=0) / counts, np.nan)
        name = f"{lines}={level}"
        with keyed(axis, name):
            for row in rows[:60]:
                axis.plot(places, row, color=style.colour, linewidth=0.6, alpha=0.3)
            line(axis, places, means, style, name, markersize=6)
        for seed, row in list(zip(by_seed, rows, strict=True))[:60]:
            tell(axis, name, places, row, f"seed {seed}", at="", unit=scale.unit)
        tell(axis, name, places, means, "mean", at="", unit=scale.unit)
    axis.set_xticks(places, list(levels[along]))
    axis.set_xlim(-0.35, len(places) - 0.65)
    axis.set_xlabel(along)
    # Above the axes, where no line can run through it.
    axis.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=3.0, borderpad=0.1)


def _averaged(
    cells: list[tuple[Mapping[str, str], Mapping[int, float]]], chosen: Mapping[str, str]
) -> dict[int, float]:
    """Return each seed's mean over the cells with the chosen levels, if it has all of them."""
    matching = [
        values
        for factors, values in cells
        if all(factors.get(name) == level for name, level in chosen.items())
    ]
    if not matching:
        return {}
    shared = set.intersection(*(set(values) for values in matching))
    return {
        seed: sum(values[seed] for values in matching) / len(matching) for seed in sorted(shared)
    }
