"""What a number of seeds can show, said before they are trained.

The spread of per-seed differences comes from a pilot: seeds of the study that have been trained
already, else an earlier study on the same data and network. Power is that of the interval and of
the level by which the report will decide; how uncertain the pilot leaves the spread is said, too.
Without a pilot everything is in standard deviations of the differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis import power
from ablate.analysis.analysis import Analysis
from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.analysis.effects import Comparison
from ablate.analysis.formatting import amount, plural, pretty
from ablate.analysis.intervals import Interval


@dataclass(frozen=True)
class Prospect:
    """What `seeds` seeds can show; amounts in the metric's unit, None without a pilot.

    `detectable` is the smallest difference found with 80 % power, `margin_shown` the smallest
    margin within which equal variants are shown equivalent with that power; `low` and `high` are
    their ends for the interval of the spread. `detectable_d` is in standard deviations.
    """

    metric: str
    seeds: int
    comparisons: int
    detectable_d: float | None = None
    sd: float | None = None
    detectable: float | None = None
    detectable_low: float | None = None
    detectable_high: float | None = None
    margin: float | None = None
    margin_shown: float | None = None
    equivalence_seeds: int | None = None
    pilot: str = ""
    words: str = ""


def prospect(
    planned: Analysis,
    seeds: int,
    pilot: Analysis | None = None,
    name: str = "",
    margin: float | None = None,
    interval: Interval | None = None,
) -> Prospect:
    """Return what the seeds of a study can show.

    Args:
        planned: the analysis of the study, with or without results: its comparisons.
        seeds: that are planned, of each variant.
        pilot: the analysis that the spread is taken from.
        name: what the pilot is, in words.
        margin: of the study, in the unit of the pilot's metric.
        interval: by which the report will decide; the t interval unless given.
    """
    rule = interval or Interval()
    size = max((each.family_size for each in _compared(planned)), default=1)
    alpha = 1 - planned.confidence
    metric = planned.metric if pilot is None else pilot.metric
    d = power.detectable(seeds, alpha / size, interval=rule)
    shown = power.margin_shown(seeds, alpha / size, power.POWER, rule)
    spread = [] if pilot is None else _spreads(_compared(pilot))
    start = f"What {plural(seeds, 'seed')} can show in {plural(size, 'comparison')}"
    if d is None:
        why = f"an interval takes {MINIMUM_SEEDS} seeds"
        if rule.kind != "fixed_n":
            why = "intervals of this kind take more"
        return Prospect(metric, seeds, size, words=f"{start}: nothing, as {why}.")
    if not spread:
        text = (
            f"{start}, with 80 % power: differences of {d:.1f} of their standard deviations "
            "between seeds, or more. Nothing trained in this folder tells how large that is: a "
            "pilot of three seeds does."
        )
        return Prospect(metric, seeds, size, d, words=text)
    sd = float(np.sqrt(np.mean([each**2 for each, _ in spread])))
    n = max(each for _, each in spread)
    low, high = (d * sd * each for each in power.spread_interval(n, planned.confidence))

    def of(value: float) -> str:
        return amount(metric, value, sd, difference=True)

    text = (
        f"{start}, with 80 % power: differences in {pretty(metric)} of {of(d * sd)} or more. That "
        f"rests on {name}, whose differences vary between seeds by {of(sd)} (standard deviation; "
        f"{plural(len(spread), 'comparison')}, {plural(n, 'seed')}), which is uncertain: "
        f"{of(low)} to {of(high)}."
    )
    needed = None
    if margin is not None:
        needed = power.seeds_for_equivalence(sd, margin, alpha / size, power.POWER, rule)
        takes = "more than can be asked for" if needed is None else f"about {needed}"
        text += f" To show equal variants equivalent within {of(margin)} takes {takes} seeds."
    elif shown is not None:
        text += f" Equivalence could be shown within {of(shown * sd)} (analysis.margin)."
    return Prospect(
        metric, seeds, size, d, sd, d * sd, low, high,
        margin, None if shown is None else shown * sd, needed, name, text,
    )  # fmt: skip


def _compared(analysis: Analysis) -> Sequence[Comparison]:
    """Return the comparisons that the report opens with, on the headline metric."""
    main = [each for each in analysis.factor_effects if each.order == 1]
    own = [each for each in analysis.effects if each.metric == analysis.metric]
    return main or [each for each in own if each.family != "leave one out"] or own


def _spreads(compared: Sequence[Comparison]) -> list[tuple[float, int]]:
    """Return the deviations that are known, with their seeds."""
    return [(each.sd, each.n) for each in compared if each.sd and each.n >= MINIMUM_SEEDS]
