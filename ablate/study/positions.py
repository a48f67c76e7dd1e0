"""Where a layer may stand relative to its host: words that the command line needs at once."""

from __future__ import annotations

from typing import Literal

Position = Literal["before", "before_activation", "after_activation", "after"]

POSITIONS: tuple[Position, ...] = ("before", "before_activation", "after_activation", "after")
