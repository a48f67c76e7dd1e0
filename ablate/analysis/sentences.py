"""The sentence of a comparison: the estimate with its interval first, then what it amounts to.

    bn against plain: test accuracy +1.2 points (95 % interval +0.8 to +1.6, 5 seeds,
    p = 0.003 after Holm): better

A direction is claimed only where the verdict has one, and "equivalent" only within a margin that
was set beforehand; all else is inconclusive, and says what so many seeds could have found. What
the interval covers is said once for a study (`coverage`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ablate.analysis.anytime import FIRST_LOOK
from ablate.analysis.effects import Comparison, Contribution, Effect, FactorEffect
from ablate.analysis.formatting import amount, interval, level, listing, p_words, plural, pretty
from ablate.analysis.paired import Kind


def worded(found: Iterable[Kind], confidence: float) -> tuple[Kind, ...]:
    """Return effects, factor effects or contributions, each with its sentence in `words`."""
    return tuple(replace(each, words=sentence(each, subject(each), confidence)) for each in found)


def subject(comparison: Comparison) -> str:
    """Return what is compared with what: "bn against plain"."""
    if isinstance(comparison, Effect):
        return f"{comparison.variant} against {comparison.baseline}"
    if isinstance(comparison, Contribution):
        return f"{comparison.what} in {comparison.origin}"
    if isinstance(comparison, FactorEffect):
        return _factor_subject(comparison)
    raise TypeError(f"nothing says what is compared: {comparison}")


def sentence(comparison: Comparison, about: str, confidence: float) -> str:
    """Return the sentence of a comparison: what is compared, the estimate, the verdict.

    Args:
        comparison: any.
        about: what is compared with what.
        confidence: of its interval.
    """
    if comparison.verdict == "missing" or comparison.mean is None:
        return f"{about}: {_missing(comparison)}"
    text = f"{about}: {pretty(comparison.metric)} {estimate(comparison, confidence)}: "
    return text + conclusion(comparison, confidence)


def estimate(
    comparison: Comparison, confidence: float, *, brief: bool = False, named: bool = True
) -> str:
    """Return `+1.2 points (95 % interval +0.8 to +1.6, 5 seeds, p = 0.003 after Holm)`.

    Args:
        comparison: with a mean.
        confidence: of its interval.
        brief: without p.
        named: with the words "95 % interval"; without where they have just been said.
    """
    assert comparison.mean is not None
    half = half_width(comparison)
    text = amount(comparison.metric, comparison.mean, half, difference=True, signed=True)
    parts = []
    if half is not None and comparison.low is not None and comparison.high is not None:
        ends = interval(comparison.metric, comparison.low, comparison.high, difference=True)
        parts.append(f"{level(confidence)} interval {ends}" if named else ends)
        if (rows := comparison.crossed) is not None:
            ends = interval(comparison.metric, rows.low, rows.high, difference=True)
            parts.append(f"on other test rows too {ends}")
    elif comparison.n > 1 and comparison.sd == 0:
        parts.append("the same with every seed")
    parts.append(plural(comparison.n, "seed"))
    if comparison.collapsed:
        count = "all" if comparison.collapsed == comparison.n else str(comparison.collapsed)
        parts.append(f"{count} with a side at chance")
    if not brief and half is not None and comparison.p_holm is not None:
        rule = "after Holm" if comparison.margin is None else "corrected"
        parts.append(f"{p_words(comparison.p_holm)} {rule}" if comparison.family_size > 1
                     else p_words(comparison.p_holm))  # fmt: skip
    return f"{text} ({', '.join(parts)})"


def conclusion(comparison: Comparison, confidence: float, *, brief: bool = False) -> str:
    """Return what a comparison amounts to: the verdict, and `brief` or not why it is that one."""
    text = _verdict(comparison, confidence, brief=brief)
    return f"{text}, with {comparison.caveat}" if comparison.caveat else text


def _verdict(comparison: Comparison, confidence: float, *, brief: bool) -> str:
    verdict = comparison.verdict
    if verdict == "equivalent":
        margin = amount(comparison.metric, comparison.margin or 0.0, difference=True)
        text = f"equivalent within {margin}"
        return f"{text}, though not equal" if _differs(comparison, confidence) else text
    if verdict == "described" and not brief:
        return f"described, as nothing can be inferred from {plural(comparison.n, 'seed')}"
    if verdict in ("better", "worse"):
        return _decided(comparison)
    if brief and verdict == "inconclusive" and half_width(comparison) is None:
        return verdict + _why_inconclusive(comparison, confidence)
    if brief:
        return (
            f"{verdict} after correction"
            if _lost_to_correction(comparison, confidence)
            else verdict
        )
    return verdict + _why_inconclusive(comparison, confidence)


def half_width(comparison: Comparison) -> float | None:
    """Return half the interval's width, the digits' scale; None without an interval."""
    if comparison.low is None or comparison.high is None:
        return None
    return (comparison.high - comparison.low) / 2


def _decided(comparison: Comparison) -> str:
    """Return better or worse; of an interaction, which is neither, that there is one."""
    if isinstance(comparison, FactorEffect) and comparison.order > 1:
        return "an interaction"
    if isinstance(comparison, Contribution):
        return f"{comparison.verdict} with it"
    if isinstance(comparison, FactorEffect) and comparison.trend:
        return f"{comparison.verdict} towards {comparison.levels[0]}"
    return comparison.verdict


def _why_inconclusive(comparison: Comparison, confidence: float) -> str:
    if half_width(comparison) is None:
        if comparison.sd == 0:
            return ", as without spread nothing can be inferred" if comparison.mean else ""
        return f", as an interval that holds at every look takes {FIRST_LOOK} seeds or more"
    if _lost_to_correction(comparison, confidence):
        return (
            ": it leaves out 0 on its own, but not after correction for "
            f"{plural(comparison.family_size, 'comparison')}"
        )
    parts = []
    if comparison.detectable is not None:
        least = amount(
            comparison.metric, comparison.detectable, half_width(comparison), difference=True
        )
        parts.append(f"{plural(comparison.n, 'seed')} would probably have shown {least} or more")
    if comparison.margin is not None and comparison.equivalence_seeds is not None:
        margin = amount(comparison.metric, comparison.margin, difference=True)
        parts.append(
            f"equivalence within {margin} would take about {comparison.equivalence_seeds} seeds"
        )
    return "".join(f"; {each}" for each in parts)


def _lost_to_correction(comparison: Comparison, confidence: float) -> bool:
    """Whether the interval leaves out zero, and only the other comparisons keep it inconclusive."""
    return (
        comparison.verdict == "inconclusive"
        and comparison.p is not None
        and comparison.p <= 1 - confidence
    )


def _differs(comparison: Comparison, confidence: float) -> bool:
    """Whether a difference other than zero is shown, too, after correction."""
    return comparison.p_holm is not None and comparison.p_holm <= 1 - confidence


def _factor_subject(effect: FactorEffect) -> str:
    names = [f"{name}={own}" for name, own in zip(effect.factors, effect.levels, strict=True)]
    last = f"{effect.factors[-1]}={effect.references[-1]}"
    if effect.trend is not None:
        along = " on a log scale" if effect.trend == "log" else ""
        text = f"along {effect.factors[0]} from {effect.references[0]} to {effect.levels[0]}{along}"
    elif effect.order == 1:
        text = f"{names[0]} against {last}"
    elif effect.order == 2:
        text = f"effect of {names[0]}, {names[1]} against {last}"
    else:
        text = f"interaction of {names[0]} with {names[1]}, {names[2]} against {last}"
    if effect.within:
        text += f" at {listing(effect.within)}"
    if effect.averaged_over and effect.order == 1:
        text += f", averaged over {listing(effect.averaged_over)}"
    return text


def _missing(comparison: Comparison) -> str:
    if isinstance(comparison, Contribution):
        return "not known, as no seed completed both with and without it"
    if not isinstance(comparison, FactorEffect):
        return "no comparison, as no seed completed in both"
    empty = comparison.missing_cells
    why = f" ({listing(empty[:3])} never did)" if empty else ""
    return f"not estimated, as no seed completed every cell of it{why}"
