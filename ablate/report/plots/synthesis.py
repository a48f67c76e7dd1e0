"""The forest plot of a synthesis, and the performance profiles over data sets.

A block per claim: a square per study, as large as its weight, with its own interval; below them
the mean as a diamond as wide as its interval, and the next study's interval as a thin bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from ablate.analysis.across import Across
from ablate.analysis.claims import Claim
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.lines import GREY, PALETTE, line_style
from ablate.report.names import shortened
from ablate.report.plots.theme import legend, panels, themed
from ablate.report.synthesis import Unit

#: Rows of one figure; beyond, claims are drawn without their studies.
MOST_ROWS = 70

_COLOURS = {"better": PALETTE[3], "worse": PALETTE[2]}


def draw(across: Across) -> Iterator[Plot]:
    """Draw a forest for each metric, and the profiles."""
    with themed():
        for metric in dict.fromkeys(each.metric for each in across.claims):
            own = [each for each in across.claims if each.metric == metric]
            yield _forest(own, metric, across.confidence)
        if across.aggregates:
            yield _profiles(across)


def _forest(claims: Sequence[Claim], metric: str, confidence: float) -> Plot:
    unit = Unit(metric)
    rows = sum(len(each.estimates) + 2 for each in claims)
    whole = rows <= MOST_ROWS
    figure, (axis,) = panels(height=1.1 + 0.22 * (rows if whole else 2 * len(claims)))
    names: list[tuple[float, str, bool]] = []
    row = 0.0
    for claim in claims:
        if whole:
            for each, weight in zip(claim.estimates, claim.synthesis.weights, strict=True):
                names.append((row, shortened(each.study), False))
                draw_study(axis, row, unit, each.mean, each.interval(confidence), weight)
                row += 1
        names.append((row, shortened(claim.name), True))
        draw_claim(axis, row, claim)
        axis.axhline(row + 0.85, color="#DDDDDD", linewidth=0.7)
        row += 1.7
    axis.set_yticks([at for at, *_ in names], [name for _, name, _ in names], fontsize=8)
    for label, (*_, bold) in zip(axis.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if bold else "normal")
    axis.set_ylim(row - 0.5, -0.9)
    axis.tick_params(axis="y", length=0)
    axis.grid(False, axis="y")
    axis.axvline(0, color="black", linewidth=1.0, zorder=1)
    better = "better →" if claims[0].direction == "max" else "← better"
    axis.set_xlabel(f"{unit.title} · {better}")
    level = formatting.percent(confidence)
    return Plot(
        f"synthesis-{formatting.anchor(metric)}",
        "Each study and all together",
        f"Squares: a study's mean difference, as large as its weight, with its own {level} "
        f"interval. Diamonds: the mean over studies, as wide as its {level} interval, filled "
        "where it is better or worse after correction. Thin bar below: where the next study like "
        "these is expected.",
        figure,
    )


def draw_study(
    axis: Axes,
    row: float,
    unit: Unit,
    mean: float,
    interval: tuple[float, float],
    weight: float,
) -> None:
    """Draw a study's square and its interval."""
    axis.plot([unit.shown(each) for each in interval], [row] * 2, color=GREY, linewidth=1.0)
    axis.plot(
        unit.shown(mean), row, marker="s", markersize=2.5 + 7 * weight**0.5, color=PALETTE[1],
        markeredgewidth=0,
    )  # fmt: skip


def draw_claim(axis: Axes, row: float, claim: Claim, *, words: bool = True) -> None:
    """Draw a claim's diamond, the next study's bar, and the numbers at its right."""
    unit, found = Unit(claim.metric), claim.synthesis
    low, mean, high = (unit.shown(each) for each in (found.low, found.mean, found.high))
    colour = _COLOURS.get(claim.verdict, "black")
    if found.next_low is not None and found.next_high is not None:
        ahead = [unit.shown(found.next_low), unit.shown(found.next_high)]
        axis.plot(ahead, [row + 0.45] * 2, color=colour, linewidth=1.2, marker="|", markersize=5)
    axis.fill(
        [low, mean, high, mean], [row, row - 0.32, row, row + 0.32], linewidth=1.2,
        facecolor=colour if claim.verdict in _COLOURS else "white", edgecolor=colour, zorder=3,
    )  # fmt: skip
    if words:
        text = f"{unit.text(found.mean)}  [{unit.text(found.low)}, {unit.text(found.high)}]"
        axis.text(
            1.02, row, text,
            transform=axis.get_yaxis_transform(), va="center", fontsize=8.5,
        )  # fmt: skip


def _profiles(across: Across) -> Plot:
    figure, (axis,) = panels(height=3.2)
    for index, each in enumerate(across.aggregates):
        style = line_style(index)
        axis.plot(
            [100 * level for level in across.levels], [100 * share for share in each.profile],
            color=style.colour, linestyle=style.dash, label=each.name, drawstyle="steps-post",
        )  # fmt: skip
    axis.set_xlabel("Accuracy τ (%)")
    axis.set_ylabel("Runs above τ (%)")
    legend(figure)
    return Plot(
        "profiles",
        "Performance profiles",
        f"The share of runs over {formatting.counted(len(across.data_sets), 'study', 'studies')} "
        "whose accuracy is above each level; a curve that is higher everywhere is better.",
        figure,
    )
