"""Learning speed: epochs and steps until a variant is as good as the baseline ended.

After Ioffe & Szegedy 2015 (section 4.2.2), who count the steps that a network needs to match the
best accuracy of the one without Batch Normalization. Here the target is per seed what the
baseline of the same seed ended with on the validation curve, or a value that is given. A trial
that never gets there, or that diverged, is censored: it counts as never, and is not left out. A
baseline that ended at chance sets no target: any network would reach it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import close
from ablate.analysis.effects import Direction, LearningSpeed
from ablate.analysis.result_table import ResultTable
from ablate.study.metrics import bare
from ablate.study.trial import TrialResult

#: Of a trial that never gets there.
NEVER = (None, None)


def learning_speed(context: AnalysisContext) -> list[LearningSpeed]:
    """Return how long each variant takes to the target, which `analysis.target` may give.

    The curve is the headline metric's validation twin, else its running value in training.

    Returns:
        One entry per variant with an outcome; none where no trial has the curve, or no target.
    """
    table, target = context.table, context.settings.target
    curve = _curve_name(table, context.metric)
    if curve is None:
        return []
    at_chance: tuple[int, ...] = ()
    if context.baseline in context.failures:
        at_chance = context.failures[context.baseline].collapsed_seeds
    finals = {
        each.seed: ending
        for each in table.completed(context.baseline)
        if each.seed not in at_chance and (ending := final(each, curve)) is not None
    }
    targets = finals if target is None else dict.fromkeys(table.seeds, target)
    if not targets:
        return []

    def reached(name: str) -> dict[int, tuple[int | None, int | None]]:
        return {
            each.seed: _duration(each, curve, targets[each.seed], context.direction)
            for each in table.of(name)
            if each.seed in targets and each.final
        }

    reference = reached(context.baseline)
    found = []
    for name in table.names:
        own = reached(name)
        if not own:
            continue
        epochs = {seed: epoch for seed, (epoch, _) in own.items()}
        steps = {seed: step for seed, (_, step) in own.items()}
        found.append(
            LearningSpeed(
                variant=name,
                curve=curve,
                target=sum(finals.values()) / len(finals) if target is None else target,
                target_kind="baseline" if target is None else "given",
                n=len(own),
                reached=sum(each is not None for each in epochs.values()),
                epochs=epochs,
                steps=steps,
                median_epochs=_median(epochs.values()),
                median_steps=_median(steps.values()),
                speedup=_speedup({seed: reference.get(seed, NEVER)[1] for seed in own}, steps),
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


def _curve_name(table: ResultTable, metric: str) -> str | None:
    for name in (f"val_{bare(metric)}", bare(metric)):
        if any(each.curves.get(name) for each in table.trials.values()):
            return name
    return None


def _duration(
    trial: TrialResult, curve: str, target: float, direction: Direction
) -> tuple[int | None, int | None]:
    """Return the epochs and the steps that a trial took to the target."""
    epoch = epochs_to(trial.curves.get(curve) or [], target, direction)
    if epoch is None:
        return NEVER
    return epoch, round(epoch * (trial.steps / trial.epochs if trial.epochs else 0.0))


def _speedup(reference: Mapping[int, int | None], own: Mapping[int, int | None]) -> float | None:
    """Return the median of baseline steps over own: 0 or infinite where one never got there."""
    ratios = []
    for seed, steps in own.items():
        base = reference[seed]
        if steps is None and base is None:
            continue
        ratios.append(
            0.0 if steps is None else base / steps if steps and base is not None else math.inf
        )
    ratio = median(ratios) if ratios else 0.0
    return ratio if 0 < ratio < math.inf else None


def _median(values: Iterable[int | None]) -> float | None:
    ordered = median(math.inf if each is None else float(each) for each in values)
    return ordered if math.isfinite(ordered) else None
