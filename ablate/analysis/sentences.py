"""Numbers in plain words, and no more than may be said.

In go comparisons, out come sentences. A direction is claimed only where the verdict, which follows
Holm's p, has one; "no difference that 5 seeds can see" is said with the interval and with the
effect that so many seeds would have found, never that there is no effect; one or two seeds are
described. `opening` has the two sentences that a report begins with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ablate.analysis.effects import (
    Comparison,
    Contribution,
    Effect,
    FactorEffect,
)
from ablate.study.metrics import is_share

#: The width of a range of learning rates, as a metric.
DECADES = "learning_rate_decades"


def pretty(metric: str) -> str:
    """Return the metric's name as words: `val_accuracy` → `validation accuracy`."""
    if metric == DECADES:
        return "the usable range of learning rates"
    if metric.startswith("curve/"):
        return f"running {metric[6:].replace('_', ' ')} of the last epoch"
    if metric.startswith("probe/"):
        _, probe, *path, what = metric.split("/")
        where = f" at {'/'.join(path)}" if path else ""
        return f"{what.replace('_', ' ')}{where} (probe {probe})"
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
    missing = f"{effect.name} cannot be estimated: no seed completed every cell of it{why}"
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
    by = amount(effect.metric, abs(effect.mean), half_width(effect), difference=True)
    way = "higher" if effect.mean > 0 else "lower"
    if effect.verdict == "described":
        same = f"the same ({by}) {given.replace(' than ', ' as ')}"
        return f"{what} was {f'{by} {way} {given}' if effect.mean else same}, in {few(effect.n)}"
    if effect.verdict == "undecided":
        return f"{effect.name}: no interaction that {seen(effect.n)}{_estimate(effect, confidence)}"
    return f"{what} is {by} {way} {given} {evidence(effect, confidence)}"


def contribution_words(part: Contribution, confidence: float) -> str:
    """Return the sentence of what a left-out part contributes."""
    if part.verdict == "missing" or part.mean is None:
        return (
            f"what {part.what} contributes to {part.origin} cannot be said: "
            f"no seed completed both with and without it"
        )
    by = amount(part.metric, abs(part.mean), half_width(part), difference=True)
    way = "raises" if part.mean > 0 else "lowers"
    text = f"{part.what} {way} {pretty(part.metric)} of {part.origin} by {by}"
    if part.verdict == "described":
        same = f"{part.what} leaves {pretty(part.metric)} of {part.origin} the same ({by})"
        return f"{text if part.mean else same} in {few(part.n)}"
    if part.verdict == "undecided":
        return (
            f"{part.what} contributes nothing to {part.origin} that "
            f"{seen(part.n)}{_estimate(part, confidence)}"
        )
    return f"{text} {evidence(part, confidence)}"


def comparison_words(comparison: Comparison, subject: str, against: str, confidence: float) -> str:
    """Return the sentence of any other paired comparison."""
    missing = f"{subject} cannot be compared with {against}: no seed completed in both"
    return _sentence(comparison, confidence, subject=subject, missing=missing, against=against)


def _sentence(
    comparison: Comparison, confidence: float, *, subject: str, missing: str, against: str
) -> str:
    if comparison.verdict == "missing" or comparison.mean is None:
        return missing
    metric = pretty(comparison.metric)
    by = amount(comparison.metric, abs(comparison.mean), half_width(comparison), difference=True)
    if comparison.verdict == "described":
        way = "higher" if comparison.mean > 0 else "lower"
        same = f"{metric} of {subject} was the same as that of {against} ({by}) in"
        text = f"{metric} of {subject} was {by} {way} than that of {against} in"
        return f"{text if comparison.mean else same} {few(comparison.n)}"
    if comparison.verdict == "undecided":
        text = f"{subject} made no difference to {metric} that {seen(comparison.n)}"
        return text + _estimate(comparison, confidence)
    way = "raised" if comparison.mean > 0 else "lowered"
    return f"{subject} {way} {metric} by {by} {evidence(comparison, confidence)}"


def evidence(comparison: Comparison, confidence: float, brief: bool = False) -> str:
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
    half = half_width(comparison)
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


def seen(n: int) -> str:
    """Return `5 seeds can see`."""
    return f"{plural(n, 'seed')} can see"


def few(n: int) -> str:
    """Return `2 seeds, from which nothing can be inferred`."""
    return f"{plural(n, 'seed')}, from which nothing can be inferred"


def half_width(comparison: Comparison) -> float | None:
    """Return half the interval's width, the digits' scale; None without an interval."""
    if comparison.low is None or comparison.high is None:
        return None
    return (comparison.high - comparison.low) / 2


def _decimals(resolved: float, least: int, extra: int) -> int:
    """Return the decimals with which a quantity of this size shows, at least `least`."""
    if not resolved or not math.isfinite(resolved):
        return max(least, extra)
    return max(least, extra - math.floor(math.log10(resolved)))
