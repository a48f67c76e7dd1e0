"""Published values beside what was found: two marks per claim, and what it is consistent within.

Claims on one metric share a panel, so that they share a scale. Squares are published; the thin
line beside them is what the study calls consistent, or the published rate's interval; circles are
found here. A claim of an order has no published number: its border is zero.
"""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes

from ablate.analysis import Expectation
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import GREY, PALETTE
from ablate.report.names import shortened
from ablate.report.plots.theme import drawn, panels
from ablate.report.report_data import ReportData

#: Panels, and claims in each.
MOST_PANELS, MOST_ROWS = 8, 30

_VERDICTS = {
    "consistent": PALETTE[3], "inconsistent": PALETTE[2], "too imprecise": GREY, "not judged": GREY
}  # fmt: skip


@drawn
def expectations(report: ReportData) -> Iterator[Plot]:
    """Draw every claim that has a number on our side."""
    groups: dict[tuple[str, str], list[Expectation]] = {}
    for each in report.analysis.expectations:
        if each.ours is not None:
            groups.setdefault((each.claim, each.metric), []).append(each)
    if not groups:
        return
    shown = list(groups.items())[:MOST_PANELS]
    rows = [min(len(claims), MOST_ROWS) for _, claims in shown]
    figure, axes = panels(
        1,
        len(shown),
        height=sum(0.85 + 0.36 * each for each in rows),
        height_ratios=[0.85 + 0.36 * each for each in rows],
    )
    for axis, ((claim, metric), claims) in zip(axes, shown, strict=True):
        _panel(axis, claim, metric, claims[:MOST_ROWS])
    yield Plot(
        "expectations",
        "Published values and what was found",
        "Grey squares: published; the line through them is what the study calls consistent with "
        "it (its margin or range, not published), of a rate the published one's interval. "
        "Circles: found here, with the interval; green consistent, orange inconsistent, grey too "
        "imprecise or not judged.",
        figure,
        " ".join(each.text for each in report.analysis.expectations),
    )


def claim_factor(claim: str, metric: str) -> float:
    """Return what a claim's numbers are multiplied by: 100 for shares, but not for their ratio."""
    return 1.0 if claim == "ratio" else formatting.factor_of(metric)


def _panel(axis: Axes, claim: str, metric: str, claims: list[Expectation]) -> None:
    factor = claim_factor(claim, metric)
    for row, each in enumerate(claims):
        _mark(axis, row - 0.14, each.published, each.consistent_low, each.consistent_high, factor,
              colour=GREY, marker="s")  # fmt: skip
        _mark(axis, row + 0.14, each.ours, each.ours_low, each.ours_high, factor,
              colour=_VERDICTS[each.verdict], marker="o")  # fmt: skip
    names = [
        shortened(f"{each.variant} against {each.than}" if each.than else each.variant, 26)
        for each in claims
    ]
    axis.set_yticks(
        range(len(claims)),
        [f"{name}\n{each.verdict}" for name, each in zip(names, claims, strict=True)],
        fontsize=8,
    )
    axis.set_ylim(len(claims) - 0.4, -0.6)
    axis.grid(False, axis="y")
    if claim == "ordering":
        axis.axvline(0, color="black", linewidth=1.0, zorder=1)
    title = formatting.metric_title(metric).capitalize()
    unit = {"ordering": " (points)", "ratio": ""}.get(claim, " (%)") if factor == 100.0 else ""
    kind = {"ordering": ": difference", "ratio": ": ratio"}.get(claim, "")
    axis.set_xlabel(f"{title}{kind}{unit}")


def _mark(
    axis: Axes,
    row: float,
    value: float | None,
    low: float | None,
    high: float | None,
    factor: float,
    *,
    colour: str,
    marker: str,
) -> None:
    if low is not None and high is not None:
        axis.plot([low * factor, high * factor], [row] * 2, color=colour, linewidth=2.0)
    if value is not None:
        axis.plot(value * factor, row, marker=marker, markersize=6, color=colour)
