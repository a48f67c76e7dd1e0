"""The forest of forests: a column per placement, a row per combination, on one page.

Combinations stand by network, their mean below them; accuracy above, RMSE below, each with its own
axes. What lies beyond an axis is marked by an arrow at its end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ablate.analysis.atlas import CONFIDENCE, CONTRASTS, PLACEMENTS, Combination
from ablate.analysis.claims import RMSE, Claim, Estimate
from ablate.report.atlas_data import TITLES, AtlasReport
from ablate.report.document import Plot
from ablate.report.lines import GREY, PALETTE
from ablate.report.plots.synthesis import draw_claim
from ablate.report.plots.theme import blank, themed
from ablate.report.synthesis import Unit

#: A page of A4 less its margins, in inches.
_WIDTH, _HEIGHT = 7.5, 10.2


def forest(report: AtlasReport) -> Plot:
    """Draw every combination and every placement on one page."""
    parts = []
    for metric in ("accuracy", RMSE):
        own = [each for each in report.trained if each.metric == metric]
        if own:
            parts.append((metric, own))
    with themed():
        rows = [len(own) + len({each.network for each in own}) + 2 for _, own in parts]
        figure = blank(_WIDTH, min(_HEIGHT, 1.4 + 0.19 * sum(rows) + 0.5 * len(parts)),
                       layout="constrained")  # fmt: skip
        grid = figure.subplots(
            len(parts), len(PLACEMENTS), squeeze=False, sharey="row",
            gridspec_kw={"height_ratios": rows},
        )  # fmt: skip
        for (metric, own), axes in zip(parts, grid, strict=True):
            _part(report, metric, own, axes)
    return Plot("forest", "The atlas", "", figure)


def _part(
    report: AtlasReport, metric: str, combinations: Sequence[Combination], axes: Sequence[Axes]
) -> None:
    unit = Unit(metric)
    lines = _lines(combinations)
    limits = _limits(report, metric, combinations)
    for axis, contrast in zip(axes, PLACEMENTS, strict=True):
        axis.set_xlim(*limits)
        for row, line in enumerate(lines):
            if isinstance(line, Combination):
                found = line.estimate(CONTRASTS[contrast])
                if found is not None:
                    _square(axis, row, found, unit, limits)
        claim = report.claim(contrast, metric)
        if claim is not None:
            _diamond(axis, len(lines) + 0.3, claim, limits)
        axis.axvline(0, color="black", linewidth=0.9, zorder=1)
        axis.axhline(len(lines) - 0.4, color="#BBBBBB", linewidth=0.7)
        axis.set_title(TITLES[contrast].replace(", ", ",\n"), fontsize=8)
        axis.tick_params(axis="x", labelsize=7)
        axis.tick_params(axis="y", length=0)
        axis.grid(False, axis="y")
        for row, line in enumerate(lines):
            if isinstance(line, str):
                axis.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", linewidth=0, zorder=0)
    names = [line if isinstance(line, str) else f"{_shown(line.data)}  " for line in lines]
    axes[0].set_yticks([*range(len(lines)), len(lines) + 0.3], [*names, "all"], fontsize=7)
    for label, line in zip(axes[0].get_yticklabels(), [*lines, "all"], strict=True):
        label.set_fontweight("bold" if isinstance(line, str) else "normal")
    axes[0].set_ylim(len(lines) + 1.1, -0.6)
    better = "better →" if metric == "accuracy" else "← better"
    axes[len(axes) // 2].set_xlabel(f"{unit.title}    {better}", fontsize=8)


def _lines(combinations: Sequence[Combination]) -> list[str | Combination]:
    """Return the rows: each network's name, then its combinations."""
    networks: dict[str, list[Combination]] = {}
    for each in combinations:
        networks.setdefault(each.network, []).append(each)
    lines: list[str | Combination] = []
    for network, own in networks.items():
        lines += [network, *own]
    return lines


def _shown(data: str) -> str:
    return data.replace("_few", ", few rows").replace("_", " ")


def _limits(
    report: AtlasReport, metric: str, combinations: Sequence[Combination]
) -> tuple[float, float]:
    """Return an axis that has nine tenths of the estimates, and all means with what is next."""
    unit = Unit(metric)
    found = [
        unit.shown(made.mean)
        for each in combinations
        for contrast in PLACEMENTS
        if (made := each.estimate(CONTRASTS[contrast])) is not None
    ]
    known = [c.synthesis for each in PLACEMENTS if (c := report.claim(each, metric)) is not None]
    ends = [unit.shown(end) for each in known for end in (each.low, each.high)]
    low, high = np.quantile(found, [0.05, 0.95]) if found else (-1.0, 1.0)
    low, high = min([float(low), 0.0, *ends]), max([float(high), 0.0, *ends])
    room = 0.15 * (high - low or 1.0)
    return low - room, high + room


def _square(
    axis: Axes, row: float, found: Estimate, unit: Unit, limits: tuple[float, float]
) -> None:
    low, high = limits
    mean = unit.shown(found.mean)
    ends = [min(max(unit.shown(each), low), high) for each in found.interval(CONFIDENCE)]
    axis.plot(ends, [row] * 2, color=GREY, linewidth=0.8)
    if low <= mean <= high:
        axis.plot(mean, row, marker="s", markersize=3.2, color=PALETTE[1], markeredgewidth=0)
    else:
        beyond = high if mean > high else low
        axis.plot(beyond, row, marker=">" if mean > high else "<", markersize=4.5,
                  color=PALETTE[1], markeredgewidth=0, clip_on=False)  # fmt: skip


def _diamond(axis: Axes, row: float, claim: Claim, limits: tuple[float, float]) -> None:
    """Draw the mean and the next one's bar, which ends where the axis does."""
    draw_claim(axis, row, claim, words=False)
    axis.set_xlim(*limits)
