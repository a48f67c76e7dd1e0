"""The report's section of the probe `activations`: Figure 1(b, c) of the BN paper, and more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import panels, themed
from ablate.report.probes.drawing import by_layer, layer_axis, over_layers, shared_layers, style_of
from ablate.report.probes.reading import Measured, measured
from ablate.report.report_data import ReportData

_SHARES = ("p15", "p50", "p85")


def section(material: ReportData) -> Section | None:
    """Return what hidden activations did, None where nothing was measured."""
    with themed():
        plots = [
            plot for each in measured(material, "activations") for plot in _plots(material, each)
        ]
    if not plots:
        return None
    return Section(
        "probe-activations",
        "Hidden activations",
        (
            "What enters a hidden layer's activation and what leaves it, on the same rows through "
            "training. A band that stays where it is lets the next layer learn on settled ground; "
            "one that wanders, or ends where the activation is flat, does not.",
        ),
        plots=tuple(plots),
    )


def _plots(material: ReportData, found: Measured) -> Iterator[Plot]:
    yield _through_training(material, found)
    yield _by_depth(material, found)
    if (plot := _lost_units(material, found)) is not None:
        yield plot


def _through_training(material: ReportData, found: Measured) -> Plot:
    """One unit's input of the last hidden layer, a panel per variant."""
    names = found.variants
    figure, axes = panels(min(len(names), 3), -(-len(names) // 3), height=2.6 * -(-len(names) // 3))
    for axis, variant in zip(axes, names, strict=False):
        arrays = found.first(variant)
        layer = found.texts(variant, "layers")[-1]
        band(
            axis,
            arrays["epochs"],
            arrays[f"unit/{layer}/input"],
            style_of(material, variant).colour,
        )
        axis.set_title(variant)
        axis.set_ylabel(f"input of {layer}'s activation")
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    return Plot(
        f"probe-{found.probe}-unit",
        "One unit through training",
        "One typical input of the last hidden layer's activation (the middle unit; first seed): "
        "its median over the probe's rows, and the band from the 15th to the 85th percentile.",
        figure,
    )


def band(axis: Axes, epochs: np.ndarray, values: np.ndarray, colour: str) -> None:
    """Draw three percentiles (epochs, 3) as a band with its median."""
    axis.fill_between(epochs, values[:, 0], values[:, 2], color=colour, alpha=0.15, linewidth=0)
    for column, width in zip(range(3), (0.8, 1.6, 0.8), strict=True):
        axis.plot(epochs, values[:, column], color=colour, linewidth=width)
    axis.set_xlabel("Epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def _by_depth(material: ReportData, found: Measured) -> Plot:
    """The percentiles of all units of each layer, before training and at the end."""
    layers = shared_layers(found)
    figure, axes = panels(2, height=3.2, sharey=True)
    for axis, at, title in zip(axes, (0, -1), ("Before training", "At the end"), strict=True):
        for ordinal, variant in enumerate(found.variants):
            low, median, high = (
                by_layer(found, variant, layers, f"scalar/{{}}/input/{share}", at)
                for share in _SHARES
            )
            style = style_of(material, variant)
            x = np.arange(len(layers)) + 0.12 * (ordinal - (len(found.variants) - 1) / 2)
            axis.errorbar(
                x, median, yerr=[median - low, high - median], color=style.colour,
                marker=style.marker, markersize=4, linestyle="none", elinewidth=1.4, label=variant,
            )  # fmt: skip
        axis.set_title(title)
        layer_axis(axis, layers)
    axes[0].set_ylabel("input of the activation")
    axes[1].legend()
    return Plot(
        f"probe-{found.probe}-depth",
        "Inputs of the activations by depth",
        "Median and 15th to 85th percentile over rows, places and units; mean over the seeds.",
        figure,
    )


def _lost_units(material: ReportData, found: Measured) -> Plot | None:
    layers = shared_layers(found)
    labels = {
        "dead": "units that give 0 for every row (%)",
        "saturated": "outputs within 5 % of a bound (%)",
    }
    shares = {
        what: {
            variant: 100 * by_layer(found, variant, layers, f"scalar/{{}}/{what}", -1)
            for variant in found.variants
        }
        for what in labels
    }
    shares = {
        what: values
        for what, values in shares.items()
        if any(np.nanmax(each, initial=0) > 0 for each in values.values())
    }
    if not shares:
        return None
    figure, axes = panels(len(shares), height=2.8)
    for axis, (what, values) in zip(axes, shares.items(), strict=True):
        for variant, each in values.items():
            if np.isfinite(each).any():
                over_layers(axis, layers, each, style_of(material, variant), variant)
        axis.set_ylabel(labels[what])
        axis.set_title(what.capitalize())
        layer_axis(axis, layers)
        axis.set_ylim(bottom=0)
    axes[0].legend()
    return Plot(
        f"probe-{found.probe}-lost",
        f"{' and '.join(shares).capitalize()} units at the end",
        "Mean over the seeds, by layer in the order in which the signal passes them.",
        figure,
    )
