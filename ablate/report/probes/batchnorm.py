"""Probe `batchnorm`: four quantities, two modes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import band, line
from ablate.report.probe_drawing import grid, layer_axis, over_epochs, style_of
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict


class Arguments(Strict):
    """Arguments of `batchnorm`."""

    bins: int = Field(default=30, ge=2, le=200, description="Bins of the histograms.")


def draw(found: Measured) -> Iterator[Plot]:
    """Draw the moving averages against the batch, and gamma and beta by layer."""
    if found.layers:
        yield _modes(found)
        yield _parameters(found)


def _modes(found: Measured) -> Plot:
    figure, axes = grid(3)
    gap = partial(found.over_layers, key="scalar/{}/mean_gap")
    ratio = partial(found.over_layers, key="scalar/{}/variance_ratio")
    over_epochs(axes[0], found, gap, "moving − batch mean")
    over_epochs(axes[1], found, ratio, "moving / batch variance", log=True)
    over_epochs(axes[2], found, "scalar/mode_gap", "training against inference output")
    return Plot(
        "modes",
        "Moving averages and the two modes",
        "First and second: how far the moving averages are from the statistics of the probe's "
        "batch, in the batch's deviations and as a ratio, mean over the layers. Last: relative "
        "distance of the network's outputs in its two modes, every Dropout at rest.",
        figure,
    )


def _parameters(found: Measured) -> Plot:
    figure, axes = grid(2)
    x = np.arange(len(found.layers))
    for axis, what in zip(axes, ("gamma", "beta"), strict=True):
        for variant in [each for each in found.variants if found.texts(each, "layers")]:
            series = [found.series(variant, f"{what}/{layer}") for layer in found.layers]
            last = [each[:, -1] if each.size else np.array([np.nan]) for each in series]
            centre, spread = np.array([(each.mean(), each.std()) for each in last]).T
            style = style_of(found, variant)
            line(axis, x, centre, style, variant, markersize=4.5)
            band(axis, x, centre - spread, centre + spread, style.colour)
        axis.set_title(what)
        layer_axis(axis, found.layers)
    return Plot(
        "parameters",
        "gamma and beta at the end",
        "Mean over channels and seeds, with one standard deviation of the channels.",
        figure,
    )


PROBE = ReportedProbe(
    about="gamma, beta, moving against batch statistics, training against inference mode.",
    arguments=Arguments,
    measurement="ablate.probes.batchnorm:Batchnorm",
    title="BatchNormalization: four quantities, two modes",
    text="gamma and beta are trained; the moving mean and variance are kept for inference. "
    "Training normalizes by the batch, inference by the moving averages: where the two differ, so "
    "do the two modes of the network.",
    draw=draw,
)
