"""The sentences of a report, and no more than may be said.

A direction is claimed only where the verdict, which follows Holm's p, has one; "no difference
that 5 seeds can see" is said with the interval and with the effect that so many seeds would have
found, never that there is no effect; one or two seeds are described.

`opening` has the two sentences that a report begins with: what changed and what no seed can see,
with what the intervals cover; and what became of the trials, which comes first where any was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ablate.analysis.context import AnalysisContext
from ablate.analysis.effects import (
    Comparison,
    Contribution,
    Effect,
    FactorEffect,
    Failures,
    VariantSummary,
)
from ablate.analysis.formatting import amount, interval, level, listing, p_words, plural, pretty
from ablate.analysis.paired import Kind
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement

#: More variants than this are counted rather than named one by one.
NAMED = 4

_POSITIONS = {
    "before": "before",
    "before_activation": "before the activation",
    "after_activation": "after the activation",
    "after": "after",
}


def worded(found: Iterable[Kind], confidence: float) -> tuple[Kind, ...]:
    """Return effects, factor effects or contributions, each with its sentence in `words`."""
    return tuple(replace(each, words=_words(each, confidence)) for each in found)


def _words(comparison: Comparison, confidence: float) -> str:
    if isinstance(comparison, FactorEffect):
        return factor_words(comparison, confidence)
    if isinstance(comparison, Contribution):
        return contribution_words(comparison, confidence)
    assert isinstance(comparison, Effect)
    return comparison_words(comparison, comparison.variant, comparison.baseline, confidence)


def comparison_words(
    comparison: Comparison, subject: str, against: str, confidence: float, missing: str = ""
) -> str:
    """Return the sentence of one side against another, such as a variant and the baseline."""
    metric, by = pretty(comparison.metric), _by(comparison)
    higher = (comparison.mean or 0) > 0
    return _by_verdict(
        comparison,
        confidence,
        missing=missing
        or f"{subject} cannot be compared with {against}: no seed completed in both",
        described=f"{metric} of {subject} was {by} {'higher' if higher else 'lower'} than that of "
        f"{against} in",
        same=f"{metric} of {subject} was the same as that of {against} ({by}) in",
        undecided=f"{subject} made no difference to {metric}",
        decided=f"{subject} {'raised' if higher else 'lowered'} {metric} by {by}",
    )


def factor_words(effect: FactorEffect, confidence: float) -> str:
    """Return the sentence of a main effect or an interaction."""
    levels = [f"{name}={own}" for name, own in zip(effect.factors, effect.levels, strict=True)]
    last = f"{effect.factors[-1]}={effect.references[-1]}"
    empty = effect.missing_cells
    why = f" ({listing(empty[:3])} never did)" if empty else ""
    missing = f"{effect.name} cannot be estimated: no seed completed every cell of it{why}"
    if effect.order == 1:
        return comparison_words(effect, levels[0], last, confidence, missing)
    what = f"the effect of {levels[0]} on {pretty(effect.metric)}"
    if effect.order > 2:
        what = f"the interaction of {levels[0]} with {levels[1]} in {pretty(effect.metric)}"
    by = _by(effect)
    other = (
        f"{by} {'higher' if (effect.mean or 0) > 0 else 'lower'} with {levels[-1]} than with {last}"
    )
    return _by_verdict(
        effect,
        confidence,
        missing=missing,
        described=f"{what} was {other}, in",
        same=f"{what} was the same ({by}) with {levels[-1]} as with {last}, in",
        undecided=f"{effect.name}: no interaction",
        decided=f"{what} is {other}",
    )


def contribution_words(part: Contribution, confidence: float) -> str:
    """Return the sentence of what a left-out part contributes."""
    metric, by = f"{pretty(part.metric)} of {part.origin}", _by(part)
    text = f"{part.what} {'raises' if (part.mean or 0) > 0 else 'lowers'} {metric} by {by}"
    return _by_verdict(
        part,
        confidence,
        missing=f"what {part.what} contributes to {part.origin} cannot be said: "
        "no seed completed both with and without it",
        described=f"{text} in",
        same=f"{part.what} leaves {metric} the same ({by}) in",
        undecided=f"{part.what} contributes nothing to {part.origin}",
        decided=text,
    )


def _by_verdict(
    comparison: Comparison,
    confidence: float,
    *,
    missing: str,
    described: str,
    same: str,
    undecided: str,
    decided: str,
) -> str:
    if comparison.verdict == "missing" or comparison.mean is None:
        return missing
    if comparison.verdict == "described":
        return f"{described if comparison.mean else same} {_few(comparison.n)}"
    if comparison.verdict == "undecided":
        return f"{undecided} that {_seen(comparison.n)}{_estimate(comparison, confidence)}"
    return f"{decided} {_evidence(comparison, confidence)}"


def _by(comparison: Comparison) -> str:
    """Return the size of the mean difference, with its unit."""
    size = abs(comparison.mean or 0.0)
    return amount(comparison.metric, size, _half_width(comparison), difference=True)


def _evidence(comparison: Comparison, confidence: float, brief: bool = False) -> str:
    """Return `(95 % interval 0.8 to 1.6, 5 seeds, p = 0.003 after Holm)`."""
    parts = []
    low, high = comparison.low, comparison.high
    if low is not None and high is not None:
        if comparison.mean is not None and comparison.mean < 0:
            # "lowered by 1.2 (0.8 to 1.6)": the interval of the amount, as the verb has the sign.
            low, high = -high, -low
        ends = interval(comparison.metric, low, high, difference=True)
        parts.append(f"{level(confidence)} interval {ends}")
    parts.append(plural(comparison.n, "seed"))
    if not brief and comparison.p_holm is not None:
        parts.append(f"{p_words(comparison.p_holm)} after Holm")
    return f"({', '.join(parts)})"


def _estimate(comparison: Comparison, confidence: float) -> str:
    """Return the estimate behind "no difference": value, interval, what would have been found."""
    assert comparison.mean is not None
    if comparison.low is None or comparison.high is None:
        if comparison.mean == 0:
            return ": it is the same in every seed"
        by = amount(comparison.metric, comparison.mean, difference=True)
        return f": it is {by} in every seed, and without spread nothing can be inferred"
    half = _half_width(comparison)
    value = amount(comparison.metric, comparison.mean, half, difference=True)
    ends = interval(comparison.metric, comparison.low, comparison.high, difference=True)
    text = f": {value} ({level(confidence)} interval {ends})"
    if comparison.p is not None and comparison.p <= 1 - confidence:
        return (
            f"{text}, which leaves out 0 on its own but not after Holm's correction "
            f"for {comparison.family_size} comparisons"
        )
    if comparison.detectable is not None:
        least = amount(comparison.metric, comparison.detectable, half, difference=True)
        text += f"; {plural(comparison.n, 'seed')} would probably have shown {least} or more"
    return text


def _seen(n: int) -> str:
    return f"{plural(n, 'seed')} can see"


def _few(n: int) -> str:
    return f"{plural(n, 'seed')}, from which nothing can be inferred"


def _half_width(comparison: Comparison) -> float | None:
    """Return half the interval's width, the digits' scale; None without an interval."""
    if comparison.low is None or comparison.high is None:
        return None
    return (comparison.high - comparison.low) / 2


def opening(
    context: AnalysisContext,
    variants: Sequence[VariantSummary],
    factor_effects: Sequence[FactorEffect],
    coverage: str,
) -> tuple[str, ...]:
    """Return the two opening sentences: what changed, and what was lost.

    In a factorial study the main effects and the interactions speak, otherwise the variants
    against the baseline.

    Args:
        context: with the failures and the effects on the headline metric.
        variants: all of them.
        factor_effects: on the headline metric.
        coverage: the clause that says what the intervals cover.
    """
    failures = {each.name: each.failures for each in variants if each.alias_of is None}
    lost = failure_sentence(failures)
    measured = next((each for each in variants if each.n), None)
    if measured is None:
        return (lost, "No trial reported the metric.")
    names = {each.name: described(each, context.reference) for each in context.table.resolved}
    comparisons: list[Comparison] = [e for e in factor_effects if e.verdict != "missing"]
    comparisons = comparisons or [e for e in context.effects if e.family == "variants"]
    if comparisons:
        main = "; ".join(_clauses(comparisons, context, names))
    else:
        known = measured.metrics.get(context.metric)
        value = f"no {pretty(context.metric)}"
        if known is not None and known.mean is not None:
            value = f"{pretty(context.metric)} {amount(context.metric, known.mean, known.sd)}"
        main = f"Only {names[measured.name]} completed: {value} ({plural(measured.n, 'seed')})"
    found = f"{_capital(main)}; {coverage}."
    bad = any(each.failures.lost.count for each in variants)
    return (lost, found) if bad else (found, lost)


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


def _clauses(
    comparisons: Sequence[Comparison], context: AnalysisContext, names: Mapping[str, str]
) -> Iterator[str]:
    """Yield the clauses of the opening: changes, then no differences, then descriptions."""
    by_verdict: dict[str, list[Comparison]] = {}
    for each in comparisons:
        by_verdict.setdefault(each.verdict, []).append(each)
    changed = by_verdict.get("better", []) + by_verdict.get("worse", [])
    changed.sort(key=lambda each: (_order(each), each.verdict, -abs(each.mean or 0.0)))
    for each in changed[:NAMED]:
        yield _opened(each, context, names)
    if rest := changed[NAMED:]:
        good = sum(each.verdict == "better" for each in rest)
        yield f"of {len(rest)} more, {good} did better and {len(rest) - good} worse"
    for interaction, what in ((False, "made no difference"), (True, "showed no interaction")):
        own = [e for e in by_verdict.get("undecided", []) if (_order(e) > 1) == interaction]
        for n in sorted({each.n for each in own}):
            subject = _subjects([each for each in own if each.n == n], names)
            yield f"{subject} {what} that {_seen(n)}"
    if few := by_verdict.get("described"):
        for at, each in enumerate(few[:NAMED]):
            start = "" if at else f"in {_few(min(each.n for each in few))}, "
            yield start + _opened(each, context, names)
        if len(few) > NAMED:
            yield f"and so for {len(few) - NAMED} more"
    if missing := by_verdict.get("missing"):
        subject = _subjects(missing, names)
        yield f"{subject} cannot be compared, for want of seeds completed on both sides"


def _opened(comparison: Comparison, context: AnalysisContext, names: Mapping[str, str]) -> str:
    if isinstance(comparison, FactorEffect):
        return factor_words(comparison, context.confidence)
    assert comparison.mean is not None
    name, by, metric = _name(comparison, names), _by(comparison), pretty(comparison.metric)
    if comparison.verdict != "described":
        way = "raised" if comparison.mean > 0 else "lowered"
        proof = _evidence(comparison, context.confidence, brief=True)
        return f"{name} {way} {metric} by {by} {proof}"
    if not comparison.mean:
        return f"{metric} of {name} was the same as that of {context.baseline} ({by})"
    way = "above" if comparison.mean > 0 else "below"
    return f"{metric} of {name} was {by} {way} that of {context.baseline}"


def _order(comparison: Comparison) -> int:
    return comparison.order if isinstance(comparison, FactorEffect) else 1


def _subjects(comparisons: Sequence[Comparison], names: Mapping[str, str]) -> str:
    own = [_name(each, names) for each in comparisons]
    return listing(own) if len(own) <= NAMED else f"{len(own)} variants"


def _name(comparison: Comparison, names: Mapping[str, str]) -> str:
    if isinstance(comparison, FactorEffect):
        return comparison.name
    assert isinstance(comparison, Effect)
    return names[comparison.variant]


def _capital(text: str) -> str:
    """Begin a sentence, unless it begins with a variant's name, which stays as it is written."""
    first = text.split(" ", 1)[0]
    plain = first in {"all", "in", "of", "the"} or first.isdigit()
    return text[:1].upper() + text[1:] if plain else text


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


def coverage(context: AnalysisContext) -> str:
    """Return the clause that ends the report's first sentence: what the intervals cover."""
    part = {"val": "validation", "train": "training"}.get(context.metric.split("_")[0], "test")
    key = "train" if part == "training" else part
    own = context.table.completed(context.baseline)
    trials = own or context.completed
    return coverage_clause(
        context.reference,
        held_out=part,
        rows=next((each.rows[key] for each in trials if each.rows.get(key)), None),
        seeds=max((each.n for each in context.effects), default=len(own)),
        drawn=next((each.drawn for each in trials if each.drawn is not None), None),
    )


def coverage_clause(
    variant: ResolvedVariant,
    *,
    held_out: str,
    rows: int | None,
    seeds: int,
    drawn: Sequence[str] | None = None,
) -> str:
    """Return what intervals on the trials of `variant`, the baseline, cover.

    Args:
        variant: the baseline.
        held_out: "test", "validation" or "training": where the headline metric is measured.
        rows: how many such rows there are, if known.
        seeds: the most seeds that any comparison has.
        drawn: the parts that `split: per_seed` draws anew; None where the records do not say.
    """
    where = f"{rows} {held_out} rows" if rows else f"{held_out} rows"
    anew = variant.spec.data.redrawn
    redrawn = anew and (drawn is None or {"training": "train"}.get(held_out, held_out) in drawn)
    on = f"on these {where}"
    if redrawn:
        on = f"on {where}, redrawn with every seed"
        on += f" where the source has no {held_out} part of its own" if drawn is None else ""
    if seeds < 3:
        return f"{on}, and without an interval, which takes 3 seeds"
    varied = []
    if redrawn:
        varied.append("the split")
    elif anew and drawn:
        parts = ["training" if each == "train" else each for each in drawn]
        varied.append(f"the draw of {listing(parts)} rows")
    if weights_kept(variant):
        varied += ["batch order", "Dropout", "inserted layers", "a new head"]
        return f"{on}, the intervals covering {listing(varied)} only, as the weights are kept"
    varied += ["initialization", "batch order"]
    only = "" if redrawn else " only"
    return f"{on}, the intervals covering {listing(varied)}{only}"


def weights_kept(variant: ResolvedVariant) -> bool:
    """Whether the base model keeps weights it came with: a file's, or those that are named."""
    model = variant.spec.model
    if model.file is not None:
        return model.weights != "fresh"
    return model.weights not in (None, "none", "fresh")
