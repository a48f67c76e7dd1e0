"""The images of one trial for TensorBoard: percentiles, fitted curves, mistakes.

A result and its probe arrays enter; PNG files leave, by tag and epoch. The fitted curve is drawn
at a few epochs, so that TensorBoard's slider shows it bend.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.document import png
from ablate.report.plots.theme import PALETTE, blank, panels, small_panels, themed
from ablate.report.probes.activations import band
from ablate.report.probes.fitted_curve import examples
from ablate.report.probes.mistakes import confusion, show, wrong_images
from ablate.report.probes.reading import Arrays
from ablate.study.trial import TrialResult

#: Epochs at which a fitted curve is drawn, spread evenly.
CURVES = 8

#: Layers whose percentiles are drawn: the first and the last ones.
LAYERS = 4

_DPI = 80


def illustrate(result: TrialResult, arrays: Arrays) -> dict[tuple[str, int], bytes]:
    """Return the images of a trial by tag and epoch, {} where no probe has any."""
    found: dict[tuple[str, int], bytes] = {}
    with themed():
        for key in arrays:
            probe, _, what = key.partition("/")
            if what == "epochs" and len(arrays[key]):
                for tag, epoch, content in _images(probe, arrays):
                    found[f"{probe}/{tag}", epoch] = content
    return found


def _images(probe: str, arrays: Arrays) -> Iterator[tuple[str, int, bytes]]:
    kind = probe.rstrip("0123456789").rstrip("_")
    epochs = arrays[f"{probe}/epochs"]
    if kind == "activations":
        yield "percentiles", int(epochs[-1]), _percentiles(probe, arrays)
    elif kind == "fitted_curve":
        for at in np.unique(np.linspace(0, len(epochs) - 1, CURVES).astype(int)):
            yield "curve", int(epochs[at]), _curve(probe, arrays, int(at))
    elif kind == "mistakes":
        yield "confusion", int(epochs[-1]), _confusion(probe, arrays)
        if wrong := wrong_images(arrays, probe):
            yield "wrong", int(epochs[-1]), _wrong(wrong)


def _percentiles(probe: str, arrays: Arrays) -> bytes:
    """Draw both sides of the activations of the first and the last layers."""
    layers = [str(each) for each in arrays[f"{probe}/layers"]]
    if len(layers) > LAYERS:
        layers = [*layers[: LAYERS // 2], *layers[-(LAYERS - LAYERS // 2) :]]
    figure, axes = small_panels(2 * len(layers), columns=2)
    for row, layer in enumerate(layers):
        for column, side in enumerate(("input", "output")):
            values = np.stack(
                [arrays[f"{probe}/scalar/{layer}/{side}/p{share}"] for share in (15, 50, 85)],
                axis=1,
            )
            axis = axes[2 * row + column]
            band(axis, arrays[f"{probe}/epochs"], values, PALETTE[1 + column])
            axis.tick_params(labelleft=True)
            axis.set_xlabel("Epoch" if row == len(layers) - 1 else "")
            axis.set_title(f"{layer}: {side} of the activation")
    return png(figure, _DPI)


def _curve(probe: str, arrays: Arrays, at: int) -> bytes:
    figure, axis = _alone(5.0, 3.4)
    examples(axis, {"train_x": arrays[f"{probe}/train_x"], "train_y": arrays[f"{probe}/train_y"]})
    curve = arrays[f"{probe}/curve"][at]
    axis.plot(arrays[f"{probe}/grid"], curve, color=PALETTE[1])
    axis.set_title(f"after {int(arrays[f'{probe}/epochs'][at])} epochs")
    return png(figure, _DPI)


def _confusion(probe: str, arrays: Arrays) -> bytes:
    figure, axis = _alone(4.2, 4.0)
    confusion(axis, arrays[f"{probe}/confusion"][-1], arrays[f"{probe}/class_names"])
    return png(figure, _DPI)


def _alone(width: float, height: float) -> tuple[Figure, Axes]:
    """Return one pair of axes with margins set by hand: no layout to be worked out."""
    figure = blank(width, height)
    return figure, figure.add_axes((0.13, 0.14, 0.84, 0.76))


def _wrong(images: list[tuple[np.ndarray, str]]) -> bytes:
    shown = images[:32]
    lines = -(-len(shown) // 8)
    figure, axes = panels(8, lines, width=9.0, height=1.6 * lines)
    for axis, (image, words) in zip(axes, shown, strict=False):
        show(axis, image)
        axis.set_xlabel(words, fontsize=6)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    return png(figure, _DPI)
