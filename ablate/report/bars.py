"""Intervals as bars of letters, for a terminal: `──●──` about a `┊` at zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Key = TypeVar("Key")

#: Low end, estimate, high end.
Interval = tuple[float, float, float]

#: Letters of a bar.
LINE, DOT, ZERO = "─", "●", "┊"


def interval_bars(rows: Mapping[Key, Interval], room: int) -> dict[Key, str]:
    """Return each interval as a bar of `room` letters, on one axis that has 0."""
    at = _places(*ends(rows.values()), room)
    bars = {}
    for key, (low, estimate, high) in rows.items():
        cells = [" "] * room
        for place in range(at(low), at(high) + 1):
            cells[place] = LINE
        cells[at(0.0)] = "┼" if cells[at(0.0)] == LINE else ZERO
        cells[at(estimate)] = DOT
        bars[key] = "".join(cells)
    return bars


def ends(rows: Iterable[Interval]) -> tuple[float, float]:
    """Return the ends of the bars' axis, 0 between them."""
    known = list(rows)
    return min([0.0, *(low for low, _, _ in known)]), max([0.0, *(high for *_, high in known)])


def axis_line(low: str, high: str, room: int) -> str:
    """Return the axis below bars: its ends, as they are written."""
    return f"{low}{high:>{max(room - len(low), len(high) + 1)}}"


def _places(low: float, high: float, room: int) -> Callable[[float], int]:
    span = (high - low) or 1.0
    return lambda value: min(int((value - low) / span * (room - 1) + 0.5), room - 1)
