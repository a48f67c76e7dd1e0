"""Curves of a variant over its seeds: mean and interval per epoch, and the paired difference.

For each variant and curve there is a `Band`, one number per epoch. TensorBoard cannot compute a
mean over runs, so it is made here. As everywhere, a mean is over the completed trials alone; a seed
that has no value at an epoch (it stopped early) is left out of that epoch, and `n` says how many
are in. Where no interval can be given (under three seeds, or all of one value) `low` and `high` are
the mean itself, which draws a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.descriptive import moments, rounding, snapped
from ablate.study.metrics import is_share
from ablate.study.trial import TrialResult

#: The learning rate is set, not found out: every seed has the same, and a band says nothing.
WITHOUT_BANDS = frozenset({"learning_rate"})


@dataclass(frozen=True)
class Band:
    """Mean, interval and number of seeds at each of `epochs`; all arrays of one shape."""

    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def bands(results: Sequence[TrialResult], confidence: float = 0.95) -> dict[str, dict[str, Band]]:
    """Return, by variant and curve, the mean over seeds with its t interval, epoch by epoch."""
    found: dict[str, dict[str, Band]] = {}
    for variant, by_seed in _by_variant(results).items():
        trials = [each.curves for each in by_seed.values()]
        for curve in _curves(trials):
            table = _table([each.get(curve, []) for each in trials])
            band = _band(table, confidence, share=is_share(curve))
            if band is not None:
                found.setdefault(variant, {})[curve] = band
    return found


def differences(
    results: Sequence[TrialResult], baseline: str, confidence: float = 0.95
) -> dict[str, dict[str, Band]]:
    """Return, by variant and curve, variant minus baseline, paired by seed, epoch by epoch."""
    grouped = _by_variant(results)
    reference = grouped.pop(baseline, {})
    found: dict[str, dict[str, Band]] = {}
    for variant, by_seed in grouped.items():
        shared = [seed for seed in by_seed if seed in reference]
        for curve in _curves([by_seed[seed].curves for seed in shared]):
            mine = [by_seed[seed].curves.get(curve, []) for seed in shared]
            theirs = [reference[seed].curves.get(curve, []) for seed in shared]
            ours, others = _table(mine), _table(theirs)
            width = min(ours.shape[1], others.shape[1])
            ours, others = ours[:, :width], others[:, :width]
            noise = rounding(ours, others)
            band = _band(snapped(ours - others, noise), confidence, noise)
            if band is not None:
                found.setdefault(variant, {})[curve] = band
    return found


def _by_variant(results: Sequence[TrialResult]) -> dict[str, dict[int, TrialResult]]:
    grouped: dict[str, dict[int, TrialResult]] = {}
    for each in results:
        if each.status == "completed":
            grouped.setdefault(each.variant, {})[each.seed] = each
    return grouped


def _curves(trials: Sequence[Mapping[str, list[float | None]]]) -> list[str]:
    names = dict.fromkeys(name for curves in trials for name in curves)
    return [name for name in names if name not in WITHOUT_BANDS]


def _table(curves: Sequence[Sequence[float | None]]) -> np.ndarray:
    """Return the curves as rows, NaN where a curve has ended or has no value."""
    table = np.full((len(curves), max((len(each) for each in curves), default=0)), np.nan)
    for row, each in zip(table, curves, strict=True):
        row[: len(each)] = [np.nan if value is None else value for value in each]
    return table


def _band(
    table: np.ndarray,
    confidence: float,
    noise: np.ndarray | float = 0.0,
    *,
    share: bool = False,
) -> Band | None:
    """Reduce (seeds, epochs) to a band over the epochs that have a value; None without one."""
    found = moments(table, confidence, noise, share=share)
    epochs = np.flatnonzero(found.n)
    if not epochs.size:
        return None
    mean, low, high = found.mean[epochs], found.low[epochs], found.high[epochs]
    low, high = np.where(np.isnan(low), mean, low), np.where(np.isnan(high), mean, high)
    return Band(epochs, mean, low, high, found.n[epochs])
