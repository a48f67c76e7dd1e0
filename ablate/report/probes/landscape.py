"""The report's section of the probe `landscape`: how rough the loss is along its gradient."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import panels, themed
from ablate.report.probes.drawing import logarithmic, mean, over_epochs, style_of
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return how the loss varied, None where nothing was measured."""
    with themed():
        plots = [_plot(material, each) for each in measured(material, "landscape")]
    if not plots:
        return None
    return Section(
        "probe-landscape",
        "The loss along its gradient",
        (
            "From where training stands, steps of growing length are tried against the gradient "
            "(Santurkar et al. 2018). A narrow band of losses, gradients that stay near the first "
            "one and a small effective smoothness mean that large steps are safe.",
        ),
        plots=tuple(plots),
    )


def _plot(material: ReportData, found: Measured) -> Plot:
    figure, axes = panels(3, height=2.8)
    for axis, what, label in (
        (axes[0], "loss", "loss along the gradient"),
        (axes[1], "distance", "change of the gradient"),
    ):
        for variant in found.variants:
            style, epochs = style_of(material, variant), found.epochs(variant)
            low, high = (
                mean(found.series(variant, f"scalar/{what}_{end}")) for end in ("low", "high")
            )
            low, high = (np.where(each > 0, each, np.nan) for each in (low, high))
            axis.fill_between(epochs, low, high, color=style.colour, alpha=0.18, linewidth=0)
            axis.plot(epochs, low, color=style.colour, linewidth=0.9)
            axis.plot(
                epochs, high, color=style.colour, linestyle=style.dash, linewidth=0.9, label=variant
            )
        logarithmic(axis)
        axis.set_xlabel("Epoch")
        axis.set_ylabel(label)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    over_epochs(
        axes[2], material, found, "scalar/smoothness", label="effective smoothness β", log=True
    )
    axes[0].legend()
    lengths = next(iter(found.by_variant.values()))[0][1]["lengths"]
    return Plot(
        f"probe-{found.probe}",
        "Loss and gradient along the gradient",
        f"Steps of {lengths[0]:g} to {lengths[-1]:g} learning rates; bands from the least to the "
        "largest value, mean over the seeds. Right: the largest change of the gradient per "
        "distance moved.",
        figure,
    )
