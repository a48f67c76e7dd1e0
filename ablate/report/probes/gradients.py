"""Probe `gradients`: how much arrives at each layer."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from ablate.report.document import Plot
from ablate.report.probe_drawing import grid, logarithmic, over_epochs, over_layers
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict


class Arguments(Strict):
    """Arguments of `gradients`."""

    small: float = Field(
        default=1e-7, gt=0, description="A derivative below it in size has vanished."
    )
    large: float = Field(default=1e2, gt=0, description="One above it in size has exploded.")


def draw(found: Measured) -> Iterator[Plot]:
    """Draw the norm of each layer's gradient, what vanished, and the norm through training."""
    # A variant's own normalizations have gradients too, but none to be compared with.
    layers = found.texts(found.variants[0], "layers")
    figure, axes = grid(3)
    for at in (0, -1):
        over_layers(
            axes[0], found, "scalar/{}/norm", "norm of the gradient", epoch=at, layers=layers,
            hollow=at == 0,
        )  # fmt: skip
    logarithmic(axes[0])
    vanished = "derivatives vanished at the end (%)"
    over_layers(axes[1], found, "scalar/{}/vanished", vanished, factor=100, layers=layers)
    axes[1].set_ylim(bottom=0)
    over_epochs(axes[2], found, "scalar/norm", "norm over all layers", log=True)
    yield Plot(
        "",
        "Norm of each layer's gradient",
        "First: by layer, before training (hollow, dotted) and at the end. Second: share of "
        "derivatives too small to matter. Last: over all layers, through training.",
        figure,
    )


PROBE = ReportedProbe(
    about="Norm of each layer's gradient, what vanishes or explodes.",
    arguments=Arguments,
    measurement="ablate.probes.gradients:Gradients",
    title="Gradients by layer",
    text="A gradient passes back through every layer; where each takes a factor off it, the first "
    "layers learn last. Normalizations work as in training, every Dropout rests.",
    draw=draw,
)
