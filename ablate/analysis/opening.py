"""The two sentences that a report begins with, in plain words.

What changed and what no seed can see, with what the intervals cover; and what became of the
trials, which comes first where any was lost. In a factorial study the main effects and the
interactions speak, otherwise the variants against the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis.effects import Comparison, Effect, FactorEffect, Rate, VariantSummary
from ablate.analysis.sentences import (
    amount,
    evidence,
    factor_words,
    few,
    half_width,
    listing,
    plural,
    pretty,
    seen,
)

#: More variants than this are counted rather than told one by one.
TOLD = 4


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
            clauses.append(f"{subject} {what.format(seen(n))}")
    if described:
        first, *others = [_opened(each, confidence, names, baseline) for each in described[:TOLD]]
        clauses.append(f"in {few(min(each.n for each in described))}, {first}")
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
    by = amount(comparison.metric, abs(comparison.mean), half_width(comparison), difference=True)
    if comparison.verdict == "described":
        way = f"{by} {'above' if comparison.mean > 0 else 'below'} that of {baseline}"
        same = f"the same as that of {baseline} ({by})"
        return f"{pretty(comparison.metric)} of {name} was {way if comparison.mean else same}"
    way = "raised" if comparison.mean > 0 else "lowered"
    proof = evidence(comparison, confidence, brief=True)
    return f"{name} {way} {pretty(comparison.metric)} by {by} {proof}"


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
