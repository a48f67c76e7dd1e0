"""Failures before means: what became of every variant's trials, by kind.

A trial that diverged or failed has no metric; one that collapsed has a finite loss and a metric
no better than always naming the commonest class. Both are counted, with Wilson's interval and
Fisher's exact test against the baseline, before anything is averaged over the survivors.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import close, wilson
from ablate.analysis.effects import Direction, Failures, Rate
from ablate.study.metrics import bare, is_share
from ablate.study.trial import TrialResult

#: The level of the one-sided test that distinguishes a trained network from a guess.
COLLAPSE_ALPHA = 0.05


def count_failures(context: AnalysisContext, planned: Mapping[str, int]) -> dict[str, Failures]:
    """Count each variant's failures by kind and compare them with the baseline's.

    A collapse is judged by the headline metric's validation twin, as `analysis.collapse` says.

    Args:
        context: of the study.
        planned: trials planned, by variant.

    Returns:
        The failures, by variant.
    """
    seeds = {name: _seeds_by_kind(context, name) for name in context.table.names}
    kinds = {name: _kinds(own) for name, own in seeds.items()}
    found = {}
    for name, own in seeds.items():
        done = len(own["completed"])
        ended = done + len(own["diverged"]) + len(own["failed"])
        total = max(planned.get(name, 0), ended)
        found[name] = Failures(
            planned=total,
            completed=done,
            pending=total - ended,
            diverged_seeds=own["diverged"],
            failed_seeds=own["failed"],
            collapsed_seeds=own["collapsed"],
            **{
                kind: _rate(
                    *pair,
                    kinds[context.baseline][kind] if name != context.baseline else None,
                    context.confidence,
                )
                for kind, pair in kinds[name].items()
            },
        )
    return found


def collapsed(
    result: TrialResult,
    metric: str,
    direction: Direction,
    collapse: Literal["auto", "none"] | float = "auto",
) -> bool | None:
    """Tell whether a completed trial ended at chance; None when that cannot be judged.

    With N validation rows, k = accuracy · N of them right and the majority class a share q of
    them, it collapsed unless P(Binomial(N, q) ≥ k) ≤ 0.05. Where the study's metric is another
    than accuracy, accuracy says nothing of it: a network of a high AUC may name one class alone.
    """
    if collapse == "none" or result.status != "completed":
        return None
    if collapse != "auto":
        value = result.metrics.get(f"val_{bare(metric)}", result.metrics.get(metric))
        if value is None:
            return None
        beyond = value <= collapse if direction == "max" else value >= collapse
        return beyond or close(value, collapse)
    rows, accuracy = result.rows.get("validation"), _validation_accuracy(result, metric)
    if not rows or accuracy is None or result.majority is None:
        return None
    return bool(chance_p(accuracy, rows, result.majority) > COLLAPSE_ALPHA)


@lru_cache(maxsize=65536)
def chance_p(accuracy: float, rows: int, majority: float) -> float:
    """Return P(Binomial(rows, majority) ≥ accuracy · rows): how often guessing does as well."""
    from scipy import special

    right = round(accuracy * rows)
    return float(special.bdtrc(right - 1, rows, majority)) if right > 0 else 1.0


@lru_cache(maxsize=65536)
def fisher(count: int, of: int, reference: int, reference_of: int) -> float | None:
    """Return Fisher's exact two-sided p of two rates being equal; None without trials."""
    if not of or not reference_of:
        return None
    if count + reference in (0, of + reference_of):
        return 1.0  # the only table with these margins
    from scipy import stats  # takes a second to import, which most studies can do without

    table = [[count, of - count], [reference, reference_of - reference]]
    return min(1.0, float(stats.fisher_exact(table)[1]))


def _validation_accuracy(result: TrialResult, metric: str) -> float | None:
    name = f"val_{bare(metric)}"
    value = result.metrics.get(name)
    right = name.endswith(("_accuracy", "_acc")) and "top_k" not in name and is_share(name)
    return value if right and value is not None and np.isfinite(value) else None


def _seeds_by_kind(context: AnalysisContext, variant: str) -> dict[str, tuple[int, ...]]:
    """Return the seeds of a variant's trials by status, those judged, and those at chance."""
    trials = context.table.of(variant)
    how = context.metric, context.direction, context.settings.collapse
    judged = {each.seed: collapsed(each, *how) for each in trials}
    return {
        **{
            status: tuple(each.seed for each in trials if each.status == status)
            for status in ("completed", "diverged", "failed")
        },
        "judged": tuple(seed for seed, chance in judged.items() if chance is not None),
        "collapsed": tuple(seed for seed, chance in judged.items() if chance),
    }


def _kinds(seeds: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Return count and denominator of each kind of failure."""
    count = {kind: len(own) for kind, own in seeds.items()}
    bad = count["diverged"] + count["failed"]
    ended = bad + count["completed"]
    return {
        "diverged": (count["diverged"], ended),
        "failed": (count["failed"], ended),
        "failures": (bad, ended),
        "collapsed": (count["collapsed"], count["judged"]),
        "lost": (bad + count["collapsed"], ended),
    }


def _rate(count: int, of: int, reference: tuple[int, int] | None, confidence: float) -> Rate:
    interval = wilson(count, of, confidence)
    if interval is None:
        return Rate(count, of)
    p = fisher(count, of, *reference) if reference else None
    return Rate(count, of, count / of, *interval, p)
