"""The sentences that a report opens with: each difference with its interval, and what was lost.

The question of the study's design decides what speaks. A leave-one-out opens with what each part
contributes, a factorial with its effects, variants that differ in where they place the same layers
with the set that holds the best; any other study with its variants against the baseline. Every one
is named, the best first. What became of the trials comes before all where any was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptions import described
from ablate.analysis.effects import (
    BestSet,
    Comparison,
    Contribution,
    Cost,
    Effect,
    FactorEffect,
    Failures,
    VariantSummary,
)
from ablate.analysis.formatting import (
    amount,
    figure,
    in_percent,
    interval,
    level,
    listing,
    plural,
    plus,
    pretty,
)
from ablate.analysis.paired import Kind
from ablate.analysis.power import MOST_SEEDS
from ablate.analysis.sentences import conclusion, estimate, half_width
from ablate.study.expand import MODEL

#: Variants of which is told how they lost trials; of more, that they did.
NAMED = 4

#: Differences that are told with their intervals; of more, the intervals stand in the table.
TOLD = 8

#: The same of interactions beside those that are there.
TOLD_BESIDE = 12


def opening(
    context: AnalysisContext,
    variants: Sequence[VariantSummary],
    factor_effects: Sequence[FactorEffect] = (),
    contributions: Sequence[Contribution] = (),
    best: BestSet | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return the opening sentences: the differences, what their intervals cover, what was lost.

    Keyed in their order by what they are about: the questions of the design (`best`,
    `contributions`, `factors`, `variants`), `power` (what the seeds could have shown of what is
    inconclusive), `coverage` and `trials`; `only` where a single variant completed.

    Args:
        context: with the failures and the effects on the headline metric.
        variants: all of them.
        factor_effects: on the headline metric.
        contributions: of a leave-one-out.
        best: the set that holds the best variant, where that is the question.
    """
    lost = failure_sentence({e.name: e.failures for e in variants if e.alias_of is None})
    measured = next((each for each in variants if each.n), None)
    if measured is None:
        return {"trials": (lost, "No trial reported the metric.")}
    names = {each.name: described(each, context.reference) for each in context.table.resolved}
    found = {
        "best": (best.words,) if best else (),
        "contributions": _contributed(contributions, context),
        "factors": () if contributions else _factorial(factor_effects, context),
    }
    if not found["factors"]:
        found["variants"] = _against(context.effects, context, names)
    found = {about: sentences for about, sentences in found.items() if sentences}
    if found.keys() - {"best"}:
        if could := _could_have_shown(contributions, factor_effects, context):
            found["power"] = (could,)
        found["coverage"] = (context.coverage,)
    else:
        known = measured.metrics.get(context.metric)
        value = f"no {pretty(context.metric)}"
        if known is not None and known.mean is not None:
            value = f"{pretty(context.metric)} {amount(context.metric, known.mean, known.sd)}"
        seeds = plural(measured.n, "seed")
        found = {"only": (f"Only {names[measured.name]} completed: {value} ({seeds}).",)}
    bad = any(each.failures.lost.count for each in variants)
    return {"trials": (lost,)} | found if bad else found | {"trials": (lost,)}


def _against(
    effects: Sequence[Effect], context: AnalysisContext, names: Mapping[str, str]
) -> tuple[str, ...]:
    rows = [each for each in effects if each.family in ("variants", "pairs")]
    if not rows:
        return ()
    lower = " (lower is better)" if context.direction == "min" else ""
    start = f"{_upper(pretty(context.metric))}{lower} against {context.baseline}"
    return (_told(start, rows, context, lambda each: names[each.variant]),)


def _could_have_shown(
    contributions: Sequence[Contribution],
    factor_effects: Sequence[FactorEffect],
    context: AnalysisContext,
) -> str:
    """Return what the seeds could have shown of what is inconclusive, and what would show more."""
    asked: Sequence[Comparison] = contributions or factor_effects or context.effects
    left = [
        each
        for each in asked
        if each.verdict == "inconclusive"
        and each.detectable is not None
        and each.margin_shown
        and not each.collapsed  # their spread is that between two clusters
    ]
    if not left:
        return ""
    least = _between([each.detectable or 0.0 for each in left], context.metric)
    seeds = plural(max(each.n for each in left), "seed")
    text = f"Inconclusive is not equivalent: {seeds} would probably have shown {least} or more"
    margin = context.settings.margin
    if margin is None:
        within = _between([each.margin_shown or 0.0 for each in left], context.metric)
        return (
            f"{text}, and a difference of zero as equivalent within {within}, had such a margin "
            "been set (analysis.margin; 80 % power)."
        )
    takes = [each.equivalence_seeds for each in left]
    known = sorted({each for each in takes if each is not None})
    span = " to ".join(map(str, known[:: max(len(known) - 1, 1)]))
    if len(known) < len(set(takes)):
        span += f"{' or ' if span else ''}more than {MOST_SEEDS}"
    within = amount(context.metric, margin, difference=True)
    return (
        f"{text}; to show a difference of zero equivalent within the margin of {within} would take "
        f"about {span} seeds (80 % power)."
    )


def _between(amounts: Sequence[float], metric: str) -> str:
    """Return `0.9 to 1.1 points`, or one amount where they are written alike."""
    least, most = min(amounts), max(amounts)
    low, high = figure(metric, least, most), amount(metric, most, most, difference=True)
    return high if high.split(" ")[0] == low else f"{low} to {high}"


def best_words(
    best: BestSet, costs: Sequence[Cost], confidence: float, pairs: Sequence[Effect] = ()
) -> str:
    """Return which variants may be the best, which are ruled out, and the cheapest that may be.

    Where no pair of a variant that is ruled out with a member is decided, it says why the one
    asks for less than the other.
    """
    count = len(best.members) + len(best.ruled_out)
    means = {name: amount(best.metric, mean) for name, mean in best.means.items()}
    members = [f"{name} ({means[name]})" for name in best.members]
    of = f"of the {count} variants in {pretty(best.metric)}"
    if not best.ruled_out:
        text = (
            f"Any {of} may be the best: {listing(members)}; {plural(best.n, 'seed')} rule out none."
        )
    elif len(members) == 1:
        text = f"The best {of} is {members[0]}, at {level(confidence)} confidence."
    else:
        text = f"The best {of} is among {listing(members)}, at {level(confidence)} confidence."
    if best.ruled_out:
        text += f" Ruled out: {listing([f'{name} ({means[name]})' for name in best.ruled_out])}."
    decided = {
        frozenset((e.variant, e.baseline)) for e in pairs if e.verdict in ("better", "worse")
    }
    rivals = {
        name: [frozenset((name, member)) for member in best.members] for name in best.ruled_out
    }
    unsure = [name for name, own in rivals.items() if pairs and not decided.intersection(own)]
    if unsure:
        are = "is" if len(unsure) == 1 else "are"
        text += (
            f" {listing(unsure)} {are} ruled out though no comparison with a member is decided: a "
            f"rival has to be ahead in one direction, corrected for {plural(count - 1, 'rival')}, "
            f"while a verdict is on both directions and corrected for {plural(len(pairs), 'pair')}."
        )
    if best.without:
        text += f" Nothing is known of {listing(best.without)}."
    return text + _cheapest(best, {each.variant: each for each in costs})


def _cheapest(best: BestSet, costs: Mapping[str, Cost]) -> str:
    """Return which of several members costs least, as far as their costs differ."""
    fewest, parts = best.fewest_parameters, []
    if 0 < 2 * len(fewest) <= len(best.members):  # most of the members are no advice
        each = " each" if len(fewest) > 1 else ""
        count = costs[fewest[0]].parameters
        parts.append(f"{listing(fewest)} with the fewest parameters ({count:,}{each})")
    if best.fastest is not None:
        time = costs[best.fastest].inference
        assert time is not None
        parts.append(
            f"{best.fastest} with the fastest inference ({1000 * time.median:.3g} ms per 1000 "
            "examples)"
        )
    return f" The cheapest of these: {'; '.join(parts)}." if parts else ""


def _contributed(parts: Sequence[Contribution], context: AnalysisContext) -> tuple[str, ...]:
    """Return one sentence per whole of what its parts add, or of what a model is without each."""
    found = []
    for origin, group in groupby(parts, key=lambda each: each.origin):
        own = list(group)
        if origin == MODEL and all(each.mean is not None for each in own) and len(own) <= TOLD:
            found.append(_without(own, context))
        else:
            start = f"What each part adds to {pretty(context.metric)} of {origin}"
            found.append(_told(start, own, context, lambda each: each.what))
        if len(own) > 1:
            found.append(NEED_NOT_SUM)
    return tuple(found)


#: Of contributions, wherever they stand together.
NEED_NOT_SUM = (
    "Each is measured with the other parts in place: together they need not sum to what all add."
)


def _without(parts: Sequence[Contribution], context: AnalysisContext) -> str:
    """Return what becomes of the metric without each layer that a model brings."""
    told: list[str] = []
    for each in parts:
        mean = each.mean or 0.0
        falls = mean >= 0  # the whole has more than what lacks the part
        sign = 1 if falls else -1
        unit = " points" if in_percent(each.metric) else ""
        change = f"{'falls' if falls else 'rises'} by {figure(each.metric, abs(mean))}{unit}"
        detail = f"{plural(each.n, 'seed')}"
        if each.low is not None and each.high is not None:
            ends = sorted((sign * each.low, sign * each.high))
            shown = " to ".join(figure(each.metric, end) for end in ends)
            named = "" if told else f"{level(context.confidence)} interval "
            detail = f"{named}{shown}, {detail}"
        verdict = conclusion(each, context.confidence, brief=True)
        if each.verdict in ("better", "worse"):
            verdict = each.caveat and f"with {each.caveat}"
        open_ = f": {verdict}" if verdict else ""
        subject = f"Without {each.what} {pretty(context.metric)}"
        subject = f"without {each.what} it" if told else subject
        told.append(f"{subject} {change} ({detail}){open_}")
    return f"{'; '.join(told)}."


def _factorial(effects: Sequence[FactorEffect], context: AnalysisContext) -> tuple[str, ...]:
    """Return the main effects, the interactions, and the simple effects of those that are there.

    A trend stands for the levels of its factor; the table has them.
    """
    # Where a cell was lost there is no trend, and the levels speak for their factor.
    known = [e for e in effects if not e.within and (e.trend is None or e.mean is not None)]
    if all(each.verdict == "missing" for each in known):
        return ()
    trends = {each.factors[0] for each in known if each.trend is not None}
    main = [
        each
        for each in known
        if each.order == 1 and (each.trend is not None or each.factors[0] not in trends)
    ]
    crossed = [each for each in known if each.order > 1]
    there = [each for each in crossed if each.verdict in ("better", "worse")]
    rest = [each for each in crossed if each not in there]
    metric = pretty(context.metric)
    found = []
    if main:
        what = "Effects averaged over the other factors," if there else "Main effects"
        if not there and any(each.averaged_over for each in main):
            what += ", each averaged over the other factors,"
        found.append(_told(f"{what} on {metric}", main, context, _effect_name, key=_size))
    if there:
        found.append(_told(f"Interactions in {metric}", there, context, _effect_name, key=_size))
    if rest:
        start = f"{'Other interactions' if there else 'Interactions'} in {metric}"
        if len(rest) <= TOLD_BESIDE:
            found.append(_told(start, rest, context, _effect_name, key=_size, most=TOLD_BESIDE))
        else:
            found.append(_span(start, rest, context))
    if simple := [each for each in effects if each.within and each.mean is not None]:
        found.append(_simple(simple, context))
    return tuple(found)


def _span(start: str, effects: Sequence[FactorEffect], context: AnalysisContext) -> str:
    """Return how many contrasts there are, between which they are, and how many say nothing."""
    known = [each for each in effects if each.mean is not None]
    verdicts = Counter(each.verdict for each in effects)
    counts = listing([f"{count} {verdict}" for verdict, count in verdicts.items()])
    half = max((half_width(each) or 0.0 for each in known), default=0.0)
    ends = [each.mean or 0.0 for each in known]
    if not ends:
        return f"{start}: {counts}."
    span = interval(context.metric, min(ends), max(ends), difference=True)
    widest = amount(context.metric, half, half, difference=True)
    return f"{start}: {counts}, between {span}, intervals of up to ± {widest}; the table has each."


def _simple(effects: Sequence[FactorEffect], context: AnalysisContext) -> str:
    """Return the sentence of the simple effects, which the averages do not tell."""
    if len(effects) > TOLD:
        return "Averages may hold at no level: the simple effects stand in their table."
    start = "An average may hold at no level; at single levels"
    return _told(start, effects, context, _effect_name, key=lambda each: 0.0)


def _size(effect: FactorEffect) -> float:
    return -abs(effect.mean or 0.0)


def _effect_name(effect: FactorEffect) -> str:
    at = f" at {listing(effect.within)}" if effect.within else ""
    if at and effect.averaged_over:
        at += f", averaged over {listing(effect.averaged_over)}"
    if effect.trend is not None:
        line = "fitted line on a log scale" if effect.trend == "log" else "fitted line"
        return f"{effect.factors[0]} from {effect.references[0]} to {effect.levels[0]} ({line})"
    if effect.order == 1:
        return f"{effect.factors[0]}={effect.levels[0]} (against {effect.references[0]}){at}"
    return effect.name


def _told(
    start: str,
    comparisons: Sequence[Kind],
    context: AnalysisContext,
    name: Callable[[Kind], str],
    key: Callable[[Kind], float] | None = None,
    most: int = TOLD,
) -> str:
    """Return `start: a +1.2 points (95 % interval …, 5 seeds): better; b …`, naming every one.

    Of more than `most` the intervals are left to the table, which is said.
    """
    sign = -1 if context.direction == "max" else 1
    known = [each for each in comparisons if each.mean is not None]
    known.sort(key=key or (lambda each: sign * (each.mean or 0.0)))
    parts = []
    named = True
    for each in known:
        verdict = conclusion(each, context.confidence, brief=True)
        if len(known) <= most:
            value = estimate(each, context.confidence, brief=True, named=named)
            named = named and each.low is None
            parts.append(f"{name(each)} {value}: {verdict}")
        else:
            value = plus(figure(each.metric, each.mean or 0.0, half_width(each)))
            parts.append(f"{name(each)} {value}, {verdict}")
    missing = [name(each) for each in comparisons if each.mean is None]
    if missing:
        parts.append(f"{listing(missing)}: not estimated, for want of completed seeds")
    if len(known) > most:
        unit = " in points," if in_percent(context.metric) else ""
        start += f" ({unit.strip()} intervals in the table)".replace("( ", "(")
    return f"{start}: {'; '.join(parts)}."


def failure_sentence(failures: Mapping[str, Failures]) -> str:
    """Return the sentence that counts the trials and what became of them, by variant."""
    planned = sum(each.planned for each in failures.values())
    pending = sum(each.pending for each in failures.values())
    done = sum(each.completed for each in failures.values())
    waiting = f"; {pending} of {planned} trials are still to come" if pending else ""
    if not planned:
        return "No trial is planned."
    if planned == pending:
        return f"None of the {planned} planned trials has ended yet."
    ended = planned - pending
    bad = [name for name, each in failures.items() if each.lost.count]
    if not bad:
        how = "All" if ended > 1 else "The"
        return f"{how} {plural(ended, 'trial')}{' so far' if pending else ''} completed{waiting}."
    bad.sort(key=lambda name: -(failures[name].lost.rate or 0))
    parts = [_lost(failures[name], name) for name in bad[:NAMED]]
    more = f"; {listing(bad[NAMED:])} lost some, too" if bad[NAMED:] else ""
    survivors = "; every mean is over completed trials only" if 0 < done < ended else ""
    return f"{_capital('; '.join(parts))}{more}{survivors}{waiting}."


def _lost(failures: Failures, name: str) -> str:
    """Return `all 5 trials of bn diverged`, or `of 5 trials of bn 2 diverged and 1 failed`."""
    lost = failures.lost
    of = f"{plural(lost.of, 'trial')} of {name}"
    kinds = [
        (rate.count, kind)
        for rate, kind in (
            (failures.diverged, "diverged"),
            (failures.failed, "failed"),
            (failures.collapsed, "ended at chance"),
        )
        if rate.count
    ]
    if len(kinds) > 1:
        return f"of {of} {listing([f'{count} {kind}' for count, kind in kinds])}"
    ((count, kind),) = kinds
    if count < lost.of:
        return f"{count} of {of} {kind}"
    return f"{'the one trial' if count == 1 else f'all {count} trials'} of {name} {kind}"


def _capital(text: str) -> str:
    """Begin a sentence, unless it begins with a variant's name, which stays as it is written."""
    first = text.split(" ", 1)[0]
    plain = first in {"all", "in", "of", "the"} or first.isdigit()
    return text[:1].upper() + text[1:] if plain else text


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
