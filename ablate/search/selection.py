"""How much a winner owes to the seeds it was tried with: the choice, made again on other seeds.

A winner is the best of many points, each with a few seeds: another draw of seeds may choose
another. The search seeds are resampled with replacement, the winner is chosen again by its mean
over them, and scored on the seeds that were left out, on which nothing was chosen (nested
selection).

Source: Efron & Tibshirani, *Improvements on cross-validation: the .632+ bootstrap method*, JASA
92:548, 1997 (scores on what a resample leaves out); Cawley & Talbot, *On over-fitting in model
selection and subsequent selection bias*, JMLR 11:2079, 2010.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ablate.analysis.effects import Direction

#: Times the choice is made again.
DRAWS = 1000


@dataclass(frozen=True)
class Selection:
    """A variant's choice of a point, made again.

    `shares` says how often each point won, by its number in the order of proposal, the most
    frequent first; `low` and `high` are the 2.5 and 97.5 % quantiles of the objective that the
    chosen point has on seeds that were left out.
    """

    shares: Mapping[int, float] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None


def choose_again(
    scores: np.ndarray, direction: Direction, rng: np.random.Generator
) -> Selection | None:
    """Return how the choice among points varies with the seeds they were tried with.

    Args:
        scores: (points, seeds), NaN in the row of a point that cannot win.
        direction: "max" or "min", which way is better.
        rng: draws the seeds.

    Returns:
        None under two seeds, or where fewer than two points can win: nothing varies then.
    """
    able = np.flatnonzero(np.isfinite(scores).all(axis=1))
    seeds = scores.shape[1]
    if seeds < 2 or len(able) < 2:
        return None
    own = scores[able] * (1 if direction == "max" else -1)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS)
    chosen = (drawn @ own.T).argmax(axis=1)
    left_out = drawn == 0
    there = left_out.any(axis=1)  # a resample may have every seed
    values = scores[able][chosen[there]]
    means = np.where(left_out[there], values, 0.0).sum(axis=1) / left_out[there].sum(axis=1)
    counts = np.bincount(chosen, minlength=len(able))
    shares = {
        int(able[each]): float(counts[each] / DRAWS)
        for each in np.argsort(-counts, kind="stable")
        if counts[each]
    }
    low, high = np.quantile(means, [0.025, 0.975]) if len(means) else (None, None)
    return Selection(
        shares, None if low is None else float(low), None if high is None else float(high)
    )
