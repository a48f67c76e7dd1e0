"""Numbers and names as a reader wants them.

A metric's name goes in and a title with its unit comes out; a number goes in and a short text
comes out, with as many decimals as the spread across seeds supports and no more. Shares such as
accuracy are shown in percent and their differences in points. None becomes a dash, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ablate.analysis.formatting import in_percent, listing, never_zero, pretty

NONE = "–"
MINUS = "−"


def metric_title(metric: str) -> str:
    """Return the plain words of a metric: `val_accuracy` is "validation accuracy"."""
    bare = metric.removeprefix("train_")
    return f"training {pretty(bare)}" if bare != metric else pretty(metric)


def parameter(path: str) -> str:
    """Return a search path as a title: without its `train.`, `insert.` or `change.`."""
    for section in ("train.", "insert.", "replace.", "change."):
        path = path.removeprefix(section)
    return path


def is_share(metric: str) -> bool:
    """Tell whether a metric is a share between 0 and 1, shown in percent."""
    return in_percent(metric)


def factor_of(metric: str) -> float:
    """Return what a metric's values are multiplied by to be shown: 100 for a share, else 1."""
    return 100.0 if is_share(metric) else 1.0


def axis_title(metric: str) -> str:
    """Return the title of an axis of a metric with its unit: "Test accuracy (%)"."""
    return metric_title(metric).capitalize() + (" (%)" if is_share(metric) else "")


def anchor(name: str) -> str:
    """Return a name as part of a file's name or an address: letters, digits, hyphens."""
    return "".join(each if each.isalnum() else "-" for each in name)


@dataclass(frozen=True)
class Scale:
    """How the numbers of one metric are written: a factor, decimals, and the two units."""

    factor: float = 1.0
    decimals: int = 3
    unit: str = ""  # of a value: "%"
    difference_unit: str = ""  # of a difference: "points"

    def value(self, number: float | None) -> str:
        """Return a value without its unit."""
        return fixed(None if number is None else number * self.factor, self.decimals)

    def difference(self, number: float | None) -> str:
        """Return a difference with its sign, without its unit."""
        return signed(None if number is None else number * self.factor, self.decimals)

    def titled(self, title: str) -> str:
        """Return the title of a column or axis of values with their unit: "Mean (%)"."""
        return f"{title} ({self.unit})" if self.unit else title

    def difference_titled(self, title: str) -> str:
        """Return the title of a column or axis of differences with their unit."""
        return f"{title} ({self.difference_unit})" if self.difference_unit else title

    def interval(self, low: float | None, high: float | None, *, sign: bool = False) -> str:
        """Return "low to high"; a dash where there is no interval.

        An end that is not zero is not written as zero: whether an interval leaves 0 out shows.
        """
        if low is None or high is None:
            return NONE
        write = signed if sign else fixed
        ends = [never_zero(end * self.factor, self.decimals, write) for end in (low, high)]
        return " to ".join(ends)


def metric_scale(metric: str, values: Iterable[float], spreads: Iterable[float | None]) -> Scale:
    """Return the scale of a metric.

    Decimals leave two figures of the typical standard deviation (`spreads`), so that a reader is
    not shown noise; without one, three figures of the range of `values`, else four of the values.
    """
    factor = factor_of(metric)
    numbers = [abs(each) * factor for each in values if math.isfinite(each)]
    known = sorted(each * factor for each in spreads if each)
    if known:
        decimals = 1 - _magnitude(known[len(known) // 2])
    elif numbers and max(numbers) > min(numbers):
        decimals = 2 - _magnitude(max(numbers) - min(numbers))
    else:
        decimals = 3 - _magnitude(max(numbers, default=1.0) or 1.0)
    shown = min(max(decimals, 0), 3 if factor == 100.0 else 6)
    if factor == 100.0:
        return Scale(factor, max(shown, 1), "%", "points")
    return Scale(factor, shown)


def _magnitude(number: float) -> int:
    return math.floor(math.log10(abs(number))) if number else 0


def fixed(number: float | None, decimals: int) -> str:
    """Return a number with fixed decimals and a true minus.

    Numbers that these decimals cannot show (1.2e+09, or 1.2e-09 at six decimals) have an exponent.
    """
    if number is None or not math.isfinite(number):
        return NONE
    lost = decimals >= 6 and 0 < abs(number) < 0.5 * 10.0**-decimals
    text = f"{number:.2e}" if lost or abs(number) >= 1e7 else f"{number:.{decimals}f}"
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]  # no "-0.00"
    return MINUS + text[1:] if text.startswith("-") else text


def signed(number: float | None, decimals: int) -> str:
    """Return a number with its sign: "+1.2", "−0.3", "0.0"."""
    text = fixed(number, decimals)
    positive = number is not None and number > 0 and text.strip("0.")
    return f"+{text}" if positive and text != NONE else text


def figures(number: float | None, digits: int = 3) -> str:
    """Return a number with `digits` significant figures: "0.0123", "1.23", "1.23e-06"."""
    if number is None or not math.isfinite(number):
        return NONE
    if number == 0:
        return "0"
    if not 1e-4 <= abs(number) < 1e6:
        text = f"{number:.{digits - 1}e}"
        return MINUS + text[1:] if number < 0 else text
    return fixed(number, max(digits - 1 - _magnitude(number), 0))


def whole(number: float | None) -> str:
    """Return a whole number with its thousands apart: "1,234,567"."""
    return NONE if number is None else f"{number:,.0f}"


def probability(p: float | None) -> str:
    """Return a p value: "0.034", "< 0.001"."""
    if p is None:
        return NONE
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def percent(share: float) -> str:
    """Return a share such as a confidence as "95 %"."""
    return f"{share * 100:g} %"


def duration(seconds: float | None) -> str:
    """Return a time with a fitting unit: "38 ms", "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 1:
        return f"{figures(seconds * 1000, 2)} ms"
    if seconds < 100:
        return f"{figures(seconds, 3)} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 seed", "2 seeds"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(items: Iterable[str], last: str = "and", most: int = 0) -> str:
    """Return "a, b and c"; past `most` items (if given) "a, b and 4 more"."""
    texts = list(items)
    if most and len(texts) > most:
        texts = [*texts[: most - 1], f"{len(texts) - most + 1} more"]
    return listing(texts, last)
