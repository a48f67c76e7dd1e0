"""What became of the trials of each variant, before any mean: a stacked bar per variant."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.ticker import MaxNLocator

from ablate.analysis import Failures
from ablate.report import formatting
from ablate.report.document import Plot
from ablate.report.plots.forest import MOST_ROWS, row_height, row_names
from ablate.report.plots.theme import drawn, legend, panels
from ablate.report.report_data import ReportData

#: Outcome, colour, hatch: the hatch tells them apart in grey.
_KINDS = (
    ("completed", "#BFD9E8", ""),
    ("collapsed", "#E69F00", "////"),
    ("diverged", "#D55E00", "xxxx"),
    ("failed", "#000000", ""),
    ("pending", "#FFFFFF", "...."),
)


@drawn
def failures(report: ReportData) -> Iterator[Plot]:
    """Draw the outcomes of every variant's trials, if any trial was lost."""
    found = {each.name: each.failures for each in report.analysis.variants}
    lost = [name for name in report.order if found[name].lost.count]
    if not lost:
        return
    names = [each for each in report.order if each in lost or len(found) <= MOST_ROWS]
    names = names[:MOST_ROWS]
    figure, axes = panels(height=row_height(len(names)))
    axis = axes[0]
    for label, colour, hatch in _KINDS:
        lengths = [_counts(found[name])[label] for name in names]
        if not any(lengths):
            continue
        starts = [_before(_counts(found[name]), label) for name in names]
        axis.barh(
            range(len(names)),
            lengths,
            left=starts,
            height=0.62,
            color=colour,
            hatch=hatch,
            edgecolor="#444444",
            linewidth=0.6,
            label=label,
        )
    row_names(axis, names)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("Trials")
    legend(figure)
    level = formatting.percent(report.analysis.confidence)
    caption = (
        "Diverged: a loss or a weight became non-finite. Failed: the trial ended in an error. "
        "Collapsed: it completed, but predicts no better than the commonest class (or than "
        "analysis.collapse, where that is a number). Means and differences are over the trials "
        f"that completed. The table has the rates with their {level} intervals."
    )
    if len(found) > len(names):
        caption += f" {len(names)} of {len(found)} variants are drawn, those with losses."
    finding = " ".join(report.analysis.answers.get("trials", ()))
    yield Plot("failures", "What became of the trials", caption, figure, finding)


def _counts(failures: Failures) -> dict[str, int]:
    collapsed = failures.collapsed.count
    return {
        "completed": max(failures.completed - collapsed, 0),
        "collapsed": collapsed,
        "diverged": failures.diverged.count,
        "failed": failures.failed.count,
        "pending": failures.pending,
    }


def _before(counts: dict[str, int], label: str) -> int:
    kinds = [kind for kind, _, _ in _KINDS]
    return sum(counts[kind] for kind in kinds[: kinds.index(label)])
