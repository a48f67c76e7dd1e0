"""The line of a variant in every plot: its colour, marker and dash, the mean and the band.

Colours are Okabe and Ito's, which the colour-blind and a grey printer can tell apart, and each
comes with its own marker and dash, so that colour never carries a meaning alone. The baseline is
always black. Nothing here imports matplotlib.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe & Ito (2008), black first for the baseline; their yellow is too light on white paper.
PALETTE = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)))

#: Variants that each have a colour of their own; of more, those that decide nothing are grey.
MOST_COLOURS = 12

#: What is no variant: examples, references.
GREY = "#767676"


@dataclass(frozen=True)
class LineStyle:
    """The colour, marker and dash of one variant."""

    colour: str
    marker: str
    dash: Any


def line_style(index: int) -> LineStyle:
    """Return the line style of the variant at `index` in the study's order; 0 is the baseline."""
    return LineStyle(
        colour=PALETTE[1 + (index - 1) % (len(PALETTE) - 1)] if index else PALETTE[0],
        marker=MARKERS[index % len(MARKERS)],
        dash=DASHES[index % len(DASHES)],
    )


def line(
    axis: Axes, x: np.ndarray, y: np.ndarray, style: LineStyle, label: str, **options: Any
) -> None:
    """Draw a variant's line with its markers."""
    own = {"linestyle": style.dash, "marker": style.marker, "markersize": 4}
    axis.plot(x, y, color=style.colour, label=label, **{**own, **options})


def band(axis: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Fill what lies between two lines."""
    axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
