"""What the probes' figures have in common: lines over epochs, points over layers, one legend.

Axes and a `Measured` enter and are drawn on. Each variant keeps the look it has in the rest of
the report; a thin line is a seed, a thick one their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ablate.report.plots.theme import Look, look, plain_log
from ablate.report.probes.reading import Measured
from ablate.report.report_data import ReportData


def style_of(material: ReportData, variant: str) -> Look:
    """Return the look that a variant has everywhere in the report."""
    return look(material.order.index(variant))


def over_epochs(
    axis: Axes,
    material: ReportData,
    found: Measured,
    key: str | Callable[[str], np.ndarray],
    *,
    label: str,
    log: bool = False,
) -> bool:
    """Draw a series of every variant over the epochs; return whether there was anything.

    Args:
        key: the array's name, or what gives (seeds, epochs) of a variant.
        label: of the value axis.
        log: whether the value axis is logarithmic; values not above 0 are left out then.
    """
    drawn = False
    for variant in found.variants:
        values = found.series(variant, key) if isinstance(key, str) else key(variant)
        values = np.where(values > 0, values, np.nan) if log else values
        if not values.size or not np.isfinite(values).any():
            continue
        drawn = True
        style, epochs = style_of(material, variant), found.epochs(variant)
        if len(values) > 1:
            for row in values:
                axis.plot(epochs, row, color=style.colour, linewidth=0.6, alpha=0.3)
        line(axis, epochs, mean(values), style, variant)
    if log and drawn:
        logarithmic(axis)
    axis.set_xlabel("Epoch")
    axis.set_ylabel(label)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return drawn


def over_layers(
    axis: Axes,
    layers: Sequence[str],
    values: np.ndarray,
    style: Look,
    name: str,
    *,
    hollow: bool = False,
) -> None:
    """Draw one value per layer, in the order in which the signal passes them."""
    axis.plot(
        np.arange(len(layers)),
        values,
        color=style.colour,
        linestyle=":" if hollow else style.dash,
        marker=style.marker,
        markerfacecolor="white" if hollow else style.colour,
        markersize=4.5,
        alpha=0.7 if hollow else 1.0,
        label=name,
    )


def logarithmic(axis: Axes) -> None:
    """Make the value axis logarithmic, its ticks written as numbers."""
    axis.set_yscale("log")
    plain_log(axis.yaxis)


def layer_axis(axis: Axes, layers: Sequence[str]) -> None:
    """Label the horizontal axis with layers."""
    axis.set_xticks(np.arange(len(layers)))
    tilted = len(layers) > 5 or max(map(len, layers), default=0) > 10
    axis.set_xticklabels(layers, rotation=35 if tilted else 0, ha="right" if tilted else "center")
    axis.set_xlim(-0.4, len(layers) - 0.6)


def line(axis: Axes, x: np.ndarray, y: np.ndarray, style: Look, label: str) -> None:
    """Draw one mean with sparse markers."""
    axis.plot(
        x,
        y,
        color=style.colour,
        linestyle=style.dash,
        marker=style.marker,
        markersize=4,
        markevery=max(len(x) // 6, 1),
        label=label,
    )


def mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the mean of what is there, NaN where nothing is."""
    present = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(present, values, 0.0).sum(axis=axis) / present.sum(axis=axis))


def shared_layers(found: Measured, key: str = "layers") -> list[str]:
    """Return the layers in an order that holds for every variant that has them."""
    names: list[str] = []
    for variant in found.variants:
        at = 0
        for name in found.texts(variant, key):
            if name in names:
                at = names.index(name) + 1
            else:
                names.insert(at, name)
                at += 1
    return names


def by_layer(
    found: Measured, variant: str, layers: Sequence[str], key: str, epoch: int
) -> np.ndarray:
    """Return, per layer, the mean over seeds of `key` (`{}` is the layer) at a measurement."""
    values = []
    for layer in layers:
        series = found.series(variant, key.format(layer))
        values.append(mean(series)[epoch] if series.size else np.nan)
    return np.array(values, float)
