"""Probe `covariate_shift`: internal covariate shift in both senses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import Field

from ablate.report.document import Plot
from ablate.report.probe_drawing import grid, over_epochs
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict


class Arguments(Strict):
    """Arguments of `covariate_shift`."""

    step: float | None = Field(
        default=None, gt=0, description="Length of the step; default the learning rate."
    )


def draw(found: Measured) -> Iterator[Plot]:
    """Draw the change of gradients and of inputs through training."""
    figure, axes = grid(3)
    for axis, what, label, log in zip(
        axes,
        ("relative", "cosine", "mean_shift"),
        ("‖G − G′‖ / ‖G‖", "cosine of G and G′", "shift of the inputs' mean (deviations)"),
        (True, False, True),
        strict=True,
    ):
        key = f"scalar/{{}}/{what}"
        series = partial(found.over_layers, key=key, skip=1)
        over_epochs(axis, found, series, label, log=log)
    yield Plot(
        "",
        "Internal covariate shift through training",
        "Mean over the layers that have others before them. First and second: length and angle of "
        "the change of a layer's gradient. Last: change of its inputs between measurements.",
        figure,
    )


PROBE = ReportedProbe(
    about="How a step of the earlier layers moves a layer's gradient and its inputs.",
    arguments=Arguments,
    measurement="ablate.probes.covariate_shift:CovariateShift",
    title="Internal covariate shift",
    text="By gradients (Santurkar et al. 2018): how far a layer's gradient moves when only the "
    "layers before it have taken their step. In the textbook sense: how far the mean of a layer's "
    "inputs has moved since the last measurement, in its own deviations. If normalization helped "
    "by reducing internal covariate shift, its line would be the lower one.",
    draw=draw,
)
