"""Probe `activations`: Figure 1(b, c) of the BN paper, and more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import band
from ablate.report.probe_drawing import (
    epoch_axis,
    grid,
    layer_axis,
    over_layers,
    small_png,
    style_of,
)
from ablate.report.probe_sections import Arrays, Measured, ReportedProbe
from ablate.study.schema.placement import Selector
from ablate.study.schema.strict import Strict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PERCENTILES = ("p15", "p50", "p85")

#: Layers whose percentiles TensorBoard shows: the first and the last ones.
_LAYERS = 4


class Arguments(Strict):
    """Arguments of `activations`."""

    where: Selector = Field(default="hidden", description="Which layers, as a placement says it.")
    unit: int | None = Field(
        default=None,
        description="Index of the unit to plot individually; default the middle one.",
        ge=0,
    )
    bins: int = Field(default=30, ge=2, le=200, description="Bins of the histograms.")


def draw(found: Measured) -> Iterator[Plot]:
    """Draw one unit through training, the percentiles by depth, and the units that are lost."""
    yield _through_training(found)
    yield _by_depth(found)
    yield from _lost_units(found)


def images(arrays: Arrays) -> Iterator[tuple[str, int, bytes]]:
    """Draw both sides of the activations of a trial's first and last layers."""
    from ablate.report.lines import PALETTE
    from ablate.report.plots.theme import small_panels

    layers = [str(each) for each in arrays["layers"]]
    if len(layers) > _LAYERS:
        layers = [*layers[: _LAYERS // 2], *layers[-(_LAYERS - _LAYERS // 2) :]]
    figure, axes = small_panels(2 * len(layers), columns=2)
    panels = ((layer, side) for layer in layers for side in ("input", "output"))
    for place, (axis, (layer, side)) in enumerate(zip(axes, panels, strict=True)):
        keys = [f"scalar/{layer}/{side}/{each}" for each in _PERCENTILES]
        values = np.stack([arrays[key] for key in keys], axis=1)
        _percentiles(axis, arrays["epochs"], values, PALETTE[1 + place % 2])
        axis.tick_params(labelleft=True)
        axis.set_xlabel("Epoch" if layer == layers[-1] else "")
        axis.set_title(f"{layer}: {side} of the activation")
    yield "percentiles", int(arrays["epochs"][-1]), small_png(figure)


def _through_training(found: Measured) -> Plot:
    """One unit's input of the last hidden layer, a panel per variant."""
    figure, axes = grid(len(found.variants), sharey=True)
    for axis, variant in zip(axes, found.variants, strict=True):
        arrays = found.first(variant)
        layer = found.texts(variant, "layers")[-1]
        values = arrays[f"unit/{layer}/input"]
        _percentiles(axis, arrays["epochs"], values, style_of(found, variant).colour)
        axis.set_title(variant)
        axis.set_ylabel(f"input of {layer}'s activation")
        axis.label_outer()
    return Plot(
        "unit",
        "One unit through training",
        "One typical input of the last hidden layer's activation (the middle unit; first seed): "
        "its median over the probe's rows, and the band from the 15th to the 85th percentile.",
        figure,
    )


def _percentiles(axis: Axes, epochs: np.ndarray, values: np.ndarray, colour: str) -> None:
    """Draw three percentiles (epochs, 3) as a band with its median."""
    band(axis, epochs, values[:, 0], values[:, 2], colour)
    for column, width in enumerate((0.8, 1.6, 0.8)):
        axis.plot(epochs, values[:, column], color=colour, linewidth=width)
    epoch_axis(axis)


def _by_depth(found: Measured) -> Plot:
    """The percentiles of all units of each layer, before training and at the end."""
    figure, axes = grid(2, sharey=True)
    for axis, at, title in zip(axes, (0, -1), ("Before training", "At the end"), strict=True):
        for ordinal, variant in enumerate(found.variants):
            low, median, high = (
                found.by_layer(variant, f"scalar/{{}}/input/{each}", at) for each in _PERCENTILES
            )
            style = style_of(found, variant)
            x = np.arange(len(found.layers)) + 0.12 * (ordinal - (len(found.variants) - 1) / 2)
            axis.errorbar(
                x, median, yerr=[median - low, high - median], color=style.colour,
                marker=style.marker, markersize=4, linestyle="none", elinewidth=1.4, label=variant,
            )  # fmt: skip
        axis.set_title(title)
        layer_axis(axis, found.layers)
    axes[0].set_ylabel("input of the activation")
    return Plot(
        "depth",
        "Inputs of the activations by depth",
        "Median and 15th to 85th percentile over rows, places and units; mean over the seeds.",
        figure,
    )


def _lost_units(found: Measured) -> Iterator[Plot]:
    labels = {
        "dead": "units that give 0 for every row (%)",
        "saturated": "outputs within 5 % of a bound (%)",
    }
    shown = [
        what
        for what in labels
        if any(
            np.nanmax(found.by_layer(variant, f"scalar/{{}}/{what}"), initial=0) > 0
            for variant in found.variants
        )
    ]
    if not shown:
        return
    figure, axes = grid(len(shown))
    for axis, what in zip(axes, shown, strict=True):
        over_layers(axis, found, f"scalar/{{}}/{what}", labels[what], factor=100)
        axis.set_title(what.capitalize())
        axis.set_ylim(bottom=0)
    yield Plot(
        "lost",
        f"{' and '.join(shown).capitalize()} units at the end",
        "Mean over the seeds, by layer in the order in which the signal passes them.",
        figure,
    )


PROBE = ReportedProbe(
    about="Percentiles, histograms, dead and saturated units of the hidden layers.",
    arguments=Arguments,
    measurement="ablate.probes.activations:Activations",
    title="Hidden activations",
    text="What enters a hidden layer's activation and what leaves it, on the same rows through "
    "training. A band that stays where it is lets the next layer learn on settled ground; "
    "one that wanders, or ends where the activation is flat, does not.",
    draw=draw,
    images=images,
)
