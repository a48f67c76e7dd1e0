"""The report's section of the probe `fitted_curve`: the curves that were fitted."""

from __future__ import annotations

from matplotlib.axes import Axes

from ablate.report.document import Plot, Section
from ablate.report.plots.theme import GREY, panels, themed
from ablate.report.probes.drawing import style_of
from ablate.report.probes.reading import Arrays, Measured, measured
from ablate.report.report_data import ReportData


def section(material: ReportData) -> Section | None:
    """Return the fitted curves, None where nothing was measured."""
    with themed():
        plots = [_plot(material, each) for each in measured(material, "fitted_curve")]
    if not plots:
        return None
    return Section(
        "probe-fitted-curve",
        "The curves that were fitted",
        (
            "What a network makes of one number. A curve that bends to every example has learned "
            "the noise; where seeds disagree, the examples did not decide.",
        ),
        plots=tuple(plots),
    )


def _plot(material: ReportData, found: Measured) -> Plot:
    names = found.variants
    rows = -(-len(names) // 2)
    figure, axes = panels(min(len(names), 2), rows, height=3.0 * rows, sharex=True, sharey=True)
    for axis, variant in zip(axes, names, strict=False):
        for ordinal, (_, arrays) in enumerate(found.by_variant[variant]):
            if ordinal == 0:
                examples(axis, arrays)
            axis.plot(
                arrays["grid"], arrays["curve"][-1], color=style_of(material, variant).colour,
                linewidth=1.8 if ordinal == 0 else 0.8, alpha=1.0 if ordinal == 0 else 0.45,
            )  # fmt: skip
            if ordinal == 0 and "spread" in arrays:
                curve, spread = arrays["curve"][-1], arrays["spread"][-1]
                axis.fill_between(
                    arrays["grid"],
                    curve - spread,
                    curve + spread,
                    color=style_of(material, variant).colour,
                    alpha=0.15,
                    linewidth=0,
                )
        axis.set_title(variant)
        axis.set_xlabel("x")
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    return Plot(
        f"probe-{found.probe}",
        "Fitted curves at the end",
        "Dots are training examples of the first seed; the thick line is its curve (with the "
        "spread of thinned networks where that was asked for), thin lines are the other seeds.",
        figure,
    )


def examples(axis: Axes, arrays: Arrays) -> None:
    """Draw the training examples, which also set the range of the values."""
    y = arrays["train_y"]
    axis.plot(arrays["train_x"], y, linestyle="none", marker=".", markersize=4, color=GREY)
    reach = (y.max() - y.min()) or 1.0
    axis.set_ylim(y.min() - 0.35 * reach, y.max() + 0.35 * reach)
