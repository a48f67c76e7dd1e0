"""Probe `fitted_curve`: the curves that were fitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import GREY, band
from ablate.report.probe_drawing import alone, grid, small_png, style_of
from ablate.report.probe_sections import Arrays, Measured, ReportedProbe
from ablate.study.schema.strict import Strict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Epochs at which TensorBoard shows the curve, spread evenly, so that its slider shows it bend.
_CURVES = 8


class Arguments(Strict):
    """Arguments of `fitted_curve`."""

    points: int = Field(default=200, ge=2, le=2000, description="Points of the curve.")
    margin: float = Field(
        default=0.1, ge=0, description="How far beyond the data it goes, as a share of their range."
    )
    samples: int = Field(
        default=0, ge=0, le=1000, description="Thinned networks drawn for the band; 0 for none."
    )


def draw(found: Measured) -> Iterator[Plot]:
    """Draw the curve of every seed at the end, a panel per variant."""
    figure, axes = grid(len(found.variants), 2, 3.0, sharex=True, sharey=True)
    for axis, variant in zip(axes, found.variants, strict=True):
        colour = style_of(found, variant).colour
        for ordinal, (_, arrays) in enumerate(found.by_variant[variant]):
            grid_, curve = arrays["grid"], arrays["curve"][-1]
            if ordinal:
                axis.plot(grid_, curve, color=colour, linewidth=0.8, alpha=0.45)
                continue
            _examples(axis, arrays)
            axis.plot(grid_, curve, color=colour, linewidth=1.8)
            if "spread" in arrays:
                spread = arrays["spread"][-1]
                band(axis, grid_, curve - spread, curve + spread, colour)
        axis.set_title(variant)
        axis.set_xlabel("x")
    yield Plot(
        "",
        "Fitted curves at the end",
        "Dots are training examples of the first seed; the thick line is its curve (with the "
        "spread of thinned networks where that was asked for), thin lines are the other seeds.",
        figure,
    )


def images(arrays: Arrays) -> Iterator[tuple[str, int, bytes]]:
    """Draw a trial's curve at a few epochs."""
    from ablate.report.lines import PALETTE

    epochs = arrays["epochs"]
    for at in np.unique(np.linspace(0, len(epochs) - 1, _CURVES).astype(int)):
        figure, axis = alone(5.0, 3.4)
        _examples(axis, arrays)
        axis.plot(arrays["grid"], arrays["curve"][at], color=PALETTE[1])
        axis.set_title(f"after {int(epochs[at])} epochs")
        yield "curve", int(epochs[at]), small_png(figure)


def _examples(axis: Axes, arrays: Arrays) -> None:
    """Draw the training examples, which also set the range of the values."""
    y = arrays["train_y"]
    axis.plot(arrays["train_x"], y, linestyle="none", marker=".", markersize=4, color=GREY)
    reach = (y.max() - y.min()) or 1.0
    axis.set_ylim(y.min() - 0.35 * reach, y.max() + 0.35 * reach)


PROBE = ReportedProbe(
    about="The function of one number that a network has fitted.",
    arguments=Arguments,
    measurement="ablate.probes.fitted_curve:FittedCurve",
    title="The curves that were fitted",
    text="What a network makes of one number. A curve that bends to every example has learned the "
    "noise; where seeds disagree, the examples did not decide.",
    draw=draw,
    images=images,
)
