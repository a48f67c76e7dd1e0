"""Whether a result agrees with a published one: by the interval of their difference, not by eye.

A margin says how far two results may lie apart and still be called the same. The published number
has an error of its own, known or not; a single published run is compared with a prediction
interval. Consistent: the difference is surely within the margin. Inconsistent: it is surely not
zero, and not surely within. Else the evidence is too imprecise to say.

Source: two one-sided tests (Schuirmann 1987) for agreement; Welch's t where the publication gives
five runs or more, a pooled variance for two to four (Welch is liberal there: .10 for .05).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.analysis.intervals import FIXED, Interval
from ablate.analysis.power import POWER

Agreement = Literal["consistent", "inconsistent", "too imprecise"]

#: From so many published runs on, their own spread stands for itself.
WELCH_RUNS = 5

#: More seeds than this are not proposed.
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Replication:
    """A difference, ours minus published, with its interval, and the verdict."""

    difference: float
    low: float
    high: float
    verdict: Agreement


def replication(
    ours: tuple[float, float, int],
    published: tuple[float, float | None, int],
    margin: float,
    alpha: float = 0.05,
    interval: Interval = FIXED,
) -> Replication:
    """Hold a result against a published one.

    Args:
        ours: mean, standard deviation, seeds (at least 2).
        published: mean, standard deviation (None if not given), runs.
        margin: how far apart they may lie, in the metric's unit.
        alpha: of each verdict.
        interval: the kind, which says what the standard error of our mean is.
    """
    from scipy import special

    error, degrees = _error(ours, published, interval)
    difference = ours[0] - published[0]
    half = float(special.stdtrit(degrees, 1 - alpha / 2)) * error
    inner = float(special.stdtrit(degrees, 1 - alpha)) * error
    verdict: Agreement = "too imprecise"
    if abs(difference) + inner < margin:
        verdict = "consistent"
    elif abs(difference) > half:
        verdict = "inconsistent"
    return Replication(difference, difference - half, difference + half, verdict)


def seeds_to_decide(
    ours: tuple[float, float, int],
    published: tuple[float, float | None, int],
    margin: float,
    alpha: float = 0.05,
    interval: Interval = FIXED,
) -> int | None:
    """Return the seeds that would probably decide if mean and deviation stayed as they are.

    With about 80 % power: the interval leaves the rest of the way to the margin, or to zero, free
    for as many standard errors as four of five means stay within. None where the published value
    is too imprecise for any number of seeds.
    """
    from scipy import special

    mean, sd, n = ours
    distance, room = abs(mean - published[0]), margin - abs(mean - published[0])
    spare = float(special.ndtri(POWER))
    for size in range(max(n + 1, MINIMUM_SEEDS), MOST_SEEDS):
        error, degrees = _error((mean, sd, size), published, interval)
        inner, half = (float(special.stdtrit(degrees, 1 - alpha / k)) + spare for k in (1, 2))
        if room > inner * error or distance > half * error:
            return size
    return None


def _error(
    ours: tuple[float, float, int], published: tuple[float, float | None, int], interval: Interval
) -> tuple[float, float]:
    """Return the standard error of the difference and its degrees of freedom."""
    _, sd, n = ours
    _, sd0, n0 = published
    own = float(interval.standard_error(n)) ** 2  # 1/n, more where splits overlap
    if sd0 is None or n0 < 2:
        return sd * math.sqrt(own + 1 / n0), n - 1
    if n0 < WELCH_RUNS:
        pooled = ((n - 1) * sd**2 + (n0 - 1) * sd0**2) / (n + n0 - 2)
        return math.sqrt(pooled * (own + 1 / n0)), n + n0 - 2
    a, b = sd**2 * own, sd0**2 / n0
    if a + b == 0:
        return 0.0, n + n0 - 2
    return math.sqrt(a + b), (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (n0 - 1))
