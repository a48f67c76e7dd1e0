"""What the probes' figures share: panels, lines over epochs, points over layers.

Each variant keeps the style it has in the rest of the report; a thin line is a seed, a thick one
their mean. Matplotlib is imported when something is drawn, because a study's validation imports
the modules that draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.report.document import png
from ablate.report.lines import LineStyle, line, line_style
from ablate.report.probe_sections import Measured, mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Letters of a value axis's label that stand beside a panel; a longer one breaks.
LONGEST = 20


def grid(
    count: int, columns: int = 2, height: float = 2.3, *, stretch: bool = True, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels of `height` inches in rows of at most `columns`.

    Fewer panels than columns fill the width if they may `stretch`; three lie below each other.
    """
    from ablate.report.plots.theme import panels

    if stretch:
        columns = 1 if count == 3 else min(count, columns)
    rows = -(-count // columns)
    height = min(height, 1.9) if columns == 1 < rows else height
    figure, axes = panels(columns, rows, height=height * rows, **options)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def style_of(found: Measured, variant: str) -> LineStyle:
    """Return the style that a variant's lines have everywhere in the report."""
    return line_style(found.order.index(variant))


def over_epochs(
    axis: Axes,
    found: Measured,
    key: str | Callable[[str], np.ndarray],
    label: str,
    *,
    log: bool = False,
) -> bool:
    """Draw a series of every variant over the epochs; return whether there was anything.

    Args:
        axis: where to draw.
        found: what was measured.
        key: the array's name, or what gives (seeds, epochs) of a variant.
        label: of the value axis.
        log: whether the value axis is logarithmic; values not above 0 are left out then.
    """
    from ablate.report.plots.theme import keyed, tell

    drawn = False
    for variant in found.variants:
        values = found.series(variant, key) if isinstance(key, str) else key(variant)
        values = np.where(values > 0, values, np.nan) if log else values
        if not values.size or not np.isfinite(values).any():
            continue
        drawn = True
        style, epochs, centre = style_of(found, variant), found.epochs(variant), mean(values)
        with keyed(axis, variant):
            if len(values) > 1:
                axis.plot(epochs, values.T, color=style.colour, linewidth=0.6, alpha=0.3)
            line(axis, epochs, centre, style, variant, markevery=max(len(epochs) // 6, 1))
        tell(axis, variant, epochs, centre, "mean")
    if log and drawn:
        logarithmic(axis)
    axis.set_ylabel(fill(label, LONGEST))
    epoch_axis(axis)
    return drawn


def over_layers(
    axis: Axes,
    found: Measured,
    key: str,
    label: str,
    *,
    epoch: int = -1,
    factor: float = 1.0,
    layers: Sequence[str] | None = None,
    hollow: bool = False,
) -> None:
    """Draw one value of `key` (`{}` is the layer) per layer and variant, in the signal's order.

    Args:
        axis: where to draw.
        found: what was measured.
        key: the array's name.
        label: of the value axis.
        epoch: which of the measurements.
        factor: values are multiplied by it.
        layers: which ones; by default all that were measured.
        hollow: drawn pale and without a name, as what the others are compared with.
    """
    from ablate.report.plots.theme import keyed, tell

    layers = found.layers if layers is None else layers
    for variant in found.variants:
        style, values = style_of(found, variant), found.by_layer(variant, key, epoch, layers)
        pale = {"linestyle": ":", "markerfacecolor": "white", "alpha": 0.7} if hollow else {}
        name, x = "_nolegend_" if hollow else variant, np.arange(len(layers))
        with keyed(axis, variant):
            line(axis, x, factor * values, style, name, markersize=4.5, **pale)
        tell(axis, variant, x, factor * values, layers, at="")
    axis.set_ylabel(fill(label, LONGEST))
    layer_axis(axis, layers)


def logarithmic(axis: Axes, *, horizontal: bool = False, ticks: Sequence[float] = ()) -> None:
    """Make the value axis, or the horizontal one, logarithmic, its ticks written as numbers."""
    from ablate.report.plots.theme import plain_log

    (axis.set_xscale if horizontal else axis.set_yscale)("log")
    plain_log(axis.xaxis if horizontal else axis.yaxis, ticks)


def epoch_axis(axis: Axes) -> None:
    """Label the horizontal axis with epochs."""
    from matplotlib.ticker import MaxNLocator

    axis.set_xlabel("Epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def layer_axis(axis: Axes, layers: Sequence[str]) -> None:
    """Label the horizontal axis with layers."""
    axis.set_xticks(np.arange(len(layers)))
    tilted = len(layers) > 5 or max(map(len, layers), default=0) > 10
    axis.set_xticklabels(layers, rotation=35 if tilted else 0, ha="right" if tilted else "center")
    axis.set_xlim(-0.4, len(layers) - 0.6)


def alone(width: float, height: float) -> tuple[Figure, Axes]:
    """Return one pair of axes with margins set by hand: no layout to be worked out."""
    from ablate.report.plots.theme import blank

    figure = blank(width, height)
    return figure, figure.add_axes((0.13, 0.14, 0.84, 0.76))


def small_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file of the size that TensorBoard shows."""
    return png(figure, 80)
