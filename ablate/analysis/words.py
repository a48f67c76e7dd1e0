"""Numbers in plain words, and no more than may be said.

In go comparisons, out come sentences. A direction is claimed only where the verdict, which follows
Holm's p, has one; "no difference that 5 seeds can see" is said with the interval and with the
effect that so many seeds would have found, never that there is no effect; one or two seeds are
described. `opening` writes the two sentences that a report begins with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablate.analysis.findings import (
    Comparison,
    Contribution,
    Effect,
    FactorEffect,
    Rate,
    VariantSummary,
)
from ablate.study.metrics import is_share

#: The width of a range of learning rates, as a metric.
DECADES = "learning_rate_decades"

#: More variants than this are counted rather than told one by one.
TOLD = 4


def pretty(metric: str) -> str:
    """Return the metric's name as words: `val_accuracy` → `validation accuracy`."""
    if metric == DECADES:
        return "the range of learning rates that work"
    words = metric.split("_")
    if words[0] == "val":
        words[0] = "validation"
    if words[0] == "gap":
        held_out = "validation" if words[1] == "val" else "test"
        return f"train-minus-{held_out} {' '.join(words[2 if words[1] == 'val' else 1 :])}"
    known = {"mae": "MAE", "mse": "MSE", "auc": "AUC", "rmse": "RMSE"}
    return " ".join(known.get(word, word) for word in words)


def plural(count: int, noun: str) -> str:
    """Return `1 seed`, `5 seeds`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(parts: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def told(metric: str) -> bool:
    """Whether the metric is told in percent and points rather than as it is."""
    return is_share(metric) or metric in ("collapse_rate", "failure_rate")


def amount(
    metric: str, value: float, scale: float | None = None, *, difference: bool = False
) -> str:
    """Return a value with its unit: `97.2 %`, `1.2 points`, `0.31`.

    Args:
        metric: decides the unit.
        value: in the metric's own unit.
        scale: what the digits should resolve, such as the half-width of the interval.
        difference: points instead of percent.
    """
    unit = " decades" if metric == DECADES else ""
    if told(metric):
        unit = " points" if difference else " %"
    return figure(metric, value, scale) + unit


def figure(metric: str, value: float, scale: float | None = None) -> str:
    """Return a value as `amount` does, without its unit."""
    factor = 100 if told(metric) else 1
    resolved = abs(scale if scale else value) * factor
    places = _decimals(resolved, 1 if told(metric) else 0, 0 if told(metric) else 1)
    tiny = abs(value * factor) < 1e-4 and places > 6
    text = f"{value * factor:.3g}" if tiny else f"{value * factor:.{min(places, 6)}f}"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def interval(metric: str, low: float, high: float, *, difference: bool = False) -> str:
    """Return `0.8 to 1.6`, with the unit of shares where it is no difference."""
    half = (high - low) / 2
    text = f"{figure(metric, low, half)} to {figure(metric, high, half)}"
    return f"{text} %" if told(metric) and not difference else text


def effect_words(effect: Effect, confidence: float) -> str:
    """Return the sentence of a variant against the baseline."""
    return _sentence(
        effect,
        confidence,
        subject=effect.variant,
        missing=(
            f"{effect.variant} cannot be compared with {effect.baseline}: no seed completed in both"
        ),
        against=effect.baseline,
    )


def factor_words(effect: FactorEffect, confidence: float) -> str:
    """Return the sentence of a main effect or an interaction."""
    levels = [f"{name}={level}" for name, level in zip(effect.factors, effect.levels, strict=True)]
    empty = effect.missing_cells
    why = f" ({listing(empty[:3])} never did)" if empty else ""
    missing = f"{effect.name} cannot be estimated: no seed completed every cell{why}"
    if effect.order == 1:
        against = f"{effect.factors[0]}={effect.references[0]}"
        return _sentence(effect, confidence, subject=levels[0], missing=missing, against=against)
    if effect.verdict == "missing" or effect.mean is None:
        return missing
    if effect.order == 2:
        given = f"with {levels[1]} than with {effect.factors[1]}={effect.references[1]}"
        what = f"the effect of {levels[0]} on {pretty(effect.metric)}"
    else:
        given = f"with {levels[2]} than with {effect.factors[2]}={effect.references[2]}"
        what = f"the interaction of {levels[0]} with {levels[1]} in {pretty(effect.metric)}"
    by = amount(effect.metric, abs(effect.mean), _half(effect), difference=True)
    way = "higher" if effect.mean > 0 else "lower"
    if effect.verdict == "described":
        return f"{what} was {by} {way} {given}, in {_few(effect.n)}"
    if effect.verdict == "undecided":
        return (
            f"{effect.name}: no interaction that {_seen(effect.n)}{_estimate(effect, confidence)}"
        )
    return f"{what} is {by} {way} {given} {_evidence(effect, confidence)}"


def contribution_words(part: Contribution, confidence: float) -> str:
    """Return the sentence of what a left-out part contributes."""
    if part.verdict == "missing" or part.mean is None:
        return (
            f"what {part.what} contributes to {part.origin} cannot be said: "
            f"no seed completed both with and without it"
        )
    by = amount(part.metric, abs(part.mean), _half(part), difference=True)
    way = "raises" if part.mean > 0 else "lowers"
    text = f"{part.what} {way} {pretty(part.metric)} of {part.origin} by {by}"
    if part.verdict == "described":
        return f"{text} in {_few(part.n)}"
    if part.verdict == "undecided":
        return (
            f"{part.what} contributes nothing to {part.origin} that "
            f"{_seen(part.n)}{_estimate(part, confidence)}"
        )
    return f"{text} {_evidence(part, confidence)}"


def comparison_words(comparison: Comparison, subject: str, against: str, confidence: float) -> str:
    """Return the sentence of any other paired comparison."""
    missing = f"{subject} cannot be compared with {against}: no seed completed in both"
    return _sentence(comparison, confidence, subject=subject, missing=missing, against=against)


def opening(
    *,
    effects: Sequence[Effect],
    factor_effects: Sequence[FactorEffect],
    variants: Sequence[VariantSummary],
    baseline: str,
    metric: str,
    confidence: float,
    coverage: str,
    names: dict[str, str],
) -> tuple[str, ...]:
    """Return the two opening sentences: what changed, and what was lost.

    Failures come first where there are any. In a factorial study the main effects and the
    interactions speak, otherwise the variants against the baseline.

    Args:
        effects: on the headline metric.
        factor_effects: on the headline metric.
        variants: all of them.
        baseline: its name.
        metric: the headline metric.
        confidence: of the intervals.
        coverage: the clause that says what the intervals cover.
        names: a variant's name → its name with what it is in words.
    """
    lost = failure_sentence([each for each in variants if each.alias_of is None])
    if not any(each.n for each in variants):
        return (lost, "Nothing can be said of the metric.")
    estimated = [each for each in factor_effects if each.verdict != "missing"]
    told_of: Sequence[Comparison] = estimated or list(effects)
    if not told_of:
        summary = next(each for each in variants if each.n)
        known = summary.metrics.get(metric)
        value = (
            f"{pretty(metric)} {amount(metric, known.mean, known.sd)}"
            if known is not None and known.mean is not None
            else f"no {pretty(metric)}"
        )
        main = f"{names.get(summary.name, summary.name)}, compared with nothing, has {value}"
        main += f" ({plural(summary.n, 'seed')})"
    else:
        main = "; ".join(_clauses(told_of, confidence, names, baseline))
    found = f"{_capital(main)}; {coverage}."
    bad = any(each.failures.lost.count for each in variants)
    return (lost, found) if bad else (found, lost)


def failure_sentence(variants: Sequence[VariantSummary]) -> str:
    """Return the sentence that counts the trials and what became of them."""
    planned = sum(each.failures.planned for each in variants)
    pending = sum(each.failures.pending for each in variants)
    done = sum(each.failures.completed for each in variants)
    waiting = f"; {pending} of {planned} trials are still to come" if pending else ""
    bad = [each for each in variants if each.failures.lost.count]
    if not planned:
        return "No trial is planned."
    if planned == pending:
        return f"None of the {planned} planned trials has ended yet."
    ended = planned - pending
    if not bad:
        how = "All" if ended > 1 else "The"
        return f"{how} {plural(ended, 'trial')}{' so far' if pending else ''} completed{waiting}."
    parts = []
    for each in sorted(bad, key=lambda one: -(one.failures.lost.rate or 0))[:TOLD]:
        kinds = [
            (rate.count, kind)
            for kind, rate in (
                ("diverged", each.failures.diverged),
                ("failed", each.failures.failed),
                ("ended at chance", each.failures.collapsed),
            )
            if rate.count
        ]
        parts.append(_lost(each.failures.lost, kinds, each.name))
    more = f", and {plural(len(bad) - TOLD, 'more variant')} lost some" if len(bad) > TOLD else ""
    survivors = "; every mean is over completed trials only" if 0 < done < ended else ""
    return f"{_capital('; '.join(parts))}{more}{survivors}{waiting}."


def _lost(lost: Rate, kinds: Sequence[tuple[int, str]], name: str) -> str:
    """Return `all 5 trials of bn diverged`, or `of 5 trials of bn 2 diverged and 1 failed`."""
    if len(kinds) > 1:
        how = listing([f"{count} {kind}" for count, kind in kinds])
        return f"of {plural(lost.of, 'trial')} of {name} {how}"
    count, kind = kinds[0]
    if count < lost.of:
        return f"{count} of {plural(lost.of, 'trial')} of {name} {kind}"
    every = "the one trial" if count == 1 else f"all {count} trials"
    return f"{every} of {name} {kind}"


def _clauses(
    comparisons: Sequence[Comparison], confidence: float, names: dict[str, str], baseline: str
) -> list[str]:
    """Return the clauses of the opening: changes, then no differences, then descriptions."""
    changed = [each for each in comparisons if each.verdict in ("better", "worse")]
    changed.sort(key=lambda each: (_order(each), each.verdict, -abs(each.mean or 0.0)))
    unseen = [each for each in comparisons if each.verdict == "undecided"]
    described = [each for each in comparisons if each.verdict == "described"]
    missing = [each for each in comparisons if each.verdict == "missing"]
    clauses = [_opened(each, confidence, names, baseline) for each in changed[:TOLD]]
    if len(changed) > TOLD:
        rest = changed[TOLD:]
        good = sum(each.verdict == "better" for each in rest)
        clauses.append(f"of {len(rest)} more, {good} did better and {len(rest) - good} worse")
    interactions = [each for each in unseen if _order(each) > 1]
    groups = (
        ([each for each in unseen if _order(each) == 1], "made no difference that {}"),
        (interactions, "showed no interaction that {}"),
    )
    for group, what in groups:
        for n in sorted({each.n for each in group}):
            own = [_name(each, names) for each in group if each.n == n]
            subject = listing(own) if len(own) <= TOLD else f"{len(own)} variants"
            clauses.append(f"{subject} {what.format(_seen(n))}")
    if described:
        first, *others = [_opened(each, confidence, names, baseline) for each in described[:TOLD]]
        clauses.append(f"in {_few(min(each.n for each in described))}, {first}")
        clauses += others
        if len(described) > TOLD:
            clauses.append(f"and so for {len(described) - TOLD} more")
    if missing:
        own = [_name(each, names) for each in missing]
        subject = listing(own) if len(own) <= TOLD else f"{len(own)} variants"
        clauses.append(f"{subject} cannot be compared, for want of seeds completed on both sides")
    return clauses


def _opened(comparison: Comparison, confidence: float, names: dict[str, str], baseline: str) -> str:
    if isinstance(comparison, FactorEffect):
        return factor_words(comparison, confidence)
    assert comparison.mean is not None
    name = _name(comparison, names)
    by = amount(comparison.metric, abs(comparison.mean), _half(comparison), difference=True)
    if comparison.verdict == "described":
        way = "above" if comparison.mean > 0 else "below"
        return f"{pretty(comparison.metric)} of {name} was {by} {way} that of {baseline}"
    way = "raised" if comparison.mean > 0 else "lowered"
    evidence = _evidence(comparison, confidence, brief=True)
    return f"{name} {way} {pretty(comparison.metric)} by {by} {evidence}"


def _sentence(
    comparison: Comparison, confidence: float, *, subject: str, missing: str, against: str
) -> str:
    if comparison.verdict == "missing" or comparison.mean is None:
        return missing
    metric = pretty(comparison.metric)
    by = amount(comparison.metric, abs(comparison.mean), _half(comparison), difference=True)
    if comparison.verdict == "described":
        way = "higher" if comparison.mean > 0 else "lower"
        same = f"{subject} has the same {metric} as {against} in {_few(comparison.n)}"
        text = f"{metric} of {subject} was {by} {way} than that of {against} in"
        return f"{text} {_few(comparison.n)}" if comparison.mean else same
    if comparison.verdict == "undecided":
        text = f"{subject} made no difference to {metric} that {_seen(comparison.n)}"
        return text + _estimate(comparison, confidence)
    way = "raised" if comparison.mean > 0 else "lowered"
    return f"{subject} {way} {metric} by {by} {_evidence(comparison, confidence)}"


def _evidence(comparison: Comparison, confidence: float, brief: bool = False) -> str:
    """Return `(95 % interval 0.8 to 1.6, 5 seeds, p = 0.003 after Holm)`."""
    parts = []
    if comparison.low is not None and comparison.high is not None:
        ends = interval(comparison.metric, comparison.low, comparison.high, difference=True)
        if comparison.mean is not None and comparison.mean < 0:
            # "lowered by 1.2 (0.8 to 1.6)": the interval of the amount, as the verb has the sign.
            ends = interval(comparison.metric, -comparison.high, -comparison.low, difference=True)
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
    half = _half(comparison)
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


def level(confidence: float) -> str:
    """Return `95 %`."""
    return f"{100 * confidence:g} %"


def p_words(p: float) -> str:
    """Return `p = 0.012` or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _seen(n: int) -> str:
    return f"{plural(n, 'seed')} can see"


def _few(n: int) -> str:
    return f"{plural(n, 'seed')}, from which nothing can be inferred"


def _half(comparison: Comparison) -> float | None:
    if comparison.low is None or comparison.high is None:
        return None
    return (comparison.high - comparison.low) / 2


def _order(comparison: Comparison) -> int:
    return comparison.order if isinstance(comparison, FactorEffect) else 1


def _name(comparison: Comparison, names: dict[str, str]) -> str:
    if isinstance(comparison, Effect):
        return names.get(comparison.variant, comparison.variant)
    return comparison.name if isinstance(comparison, FactorEffect) else comparison.metric


def _capital(text: str) -> str:
    """Begin a sentence, unless it begins with a variant's name, which stays as it is written."""
    first = text.split(" ", 1)[0]
    plain = first in {"all", "in", "of", "the"} or first.isdigit()
    return text[:1].upper() + text[1:] if plain else text


def _decimals(resolved: float, least: int, extra: int) -> int:
    """Return the decimals with which a quantity of this size shows, at least `least`."""
    if not resolved or not math.isfinite(resolved):
        return max(least, extra)
    return max(least, extra - math.floor(math.log10(resolved)))
