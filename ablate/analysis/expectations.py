"""Published claims and what was found: reproduced, refuted, or undecided.

A claim names a region: a published range, the interval of the published mean, or one side of zero.
It is *reproduced* when our whole interval lies inside the region, *refuted* when it lies outside,
and *undecided* while it reaches over a border; then the seeds are named that would decide, with
80 % power if the mean stayed where it is. A value from a single run has no interval of its own:
nothing is held equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import (
    MINIMUM_SEEDS,
    ROUNDING,
    rounding,
    snapped,
    summarize,
    t_quantile,
    wilson,
)
from ablate.analysis.effects import Expectation
from ablate.analysis.failures import fisher
from ablate.analysis.formatting import amount, interval, plural, pretty
from ablate.analysis.power import MOST_SEEDS, seeds_needed
from ablate.analysis.result_table import ResultTable
from ablate.study.metrics import SPLITS, is_share
from ablate.study.schema.analysis import Expect

#: "Metrics" with which a claim speaks of failures instead.
RATES = frozenset({"collapse_rate", "failure_rate"})

Region = tuple[float, float]
Judgement = Literal["reproduced", "refuted", "undecided"]


@dataclass(frozen=True)
class Sample:
    """Our side of a claim: a mean with its interval, or (`count` given) a rate with Wilson's."""

    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    count: int | None = None


@dataclass(frozen=True)
class Decision:
    """A verdict, why it is undecided, and the seeds that would decide."""

    verdict: Judgement
    reason: str = ""
    needed: int | None = None


def judge(expected: Sequence[Expect], context: AnalysisContext) -> list[Expectation]:
    """Hold each published claim against the results.

    The kinds of claim:

    - value: the mean of `metric` of `variant` lies in the published region.
    - ordering: `variant` is better than `than` in `metric`, paired by seed (`value`: by at least
      that much). With the metric `collapse_rate`: it is lost less often, by Fisher's exact test.
    - collapse_rate: the share of trials of `variant` that diverged, failed or collapsed lies in
      the published region (a `value` of `n` trials has Wilson's interval). With `than` and no
      value it is an ordering.
    - ratio: the geometric mean over seeds of `variant` / `than` lies in the published region.

    Args:
        expected: the study's `expect`.
        context: of the study, with its failures; 1 - confidence is the level of Fisher's test.

    Returns:
        One entry per claim, in order. A claim that cannot be judged is undecided and says why.
    """
    found = []
    for claim in expected:
        lacking = _lacking(claim, context.table)
        if lacking:
            found.append(_tell(claim, Decision("undecided", lacking)))
        else:
            found.append((_judge_rate if _of_rates(claim) else _judge_metric)(claim, context))
    return found


def decide(
    ours: Sample,
    region: Region | None,
    confidence: float,
    runs: int | None = None,
    border: str = "a border",
) -> Decision:
    """Compare our interval with the claimed region: inside, outside, or over a border.

    Args:
        ours: what was found.
        region: (low, high), either may be infinite; None when the source gives no region.
        confidence: of the intervals.
        runs: the source's n, for the reason.
        border: what an interval that decides nothing reaches over, in words.
    """
    if region is None:
        what = "a single run" if runs == 1 else "neither a deviation with n nor a range"
        return Decision("undecided", f"the source has {what}, so that nothing can be held to it")
    if ours.mean is None or ours.low is None or ours.high is None:
        if ours.n >= MINIMUM_SEEDS:
            return Decision("undecided", "the seeds have no spread, from which no interval follows")
        return Decision("undecided", "an interval takes 3 completed seeds", MINIMUM_SEEDS)
    if region[0] <= ours.low and ours.high <= region[1]:
        return Decision("reproduced")
    if ours.high < region[0] or ours.low > region[1]:
        return Decision("refuted")
    needed = _seeds_to_decide(ours, region, confidence)
    return Decision("undecided", f"the interval found here reaches over {border}", needed)


def published_region(claim: Expect, confidence: float) -> Region | None:
    """Return the published range, else the t interval of the published mean, else None.

    The interval of a share ends at 0 and 1, which two runs' t interval may well pass.
    """
    if claim.range is not None:
        return min(claim.range), max(claim.range)
    if claim.value is None or claim.sd is None or claim.n is None or claim.n < 2:
        return None
    half = float(t_quantile(claim.n, confidence)) * claim.sd / math.sqrt(claim.n)
    low, high = claim.value - half, claim.value + half
    return (max(low, 0.0), min(high, 1.0)) if is_share(claim.metric) else (low, high)


def _judge_metric(claim: Expect, context: AnalysisContext) -> Expectation:
    table, confidence = context.table, context.confidence
    metric = _metric(table, claim.metric)
    values = table.values(metric)
    own = values[:, table.column(claim.variant)]
    subject = f"{pretty(metric)} of {claim.variant}"
    region = published_region(claim, confidence)
    if claim.claim == "value":
        ours = _sample(own, confidence)
        decision = decide(ours, region, confidence, claim.n)
        return _tell(claim, decision, subject, metric, ours, region)
    other = values[:, table.column(claim.than or "")]
    if claim.claim == "ordering":
        direction = context.direction_of(metric)
        if direction is None:
            reason = f"which way '{metric}' gets better is not known"
            return _tell(claim, Decision("undecided", reason))
        ours = _sample(own - other, confidence, rounding(own, other))
        border = abs(claim.value or 0.0)
        # Exactly the border is not beyond it.
        least = float(np.nextafter(border, math.inf))
        beyond = (least, math.inf) if direction == "max" else (-math.inf, -least)
        over = "a border" if border else "0"
        decision = decide(ours, beyond, confidence, claim.n, over)
        return _tell(claim, decision, f"{subject} minus that of {claim.than}", metric, ours)
    if np.any(own <= 0) or np.any(other <= 0):
        reason = f"a ratio of '{metric}' asks for positive values"
        return _tell(claim, Decision("undecided", reason))
    # What rounding is to a value, it is to a difference of logarithms in all.
    logs = _sample(np.log(own) - np.log(other), confidence, ROUNDING)
    borders = region and (_log(region[0]), _log(region[1]))
    decision = decide(logs, borders, confidence, claim.n)
    ours = Sample(logs.n, _exp(logs.mean), _exp(logs.low), _exp(logs.high))
    return _tell(claim, decision, f"{subject} over that of {claim.than}", "ratio", ours, region)


def _judge_rate(claim: Expect, context: AnalysisContext) -> Expectation:
    own = context.failures[claim.variant].lost
    ours = Sample(own.of, own.rate, own.low, own.high, count=own.count)
    subject = f"share of trials lost of {claim.variant}"
    region = None
    if claim.claim == "ordering" or (claim.than and claim.value is None and not claim.range):
        other = context.failures[claim.than or ""].lost
        p = fisher(own.count, own.of, other.count, other.of)
        decision = Decision("undecided", "a variant has no trials yet", MINIMUM_SEEDS)
        if p is not None:
            alpha = 1 - context.confidence
            decision = _decide_rates(own.count / own.of, other.count / other.of, p, alpha)
            subject += f" (that of {claim.than}: {other.count} of {other.of}; Fisher's p = {p:.2g})"
    else:
        region = claim.range
        if region is None and claim.value is not None and claim.n is not None:
            region = wilson(round(claim.value * claim.n), claim.n, context.confidence)
        decision = decide(ours, region, context.confidence, claim.n and max(2, claim.n))
    return _tell(claim, decision, subject, "collapse_rate", ours, region)


def _decide_rates(own: float, other: float, p: float, alpha: float) -> Decision:
    if p <= alpha:
        return Decision("reproduced" if own < other else "refuted")
    needed = next((n for n in _sizes() if _differ(own, other, n, alpha)), None)
    return Decision("undecided", "the rates differ by no more than chance would", needed)


def _differ(own: float, other: float, n: int, alpha: float) -> bool:
    p = fisher(round(own * n), n, round(other * n), n)
    return p is not None and p <= alpha


def _seeds_to_decide(ours: Sample, region: Region, confidence: float) -> int | None:
    assert ours.mean is not None
    if ours.count is not None:
        rate = ours.mean
        return next((n for n in _sizes() if _clear(rate, n, region, confidence)), None)
    if not ours.sd:
        return None
    distance = min(abs(ours.mean - border) for border in region if math.isfinite(border))
    needed = seeds_needed(distance / ours.sd, 1 - confidence)
    return None if needed is None else max(needed, ours.n + 1)


def _clear(rate: float, n: int, region: Region, confidence: float) -> bool:
    """Whether Wilson's interval of this rate in n trials would lie on one side of each border."""
    found = wilson(round(rate * n), n, confidence)
    assert found is not None
    inside = region[0] <= found[0] and found[1] <= region[1]
    return inside or found[1] < region[0] or found[0] > region[1]


def _sizes() -> Iterator[int]:
    """Yield sample sizes to try: each from 3 on, then in steps of a twentieth."""
    size = MINIMUM_SEEDS
    while size < MOST_SEEDS:
        yield size
        size += max(1, size // 20)


def _sample(values: np.ndarray, confidence: float, noise: np.ndarray | float = 0.0) -> Sample:
    noise = np.broadcast_to(noise, values.shape)[:, None]
    column = snapped(values[:, None], noise)
    (found,) = summarize(column, range(len(values)), confidence, noise)
    return Sample(found.n, found.mean, found.low, found.high, found.sd)


def _exp(value: float | None) -> float | None:
    return None if value is None else math.exp(value)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _metric(table: ResultTable, name: str) -> str:
    candidates = [name, *(f"{split}_{name}" for split in SPLITS)]
    return next((each for each in candidates if each in table.metrics), name)


def _of_rates(claim: Expect) -> bool:
    return claim.claim == "collapse_rate" or claim.metric in RATES


def _lacking(claim: Expect, table: ResultTable) -> str:
    """Return why the claim cannot be judged at all, or nothing."""
    for name in (claim.variant, claim.than):
        if name is not None and name not in table.names:
            return f"there is no variant '{name}' in this study"
    if claim.claim in ("ordering", "ratio") and claim.than is None:
        return f"a claim of {claim.claim} needs 'than', the variant it compares with"
    if not _of_rates(claim) and _metric(table, claim.metric) not in table.metrics:
        return f"no completed trial reports '{claim.metric}'"
    return ""


def _tell(
    claim: Expect,
    decision: Decision,
    subject: str = "",
    metric: str = "",
    ours: Sample | None = None,
    region: Region | None = None,
) -> Expectation:
    """Put a decision into words, with both intervals."""
    ours = ours or Sample(0)
    unit = "seed" if ours.count is None else "trial"
    difference = claim.claim == "ordering" and not _of_rates(claim)
    parts = []
    if ours.mean is not None:
        half, ends = None, ""
        if ours.low is not None and ours.high is not None:
            half = (ours.high - ours.low) / 2
            ends = interval(metric, ours.low, ours.high, difference=difference)
            ends = f" (interval {ends})"
        found = amount(metric, ours.mean, half, difference=difference, signed=difference)
        parts.append(f"{subject} is {found}{ends} with {plural(ours.n, unit)}")
    if region is not None:
        parts.append(f"published {interval(metric, *region)}")
    elif metric and claim.value is not None and not difference:
        parts.append(f"published {amount(metric, claim.value)}")
    if decision.reason:
        parts.append(decision.reason)
    if decision.needed:
        parts.append(f"{plural(decision.needed, unit)} would probably decide")
    return Expectation(
        claim=claim.claim,
        variant=claim.variant,
        than=claim.than,
        metric=claim.metric,
        source=claim.source,
        verdict=decision.verdict,
        text=f"{decision.verdict}: {'; '.join(parts)}.",
        published=claim.value,
        published_low=region[0] if region else None,
        published_high=region[1] if region else None,
        published_n=claim.n,
        ours=ours.mean,
        ours_low=ours.low,
        ours_high=ours.high,
        ours_n=ours.n,
        seeds_needed=decision.needed,
    )
