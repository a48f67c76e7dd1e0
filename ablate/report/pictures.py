"""A plot as a page shows it: its SVG as part of the page, its legend, what it says under a pointer.

The figure's SVG loses what only a file needs, its colours become variables (a dark page has
others), and what belongs to a name has that name's class, by which a page mutes it everywhere. The
legend is cut off, for the page has one that can be clicked. One that is too large is a PNG.
"""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.report.document import KEYED, LEGEND, Plot, Told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: An SVG larger than this (thousands of marks) is embedded as PNG.
LARGEST_SVG = 400_000

#: The colours of the plots (`lines`, `plots`) by what they are on a dark page.
DARK = {
    "#000000": "#f2f2f2", "#0072b2": "#6cb2f5", "#d55e00": "#ff8f4a", "#009e73": "#3ccb9c",
    "#cc79a7": "#eaa3cb", "#e69f00": "#f5b93c", "#56b4e9": "#8fdcff", "#767676": "#a3a3a3",
    "#444444": "#b5b5b5", "#333333": "#d5d5d5", "#999999": "#8c8c8c", "#e4e4e4": "#34383f",
    "#ffffff": "#17191d", "#bfd9e8": "#2f5068",
}  # fmt: skip

#: Points to an inch of an SVG.
_POINTS = 72.0

#: Paths of the markers of `lines.MARKERS` around (0, 0).
_MARKS = {
    "o": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "s": "M-3-3h6v6h-6z", "^": "M0-3.5 3.5 3h-7z",
    "D": "M0-4 4 0 0 4-4 0z", "v": "M0 3.5-3.5-3h7z",
    "P": "M-1.3-3.5h2.6v2.2h2.2v2.6h-2.2v2.2h-2.6v-2.2h-2.2v-2.6h2.2z",
    "X": "M-3.5-2 -2-3.5 0-1.5 2-3.5 3.5-2 1.5 0 3.5 2 2 3.5 0 1.5-2 3.5-3.5 2-1.5 0z",
    "<": "M-3.5 0 3-3.5v7z", ">": "M3.5 0-3-3.5v7z",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A line of a legend: the number of its name on the page, and how what it names is drawn."""

    key: int
    name: str
    colour: str  # as CSS
    mark: str = ""  # path of its marker; "" for a patch
    dashed: bool = False


@dataclass(frozen=True)
class Picture:
    """A plot as the page shows it. `svg` is part of a page, or `source` the address of a PNG."""

    name: str
    title: str
    caption: str
    finding: str
    svg: str
    source: str
    legend: tuple[Entry, ...]
    told: str  # JSON, as `page.js` reads it


def picture(plot: Plot, keys: dict[str, int]) -> Picture:
    """Return a plot for a page; names that it shows are numbered in `keys`."""
    whole = plot.svg.decode()
    svg, source = "", ""
    if len(whole) > LARGEST_SVG:
        source = f"data:image/png;base64,{b64encode(plot.png).decode()}"
    else:
        svg = inlined(whole, plot, keys)
    return Picture(
        plot.name,
        plot.title,
        plot.caption,
        plot.finding or plot.caption,
        svg,
        source,
        () if source else _legend(plot, keys),
        "" if source else _told(plot.figure, keys),
    )


def inlined(svg: str, plot: Plot, keys: dict[str, int]) -> str:
    """Return an SVG file's content as part of a page, without its legend."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.S)
    body = _without_legend(body)
    width, height = (each * _POINTS for each in plot.figure.get_size_inches())
    for each in plot.figure.legends:
        height -= max(each.get_window_extent().y1, 0.0) * _POINTS / plot.figure.dpi + 2

    def tag(found: re.Match[str]) -> str:
        text = found[0]
        if text.startswith("<svg"):
            return (
                f'<svg viewBox="0 0 {width:g} {height:.5g}" aria-hidden="true" focusable="false">'
            )
        if text.startswith("<g ") and text.endswith("/>"):
            return ""
        if text.startswith(f'<g id="{KEYED}'):
            name = html.unescape(text.split('"')[1].removeprefix(KEYED))
            return f'<g class="k{keys.setdefault(name, len(keys))}">'
        if text.startswith("<g id="):
            return "<g>" if text.count("=") == 1 else re.sub(r' id="[^"]*"', "", text)
        if text.startswith("<image"):
            return re.sub(r' id="[^"]*"', "", text)
        text = re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", text)
        text = re.sub(r"\s+", " ", text)
        text = re.sub(r"(?<=[\dMLCQz\"]) (?=[MLCQz])|(?<=[MLCQ]) ", "", text)
        text = re.sub(r'(?<= id=")|(?<=href="#)|(?<=url\(#)', f"{plot.name}-", text)
        text = re.sub(r"#([0-9a-f]{6})(?![-\w])", _variable, text)
        text = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", text)
        return text.replace("xlink:href", "href")

    return re.sub(r"\n\s*(?=<)", "", re.sub(r"<[^>]*>", tag, body)).strip()


def _variable(colour: re.Match[str]) -> str:
    return f"var(--c{colour[1]})" if colour[0] in DARK else colour[0]


def _without_legend(body: str) -> str:
    """Return the SVG without the group of the figure's legend."""
    start = body.find(f'<g id="{LEGEND}">')
    depth = 0
    for found in re.finditer(r"<g[\s>]|</g>", body[start:] if start >= 0 else ""):
        depth += -1 if found[0] == "</g>" else 1
        if depth == 0:
            return body[:start] + body[start + found.end() :]
    return body


def _legend(plot: Plot, keys: dict[str, int]) -> tuple[Entry, ...]:
    """Return the entries of the legend below a figure, with names as they are."""
    if not plot.figure.legends and not plot.legend:
        return ()
    handles: dict[str, Any] = {}
    for axis in plot.figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return tuple(
        _entry(handle, label, keys.setdefault(label, len(keys)))
        for label, handle in handles.items()
    )


def _entry(handle: Any, label: str, key: int) -> Entry:
    handle = handle[0] if isinstance(handle, tuple) else handle  # bars, a line with its errors
    if hasattr(handle, "get_marker"):
        mark = _MARKS.get(handle.get_marker(), "M0 0")
        return Entry(key, label, _css(handle.get_color()), mark, handle.get_linestyle() == "--")
    return Entry(key, label, _css(handle.get_facecolor()))


def _css(colour: Any) -> str:
    from matplotlib.colors import to_hex

    return re.sub(r"#([0-9a-f]{6})", _variable, to_hex(colour))


def _told(figure: Figure, keys: dict[str, int]) -> str:
    """Return what a figure says under the pointer, and how its axes lie on its SVG.

    `axes`: x as offset, factor, whether logarithmic; y likewise; left, top, right, bottom.
    `points`: axis, key, label or labels, what the other coordinate is, unit, whether the value is
    x, every x (their number, where they count from 0), every y.
    """
    told: Sequence[Told] = getattr(figure, "told", ())
    if not told:
        return ""
    height = figure.get_figheight() * figure.dpi
    axes = list(dict.fromkeys(each.axis for each in told))
    return json.dumps(
        {
            "axes": [_frame(each, height, _POINTS / figure.dpi) for each in axes],
            "points": [
                [
                    axes.index(each.axis), keys.setdefault(each.name, len(keys)),
                    each.label if isinstance(each.label, str) else list(each.label), each.at,
                    each.unit.strip(), int(each.sideways), _numbers(each.x), _numbers(each.y),
                ]
                for each in told
            ],
        },
        separators=(",", ":"), ensure_ascii=False,
    ).replace("<", "\\u003c")  # fmt: skip


def _frame(axis: Any, height: float, scale: float) -> list[float]:
    """Return how an axis maps its data to the SVG, and the box it has there."""
    low, high = axis.get_xlim(), axis.get_ylim()
    ends = axis.transData.transform(np.transpose([low, high]))
    ends[:, 1] = height - ends[:, 1]
    frame: list[float] = []
    for column, (limits, kind) in enumerate(((low, axis.get_xscale()), (high, axis.get_yscale()))):
        log = kind == "log"
        first, last = np.log10(limits) if log else np.asarray(limits)
        factor = (ends[1, column] - ends[0, column]) / (last - first) * scale
        frame += [ends[0, column] * scale - factor * first, factor, int(log)]
    box = [*ends.min(axis=0), *ends.max(axis=0)]
    return [float(f"{each:.6g}") for each in [*frame, *(each * scale for each in box)]]


def _numbers(values: np.ndarray) -> int | list[float | None]:
    if len(values) > 1 and np.array_equal(values, np.arange(len(values))):
        return len(values)
    return [float(f"{each:.5g}") if np.isfinite(each) else None for each in values]
