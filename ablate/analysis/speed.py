"""Learning speed: epochs and steps until a variant is as good as the baseline ended.

After Ioffe & Szegedy 2015 (section 4.2.2), who count the steps that a network needs to match the
best accuracy of the one without Batch Normalization. Here the target is per seed what the
baseline of the same seed ended with on the validation curve, or a value that is given. A trial
that never gets there, or that diverged, is censored: it counts as never, and is not left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from ablate.analysis.descriptive import close
from ablate.analysis.effects import Direction, LearningSpeed
from ablate.analysis.result_table import ResultTable
from ablate.study.metrics import bare
from ablate.study.trial import TrialResult


def learning_speed(
    outcomes: ResultTable,
    baseline: str,
    metric: str,
    direction: Direction,
    target: float | None = None,
) -> list[LearningSpeed]:
    """Return how long each variant takes to the target.

    Args:
        outcomes: of the study.
        baseline: whose final value is the target where none is given.
        metric: the headline metric; the curve is its validation twin, else its running value in
            training.
        direction: of the metric.
        target: the value to reach.

    Returns:
        One entry per variant with an outcome; none where no trial has the curve, or no target.
    """
    curve = _curve_name(outcomes, metric)
    if curve is None:
        return []
    finals = {
        each.seed: ending
        for each in outcomes.completed(baseline)
        if (ending := final(each, curve)) is not None
    }
    targets = dict.fromkeys(outcomes.seeds, target) if target is not None else dict(finals)
    if not targets:
        return []
    reference = _epochs(outcomes, baseline, curve, direction, targets)
    steps_of_reference = _steps(outcomes, baseline, reference)
    found = []
    for name in outcomes.names:
        epochs = _epochs(outcomes, name, curve, direction, targets)
        if not epochs:
            continue
        steps = _steps(outcomes, name, epochs)
        ratios = [
            _speedup(steps_of_reference.get(seed), own)
            for seed, own in steps.items()
            if own is not None or steps_of_reference.get(seed) is not None
        ]
        given = target if target is not None else sum(finals.values()) / len(finals)
        found.append(
            LearningSpeed(
                variant=name,
                curve=curve,
                target=given,
                target_kind="baseline" if target is None else "given",
                n=len(epochs),
                reached=sum(each is not None for each in epochs.values()),
                epochs=epochs,
                steps=steps,
                median_epochs=_median(list(epochs.values())),
                median_steps=_median(list(steps.values())),
                speedup=_positive(median(ratios)) if ratios else None,
            )
        )
    return found


def final(result: TrialResult, curve: str) -> float | None:
    """Return the curve's value at the epoch whose weights the trial ended with."""
    points = result.curves.get(curve) or []
    if result.best_epoch is not None and result.best_epoch < len(points):
        return points[result.best_epoch]
    return points[-1] if points else None


def epochs_to(points: list[float | None], target: float, direction: Direction) -> int | None:
    """Return the first epoch (0: before training) whose value reaches `target`, or None.

    Rounding is no miss: 0.9 in single precision is a little less than 0.9.
    """
    for epoch, value in enumerate(points):
        if value is None:
            continue
        beyond = value >= target if direction == "max" else value <= target
        if beyond or close(value, target):
            return epoch
    return None


def _curve_name(outcomes: ResultTable, metric: str) -> str | None:
    for name in (f"val_{bare(metric)}", bare(metric)):
        if any(each.curves.get(name) for each in outcomes.trials.values()):
            return name
    return None


def _epochs(
    outcomes: ResultTable,
    name: str,
    curve: str,
    direction: Direction,
    targets: Mapping[int, float],
) -> dict[int, int | None]:
    return {
        each.seed: epochs_to(each.curves.get(curve) or [], targets[each.seed], direction)
        for each in outcomes.of(name)
        if each.seed in targets and each.final
    }


def _steps(
    outcomes: ResultTable, name: str, epochs: Mapping[int, int | None]
) -> dict[int, int | None]:
    found: dict[int, int | None] = {}
    for each in outcomes.of(name):
        if each.seed in epochs:
            epoch = epochs[each.seed]
            per_epoch = each.steps / each.epochs if each.epochs else 0.0
            found[each.seed] = None if epoch is None else round(epoch * per_epoch)
    return found


def _speedup(reference: int | None, own: int | None) -> float:
    """Baseline steps over own; 0 when only the baseline got there, infinite the other way."""
    if own is None:
        return 0.0
    return reference / own if own and reference is not None else math.inf


def _positive(ratio: float) -> float | None:
    return ratio if 0 < ratio < math.inf else None


def _median(values: list[int | None]) -> float | None:
    ordered = median(math.inf if each is None else float(each) for each in values)
    return ordered if math.isfinite(ordered) else None
