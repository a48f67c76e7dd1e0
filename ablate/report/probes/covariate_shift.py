"""The report's section of the probe `covariate_shift`: both senses of it."""

from __future__ import annotations

import numpy as np

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import panels, themed
from ablate.report.probes.drawing import mean, over_epochs
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return how the ground moved, None where nothing was measured."""
    with themed():
        plots = [_plot(material, each) for each in measured(material, "covariate_shift")]
    if not plots:
        return None
    return Section(
        "probe-covariate-shift",
        "Internal covariate shift",
        (
            "By gradients (Santurkar et al. 2018): how far a layer's gradient moves when only the "
            "layers before it have taken their step. In the textbook sense: how far the mean of a "
            "layer's inputs has moved since the last measurement, in its own deviations. If "
            "normalization helped by holding the ground still, its line would be the lower one.",
        ),
        plots=tuple(plots),
    )


def _plot(material: ReportData, found: Measured) -> Plot:
    figure, axes = panels(3, height=2.8)
    whats = (
        ("relative", "‖G − G′‖ / ‖G‖", True),
        ("cosine", "cosine of G and G′", False),
        ("mean_shift", "shift of the inputs' mean (deviations)", True),
    )
    for axis, (what, label, log) in zip(axes, whats, strict=True):
        over_epochs(
            axis,
            material,
            found,
            lambda variant, what=what: _over_layers(found, variant, what),  # type: ignore[misc]
            label=label,
            log=log,
        )
    axes[0].legend()
    return Plot(
        f"probe-{found.probe}",
        "Internal covariate shift through training",
        "Mean over the layers that have others before them. Left and middle: length and angle of "
        "the change of a layer's gradient. Right: change of its inputs between measurements.",
        figure,
    )


def _over_layers(found: Measured, variant: str, what: str) -> np.ndarray:
    layers = found.texts(variant, "layers")[1:]
    series = [found.series(variant, f"scalar/{each}/{what}") for each in layers]
    series = [each for each in series if each.size]
    return mean(np.array(series)) if series else np.zeros((0, 0))
