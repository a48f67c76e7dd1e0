"""How every plot looks: one style for drawing and saving, and figures of a page's width.

Figures are made without pyplot, so nothing global is touched, and SVG files are the same bytes for
the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from ablate.report.document import Plot

Data = TypeVar("Data")

FAILED = "#D55E00"

#: Width of a figure in inches: a page's text width, so that text prints at its nominal size.
WIDTH = 8.4

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",  # text looks the same on every machine
    "svg.hashsalt": "ablate",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # names are text: `a_$b$` is no formula
}


@contextmanager
def themed() -> Iterator[None]:
    """Draw and save within this: the style holds inside and nowhere else."""
    with matplotlib.rc_context(_STYLE):
        yield


class ThemedFigure(Figure):
    """A figure that is saved in the style it is drawn in, wherever that happens."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """Save the figure as `Figure.savefig` does."""
        with themed():
            super().savefig(*args, **options)


def blank(width: float, height: float, **options: Any) -> Figure:
    """Return an empty figure of this size in inches."""
    figure = ThemedFigure(figsize=(width, height), **options)
    FigureCanvasAgg(figure)
    return figure


def panels(
    columns: int = 1,
    rows: int = 1,
    *,
    width: float = WIDTH,
    height: float = 3.2,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `height` inches and its axes, row by row. `options` go to `subplots`."""
    figure = blank(width, height, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, [each for row in axes for each in row]


def small_panels(count: int, columns: int = 4, *, lines: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` small panels, labelled outside only, titles of `lines` lines.

    The caller gives all of them the same limits. The margins are set in inches: with so many
    panels the layout engine, and axes that are shared, take longer than all the drawing.
    """
    rows = -(-count // columns)
    title = 0.16 + 0.15 * lines
    left, right, bottom, gap, panel = 0.62, 0.08, 0.55, 0.16, 1.3
    height = bottom + rows * (panel + title + gap)
    figure = blank(WIDTH, height)
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left / WIDTH,
            "right": 1 - right / WIDTH,
            "bottom": bottom / height,
            "top": 1 - title / height,
            "hspace": (title + gap) / panel,
            "wspace": 0.1,
        },
    )
    every = [each for row in axes for each in row]
    for axis in every[count:]:
        axis.set_visible(False)
    for place, axis in enumerate(every[:count]):
        axis.tick_params(labelbottom=place >= count - columns, labelleft=place % columns == 0)
    return figure, every[:count]


def drawn(kind: Callable[[Data], Iterable[Plot]]) -> Callable[[Data], list[Plot]]:
    """Make a kind of plot draw all of its figures at once, in the style of this module."""

    @wraps(kind)
    def within(report: Data) -> list[Plot]:
        with themed():
            return list(kind(report))

    return within


def plain_log(axis: Axis, ticks: Sequence[float] = ()) -> None:
    """Label a log axis with numbers as they are written, at `ticks` if these are few."""
    axis.set_minor_locator(NullLocator())
    if 0 < len(ticks) <= 12:
        axis.set_major_locator(FixedLocator(list(ticks)))
    else:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
