"""The report's section of the probe `batchnorm`: four quantities, two modes."""

from __future__ import annotations

import numpy as np

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import panels, themed
from ablate.report.probes.drawing import (
    layer_axis,
    mean,
    over_epochs,
    over_layers,
    shared_layers,
    style_of,
)
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return what the normalizations held, None where nothing was measured."""
    with themed():
        plots = [
            plot
            for each in measured(material, "batchnorm")
            if shared_layers(each)
            for plot in (_modes(material, each), _parameters(material, each))
        ]
    if not plots:
        return None
    return Section(
        "probe-batchnorm",
        "BatchNormalization: four quantities, two modes",
        (
            "gamma and beta are trained; the moving mean and variance are kept for inference. "
            "Training normalizes by the batch, inference by the moving averages: where the two "
            "differ, so do the two modes of the network.",
        ),
        plots=tuple(plots),
    )


def _over_layers(found: Measured, variant: str, key: str) -> np.ndarray:
    """Return the mean over layers of a series, (seeds, epochs)."""
    series = [found.series(variant, key.format(each)) for each in found.texts(variant, "layers")]
    series = [each for each in series if each.size]
    return mean(np.array(series)) if series else np.zeros((0, 0))


def _modes(material: ReportData, found: Measured) -> Plot:
    figure, axes = panels(3, height=2.8)
    over_epochs(
        axes[0], material, found, lambda name: _over_layers(found, name, "scalar/{}/mean_gap"),
        label="moving − batch mean",
    )  # fmt: skip
    over_epochs(
        axes[1],
        material,
        found,
        lambda name: _over_layers(found, name, "scalar/{}/variance_ratio"),
        label="moving / batch variance",
        log=True,
    )
    over_epochs(
        axes[2], material, found, "scalar/mode_gap", label="training against inference output"
    )
    axes[0].legend()
    return Plot(
        f"probe-{found.probe}-modes",
        "Moving averages and the two modes",
        "Left and middle: how far the moving averages stand from the statistics of the probe's "
        "batch, in the batch's deviations and as a ratio, mean over the layers. Right: relative "
        "distance of the network's outputs in its two modes, every Dropout at rest.",
        figure,
    )


def _parameters(material: ReportData, found: Measured) -> Plot:
    layers = shared_layers(found)
    figure, axes = panels(2, height=2.8)
    for axis, what in zip(axes, ("gamma", "beta"), strict=True):
        for variant in [each for each in found.variants if found.texts(each, "layers")]:
            centre, spread = [], []
            for layer in layers:
                series = found.series(variant, f"{what}/{layer}")
                last = series[:, -1] if series.size else np.array([np.nan])
                centre.append(np.mean(last))
                spread.append(np.std(last))
            style = style_of(material, variant)
            over_layers(axis, layers, np.array(centre), style, variant)
            axis.fill_between(
                np.arange(len(layers)),
                np.array(centre) - spread,
                np.array(centre) + np.array(spread),
                color=style.colour, alpha=0.12, linewidth=0,
            )  # fmt: skip
        axis.set_title(what)
        layer_axis(axis, layers)
    axes[0].legend()
    return Plot(
        f"probe-{found.probe}-parameters",
        "gamma and beta at the end",
        "Mean over channels and seeds, with one standard deviation of the channels.",
        figure,
    )
