"""Numbers and names in running text: units, figures, lists.

Shares such as accuracy are in percent and their differences in points; every number has as many
digits as the half-width of its interval supports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ablate.study.metrics import is_share

#: The width of a range of learning rates, as a metric.
DECADES = "learning_rate_decades"

#: "Metrics" with which a published claim speaks of failures instead.
RATES = frozenset({"collapse_rate", "failure_rate"})

_ACRONYMS = {"mae": "MAE", "mse": "MSE", "auc": "AUC", "rmse": "RMSE"}


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
    return " ".join(_ACRONYMS.get(word, word) for word in words)


def plural(count: int, noun: str) -> str:
    """Return `1 seed`, `5 seeds`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(parts: Sequence[str], last: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def counted(names: Sequence[str], most: int = 12) -> str:
    """Return the names; where they are many more than can be read, the first and how many more."""
    if len(names) <= most + 3:
        return listing(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def rows_phrase(rows: Mapping[str, int]) -> str:
    """Return `1000 train, 200 validation and 300 test rows`."""
    return listing([f"{count} {name}" for name, count in rows.items()]) + " rows"


def seeds_phrase(seeds: Sequence[int]) -> str:
    """Return `seed 3` or `seeds 0, 1 and 4`."""
    return f"seed{'s' if len(seeds) > 1 else ''} {listing([str(each) for each in seeds])}"


def in_percent(metric: str) -> bool:
    """Whether the metric is written in percent and points rather than as it is."""
    return is_share(metric) or metric in RATES


def amount(
    metric: str,
    value: float,
    scale: float | None = None,
    *,
    difference: bool = False,
    signed: bool = False,
) -> str:
    """Return a value with its unit: `97.2 %`, `1.2 points`, `0.31`, signed `+1.2 points`.

    Args:
        metric: decides the unit.
        value: in the metric's own unit.
        scale: what the digits should resolve, such as the half-width of the interval.
        difference: points instead of percent.
        signed: a plus before what is above zero as written.
    """
    unit = " decades" if metric == DECADES else ""
    if in_percent(metric):
        unit = " points" if difference else " %"
    text = figure(metric, value, scale)
    return (plus(text) if signed else text) + unit


def plus(text: str) -> str:
    """Return a written number with a plus, unless it is negative or written as zero.

    >>> plus("1.2"), plus("0.0"), plus("−1.2")
    ('+1.2', '0.0', '−1.2')
    """
    return text if text.startswith("−") or not text.strip("0.") else f"+{text}"


def figure(metric: str, value: float, scale: float | None = None) -> str:
    """Return a value as `amount` does, without its unit."""
    factor, least, extra = (100, 1, 0) if in_percent(metric) else (1, 0, 1)
    resolved = abs(scale if scale else value) * factor
    places = max(least, extra)
    if resolved and math.isfinite(resolved):
        places = max(least, extra - math.floor(math.log10(resolved)))
    tiny = abs(value * factor) < 1e-4 and places > 6
    text = f"{value * factor:.3g}" if tiny else f"{value * factor:.{min(places, 6)}f}"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def interval(metric: str, low: float, high: float, *, difference: bool = False) -> str:
    """Return `93.0 to 97.0 %`; of a difference, with signs and without unit, `−0.2 to +1.6`.

    An end that is not zero is not written as zero, so that it shows whether 0 is left out.
    """
    half = (high - low) / 2

    def write(end: float, more: int) -> str:
        text = figure(metric, end, half / 10**more)
        return plus(text) if difference else text

    text = " to ".join(never_zero(end, 0, write) for end in (low, high))
    return f"{text} %" if in_percent(metric) and not difference else text


def never_zero(number: float, digits: int, write: Callable[[float, int], str]) -> str:
    """Return `write(number, digits)`, with up to three digits more where it would look like zero.

    >>> never_zero(0.0004, 2, lambda number, digits: f"{number:.{digits}f}")
    '0.0004'
    """
    for more in range(4):
        text = write(number, digits + more)
        if not number or text.strip("+−0."):
            return text
    return f"just {'above' if number > 0 else 'below'} 0"


def level(confidence: float) -> str:
    """Return `95 %`."""
    return f"{100 * confidence:g} %"


def p_words(p: float) -> str:
    """Return `p = 0.012` or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
