"""Probe `landscape`: how rough the loss is along its gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import band
from ablate.report.probe_drawing import epoch_axis, grid, logarithmic, over_epochs, style_of
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict


class Arguments(Strict):
    """Arguments of `landscape`."""

    steps: int = Field(default=8, ge=2, le=100, description="Points along the gradient.")
    nearest: float = Field(
        default=0.25, gt=0, description="The nearest of them, in learning rates."
    )
    farthest: float = Field(default=4.0, gt=0, description="The farthest, in learning rates.")
    rate: float | None = Field(
        default=None, gt=0, description="The unit of length; default the learning rate."
    )


def draw(found: Measured) -> Iterator[Plot]:
    """Draw the bands of the loss and of the gradient's change, and the effective smoothness."""
    figure, axes = grid(3)
    labels = {"loss": "loss along the gradient", "distance": "change of the gradient"}
    for axis, (what, label) in zip(axes, labels.items(), strict=False):
        for variant in found.variants:
            style, epochs = style_of(found, variant), found.epochs(variant)
            ends = (found.over_seeds(variant, f"scalar/{what}_{end}") for end in ("low", "high"))
            low, high = (np.where(each > 0, each, np.nan) for each in ends)
            band(axis, epochs, low, high, style.colour)
            axis.plot(epochs, low, color=style.colour, linewidth=0.9)
            axis.plot(
                epochs, high, color=style.colour, linestyle=style.dash, linewidth=0.9, label=variant
            )
        logarithmic(axis)
        epoch_axis(axis)
        axis.set_ylabel(label)
    over_epochs(axes[2], found, "scalar/smoothness", "effective smoothness β", log=True)
    lengths = found.first(found.variants[0])["lengths"]
    yield Plot(
        "",
        "Loss and gradient along the gradient",
        f"Steps of {lengths[0]:g} to {lengths[-1]:g} learning rates; bands from the least to the "
        "largest value, mean over the seeds. Last: the largest change of the gradient per "
        "distance moved.",
        figure,
    )


PROBE = ReportedProbe(
    about="Loss and gradient along the gradient's direction.",
    arguments=Arguments,
    measurement="ablate.probes.landscape:Landscape",
    title="The loss along its gradient",
    text="From the parameters as trained so far, steps of growing length are tried against the "
    "gradient (Santurkar et al. 2018). A narrow band of losses, gradients that stay near the "
    "first one and a small effective smoothness mean that large steps are safe.",
    draw=draw,
)
