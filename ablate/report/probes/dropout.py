"""Probe `dropout`: sparsity, and averages of thinned networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from ablate.report.document import Plot
from ablate.report.lines import line
from ablate.report.probe_drawing import grid, logarithmic, over_epochs, style_of
from ablate.report.probe_sections import Measured, ReportedProbe
from ablate.study.schema.strict import Strict


class Arguments(Strict):
    """Arguments of `dropout`."""

    samples: int = Field(default=50, ge=1, le=1000, description="Thinned networks drawn.")
    rate: float | None = Field(
        default=None, ge=0, lt=1, description="Thin at this rate, not at each layer's own."
    )
    bins: int = Field(default=30, ge=2, le=200, description="Bins of the histograms.")


def draw(found: Measured) -> Iterator[Plot]:
    """Draw the last hidden layer's sparsity, and the error of averages."""
    if found.layers:
        yield _sparsity(found)
    if any(found.series(variant, "error").size for variant in found.variants):
        yield _averages(found)


def _sparsity(found: Measured) -> Plot:
    figure, axes = grid(3)
    last = found.layers[-1]
    over_epochs(axes[0], found, f"scalar/{last}/mean", f"mean output of {last}")
    over_epochs(
        axes[1], found, lambda variant: 100 * found.series(variant, f"scalar/{last}/zero"),
        "outputs that are 0 (%)",
    )  # fmt: skip
    for variant in found.variants:
        arrays, style = found.first(variant), style_of(found, variant)
        if (counts := arrays.get(f"counts/{last}/unit_mean")) is not None:
            edges = arrays[f"edges/{last}/unit_mean"][-1]
            if np.isfinite(edges).all():
                axes[2].stairs(
                    counts[-1], edges, color=style.colour, linestyle=style.dash, label=variant
                )
    axes[2].set_xlabel("mean activation of a unit")
    axes[2].set_ylabel("units")
    return Plot(
        "sparsity",
        "How sparse the last hidden layer is",
        "First and second: through training. Last: each unit's mean over the probe's rows at the "
        "end, first seed.",
        figure,
    )


def _averages(found: Measured) -> Plot:
    figure, axes = grid(2)
    for variant in found.variants:
        averaged = found.over_seeds(variant, "error")
        if not averaged.size:
            continue
        style = style_of(found, variant)
        scaled = float(found.over_seeds(variant, "scalar/scaled_error")[-1])
        samples = found.first(variant)["samples"]
        line(axes[0], samples, averaged[-1], style, f"{variant}: average of k")
        axes[0].axhline(
            scaled, color=style.colour, linewidth=0.9, label=f"{variant}: weights scaled"
        )
    logarithmic(axes[0], horizontal=True, ticks=(1, 2, 5, 10, 20, 50))
    axes[0].set_xlabel("sampled networks k")
    axes[0].set_ylabel("error on the probe's rows")
    entropy = "predictive entropy of the average (nats)"
    if not over_epochs(axes[1], found, "scalar/averaged_entropy", entropy):
        over_epochs(axes[1], found, "scalar/spread", "spread of the samples")
    return Plot(
        "averages",
        "Averages of thinned networks against weight scaling",
        "At the end, mean over the seeds: share of rows wrong, or mean squared error.",
        figure,
    )


PROBE = ReportedProbe(
    about="Sparsity of the hidden activations; averaged thinned networks against weight scaling.",
    arguments=Arguments,
    measurement="ablate.probes.dropout:Dropout",
    title="Dropout: sparsity and averaging",
    text="Units that cannot rely on others learn to speak for themselves: fewer of them are "
    "active, and their mean activation falls (Srivastava et al. 2014, Figure 8). Scaling the "
    "weights approximates averaging many thinned networks (Figure 11).",
    draw=draw,
)
