"""Failures before means: what became of every variant's trials, by kind.

A trial that diverged or failed has no metric; one that collapsed has a finite loss and a metric
no better than always naming the commonest class. Both are counted, with Wilson's interval and
Fisher's exact test against the baseline, before anything is averaged over the survivors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Literal

import numpy as np

from ablate.analysis.descriptive import close, wilson
from ablate.analysis.effects import Direction, Failures, Rate
from ablate.analysis.result_table import ResultTable
from ablate.study.metrics import bare, is_share
from ablate.study.trial import TrialResult

#: The level of the one-sided test that tells a trained network from a guess.
COLLAPSE_ALPHA = 0.05


def count_failures(
    outcomes: ResultTable,
    baseline: str,
    *,
    planned: Mapping[str, int],
    metric: str,
    direction: Direction,
    collapse: Literal["auto", "none"] | float = "auto",
    confidence: float = 0.95,
) -> dict[str, Failures]:
    """Count each variant's failures by kind and compare them with the baseline's.

    Args:
        outcomes: of the study.
        baseline: the variant that Fisher's test compares with.
        planned: trials planned, by variant.
        metric: the headline metric; its validation twin is what a collapse is judged by, and
            without a number to judge by only an accuracy can be.
        direction: of `metric`.
        collapse: "auto": the final validation accuracy of a classification is not above the
            share of the majority class by a one-sided binomial test, where accuracy is the
            metric; a number: the metric is not better than it; "none": not judged.
        confidence: of Wilson's intervals.

    Returns:
        The failures, by variant.
    """
    counted = {}
    for name in outcomes.names:
        trials = outcomes.of(name)
        done = [each for each in trials if each.status == "completed"]
        judged = {
            each.seed: collapsed(each, metric, direction, collapse)
            for each in done
            if collapsed(each, metric, direction, collapse) is not None
        }
        counted[name] = (trials, done, judged)

    reference = _kinds(*counted[baseline]) if baseline in counted else {}
    found = {}
    for name, (trials, done, judged) in counted.items():
        rates = {
            kind: _rate(*pair, reference.get(kind) if name != baseline else None, confidence)
            for kind, pair in _kinds(trials, done, judged).items()
        }
        outcome = sum(each.status != "interrupted" for each in trials)
        total = max(planned.get(name, 0), outcome)
        found[name] = Failures(
            planned=total,
            completed=len(done),
            pending=total - outcome,
            diverged_seeds=_seeds(trials, "diverged"),
            failed_seeds=_seeds(trials, "failed"),
            collapsed_seeds=tuple(seed for seed, chance in judged.items() if chance),
            **rates,
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


def _kinds(
    trials: Collection[TrialResult],
    done: Collection[TrialResult],
    judged: Mapping[int, bool | None],
) -> dict[str, tuple[int, int]]:
    """Return count and denominator of each kind of failure."""
    diverged = sum(each.status == "diverged" for each in trials)
    failed = sum(each.status == "failed" for each in trials)
    chance = sum(bool(each) for each in judged.values())
    outcome = diverged + failed + len(done)
    return {
        "diverged": (diverged, outcome),
        "failed": (failed, outcome),
        "failures": (diverged + failed, outcome),
        "collapsed": (chance, len(judged)),
        "lost": (diverged + failed + chance, outcome),
    }


def _rate(count: int, of: int, reference: tuple[int, int] | None, confidence: float) -> Rate:
    interval = wilson(count, of, confidence)
    if interval is None:
        return Rate(count, of)
    p = fisher(count, of, *reference) if reference else None
    return Rate(count, of, count / of, *interval, p)


def _seeds(trials: Collection[TrialResult], status: str) -> tuple[int, ...]:
    return tuple(each.seed for each in trials if each.status == status)
