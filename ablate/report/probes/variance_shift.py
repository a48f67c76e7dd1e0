"""The report's section of the probe `variance_shift`: Dropout before normalization."""

from __future__ import annotations

import numpy as np

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import GREY, panels, themed
from ablate.report.probes.drawing import by_layer, layer_axis, over_layers, shared_layers, style_of
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return how variances shifted, None where nothing was measured."""
    found = [each for each in measured(material, "variance_shift") if shared_layers(each)]
    if not found:
        return None
    with themed():
        plots = [_plot(material, each) for each in found]
    return Section(
        "probe-variance-shift",
        "Variance shift",
        (
            "A Dropout makes the variance of what follows larger in training than at inference "
            "(Li et al. 2018). A normalization behind it learns the one and meets the other: a "
            "shift of 1 is none.",
            *_warnings(found),
        ),
        plots=tuple(plots),
    )


def _warnings(found: list[Measured]) -> list[str]:
    said = {}
    for each in found:
        for variant in each.variants:
            if feeds := each.texts(variant, "feeds"):
                said[variant] = f"In {variant} a Dropout feeds a BatchNormalization: " + (
                    ", ".join(feeds) + "."
                )
    return list(said.values())


def _plot(material: ReportData, found: Measured) -> Plot:
    layers = shared_layers(found)
    figure, axes = panels(2, height=2.9)
    for axis, what, label in (
        (axes[0], "shift", "max(real/moving, moving/real)"),
        (axes[1], "dropout_ratio", "training / inference variance"),
    ):
        for variant in found.variants:
            values = by_layer(found, variant, layers, f"scalar/{{}}/{what}", -1)
            over_layers(axis, layers, values, style_of(material, variant), variant)
            if what == "dropout_ratio":
                formula = by_layer(found, variant, layers, "scalar/{}/closed_form", -1)
                axis.plot(
                    np.arange(len(layers)), formula, color=GREY, linestyle="none", marker="_",
                    markersize=14,
                )  # fmt: skip
        axis.axhline(1, color=GREY, linewidth=0.8)
        axis.set_ylabel(label)
        layer_axis(axis, layers)
    axes[0].legend()
    return Plot(
        f"probe-{found.probe}",
        "Variance before each normalization, at the end",
        "Mean over channels and seeds. Left: the real variance at inference against the learned "
        "one. Right: what Dropout makes of it in training; grey dashes are the closed form where "
        "a Dropout stands directly before.",
        figure,
    )
