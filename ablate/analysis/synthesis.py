"""One claim over several studies: a random-effects mean, how much studies vary, the next study.

Each study gives an effect and its standard error. True effects differ from network to network with
variance τ² (Paule and Mandel's estimate); the mean's interval is Hartung and Knapp's, which keeps
its coverage with few studies, where the usual normal interval does not; where studies agree better
than their errors allow it is Knapp and Hartung's, no narrower than those errors make it.

The prediction interval is for the true effect in the next network like these, which is what a
reader of a synthesis has. The usual one takes the estimate of τ² for the truth and holds the next
effect in as little as 84 % of cases. Here τ² is drawn from its confidence distribution (the values
at which Cochran's Q has each of its quantiles), the mean given it, and the next effect given both.

Source: Hartung & Knapp 2001; Knapp & Hartung 2003; Paule & Mandel 1982; Viechtbauer 2007 (Q
profile); Nagashima, Noma & Furukawa, *Prediction intervals for random-effects meta-analysis*, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablate.analysis.descriptive import MINIMUM_SEEDS


@dataclass(frozen=True)
class Synthesis:
    """The claim over all studies, in the studies' unit.

    `weights` are the studies' shares of the mean; `tau` the standard deviation of true effects;
    `p` the two-sided p of a mean of 0; `q` and `p_q` Cochran's test of "all studies have one true
    effect"; `i_squared` the share of the spread that is not sampling error. `next_low`,
    `next_high`: the effect in the next network, None under three studies.
    """

    mean: float
    low: float
    high: float
    p: float
    tau: float
    q: float
    p_q: float
    i_squared: float
    next_low: float | None
    next_high: float | None
    weights: tuple[float, ...]


def random_effects(
    effects: np.ndarray, errors: np.ndarray, confidence: float, next_error: float = 0.0
) -> Synthesis | None:
    """Return the random-effects synthesis of independent studies.

    Args:
        effects: (studies,) estimates in one unit.
        errors: (studies,) their standard errors, above 0.
        confidence: of both intervals.
        next_error: standard error of the next study's estimate, where its estimate and not its
            true effect is to be foretold.

    Returns:
        None under two studies.
    """
    from scipy import special

    y, v = np.asarray(effects, float), np.asarray(errors, float) ** 2
    k = len(y)
    if k < 2:
        return None
    fixed = 1 / v
    q = float((fixed * (y - _mean(y, fixed)) ** 2).sum())
    tau2 = _paule_mandel(y, v)
    weights = 1 / (v + tau2)
    mean = _mean(y, weights)
    # Hartung and Knapp: the spread of the studies about the mean, weighted, decides its error.
    # Studies that agree better than their errors allow (τ² = 0) do not make it smaller than those.
    square = float(max((weights * (y - mean) ** 2).sum() / (k - 1), tau2 == 0) / weights.sum())
    t = float(special.stdtrit(k - 1, 0.5 + confidence / 2))
    half = t * np.sqrt(square)
    ahead = _next(y, v, confidence, next_error) if k >= MINIMUM_SEEDS else None
    return Synthesis(
        mean=mean,
        low=mean - float(half),
        high=mean + float(half),
        p=_two_sided(mean, float(square), k - 1),
        tau=float(np.sqrt(tau2)),
        q=q,
        p_q=float(special.chdtrc(k - 1, q)),
        i_squared=max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0,
        # The next effect is never known better than the mean.
        next_low=None if ahead is None else min(ahead[0], mean - float(half)),
        next_high=None if ahead is None else max(ahead[1], mean + float(half)),
        weights=tuple(float(each) for each in weights / weights.sum()),
    )


#: Draws of the next effect; the ends then vary by a hundredth of the width.
_DRAWS = 100_000


def _two_sided(mean: float, square: float, df: int) -> float:
    from scipy import special

    if square == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(df, -abs(mean) / np.sqrt(square)))


def _next(y: np.ndarray, v: np.ndarray, confidence: float, error: float) -> tuple[float, float]:
    """Return the interval of the next effect, by draws that are the same every time."""
    from scipy import special

    k = len(y)
    rng = np.random.Generator(np.random.PCG64(0))
    shares = (np.arange(400) + 0.5) / 400
    # A small Q goes with a large τ²; below Q(0) nothing but τ² = 0 is left.
    taus = _at_spread(y, v, special.chdtri(k - 1, 1 - shares))
    weights = 1 / (v + taus[:, None])
    means = (weights * y).sum(axis=1) / weights.sum(axis=1)
    spreads = (weights * (y - means[:, None]) ** 2).sum(axis=1) / (k - 1)
    squares = np.maximum(spreads, taus == 0) / weights.sum(axis=1)
    which = rng.integers(0, len(taus), _DRAWS)
    drawn = (
        means[which]
        + np.sqrt(squares[which]) * rng.standard_t(k - 1, _DRAWS)
        + np.sqrt(taus[which] + error**2) * rng.standard_normal(_DRAWS)
    )
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _mean(y: np.ndarray, weights: np.ndarray) -> float:
    return float((weights * y).sum() / weights.sum())


def _paule_mandel(y: np.ndarray, v: np.ndarray) -> float:
    """Return the τ² at which the weighted spread of the studies is what it should be, k - 1."""
    return float(_at_spread(y, v, np.array([len(y) - 1.0]))[0])


def _at_spread(y: np.ndarray, v: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the τ² at which the weighted spread Σ w·(y - mean)² is each `wanted`, 0 if none is."""

    def excess(tau2: np.ndarray) -> np.ndarray:
        weights = 1 / (v + tau2[:, None])
        means = (weights * y).sum(axis=1) / weights.sum(axis=1)
        return np.asarray((weights * (y - means[:, None]) ** 2).sum(axis=1) - wanted)

    low = np.zeros(len(wanted))
    some = excess(low) > 0
    high = np.full(len(wanted), float(np.var(y, ddof=1)) + float(v.max()))
    while (short := some & (excess(high) > 0)).any():
        high = np.where(short, 2 * high, high)
    for _ in range(60):
        middle = (low + high) / 2
        more = excess(middle) > 0
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.where(some, (low + high) / 2, 0.0)
