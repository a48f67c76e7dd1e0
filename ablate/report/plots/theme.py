"""How every plot looks: one style for drawing and saving, and figures of a page's width.

Figures are made without pyplot, so nothing global is touched, and SVG files are the same bytes for
the same numbers. They are as wide as a telephone's page, so that their text is read there at its
nominal size and two stand side by side on a desk. A page mutes what is `keyed` by a name, and says
under the pointer what a figure was made to `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from ablate.report.document import KEYED, LEGEND, Plot, Told
from ablate.report.names import fitted_names

Data = TypeVar("Data")

FAILED = "#D55E00"

#: Width of a figure in inches: 360 points, the width of a telephone's page.
WIDTH = 5.0

#: Points that a letter of a legend takes on average, and an entry beside its text.
_LETTER, _ENTRY = 5.4, 48

#: Inches of a line of a legend.
_LINE = 0.18

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
    "svg.fonttype": "none",  # text stays text: found, copied, read aloud
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

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.told: list[Told] = []

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


def small_panels(count: int, columns: int = 3, *, lines: int = 1) -> tuple[Figure, list[Axes]]:
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


@contextmanager
def keyed(axis: Axes, name: str) -> Iterator[None]:
    """Make what is drawn on `axis` within this belong to `name`, wherever else that is drawn."""
    before = set(axis.get_children())
    yield
    for each in axis.get_children():
        if each not in before:
            each.set_gid(f"{KEYED}{name}")


def tell(
    axis: Axes,
    name: str,
    x: np.ndarray | Sequence[float],
    y: np.ndarray | Sequence[float],
    label: str | Sequence[str] = "",
    *,
    at: str = "epoch",
    unit: str = "",
    sideways: bool = False,
) -> None:
    """Have a page say under the pointer what these points are.

    Args:
        axis: on which they are drawn.
        name: whose they are, as it is `keyed`.
        x, y: where they are drawn, NaN where none is.
        label: what else is to be said, of all or point by point: "seed 3".
        at: what the other coordinate than the value is; "" where it is nothing.
        unit: of the value.
        sideways: whether the value is x.
    """
    figure = axis.figure
    if isinstance(figure, ThemedFigure):
        x, y = np.asarray(x, float), np.asarray(y, float)
        figure.told.append(Told(axis, name, label, x, y, at, unit, sideways))


def legend(figure: Figure) -> None:
    """Name the lines of all axes once, below them, unless axes do it or there is a single one."""
    if any(axis.get_legend() is not None for axis in figure.axes):
        return
    entries: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if len(entries) < 2:
        return
    names = fitted_names(list(entries), 44, 1)
    widest = max(map(len, names.values())) * _LETTER + _ENTRY
    columns = max(int(WIDTH * 72 / widest), 1)
    # The axes keep the height that they were given.
    figure.set_figheight(figure.get_figheight() + _LINE * -(-len(names) // columns))
    figure.legend(
        list(entries.values()),
        [names[each] for each in entries],
        loc="outside lower center",
        ncols=columns,
        handlelength=3.0,
        columnspacing=1.2,
    ).set_gid(LEGEND)


def within_shares(axis: Axes, share: bool, *, horizontal: bool = False) -> None:
    """Let an axis of shares in percent end at 0 and 100, where its data do."""
    if share:
        low, high = axis.get_xlim() if horizontal else axis.get_ylim()
        limits = (max(low, 0.0), min(high, 100 + 0.03 * (high - low)))
        (axis.set_xlim if horizontal else axis.set_ylim)(*limits)


def plain_log(axis: Axis, ticks: Sequence[float] = ()) -> None:
    """Label a log axis with numbers as they are written, at those of `ticks` that have room."""
    axis.set_minor_locator(NullLocator())
    if 0 < len(ticks) <= 12:
        axis.set_major_locator(FixedLocator(_apart(sorted(ticks))))
    else:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _apart(ticks: Sequence[float]) -> list[float]:
    """Return the ticks that are far enough from the one kept before on a log axis."""
    room = 0.13 * np.log(ticks[-1] / ticks[0]) if ticks[0] > 0 else 0.0
    kept = [ticks[0]]
    for each in ticks[1:]:
        if room <= 0 or np.log(each / kept[-1]) >= room:
            kept.append(each)
    return kept
