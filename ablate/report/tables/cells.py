"""The cells that several tables share, so that they read alike everywhere.

A table is declared column by column, each with what it writes of a row (`tabulated`); a difference
with its interval, p and verdict is the same four cells wherever it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablate.analysis import Analysis, Comparison, FactorEffect
from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.report.document import Cells, Column
from ablate.report.formatting import (
    NONE,
    Scale,
    counted,
    listed,
    metric_scale,
    percent,
    probability,
)

#: How a verdict is said in a cell.
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "equivalent": "equivalent",
    "inconclusive": "inconclusive",
    "described": "too few seeds",
    "missing": "no pairs",
}


def scale_of(analysis: Analysis, metric: str) -> Scale:
    """Return the scale in which every table and plot of the study writes `metric`."""
    kept = [each.metrics[metric] for each in analysis.variants if metric in each.metrics]
    values = [value for each in kept for value in each.values.values()]
    return metric_scale(metric, values, [each.sd for each in kept])


def variant_column() -> Cells:
    """Return the column of variants' names."""
    return Column("Variant", "left"), lambda each: each.variant


def interval_title(analysis: Analysis) -> str:
    """Return the title of a column of intervals: "95 % interval"."""
    return f"{percent(analysis.confidence)} interval"


def difference_cells(analysis: Analysis, scale: Scale, verdict: str = "Verdict") -> list[Cells]:
    """Return the columns difference, interval, p and verdict of a comparison.

    The interval for other test rows stands beside that for these, where there is one.
    """
    margin = any(each.margin is not None for each in analysis.effects)
    known = (*analysis.effects, *analysis.contributions)
    other_rows: list[Cells] = [
        (
            Column("On other test rows too", drop=2),
            lambda each: (
                NONE
                if each.crossed is None
                else scale.interval(each.crossed.low, each.crossed.high, sign=True)
            ),
        )
    ]
    return [
        (Column(scale.difference_titled("Difference")), lambda each: scale.difference(each.mean)),
        (Column(interval_title(analysis), drop=1), lambda each: _interval_text(each, scale)),
        *(other_rows if any(each.crossed is not None for each in known) else []),
        (
            Column("p (corrected)" if margin else "p (Holm)", drop=5),
            lambda each: probability(each.p_holm),
        ),
        (Column(verdict, "left"), verdict_text),
    ]


def _interval_text(each: Comparison, scale: Scale) -> str:
    """Return an interval; of differences that are all equal, from which none follows, that."""
    if each.low is None and each.sd == 0 and each.n >= MINIMUM_SEEDS:
        return "the same each seed"
    return scale.interval(each.low, each.high, sign=True)


def verdict_text(each: Comparison) -> str:
    """Return what a cell says of a comparison; an interaction is neither better nor worse.

    What must be known with the verdict stands behind it.
    """
    decided = each.verdict in ("better", "worse")
    interaction = decided and isinstance(each, FactorEffect) and each.order > 1
    text = "interaction" if interaction else VERDICTS[each.verdict]
    return f"{text} ({each.caveat})" if each.caveat else text


def pairs_column(title: str = "n") -> Cells:
    """Return the column of the number of pairs."""
    return Column(title), lambda each: str(each.n)


def verdict_mark(effect: Comparison | None) -> str:
    """Return the mark of a comparison: "better", "worse" or ""."""
    if isinstance(effect, FactorEffect) and effect.order > 1:
        return ""
    return effect.verdict if effect and effect.verdict in ("better", "worse") else ""


def holm_words(rows: Sequence[Comparison]) -> str:
    """Return over how many comparisons p is corrected, family by family; "" of a single test.

    Where an interval leaves out 0 and the verdict is inconclusive for that alone, it says why.
    """
    # Every pair of variants is one family, whatever stands on its other side.
    families = {
        (each.family, "" if each.family == "pairs" else getattr(each, "baseline", "")): (
            each.family_size
        )
        for each in rows
        if each.n
    }
    if max(families.values(), default=0) < 2:
        return ""
    margin = any(each.margin is not None for each in rows)
    rule = "that of a difference other than zero, corrected" if margin else "Holm's"
    if len(families) == 1:
        ((family, _),) = families
        text = f", p is {rule} over {_tests(family, families[family, _], rows)}"
    else:
        several = len({baseline for _, baseline in families}) > 1
        sizes = [
            f"over {counted(size, 'comparison')} ({family}{f' with {baseline}' if several else ''})"
            for (family, baseline), size in families.items()
        ]
        text = f", p is {rule}, each family for itself: {listed(sizes)}"
    if any(_alone(each) for each in rows):
        text += (
            ". The verdict follows p: an interval that leaves out 0 by itself may be no evidence "
            "among so many"
        )
    return text


def _tests(family: str, size: int, rows: Sequence[Comparison]) -> str:
    """Return what is counted in a correction: more than a table's rows where they are not all."""
    if family == "pairs":
        variants = (1 + math.isqrt(1 + 8 * size)) // 2
        return f"all {counted(size, 'pair')} of the {variants} variants"
    shown = sum(each.family == family for each in rows)
    if shown == size:
        return counted(size, "comparison")
    return f"the {counted(size, 'comparison')} that were declared, {shown} of them here"


def _alone(each: Comparison) -> bool:
    """Whether an interval leaves out 0 and its verdict is inconclusive."""
    if each.low is None or each.high is None or each.verdict != "inconclusive":
        return False
    return each.low > 0 or each.high < 0


def share_text(share: float | None, low: float | None, high: float | None) -> str:
    """Return a share with its interval: "40 % (12 to 77)"."""
    if share is None:
        return NONE
    ends = "" if low is None or high is None else f" ({low * 100:.0f} to {high * 100:.0f})"
    return f"{share * 100:.0f} %{ends}"
