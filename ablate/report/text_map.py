"""The map of a screened network as text: the tracks, the layers, and each site's effect as a bar.

A long map is for the page, which has every site: in the terminal, stretches of sites whose effects
may all be 0 are one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ablate.analysis.screening import Factor
from ablate.report import formatting
from ablate.report.bars import DOT, axis_line, ends, interval_bars
from ablate.report.network_map import Row, ScreenReport, drawn, folded_words


def text_map(report: ScreenReport, width: int) -> list[str]:
    """Return the map as lines of text of at most `width` letters."""
    made, scale = report.map_rows, report.scale
    tracks = min(max(len(drawn(row, DOT)) for row in made) + 1, max(width // 4, 4))
    label = min(max(len(_label(row)) for row in made), max(width * 2 // 5 - tracks, 14))
    texts = {
        index: scale.difference(each.effect) for index, each in enumerate(report.found.factors)
    }
    number = max(map(len, texts.values()), default=0)
    room = width - tracks - label - number - 12
    known = {
        index: (each.low, each.effect, each.high)
        for index, each in enumerate(report.found.factors)
        if each.low is not None and each.high is not None and each.effect is not None
    }
    bars = interval_bars(known, room) if room >= 12 else {}
    lines: list[tuple[Row, list[str]]] = []
    for row in made:
        factors: Sequence[int | None] = row.factors or (None,)
        own = []
        for turn, index in enumerate(factors):
            mark = "●" if row.factors else "○"
            graph = drawn(row, mark) if turn == 0 else _passing(row)
            name = _label(row) if turn == 0 and len(factors) == 1 else ""
            if index is not None and len(factors) > 1:
                name = (f"{row.label}: " if turn == 0 else "  ") + report.design.sites[index].layer
            line = f"{_cut(graph, tracks):<{tracks}}{_cut(name, label):<{label}}"
            if index is not None and report.found.factors[index].effect is not None:
                line += f"  {texts[index]:>{number}}  {bars.get(index, '')}"
                line += "  picked" if report.is_picked(index) else ""
            own.append(line.rstrip())
        lines.append((row, own))
    shown = [_cut(line, width) for line in _without_repeats(lines, report, tracks)]
    if bars:
        low, high = ends(known.values())
        axis = axis_line(scale.difference(low), scale.difference(high), room)
        unit = f" {scale.difference_unit}" if scale.difference_unit else ""
        level = formatting.percent(report.found.confidence)
        shown += [
            f"{'':{tracks + label + number + 4}}{axis}{unit}",
            _cut(f"● a layer with a site; right: ● its effect, ─ {level} interval, ┊ 0", width),
        ]
    if words := folded_words(made):
        shown.append(_cut(f"{words}.", width))
    return shown


#: Rows of a map from which on stretches that tell nothing site by site are one line of text.
_LONG = 40


def _without_repeats(
    lines: list[tuple[Row, list[str]]], report: ScreenReport, tracks: int
) -> Iterator[str]:
    """Yield the lines of a map, in a long one stretches of sites whose effects may be 0 as one."""
    factors = report.found.factors
    stretch: list[tuple[Row, list[str]]] = []
    for at, (row, own) in enumerate(lines):
        inside = len(lines) > _LONG and 0 < at < len(lines) - 1
        if inside and all(_may_be_nothing(factors[index]) for index in row.factors):
            stretch.append((row, own))
            continue
        yield from _in_short(stretch, report, tracks)
        stretch = []
        yield from own
    yield from _in_short(stretch, report, tracks)


def _may_be_nothing(factor: Factor) -> bool:
    return factor.low is not None and factor.high is not None and factor.low <= 0 <= factor.high


def _in_short(
    stretch: list[tuple[Row, list[str]]], report: ScreenReport, tracks: int
) -> Iterator[str]:
    indices = [index for row, _ in stretch for index in row.factors]
    if len(indices) < 3:
        for _, own in stretch:
            yield from own
        return
    scale = report.scale
    effects = [report.found.factors[index].effect or 0.0 for index in indices]
    unit = f" {scale.difference_unit}".rstrip()
    picked = sum(report.is_picked(index) for index in indices)
    yield (
        f"{'⋮':<{tracks}}{len(indices)} sites, {scale.difference(min(effects))} to "
        f"{scale.difference(max(effects))}{unit}: each may be 0"
        + (f"; {picked} picked" if picked else "")
    )


def _passing(row: Row) -> str:
    below = Row("", "", row.track, passes=tuple({*row.passes, *row.leaves}))
    return drawn(below, " " if row.last else "│")


def _label(row: Row) -> str:
    return f"{row.label}  {row.kind}" if row.kind else row.label


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
