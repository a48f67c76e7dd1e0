"""The progress of a search, as it happens and as `ablate status` tells it.

A `SearchProgress` goes in: points tried, the best so far and the budget left, per variant. A
table on the terminal comes out, live above the trials under way, or plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType

from ablate.report import formatting
from ablate.report.document import Cells, Column, Table, tabulated
from ablate.report.live import Display, count
from ablate.report.printing import fitted, grid, show_table


@dataclass(frozen=True)
class VariantProgress:
    """A variant of a search: how far it is, and the best so far."""

    variant: str
    tried: int  # points with every seed done
    planned: int | None  # points there will be; None if the oracle decides
    lost: int  # points that lost a seed
    best: float | None
    values: Mapping[str, Any] = field(default_factory=dict)
    spent: int = 0  # epochs trained
    left: int = 0  # epochs to train, as far as is known
    confirmed: int = 0
    confirm: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is known to be left."""
        return self.left == 0


@dataclass(frozen=True)
class SearchProgress:
    """A search: a row per variant."""

    study: str
    objective: str
    direction: str
    rows: tuple[VariantProgress, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the progress as one JSON document."""
        return asdict(self)


class SearchDisplay(Display):
    """Show the progress of a search: the table of its variants, then the trials under way."""

    _progress_so_far: SearchProgress | None = None

    def searched(self, progress: SearchProgress, trials: int) -> None:
        """Take note of how far the search is, and of how many trials it has asked for."""
        self._progress_so_far = progress
        self._total = max(self._total, trials)
        self._progress.update(self._bar, total=max(self._total, 1))

    def _picture(self) -> RenderableType:
        below = super()._picture()
        if self._progress_so_far is None:
            return below
        table, _ = fitted(progress_table(self._progress_so_far), self._console.width)
        return Group(grid(self._console, table), below)


def progress_table(progress: SearchProgress) -> Table:
    """Return the table of a search's variants."""
    cells: list[Cells] = [
        (Column("Variant", "left"), lambda row: row.variant),
        (Column("Points"), lambda row: f"{row.tried}/{row.planned or '?'}"),
        (Column("Lost", drop=1), lambda row: str(row.lost)),
        (Column(f"Best {progress.objective}"), lambda row: formatting.figures(row.best, 4)),
        (Column("At", "left", drop=2), lambda row: settings(row.values)),
        (Column("Confirmed", drop=3), lambda row: f"{row.confirmed}/{row.confirm}"),
        (Column("Epochs", drop=5), lambda row: formatting.whole(row.spent)),
        (Column("Left", drop=4), lambda row: formatting.whole(row.left)),
    ]
    table = tabulated("search", f"Search of {progress.study}", progress.rows, cells)
    assert table is not None  # a search has a variant
    return table


def print_search_progress(progress: SearchProgress, console: Console) -> None:
    """Print how far a search is."""
    show_table(console, progress_table(progress))
    left = sum(row.left for row in progress.rows)
    text = f"{count(left, 'epoch')} left at most." if left else "The search is done."
    console.print(text, highlight=False)


def settings(values: Mapping[str, Any]) -> str:
    """Return a point in words, its paths without `train.` and `insert.`."""
    parts = []
    for path, value in values.items():
        name = formatting.parameter(path)
        shown = formatting.figures(value, 3) if isinstance(value, float) else str(value)
        parts.append(f"{name} {shown}")
    return ", ".join(parts)
