"""The report's section of the probe `gradients`: how much arrives at each layer."""

from __future__ import annotations

import numpy as np

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import panels, themed
from ablate.report.probes.drawing import (
    by_layer,
    layer_axis,
    logarithmic,
    over_epochs,
    over_layers,
    style_of,
)
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return how large gradients were, None where nothing was measured."""
    with themed():
        plots = [_plot(material, each) for each in measured(material, "gradients")]
    if not plots:
        return None
    return Section(
        "probe-gradients",
        "Gradients by layer",
        (
            "A gradient passes back through every layer; where each takes a factor off it, the "
            "first layers learn last. Normalizations work as in training, every Dropout rests.",
        ),
        plots=tuple(plots),
    )


def _plot(material: ReportData, found: Measured) -> Plot:
    # A variant's own normalizations have gradients too, but nothing to stand beside.
    layers = found.texts(found.variants[0], "layers")
    figure, axes = panels(3, height=3.0)
    for variant in found.variants:
        style = style_of(material, variant)
        for at in (0, -1):
            values = by_layer(found, variant, layers, "scalar/{}/norm", at)
            over_layers(
                axes[0], layers, np.where(values > 0, values, np.nan), style,
                "_nolegend_" if at == 0 else variant, hollow=at == 0,
            )  # fmt: skip
        vanished = 100 * by_layer(found, variant, layers, "scalar/{}/vanished", -1)
        over_layers(axes[1], layers, vanished, style, variant)
    logarithmic(axes[0])
    axes[0].set_ylabel("norm of the gradient")
    axes[0].legend(fontsize=7)
    axes[1].set_ylabel("derivatives vanished at the end (%)")
    axes[1].set_ylim(bottom=0)
    for axis in axes[:2]:
        layer_axis(axis, layers)
    over_epochs(axes[2], material, found, "scalar/norm", label="norm over all layers", log=True)
    return Plot(
        f"probe-{found.probe}",
        "Norm of each layer's gradient",
        "Left: by layer, before training (hollow, dotted) and at the end. Middle: share of "
        "derivatives too small to matter. Right: over all layers, through training.",
        figure,
    )
