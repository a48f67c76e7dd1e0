"""Probe `perturbation`: what 1 % becomes on its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import GREY
from ablate.report.probe_drawing import grid, over_layers
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict

_TITLES = {
    "first_scale": "First layer, all alike",
    "first_noise": "First layer, noise",
    "all_scale": "Every layer, all alike",
    "all_noise": "Every layer, noise",
}


class Arguments(Strict):
    """Arguments of `perturbation`."""

    share: float = Field(default=0.01, gt=0, description="How far parameters are moved: 0.01: 1 %.")
    layers: Literal["first", "all", "both"] = Field(
        default="both", description="Whose parameters: the first layer's, all layers', or each."
    )
    kind: Literal["scale", "noise", "both"] = Field(
        default="both",
        description="Every parameter times 1 + share, or times 1 + share · a normal number.",
    )
    training: bool = Field(
        default=True,
        description="Whether a BatchNormalization works with the batch's statistics, as in "
        "training; else with its moving averages, which know nothing of the change.",
    )


def draw(found: Measured) -> Iterator[Plot]:
    """Draw how each change grows by layer, before training and at the end."""
    layers, first = found.layers, found.variants[0]
    changes, share = found.texts(first, "changes"), float(found.first(first)["share"])
    if not layers or not changes:
        return
    for at, name, when in ((0, "before", "before training"), (-1, "end", "at the end")):
        figure, axes = grid(len(changes), 2, 2.6, stretch=False)
        for axis, change in zip(axes, changes, strict=True):
            key = f"scalar/{change}/{{}}/output"
            over_layers(axis, found, key, "change of the output (%)", epoch=at, factor=100)
            if change == "all_scale":
                growth = 100 * ((1 + share) ** np.arange(1, len(layers) + 1) - 1)
                axis.set_ylim(axis.get_ylim())  # the formula is a backdrop: the data set the scale
                axis.plot(np.arange(len(layers)), growth, color=GREY, linewidth=1, zorder=0)
            axis.set_title(_TITLES[change])
            axis.set_ylim(bottom=0)
        yield Plot(
            name,
            f"A change of {100 * share:g} % {when}",
            "Relative change of what leaves each hidden layer, mean over the seeds.",
            figure,
        )


PROBE = ReportedProbe(
    about="What a small change of the parameters does to every layer.",
    arguments=Arguments,
    measurement="ablate.probes.perturbation:Perturbation",
    title="A small change of the parameters",
    text="Parameters are changed by a small share and every layer is measured again. Through ReLU "
    "layers without biases a change of every layer by s grows to (1 + s)ⁿ − 1 at the n-th (grey); "
    "a normalization that works on the batch takes a common factor out again.",
    draw=draw,
)
