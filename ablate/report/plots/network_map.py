"""The map: the network from input to output, each site's effect and interval in its row.

On the left the layers with the tracks between them, on the right a forest plot in the same rows.
Sites that were picked are filled, others open; zero is drawn through all rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes

from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import GREY, PALETTE
from ablate.report.names import shortened
from ablate.report.network_map import Row, ScreenReport, folded_words
from ablate.report.plots.theme import WIDTH, blank, tell, themed

#: Inches of a row, and those above and below all of them.
_ROW, _ABOVE, _BELOW = 0.24, 0.35, 0.62

#: Letters that the name and the kind of a layer have room for together.
_LETTERS = 31

#: Lanes drawn apart; further ones share the last.
_MOST_TRACKS = 8

_PICKED, _OTHER = PALETTE[1], GREY


def draw_map(report: ScreenReport) -> Iterator[Plot]:
    """Yield the map, where any effect is known."""
    if all(each.effect is None for each in report.found.sites):
        return
    made = report.map_rows
    lines = [
        (row, turn, index) for row in made for turn, index in enumerate(row.factors or (None,))
    ]
    with themed():
        height = _ABOVE + _BELOW + _ROW * len(lines)
        figure = blank(WIDTH, height)
        bottom, span = _BELOW / height, _ROW * len(lines) / height
        network = figure.add_axes((0.01, bottom, 0.50, span))
        effects = figure.add_axes((0.53, bottom, 0.33, span))
        for axis in (network, effects):
            axis.set_ylim(len(lines) - 0.5, -0.5)
        _draw_network(network, report, lines)
        _draw_effects(effects, report, lines)
        figure.text(0.01, 1 - 0.22 / height, "Input to output", fontsize=9.5, weight="bold")
        figure.text(0.53, 1 - 0.22 / height, "Effect of each site", fontsize=9.5, weight="bold")
    yield Plot(
        "map",
        "The map of the network",
        "Each layer from input to output; a dot is what a layer at that site adds to "
        f"{formatting.metric_title(report.found.metric)}, averaged over the other sites, its line "
        f"the {formatting.percent(report.found.confidence)} interval. Filled: picked."
        + (f" {words}." if (words := folded_words(made)) else ""),
        figure,
    )


def _draw_network(
    axis: Axes, report: ScreenReport, lines: list[tuple[Row, int, int | None]]
) -> None:
    axis.set_axis_off()
    tracks = 1 + max(max(row.track, *row.joins, *row.leaves, *row.passes, 0) for row, _, _ in lines)
    shown = min(tracks, _MOST_TRACKS)
    step = min(0.35, 2.0 / shown)

    def x(track: int) -> float:
        return min(track, _MOST_TRACKS - 1) * step

    right = shown * step + 0.1
    axis.set_xlim(-0.25, right + 4.2)
    for at, (row, turn, index) in enumerate(lines):
        own = x(row.track)
        for track in row.passes:
            axis.plot([x(track)] * 2, [at - 0.5, at + 0.5], color="#999999", linewidth=1.2)
        if turn == 0:
            top, end = (at if row.first else at - 0.5), (at if row.last else at + 0.5)
            axis.plot([own] * 2, [top, end], color="#999999", linewidth=1.2, zorder=1)
            for track in row.joins:
                axis.plot([x(track), x(track), own], [at - 0.5, at - 0.25, at], color="#999999",
                          linewidth=1.2, zorder=1)  # fmt: skip
            for track in row.leaves:
                axis.plot([own, x(track), x(track)], [at, at + 0.25, at + 0.5], color="#999999",
                          linewidth=1.2, zorder=1)  # fmt: skip
            host = bool(row.factors)
            axis.plot(own, at, marker="o", markersize=6 if host else 4, color="#333333",
                      markerfacecolor="#333333" if host else "white", zorder=2)  # fmt: skip
        else:
            axis.plot([own] * 2, [at - 0.5, at + (0 if row.last else 0.5)], color="#999999",
                      linewidth=1.2, zorder=1)  # fmt: skip
        name = row.label if turn == 0 else ""
        if index is not None and len(row.factors) > 1:
            name = report.design.sites[index].layer
        weight = "bold" if index is not None and report.is_picked(index) else "normal"
        axis.text(right, at, shortened(name, 24), va="center", fontsize=8.5, weight=weight)
        if turn == 0 and len(name) + len(row.kind) < _LETTERS - 2 * shown:
            axis.text(right + 4.2, at, row.kind, va="center", ha="right", fontsize=8.0,
                      color=GREY)  # fmt: skip


def _draw_effects(
    axis: Axes, report: ScreenReport, lines: list[tuple[Row, int, int | None]]
) -> None:
    scale = report.scale
    for at, (_, _, index) in enumerate(lines):
        factor = None if index is None else report.found.factors[index]
        if index is None or factor is None or factor.effect is None:
            continue
        picked = report.is_picked(index)
        colour = _PICKED if picked else _OTHER
        if factor.low is not None and factor.high is not None:
            axis.plot([factor.low * scale.factor, factor.high * scale.factor], [at] * 2,
                      color=colour, linewidth=1.8, solid_capstyle="butt")  # fmt: skip
        axis.plot(factor.effect * scale.factor, at, marker="o", markersize=6, color=colour,
                  markerfacecolor=colour if picked else "white", markeredgewidth=1.4)  # fmt: skip
        axis.text(1.03, at, scale.difference(factor.effect), transform=axis.get_yaxis_transform(),
                  va="center", fontsize=8.5, color=colour,
                  weight="bold" if picked else "normal")  # fmt: skip
        site, value = report.design.factors[index], factor.effect * scale.factor
        label = "picked" if picked else ""
        tell(axis, site, [value], [at], label, at="", unit=scale.difference_unit, sideways=True)
    axis.axvline(0, color="black", linewidth=1.0, zorder=1)
    low, high = axis.get_xlim()
    axis.set_xlim(min(low, 0), max(high, 0))
    axis.set_yticks([])
    axis.grid(False, axis="y")
    axis.spines["left"].set_visible(False)
    way = "better →" if report.found.direction == "max" else "← better"
    axis.set_xlabel(f"{scale.difference_titled('Effect')} · {way}")
