"""Probe `variance_shift`: Dropout before normalization."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import GREY
from ablate.report.probe_drawing import grid, over_layers
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict


class Arguments(Strict):
    """Arguments of `variance_shift`."""

    samples: int = Field(default=10, ge=1, le=1000, description="Draws of the Dropout masks.")


def draw(found: Measured) -> Iterator[Plot | str]:
    """Draw both ratios of variances, and warn of each Dropout that feeds a normalization."""
    if not found.layers:
        return
    for variant in found.variants:
        if feeds := found.texts(variant, "feeds"):
            yield f"In {variant} a Dropout feeds a BatchNormalization: {', '.join(feeds)}."
    figure, axes = grid(2)
    over_layers(axes[0], found, "scalar/{}/shift", "max(real/moving, moving/real)")
    over_layers(axes[1], found, "scalar/{}/dropout_ratio", "training / inference variance")
    for variant in found.variants:
        formula = found.by_layer(variant, "scalar/{}/closed_form")
        x = np.arange(len(formula))
        axes[1].plot(x, formula, color=GREY, linestyle="none", marker="_", markersize=14)
    for axis in axes:
        axis.axhline(1, color=GREY, linewidth=0.8)
    yield Plot(
        "",
        "Variance before each normalization, at the end",
        "Mean over channels and seeds. First: the real variance at inference against the learned "
        "one. Last: what Dropout makes of it in training; grey dashes are the closed form where "
        "a Dropout is directly before.",
        figure,
    )


PROBE = ReportedProbe(
    about="Variance before each BatchNormalization, as it is against as it was learned.",
    arguments=Arguments,
    measurement="ablate.probes.variance_shift:VarianceShift",
    title="Variance shift",
    text="A Dropout makes the variance of what follows larger in training than at inference (Li "
    "et al. 2018). A normalization behind it learns the one and meets the other: a shift of 1 is "
    "none.",
    draw=draw,
)
