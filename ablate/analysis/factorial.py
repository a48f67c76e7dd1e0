"""Factorial studies: main effects, trends and interactions as contrasts, one number per seed.

In goes an array with an axis for the seeds and one per factor, out come its contrasts: for a main
effect y1 - y0, for an interaction of two y11 - y10 - y01 + y00, of three the difference of two
such; each averaged over the levels of the factors not involved. A factor with more than two levels
gives a contrast for each level against its first, and, where its levels are numbers, a trend: the
change from the smallest to the largest along the line of least squares. A seed counts when it
completed every cell of the contrast: those of the levels that it compares, with every level of the
other factors.

Where factors interact, a main effect is an average that may hold nowhere; the simple effects are
those at single levels of the factors that it interacts with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import rounding
from ablate.analysis.effects import FactorEffect
from ablate.analysis.paired import compare, specialize
from ablate.analysis.result_table import ResultTable

#: Interactions of more factors are neither computed nor corrected for.
HIGHEST_ORDER = 3


#: Levels that span more than this factor are spaced by their logarithms.
LOG_RANGE = 10


@dataclass(frozen=True)
class Contrast:
    """Which levels of which factors a contrast compares; the indices point into the levels.

    `weights`, one per level of the one factor, make a trend instead. `within` holds other factors
    at a level, which are averaged over otherwise.
    """

    factors: tuple[int, ...]
    levels: tuple[int, ...]
    weights: tuple[float, ...] = ()
    within: Mapping[int, int] = field(default_factory=dict)


def factor_levels(results: ResultTable) -> dict[str, tuple[str, ...]]:
    """Return each factor's levels, in the order of the variants; empty where none are declared."""
    found: dict[str, dict[str, None]] = {}
    for variant in results.resolved:
        for factor, level in variant.factors.items():
            found.setdefault(factor, {})[level] = None
    return {factor: tuple(levels) for factor, levels in found.items()}


def factor_effects(context: AnalysisContext) -> list[FactorEffect]:
    """Return all main effects and trends, then all interactions of two and of three factors.

    They are corrected all together. An effect that no seed completed every cell of has n = 0 and
    names those of its cells that none completed.
    """
    levels = crossed_levels(context.table)
    sizes = [len(own) for own in levels.values()]
    trends = [each for each in all_trends(levels) if not _bends(each.factors[0], levels, context)]
    contrasts = [*trends, *all_contrasts(sizes)] if levels else []
    contrasts.sort(key=lambda each: len(each.factors))
    return _estimated(contrasts, levels, context, "factors")


def _bends(factor: int, levels: Mapping[str, Sequence[str]], context: AnalysisContext) -> bool:
    """Whether the levels leave their fitted line by more than the seeds explain: no trend then.

    Each level's distance from the line is tested over the seeds, with Bonferroni over the levels.
    """
    from scipy import special

    table = cells(context.table, context.metric, levels)
    means = np.moveaxis(table, factor + 1, -1).reshape(len(table), -1, table.shape[factor + 1])
    by_level = means.mean(axis=1)
    by_level = by_level[np.isfinite(by_level).all(axis=1)]
    count = len(by_level)
    if count < 3:
        return False
    numbers = np.array([float(each) for each in list(levels.values())[factor]])
    x = np.log(numbers) if _on_log_scale(numbers) else numbers
    line = np.column_stack([np.ones_like(x), x])
    off = by_level - by_level @ line @ np.linalg.inv(line.T @ line) @ line.T
    error = off.std(axis=0, ddof=1) / np.sqrt(count)
    size = np.abs(by_level).max() * 1e-9
    t = np.abs(off.mean(axis=0)) / np.maximum(error, size)
    p = 2 * special.stdtr(count - 1, -t)
    return bool(p.min() * len(numbers) < 1 - context.confidence)


def simple_effects(context: AnalysisContext, effects: Sequence[FactorEffect]) -> list[FactorEffect]:
    """Return what each factor does at single levels of the factors that it interacts with.

    Args:
        context: of the study.
        effects: those of `factor_effects`, whose interactions that are there are looked into.
    """
    levels = crossed_levels(context.table)
    names = list(levels)
    found: dict[tuple[object, ...], Contrast] = {}
    for each in effects:
        if each.order < 2 or each.verdict not in ("better", "worse"):
            continue
        for name, level in zip(each.factors, each.levels, strict=True):
            # Each of the others at its reference, and at its level.
            others = [
                [(names.index(other), levels[other].index(at)) for at in (first, last)]
                for other, first, last in zip(
                    each.factors, each.references, each.levels, strict=True
                )
                if other != name
            ]
            factor, at = names.index(name), levels[name].index(level)
            for within in product(*others):
                contrast = Contrast((factor,), (at,), within=dict(within))
                found[factor, at, within] = contrast
    return _estimated(list(found.values()), levels, context, "simple effects")


def _estimated(
    contrasts: Sequence[Contrast],
    levels: Mapping[str, Sequence[str]],
    context: AnalysisContext,
    family: str,
) -> list[FactorEffect]:
    if not contrasts:
        return []
    table = cells(context.table, context.metric, levels)
    differences = np.stack([contrast_by_seed(table, each) for each in contrasts], axis=1)
    # A contrast of order k takes 2^k cells together, of whatever sizes the seed has.
    sizes = rounding(context.values).max(axis=1, initial=0.0, keepdims=True)
    noise = sizes * [2.0 ** (len(each.factors) - 1) for each in contrasts]
    compared = compare(differences, context.family(family, len(contrasts)), noise)
    return [
        specialize(
            comparison,
            FactorEffect,
            **_labels(contrast, levels),
            missing_cells=tuple(_empty_cells(table, contrast, levels)),
        )
        for comparison, contrast in zip(compared, contrasts, strict=True)
    ]


def cells_of(effect: FactorEffect, results: ResultTable) -> list[str]:
    """Return the variants that a contrast is made of."""
    held = dict(each.split("=", 1) for each in effect.within)
    ends = dict(
        zip(effect.factors, zip(effect.levels, effect.references, strict=True), strict=True)
    )
    return [
        variant.name
        for variant in results.resolved
        if all(variant.factors.get(name) == level for name, level in held.items())
        and (
            effect.trend is not None
            or all(variant.factors.get(name) in both for name, both in ends.items())
        )
    ]


def crossed_levels(results: ResultTable) -> dict[str, tuple[str, ...]]:
    """Return the levels of each factor that has more than one."""
    return {name: own for name, own in factor_levels(results).items() if len(own) > 1}


def cells(results: ResultTable, metric: str, levels: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Return (seeds, levels of factor 1, levels of factor 2, …), NaN where none completed."""
    values = results.values(metric)
    table = np.full((*(len(own) for own in levels.values()), len(results.seeds)), np.nan)
    for column, variant in enumerate(results.resolved):
        if set(levels) <= set(variant.factors):
            at = tuple(own.index(variant.factors[name]) for name, own in levels.items())
            table[at] = values[:, column]
    return np.moveaxis(table, -1, 0)


def all_contrasts(sizes: Sequence[int]) -> Iterator[Contrast]:
    """Yield every contrast of factors with `sizes` levels, by order: main effects first."""
    for order in range(1, min(HIGHEST_ORDER, len(sizes)) + 1):
        for factors in combinations(range(len(sizes)), order):
            for levels in product(*(range(1, sizes[each]) for each in factors)):
                yield Contrast(factors, levels)


def all_trends(levels: Mapping[str, Sequence[str]]) -> Iterator[Contrast]:
    """Yield a trend for each factor of three or more levels that are all numbers."""
    for factor, own in enumerate(levels.values()):
        try:
            numbers = np.array([float(each) for each in own])
        except ValueError:
            continue
        if len(own) > 2 and np.isfinite(numbers).all() and np.ptp(numbers) > 0:
            x = np.log(numbers) if _on_log_scale(numbers) else numbers
            centred = x - x.mean()
            weights = np.ptp(x) * centred / (centred**2).sum()
            yield Contrast((factor,), (int(numbers.argmax()),), weights=tuple(weights.tolist()))


def _on_log_scale(numbers: np.ndarray) -> bool:
    return bool(numbers.min() > 0 and numbers.max() >= LOG_RANGE * numbers.min())


def contrast_by_seed(table: np.ndarray, contrast: Contrast) -> np.ndarray:
    """Return the contrast of each seed.

    Args:
        table: (seeds, levels of factor 1, …), NaN where a cell did not complete.
        contrast: level against the first level, for one factor or more.

    Returns:
        (seeds,); NaN for a seed that lacks a cell.
    """
    found = table
    # From the last axis on, so that the earlier axes keep their places.
    for factor in range(table.ndim - 2, -1, -1):
        axis = factor + 1
        if contrast.weights and factor in contrast.factors:
            # Weights sum to 0: what all levels have in common is taken out before it rounds.
            found = found - np.take(found, [0], axis)
            found = (np.moveaxis(found, axis, -1) * np.array(contrast.weights)).sum(axis=-1)
        elif factor in contrast.within:
            found = np.take(found, contrast.within[factor], axis)
        elif factor in contrast.factors:
            level = contrast.levels[contrast.factors.index(factor)]
            found = np.take(found, level, axis) - np.take(found, 0, axis)
        else:
            found = found.mean(axis=axis)
    return found


def _empty_cells(
    table: np.ndarray, contrast: Contrast, levels: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the cells of a contrast that no seed completed, named by their levels."""
    compared: dict[int, Iterable[int]] = {
        factor: (0, level) for factor, level in zip(contrast.factors, contrast.levels, strict=True)
    }
    if contrast.weights:
        compared = {contrast.factors[0]: range(len(contrast.weights))}
    compared |= {factor: (level,) for factor, level in contrast.within.items()}
    empty = ~np.isfinite(table).any(axis=0)
    places = [compared.get(axis, range(len(own))) for axis, own in enumerate(levels.values())]
    return [
        ",".join(f"{name}={own[at]}" for (name, own), at in zip(levels.items(), cell, strict=True))
        for cell in product(*places)
        if empty[cell]
    ]


def _labels(contrast: Contrast, levels: Mapping[str, Sequence[str]]) -> dict[str, object]:
    every = list(levels)
    names = [every[each] for each in contrast.factors]
    chosen = [levels[name][level] for name, level in zip(names, contrast.levels, strict=True)]
    parts = [
        name if len(levels[name]) == 2 else f"{name}={level}"
        for name, level in zip(names, chosen, strict=True)
    ]
    within = [f"{every[each]}={levels[every[each]][at]}" for each, at in contrast.within.items()]
    name, trend = " × ".join(parts), None
    references = [levels[name][0] for name in names]
    if contrast.weights:
        numbers = np.array([float(each) for each in levels[names[0]]])
        references = [levels[names[0]][int(numbers.argmin())]]
        trend = "log" if _on_log_scale(numbers) else "linear"
        name = f"{names[0]} (trend)"
    held = {*contrast.factors, *contrast.within}
    return {
        "name": f"{name} at {', '.join(within)}" if within else name,
        "order": len(names),
        "factors": tuple(names),
        "levels": tuple(chosen),
        "references": tuple(references),
        "averaged_over": tuple(each for at, each in enumerate(every) if at not in held),
        "trend": trend,
        "within": tuple(within),
    }
