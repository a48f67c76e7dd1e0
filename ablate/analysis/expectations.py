"""Published claims and what was found: consistent, inconsistent, or too imprecise to say.

How near is near enough is for the study to say, by a `margin` around a published value or by a
`range`; neither is called published. With a margin the interval of the difference decides
(`replication`), as the published value has an error of its own. Anything else names a region, that
range, one side of zero, or the published rate's interval: consistent when our whole interval lies
inside, inconsistent when it lies outside, too imprecise while it reaches over a border; then the
seeds are named that would decide, with 80 % power if the mean stayed where it is.

There is no verdict where something else than the claim's subject was measured: where a profile or
an override changed what is trained, where a guard warns of its variants, where trials were lost.
One or two published runs make weak evidence, and the verdict says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import (
    MINIMUM_SEEDS,
    ROUNDING,
    moments,
    number,
    rounding,
    snapped,
    wilson,
)
from ablate.analysis.effects import ClaimVerdict, Expectation, Guard
from ablate.analysis.failures import fisher
from ablate.analysis.formatting import (
    RATES,
    amount,
    interval,
    level,
    listing,
    plural,
    pretty,
)
from ablate.analysis.intervals import Interval
from ablate.analysis.power import MOST_SEEDS, seeds_needed
from ablate.analysis.replication import Replication, replication, seeds_to_decide
from ablate.analysis.result_table import ResultTable
from ablate.study.metrics import SPLITS, is_share
from ablate.study.schema.analysis import Expect

#: From so few published runs, evidence is weak.
WEAK_RUNS = 2

#: Guards that take nothing from a claim: it is about the published length of training, its numbers
#: come from another machine, it was measured on one test set, and seeds and trials lost are looked
#: at for each claim by itself.
_BESIDE_CLAIMS = frozenset(
    {
        "still improving", "early stopping at the last epoch", "environment", "other rows",
        "few seeds", "failed", "unequal failures", "at chance",
    }
)  # fmt: skip

#: What is no guard's business where a claim is about trials lost: what follows of means.
_BESIDE_RATES = _BESIDE_CLAIMS | {"baseline never overfits"}

Region = tuple[float, float]


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
    """A verdict, what it rests on or why there is none, and the seeds that would decide."""

    verdict: ClaimVerdict
    reason: str = ""
    needed: int | None = None


@dataclass(frozen=True)
class _Judged:
    """A claim with all that its sentence and its row of the table take."""

    decision: Decision
    subject: str = ""
    metric: str = ""
    ours: Sample = Sample(0)
    region: Region | None = None  # in which the result is consistent
    published: Region | None = None  # the interval of the published value
    found: Replication | None = None


def judge(
    expected: Sequence[Expect], context: AnalysisContext, guards: Sequence[Guard] = ()
) -> list[Expectation]:
    """Hold each published claim against the results.

    The kinds of claim:

    - value: the mean of `metric` of `variant` lies within `margin` of the published value, or in
      the range.
    - ordering: `variant` is better than `than` in `metric`, paired by seed (`value`: by at least
      that much). With the metric `collapse_rate`: it is lost less often, by Fisher's exact test.
    - collapse_rate: the share of trials of `variant` that diverged, failed or collapsed lies in
      the range, else in Wilson's interval of the published `value` of `n` trials. With `than` and
      no value it is an ordering.
    - ratio: the geometric mean over seeds of `variant` / `than` lies within `margin` of the
      published value, or in the range.

    Args:
        expected: the study's `expect`.
        context: of the study, with its failures; 1 - confidence is the level of each verdict.
        guards: of the study. One that warns of a claim's variants leaves it without verdict.

    Returns:
        One entry per claim, in order. A claim without verdict says why.
    """
    found = []
    for claim in expected:
        if lacking := _lacking(claim, context.table):
            judged = _Judged(Decision("not judged", lacking))
        else:
            judged = (_judge_rate if _of_rates(claim) else _judge_metric)(claim, context)
            if (why := _hindrance(claim, context, guards)) and judged.ours.mean is not None:
                judged = replace(judged, decision=Decision("not judged", why))
        found.append(_expectation(claim, judged, context, guards))
    return found


def decide(
    ours: Sample,
    region: Region,
    confidence: float,
    rule: Interval,
    place: tuple[str, str, str],
) -> Decision:
    """Compare our interval with a region: inside, outside, or over a border.

    Args:
        ours: what was found.
        region: (low, high), either may be infinite.
        confidence: of the interval.
        rule: the kind of the interval.
        place: what an interval is called that is inside, outside, and over a border.
    """
    if ours.mean is None or ours.low is None or ours.high is None:
        return _no_interval(ours)
    if region[0] <= ours.low and ours.high <= region[1]:
        return Decision("consistent", place[0])
    if ours.high < region[0] or ours.low > region[1]:
        return Decision("inconsistent", place[1])
    return Decision("too imprecise", place[2], _seeds_to_decide(ours, region, confidence, rule))


def _no_interval(ours: Sample) -> Decision:
    if ours.n >= MINIMUM_SEEDS and ours.sd == 0:
        return Decision("not judged", "the seeds have no spread, from which no interval follows")
    if ours.n >= MINIMUM_SEEDS:
        return Decision("not judged", "an interval that holds at every look takes more seeds")
    return Decision("not judged", "an interval takes 3 completed seeds", MINIMUM_SEEDS)


def _judge_metric(claim: Expect, context: AnalysisContext) -> _Judged:
    metric = _metric(context.table, claim.metric)
    values = context.table.values(metric)
    own = values[:, context.table.column(claim.variant)]
    subject = f"{pretty(metric)} of {claim.variant}"
    rule = context.family("claims", 1, metric, context.direction_of(metric)).interval
    if claim.claim == "value":
        ours = _sample(own, context.confidence, rule)
        if is_share(metric) and ours.low is not None and ours.high is not None:
            ours = replace(ours, low=max(ours.low, 0.0), high=min(ours.high, 1.0))
        return _judge_value(claim, _Judged(Decision("not judged"), subject, metric, ours), context)
    other = values[:, context.table.column(claim.than or "")]
    if claim.claim == "ordering":
        return _judge_ordering(claim, metric, own, other, context)
    if np.any(own <= 0) or np.any(other <= 0):
        return _Judged(Decision("not judged", f"a ratio of '{metric}' asks for positive values"))
    # What rounding is to a value, it is to a difference of logarithms in all.
    logs = _sample(np.log(own) - np.log(other), context.confidence, rule, ROUNDING)
    region = _region(claim)
    decision = _without_region(claim)
    if region is not None:
        borders = _log(region[0]), _log(region[1])
        decision = decide(logs, borders, context.confidence, rule, _IN_RANGE)
    ours = Sample(logs.n, _exp(logs.mean), _exp(logs.low), _exp(logs.high))
    return _Judged(decision, f"{subject} over that of {claim.than}", "ratio", ours, region)


_IN_RANGE = (
    "the interval lies within the range",
    "the interval lies outside of the range",
    "the interval reaches over a border of the range",
)


def _judge_value(claim: Expect, known: _Judged, context: AnalysisContext) -> _Judged:
    """Judge a value by the range, else by the margin and the interval of the difference."""
    ours, region = known.ours, _region(claim)
    rule = context.family("claims", 1, known.metric, context.direction).interval
    if region is None:
        return replace(known, decision=_without_region(claim))
    known = replace(known, region=region)
    if claim.range is not None:
        return replace(known, decision=decide(ours, region, context.confidence, rule, _IN_RANGE))
    if ours.mean is None or ours.low is None or not ours.sd:
        return replace(known, decision=_no_interval(ours))
    if rule.kind == "always_valid":
        why = "no interval of a difference to a published value holds at every look"
        return replace(known, decision=Decision("not judged", f"{why} ({context.looks})"))
    assert claim.value is not None and claim.margin is not None
    sides = (ours.mean, ours.sd, ours.n), (claim.value, claim.sd, claim.n or 1)
    alpha = 1 - context.confidence
    found = replication(*sides, claim.margin, alpha, rule)
    within = f"the margin of {amount(known.metric, claim.margin, difference=True)}"
    reason = {
        "consistent": f"surely within {within}",
        "inconsistent": f"surely not 0, and not surely within {within}",
        "too imprecise": f"neither surely within {within} nor surely not 0",
    }[found.verdict]
    needed = None
    if found.verdict == "too imprecise":
        needed = seeds_to_decide(*sides, claim.margin, alpha, rule)
        if needed is None:
            reason += ", which no number of seeds would change while the published side is so few"
    return replace(known, decision=Decision(found.verdict, reason, needed), found=found)


def _judge_ordering(
    claim: Expect, metric: str, own: np.ndarray, other: np.ndarray, context: AnalysisContext
) -> _Judged:
    direction = context.direction_of(metric)
    if direction is None:
        reason = f"which way '{metric}' gets better is not known"
        return _Judged(Decision("not judged", reason))
    rule = context.family("claims", 1, metric, direction).interval
    ours = _sample(own - other, context.confidence, rule, rounding(own, other))
    border = abs(claim.value or 0.0)
    # Exactly the border is not beyond it.
    least = float(np.nextafter(border, math.inf))
    up = direction == "max"
    beyond = (least, math.inf) if up else (-math.inf, -least)
    at = amount(metric, border if up else -border, difference=True, signed=True) if border else "0"
    ahead, behind = (f"above {at}", f"below {at}") if up else (f"below {at}", f"above {at}")
    place = (
        f"the interval lies {ahead}, as claimed",
        f"the interval lies {behind}, against the claim",
        f"the interval reaches over {at}",
    )
    decision = decide(ours, beyond, context.confidence, rule, place)
    subject = f"{pretty(metric)} of {claim.variant} minus that of {claim.than}"
    region = (border, math.inf) if up else (-math.inf, -border)
    return _Judged(decision, subject, metric, ours, region)


def _judge_rate(claim: Expect, context: AnalysisContext) -> _Judged:
    own = context.failures[claim.variant].lost
    ours = Sample(own.of, own.rate, own.low, own.high, count=own.count)
    subject = f"share of trials lost of {claim.variant}"
    known = _Judged(Decision("not judged"), subject, "collapse_rate", ours)
    if claim.claim == "ordering" or (claim.than and claim.value is None and not claim.range):
        other = context.failures[claim.than or ""].lost
        p = fisher(own.count, own.of, other.count, other.of)
        decision = Decision("not judged", "a variant has no trials yet", MINIMUM_SEEDS)
        if p is not None:
            alpha = 1 - context.confidence
            decision = _decide_rates(own.count / own.of, other.count / other.of, p, alpha)
            subject += f" (that of {claim.than}: {other.count} of {other.of}; Fisher's p = {p:.2g})"
        return replace(known, decision=decision, subject=subject)
    published = None
    if claim.value is not None and claim.n is not None:
        published = wilson(round(claim.value * claim.n), claim.n, context.confidence)
    region = _region(claim) or published
    if region is None:
        reason = "the source gives no number of trials, and no range says what is consistent"
        return replace(known, decision=Decision("not judged", reason))
    place = _IN_RANGE if claim.range else tuple(
        each.replace("the range", "the published one") for each in _IN_RANGE
    )  # fmt: skip
    decision = decide(ours, region, context.confidence, Interval(), place)  # type: ignore[arg-type]
    return replace(known, decision=decision, region=region, published=published)


def _decide_rates(own: float, other: float, p: float, alpha: float) -> Decision:
    if p <= alpha:
        if own < other:
            return Decision("consistent", "fewer are lost, as claimed")
        return Decision("inconsistent", "more are lost, against the claim")
    needed = next((n for n in _sizes() if _differ(own, other, n, alpha)), None)
    return Decision("too imprecise", "the rates differ by no more than chance would", needed)


def _differ(own: float, other: float, n: int, alpha: float) -> bool:
    p = fisher(round(own * n), n, round(other * n), n)
    return p is not None and p <= alpha


def _region(claim: Expect) -> Region | None:
    """Return where a result is consistent with the claim, as the study says; None: it does not."""
    if claim.range is not None:
        return min(claim.range), max(claim.range)
    if claim.value is None or claim.margin is None:
        return None
    return claim.value - claim.margin, claim.value + claim.margin


def _without_region(claim: Expect) -> Decision:
    return Decision(
        "not judged", "neither a margin nor a range says how near a consistent result lies"
    )


def _hindrance(claim: Expect, context: AnalysisContext, guards: Sequence[Guard]) -> str:
    """Return why a claim must not be judged though there are numbers; "" where it may be."""
    if claim.changed_by:
        return f"the claim is about other settings than those trained here ({claim.changed_by})"
    names = {context.table.source(each) for each in (claim.variant, claim.than) if each}
    if not _of_rates(claim):
        for name in sorted(names):
            lost = context.failures[name]
            if lost.failures.count:
                return (
                    f"{lost.failures.count} of {plural(lost.failures.of, 'trial')} of {name} have "
                    "no metric, which flatters it"
                )
            if 0 < lost.collapsed.count < lost.completed:
                return (
                    f"{lost.collapsed.count} of {plural(lost.completed, 'trial')} of {name} ended "
                    "at chance, so that a mean tells of neither kind"
                )
    beside = _BESIDE_RATES if _of_rates(claim) else _BESIDE_CLAIMS
    if claim.metric.startswith(("train_", "curve/")):
        beside |= {"baseline never overfits"}  # that concerns rows held out
    if claim.metric.startswith("curve/"):
        beside |= {"moving averages"}  # a running value in training mode does not use them
    warned = [
        each.kind
        for each in guards
        if each.severity == "warning"
        and each.kind not in beside
        and (not each.variants or names & set(each.variants))
    ]
    if warned:
        return f"a warning concerns it: {listing(list(dict.fromkeys(warned)))}"
    return ""


def _weakness(claim: Expect) -> str:
    """Return why the published side is weak evidence, "" where it is not."""
    if claim.n is not None and claim.n <= WEAK_RUNS:
        return plural(claim.n, "published run")
    if claim.n is None and claim.margin is not None:
        return "published runs not given, taken as one"
    return ""


def _seeds_to_decide(ours: Sample, region: Region, confidence: float, rule: Interval) -> int | None:
    assert ours.mean is not None
    if ours.count is not None:
        rate = ours.mean
        return next((n for n in _sizes() if _clear(rate, n, region, confidence)), None)
    if not ours.sd:
        return None
    distance = min(abs(ours.mean - border) for border in region if math.isfinite(border))
    needed = seeds_needed(distance / ours.sd, 1 - confidence, interval=rule)
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


def _sample(
    values: np.ndarray, confidence: float, rule: Interval, noise: np.ndarray | float = 0.0
) -> Sample:
    """Return the mean of (seeds,) values with its interval of the kind that the rows call for."""
    noise = np.broadcast_to(noise, values.shape)[:, None]
    stats = moments(snapped(values[:, None], noise), confidence, noise)
    ends = rule.ends(stats, 1 - confidence)
    mean, low, high, sd = (number(each[0]) for each in (stats.mean, *ends, stats.sd))
    return Sample(int(stats.n[0]), mean, low, high, sd)


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
    """Return why nothing can be measured of the claim, or nothing."""
    for name in (claim.variant, claim.than):
        if name is not None and name not in table.names:
            return f"there is no variant '{name}' in this study"
    if claim.claim in ("ordering", "ratio") and claim.than is None:
        return f"a claim of {claim.claim} needs 'than', the variant it compares with"
    if not _of_rates(claim) and _metric(table, claim.metric) not in table.metrics:
        return f"no completed trial reports '{claim.metric}'"
    return ""


def _expectation(
    claim: Expect, judged: _Judged, context: AnalysisContext, guards: Sequence[Guard]
) -> Expectation:
    decision, ours, found = judged.decision, judged.ours, judged.found
    low, high = judged.region or (None, None)
    published = judged.published or (None, None)
    return Expectation(
        claim=claim.claim,
        variant=claim.variant,
        than=claim.than,
        metric=claim.metric,
        source=claim.source,
        verdict=decision.verdict,
        text=f"{decision.verdict}: {'; '.join(_parts(claim, judged, context, guards))}.",
        reason=decision.reason if decision.verdict == "not judged" else "",
        weak=_weakness(claim),
        published=claim.value,
        published_low=published[0],
        published_high=published[1],
        published_n=claim.n,
        margin=claim.margin,
        consistent_low=None if low is None or not math.isfinite(low) else low,
        consistent_high=None if high is None or not math.isfinite(high) else high,
        ours=ours.mean,
        ours_low=ours.low,
        ours_high=ours.high,
        ours_n=ours.n,
        difference=None if found is None else found.difference,
        difference_low=None if found is None else found.low,
        difference_high=None if found is None else found.high,
        seeds_needed=decision.needed,
    )


def _parts(
    claim: Expect, judged: _Judged, context: AnalysisContext, guards: Sequence[Guard]
) -> list[str]:
    """Put a decision into words: our side, the published one, the difference, the reason."""
    ours, metric, decision = judged.ours, judged.metric, judged.decision
    unit = "seed" if ours.count is None else "trial"
    difference = claim.claim == "ordering" and not _of_rates(claim)
    parts = []
    if ours.mean is not None:
        half, ends = None, ""
        if ours.low is not None and ours.high is not None:
            half = (ours.high - ours.low) / 2
            ends = interval(metric, ours.low, ours.high, difference=difference)
            ends = f"{level(context.confidence)} interval {ends}, "
        found = amount(metric, ours.mean, half, difference=difference, signed=difference)
        parts.append(f"{judged.subject} {found} ({ends}{plural(ours.n, unit)})")
    if published := _published_words(claim, judged, difference):
        parts.append(published)
    if claim.range is not None and metric:
        parts.append(f"range set by this study {interval(metric, *claim.range)}")
    if (apart := judged.found) is not None:
        half = (apart.high - apart.low) / 2
        size = amount(metric, apart.difference, half, difference=True, signed=True)
        ends = interval(metric, apart.low, apart.high, difference=True)
        parts.append(f"difference {size} ({ends})")
    if decision.reason:
        parts.append(decision.reason)
    if decision.needed:
        parts.append(f"{plural(decision.needed, unit)} would probably decide")
    if (weak := _weakness(claim)) and decision.verdict != "not judged":
        parts.append(f"weak evidence ({weak})")
    names = {claim.variant, claim.than}
    if decision.verdict != "not judged" and not _of_rates(claim) and any(
        each.kind == "still improving" and names & set(each.variants) for each in guards
    ):  # fmt: skip
        parts.append("at this length of training, as the metric was still improving")
    return parts


def _published_words(claim: Expect, judged: _Judged, difference: bool) -> str:
    """Return `published 97.3 % (SD 0.1, 2 runs)`."""
    if claim.value is None or not judged.metric:
        return ""
    behind = []
    if claim.sd is not None:
        behind.append(f"SD {amount(judged.metric, claim.sd, claim.sd, difference=True)}")
    if judged.published is not None:
        behind.append(f"interval {interval(judged.metric, *judged.published)}")
    if claim.n is not None:
        behind.append(plural(claim.n, "run"))
    what = "claimed at least" if difference else "published"
    value = amount(judged.metric, claim.value, claim.sd, difference=difference)
    return f"{what} {value} ({', '.join(behind)})" if behind else f"{what} {value}"
