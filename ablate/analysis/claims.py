"""A claim over several studies: what each says of it, what it comes to, and its verdict.

Each study gives its mean difference and its standard error (`Estimate`), and
`synthesis.random_effects` the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablate.analysis.descriptive import t_quantile
from ablate.analysis.effects import Direction, Verdict
from ablate.analysis.paired import holm
from ablate.analysis.synthesis import Synthesis, random_effects

#: The metric of claims on regression: log of the variant's RMSE over the baseline's.
RMSE = "log_ratio_of_rmse"


@dataclass(frozen=True)
class Estimate:
    """What one study says of a claim: a mean difference over `n` seeds, and its standard error.

    Without spread between seeds `error` is that of the most precise other study
    (`borrowed_error`).
    """

    study: str
    variant: str
    n: int
    mean: float
    error: float
    borrowed_error: bool = False

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the t interval of the study alone."""
        half = float(t_quantile(self.n, confidence)) * self.error
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Claim:
    """One claim over studies, in `metric`: "accuracy" (or another share), or `RMSE`.

    `p_holm` is corrected for all claims of the synthesis; `verdict` follows it.
    """

    name: str
    role: str  # in words
    metric: str
    direction: Direction
    estimates: tuple[Estimate, ...]
    synthesis: Synthesis
    p_holm: float = 1.0
    verdict: Verdict = "inconclusive"

    @property
    def gain(self) -> float:
        """The mean, above 0 where it is for the better."""
        return self._gained(self.synthesis.mean)

    @property
    def better_in(self) -> int:
        """How many studies have an estimate for the better."""
        return sum(self._gained(each.mean) > 0 for each in self.estimates)

    def _gained(self, difference: float) -> float:
        return difference if self.direction == "max" else -difference


def claim_of(
    name: str,
    role: str,
    metric: str,
    direction: Direction,
    estimates: Sequence[Estimate],
    confidence: float,
    next_error: float = 0.0,
) -> Claim:
    """Return the claim that two estimates or more make together, uncorrected."""
    known = [each.error for each in estimates if each.error > 0]
    least = min(known, default=1e-9)  # nothing varies anywhere: equal weights
    own = tuple(
        each if each.error > 0 else replace(each, error=least, borrowed_error=True)
        for each in estimates
    )
    found = random_effects(
        np.array([each.mean for each in own]),
        np.array([each.error for each in own]),
        confidence,
        next_error,
    )
    assert found is not None
    return Claim(name, role, metric, direction, own, found, found.p)


def corrected(claims: Sequence[Claim], confidence: float) -> tuple[Claim, ...]:
    """Return claims with p corrected for all of them, and their verdicts."""
    adjusted = holm(np.array([each.synthesis.p for each in claims]))
    return tuple(
        replace(each, p_holm=float(p), verdict=_verdict(each, float(p), 1 - confidence))
        for each, p in zip(claims, adjusted, strict=True)
    )


def _verdict(claim: Claim, p: float, alpha: float) -> Verdict:
    if p > alpha or claim.synthesis.mean == 0:
        return "inconclusive"
    return "better" if claim.gain > 0 else "worse"
