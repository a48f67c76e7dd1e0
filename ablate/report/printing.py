"""What every command prints on: a console, its tables, its lines.

Tables are as wide as the page at most: columns go, least needed first, and what went is said; a
name breaks at its punctuation; where no table fits, a row is lines of its own. A pipe gets the same
text without colour, and a terminal that cannot say "−" gets "-".
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from ablate.reasons import printable
from ablate.report import formatting
from ablate.report.document import Column, Table
from ablate.report.names import broken

_STYLES = {"better": "green", "worse": "red", "lost": "red", "baseline": "bold"}

#: What a terminal without Unicode is shown instead.
_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "×": "x", "±": "+-", "…": "...", "→": "->", "←": "<-", "·": "-",
     "≤": "<=", "≥": ">=", "’": "'", "“": '"', "”": '"'}
)  # fmt: skip

#: A column of words wraps beyond this width.
SENTENCE = 36

#: Width of a page where nobody can say how wide it is, as in a log file.
PAGE = 110


def console(quiet: bool = False, file: io.TextIOBase | None = None) -> Console:
    """Return the console that commands print on; a quiet one prints nothing.

    A file or a pipe has no width of its own: it gets COLUMNS, or a page wide enough for the usual
    table. With NO_COLOR nothing is coloured, and nothing is bold or dim either.
    """
    target = file or sys.stdout
    terminal = getattr(target, "isatty", lambda: False)()
    screen = Console(
        file=target,  # type: ignore[arg-type]
        quiet=quiet,
        highlight=False,
        soft_wrap=False,
        width=None if terminal else _piped_width(),
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        # A notebook has a bar and pictures of its own, and is no terminal though it shows colours.
        force_jupyter=False,
        force_terminal=False if "ipykernel" in sys.modules else None,
    )
    screen.push_render_hook(_Neutral())
    return screen


class _Neutral(RenderHook):
    """Takes control sequences off all that a console prints but for the console's own."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Neutralised(each) for each in renderables]


class _Neutralised:
    """Something to print, without what a terminal would obey."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for each in console.render(self._inner, options):
            yield each if each.control else Segment(printable(each.text), each.style)


def show_table(screen: Console, table: Table) -> Table:
    """Print a table as far as the page is wide, and what is left out; return what is printed."""
    narrowed, left_out = fitted(table, screen.width)
    if table.title:
        screen.print()
        print_line(screen, Text(table.title, style="bold"))
    rest = _width(narrowed, range(1, len(narrowed.columns)))
    if rest + _first_width(narrowed, screen.width) > screen.width:
        _show_blocks(screen, table)
        narrowed, left_out = table, []
    else:
        screen.print(grid(screen, narrowed), soft_wrap=False)
    titles = ", ".join(table.columns[each].title for each in left_out)
    if titles:
        print_line(screen, Text(f"Not shown on a page this narrow: {titles}.", style="dim"))
    for note in table.notes:
        print_line(screen, Text(note, style="dim"))
    return narrowed


def fitted(table: Table, width: int) -> tuple[Table, list[int]]:
    """Return the table with as many columns as `width` holds, and the columns left out."""
    kept = list(range(len(table.columns)))
    left_out: list[int] = []
    while _width(table, kept[1:]) + _first_width(table, width) > width:
        droppable = [each for each in kept if table.columns[each].drop]
        if not droppable:
            break
        worst = max(droppable, key=lambda each: table.columns[each].drop)
        kept.remove(worst)
        left_out.append(worst)
    return table.with_columns(kept), sorted(left_out)


def grid(screen: Console, table: Table) -> Grid:
    """Return a table as rich lays it out, as wide as `screen` at most."""
    made = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    widths = _shared_out(table, screen.width)
    for column, width in zip(table.columns, widths, strict=True):
        title = Text(sayable(screen, column.title))
        made.add_column(title, justify=column.align, overflow="fold", width=width)
    for number, row in enumerate(table.rows):
        style = _STYLES.get(table.mark(number), "")
        name, *cells = (sayable(screen, cell) for cell in row)
        name = broken(name, widths[0])
        made.add_row(*(Text(cell, style=style) for cell in (name, *cells)))
    return made


def _show_blocks(screen: Console, table: Table) -> None:
    """Print a row as lines of its own where the page is too narrow for any table."""
    for row in table.rows:
        print_line(screen, Text(row[0], style="bold"))
        for column, cell in zip(table.columns[1:], row[1:], strict=True):
            if cell and cell != formatting.NONE:
                print_line(screen, f"  {column.title}: {cell}")


def print_line(screen: Console, text: str | Text) -> None:
    """Print a text as it is: names are no markup, and what cannot be said is replaced."""
    if isinstance(text, Text):
        screen.print(Text(sayable(screen, text.plain), style=text.style))
    else:
        screen.print(sayable(screen, text), markup=False)


def sayable(screen: Console, text: str) -> str:
    text = printable(text)
    try:
        text.encode(screen.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN).encode("ascii", "replace").decode("ascii")
    return text


def _width(table: Table, kept: Sequence[int]) -> int:
    """Return the width that columns want, two blanks after each."""
    return sum(_cell_width(table, each) + 2 for each in kept)


def _shared_out(table: Table, width: int) -> list[int]:
    """Return the columns' widths: what cells need first, then room for titles on one line.

    Numbers never break; the first column gives way, down to a width that still reads.
    """
    needs = [_cell_width(table, each) for each in range(len(table.columns))]
    spare = width - sum(needs) - 2 * (len(needs) - 1)
    if spare < 0:
        needs[0] = max(needs[0] + spare, _first_width(table, width))
    for index, column in enumerate(table.columns):
        widest = max((_length(row[index]) for row in table.rows), default=0)
        more = min(max(len(column.title), widest) - needs[index], max(spare, 0))
        needs[index] += more
        spare -= more
    return needs


def _cell_width(table: Table, index: int) -> int:
    """Return the width a column wants; sentences are content with less, as they wrap."""
    widest = max((_length(row[index]) for row in table.rows), default=0)
    wanted = min(widest, SENTENCE) if table.columns[index].align == "left" else widest
    return max(_head_width(table.columns[index]), wanted)


def _length(cell: str) -> int:
    """Return the length of a cell's longest line."""
    return max(map(len, cell.split("\n")))


def _first_width(table: Table, width: int) -> int:
    """Return the least width at which the first column can be read: names break, if they must."""
    return min(_cell_width(table, 0), max(16, width // 4))


def _head_width(column: Column) -> int:
    """Return the width of the longest word of a title: titles wrap."""
    return max(map(len, column.title.split()), default=0)


def _piped_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) > 0 else PAGE
