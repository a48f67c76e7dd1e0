"""The sentences that a report opens with: each difference with its interval, and what was lost.

The question of the study's design decides what speaks. A leave-one-out opens with what each part
contributes, a factorial with its effects, variants that differ in where they place the same layers
with the set that holds the best; any other study with its variants against the baseline. Every one
is named, the largest effects first. What became of the trials comes before all where any was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from ablate.analysis.context import AnalysisContext
from ablate.analysis.effects import (
    BestSet,
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
    level,
    listing,
    plural,
    plus,
    pretty,
)
from ablate.analysis.paired import Kind
from ablate.analysis.sentences import conclusion, estimate, half_width
from ablate.study.expand import MODEL
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement

#: Variants that lost trials, named one by one.
NAMED = 4

#: Differences that are told with their intervals; of more, the intervals stand in the table.
TOLD = 8

_POSITIONS = {
    "before": "before",
    "before_activation": "before the activation",
    "after_activation": "after the activation",
    "after": "after",
}


def opening(
    context: AnalysisContext,
    variants: Sequence[VariantSummary],
    factor_effects: Sequence[FactorEffect] = (),
    contributions: Sequence[Contribution] = (),
    best: BestSet | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return the opening sentences: the differences, what their intervals cover, what was lost.

    Keyed in their order by what they are about: the questions of the design (`best`,
    `contributions`, `factors`, `variants`), `coverage` and `trials`; `only` where a single variant
    completed.

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


def best_words(best: BestSet, costs: Sequence[Cost], confidence: float) -> str:
    """Return which variants may be the best, which are ruled out, and the cheapest that may be."""
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
    return tuple(found)


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
        open_ = f": {verdict}" if each.verdict not in ("better", "worse") else ""
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
        found.append(_told(f"{what} on {metric}", main, context, _effect_name, key=_size))
    if there or len(rest) <= TOLD:
        shown = there or rest
        if shown:
            found.append(
                _told(f"Interactions in {metric}", shown, context, _effect_name, key=_size)
            )
            rest = [each for each in rest if each not in shown]
    if rest:
        verdicts = listing(list(dict.fromkeys(each.verdict for each in rest)))
        found.append(f"{plural(len(rest), 'other interaction')}: {verdicts}.")
    if simple := [each for each in effects if each.within and each.mean is not None]:
        found.append(_simple(simple, context))
    return tuple(found)


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
) -> str:
    """Return `start: a +1.2 points (95 % interval …, 5 seeds): better; b …`, naming every one."""
    sign = -1 if context.direction == "max" else 1
    known = [each for each in comparisons if each.mean is not None]
    known.sort(key=key or (lambda each: sign * (each.mean or 0.0)))
    parts = []
    named = True
    for each in known:
        if len(known) <= TOLD:
            value = estimate(each, context.confidence, brief=True, named=named)
            named = named and each.low is None
            parts.append(
                f"{name(each)} {value}: {conclusion(each, context.confidence, brief=True)}"
            )
        else:
            value = plus(figure(each.metric, each.mean or 0.0, half_width(each)))
            parts.append(f"{name(each)} {value}, {each.verdict}")
    missing = [name(each) for each in comparisons if each.mean is None]
    if missing:
        parts.append(f"{listing(missing)}: not estimated, for want of completed seeds")
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
    more = f", and {plural(len(bad) - NAMED, 'more variant')} lost some" if bad[NAMED:] else ""
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


def described(variant: ResolvedVariant, baseline: ResolvedVariant) -> str:
    """Return the variant's name and, where it inserts up to three layers, what it inserts."""
    known = list(baseline.spec.insert)
    added = [each for each in variant.spec.insert if each not in known]
    if variant.factors or variant.origin != "declared" or not 1 <= len(added) <= 3:
        return variant.name
    return f"{variant.name} ({listing([_placed(each) for each in added])})"


def _placed(placement: Placement) -> str:
    layer = "BN" if placement.layer == "BatchNormalization" else placement.layer
    rate = placement.arguments.get("rate")
    share = f" {rate:g}" if isinstance(rate, int | float) else ""
    hosts = placement.where if isinstance(placement.where, str) else listing(placement.where)
    if placement.at in ("before", "after"):
        hosts = "each hidden layer" if hosts == "hidden" else hosts
        return f"{layer}{share} {placement.at} {hosts}"
    of = "" if hosts == "hidden" else f" of {hosts}"
    return f"{layer}{share} {_POSITIONS[placement.at]}{of}"
