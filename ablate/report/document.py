"""What every format lays out: tables of plain text, plots with their words, sections of both.

A format (terminal, HTML, Markdown, LaTeX) takes these and nothing else of a finding, so that a
finding is written once. Nothing here knows what it is used for, or imports matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Align = Literal["left", "right"]


@dataclass(frozen=True)
class Column:
    """A column: its title, its side, and how early a narrow page drops it (0: never)."""

    title: str
    align: Align = "right"
    drop: int = 0


@dataclass(frozen=True)
class Table:
    """A titled table. `marks` says of each row "baseline", "better", "worse", "lost" or "".

    A `detail` is for the reader who looks for it: a page folds it away, a terminal leaves it out.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    detail: bool = False

    def mark(self, row: int) -> str:
        """Return what is special about a row."""
        return self.marks[row] if row < len(self.marks) else ""

    def with_columns(self, kept: Sequence[int]) -> Table:
        """Return the table with the columns at these places only."""
        return replace(
            self,
            columns=tuple(self.columns[each] for each in kept),
            rows=tuple(tuple(row[each] for each in kept) for row in self.rows),
        )


#: A column, and what it says of a row.
Cells = tuple[Column, Callable[[Any], str]]


def tabulated(
    name: str,
    title: str,
    rows: Sequence[Any],
    cells: Sequence[Cells],
    notes: tuple[str, ...] = (),
    *,
    mark: Callable[[Any], str] | None = None,
    detail: bool = False,
) -> Table | None:
    """Return the table of `rows`, None where there is none; `mark` gives a row's mark."""
    if not rows:
        return None
    return Table(
        name,
        title,
        tuple(column for column, _ in cells),
        tuple(tuple(write(row) for _, write in cells) for row in rows),
        notes,
        tuple(map(mark, rows)) if mark else (),
        detail,
    )


#: Ids of groups in a figure's SVG: what is drawn for a name (which follows), and the legend.
KEYED, LEGEND = "of ", "legend"


@dataclass(frozen=True)
class Told:
    """Points of a figure that a page puts into words: whose they are, where, in what unit.

    `x` and `y` are as drawn on `axis`; the value is y, or x where it lies `sideways`, and `at` says
    what the other one is ("" for nothing).
    """

    axis: Axes
    name: str
    label: str | Sequence[str]
    x: np.ndarray
    y: np.ndarray
    at: str
    unit: str
    sideways: bool


@dataclass(frozen=True)
class Plot:
    """A figure and its words.

    `name` is its file's stem, `caption` says what is drawn and how, `finding` what it shows, for
    those who do not see it. `legend`: a page names the lines below it though the figure does not.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    finding: str = ""
    legend: bool = False

    @cached_property
    def svg(self) -> bytes:
        """The figure as an SVG file: the same bytes for the same numbers."""
        return saved(self.figure, format="svg", metadata={"Date": None, "Creator": None})

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG file."""
        return png(self.figure)


@dataclass(frozen=True)
class Section:
    """A titled part of the report, such as what one probe measured.

    One that `leads` stands before the rest. `drawing` is its plot in text, as lines of at most a
    width, for a terminal.
    """

    name: str  # an anchor: letters, digits, hyphens
    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    leads: bool = False
    drawing: Callable[[int], Sequence[str]] | None = None


def png(figure: Figure, dpi: int = 160) -> bytes:
    """Return a figure as a PNG file."""
    return saved(figure, format="png", dpi=dpi, metadata={"Software": None})


def saved(figure: Figure, **options: Any) -> bytes:
    """Return a figure as a file; `options` go to its `savefig`."""
    file = io.BytesIO()
    figure.savefig(file, **options)
    if figure.get_layout_engine() is not None:
        # The layout is settled now; another format need not work it out again.
        figure.set_layout_engine("none")
    return file.getvalue()
