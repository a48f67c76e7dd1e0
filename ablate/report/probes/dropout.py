"""The report's section of the probe `dropout`: sparsity, and averages of thinned networks."""

from __future__ import annotations

import numpy as np

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import panels, plain_log, themed
from ablate.report.probes.drawing import mean, over_epochs, shared_layers, style_of
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return what Dropout did to the activations, None where nothing was measured."""
    with themed():
        plots = []
        for each in measured(material, "dropout"):
            plots += [_sparsity(material, each)] if shared_layers(each) else []
            plots += [_averages(material, each)] if each.has("error") else []
    if not plots:
        return None
    return Section(
        "probe-dropout",
        "Dropout: sparsity and averaging",
        (
            "Units that cannot rely on others learn to speak for themselves: fewer of them are "
            "active, and their mean activation falls (Srivastava et al. 2014, Figure 8). Scaling "
            "the weights stands in for averaging many thinned networks (Figure 11).",
        ),
        plots=tuple(plots),
    )


def _sparsity(material: ReportData, found: Measured) -> Plot:
    figure, axes = panels(3, height=2.8)
    last = shared_layers(found)[-1]
    over_epochs(axes[0], material, found, f"scalar/{last}/mean", label=f"mean output of {last}")
    over_epochs(
        axes[1], material, found, lambda name: 100 * found.series(name, f"scalar/{last}/zero"),
        label="outputs that are 0 (%)",
    )  # fmt: skip
    for variant in found.variants:
        arrays, style = found.first(variant), style_of(material, variant)
        if (counts := arrays.get(f"counts/{last}/unit_mean")) is not None:
            edges = arrays[f"edges/{last}/unit_mean"][-1]
            if np.isfinite(edges).all():
                axes[2].stairs(
                    counts[-1], edges, color=style.colour, linestyle=style.dash, label=variant
                )
    axes[2].set_xlabel("mean activation of a unit")
    axes[2].set_ylabel("units")
    axes[0].legend()
    return Plot(
        f"probe-{found.probe}-sparsity",
        "How sparse the last hidden layer is",
        "Left and middle: through training. Right: each unit's mean over the probe's rows at the "
        "end, first seed.",
        figure,
    )


def _averages(material: ReportData, found: Measured) -> Plot:
    figure, axes = panels(2, height=2.9)
    for variant in found.variants:
        if not found.series(variant, "error").size:
            continue
        style = style_of(material, variant)
        samples = found.first(variant)["samples"]
        averaged = mean(found.series(variant, "error")[:, -1])
        scaled = float(mean(found.series(variant, "scalar/scaled_error")[:, -1]))
        axes[0].plot(
            samples,
            averaged,
            color=style.colour,
            marker=style.marker,
            markersize=4,
            linestyle=style.dash,
            label=f"{variant}: average of k",
        )
        axes[0].axhline(
            scaled, color=style.colour, linewidth=0.9, label=f"{variant}: weights scaled"
        )
    axes[0].set_xscale("log")
    plain_log(axes[0].xaxis, (1, 2, 5, 10, 20, 50))
    axes[0].set_xlabel("sampled networks k")
    axes[0].set_ylabel("error on the probe's rows")
    axes[0].legend(fontsize=7)
    if not over_epochs(
        axes[1],
        material,
        found,
        "scalar/averaged_entropy",
        label="predictive entropy of the average (nats)",
    ):
        over_epochs(axes[1], material, found, "scalar/spread", label="spread of the samples")
    return Plot(
        f"probe-{found.probe}-averages",
        "Averages of thinned networks against weight scaling",
        "At the end, mean over the seeds: share of rows wrong, or mean squared error.",
        figure,
    )
