"""The report's section of the probe `perturbation`: what 1 % becomes on its way."""

from __future__ import annotations

import numpy as np

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import GREY, panels, themed
from ablate.report.probes.drawing import by_layer, layer_axis, over_layers, shared_layers, style_of
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData

_TITLES = {
    "first_scale": "First layer, all alike",
    "first_noise": "First layer, noise",
    "all_scale": "Every layer, all alike",
    "all_noise": "Every layer, noise",
}


def section(material: ReportData) -> Section | None:
    """Return how changes travelled, None where nothing was measured."""
    with themed():
        plots = [
            plot for each in measured(material, "perturbation") for plot in _plots(material, each)
        ]
    if not plots:
        return None
    return Section(
        "probe-perturbation",
        "A small change of the parameters",
        (
            "Parameters are changed by a small share and every layer is looked at again. Through "
            "ReLU layers without biases a change of every layer by s grows to (1 + s)ⁿ − 1 at the "
            "n-th (grey); a normalization that works on the batch takes a common factor out again.",
        ),
        plots=tuple(plots),
    )


def _plots(material: ReportData, found: Measured) -> list[Plot]:
    layers = shared_layers(found)
    changes = found.texts(found.variants[0], "changes")
    if not layers or not changes:
        return []
    share = float(found.first(found.variants[0])["share"])
    made = []
    for at, when in ((0, "before"), (-1, "end")):
        figure, axes = panels(2, -(-len(changes) // 2), height=2.6 * -(-len(changes) // 2))
        for axis, change in zip(axes, changes, strict=False):
            for variant in found.variants:
                values = 100 * by_layer(found, variant, layers, f"scalar/{change}/{{}}/output", at)
                over_layers(axis, layers, values, style_of(material, variant), variant)
            if change == "all_scale":
                growth = 100 * ((1 + share) ** np.arange(1, len(layers) + 1) - 1)
                axis.set_ylim(axis.get_ylim())  # the formula is a backdrop: the data set the scale
                axis.plot(np.arange(len(layers)), growth, color=GREY, linewidth=1, zorder=0)
            axis.set_title(_TITLES[change])
            axis.set_ylabel("change of the output (%)")
            axis.set_ylim(bottom=0)
            layer_axis(axis, layers)
        for axis in axes[len(changes) :]:
            axis.set_visible(False)
        axes[0].legend()
        words = "before training" if when == "before" else "at the end"
        made.append(
            Plot(
                f"probe-{found.probe}-{when}",
                f"A change of {100 * share:g} % {words}",
                "Relative change of what leaves each hidden layer, mean over the seeds.",
                figure,
            )
        )
    return made
