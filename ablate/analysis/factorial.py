"""Factorial studies: main effects and interactions as contrasts, one number per seed.

In goes an array with an axis for the seeds and one per factor, out come its contrasts: for a main
effect y1 - y0, for an interaction of two y11 - y10 - y01 + y00, of three the difference of two
such; each averaged over the levels of the factors not involved. A factor with more than two levels
gives a contrast for each level against its first. A seed counts when it completed every cell of the
contrast: those of the two levels that it compares, with every level of the other factors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import rounding
from ablate.analysis.effects import FactorEffect
from ablate.analysis.paired import compare, specialize
from ablate.analysis.result_table import ResultTable

#: Interactions of more factors are neither computed nor corrected for.
HIGHEST_ORDER = 3


@dataclass(frozen=True)
class Contrast:
    """Which levels of which factors a contrast compares; the indices point into the levels."""

    factors: tuple[int, ...]
    levels: tuple[int, ...]


def factor_levels(results: ResultTable) -> dict[str, tuple[str, ...]]:
    """Return each factor's levels, in the order of the variants; empty where none are declared."""
    found: dict[str, dict[str, None]] = {}
    for variant in results.resolved:
        for factor, level in variant.factors.items():
            found.setdefault(factor, {})[level] = None
    return {factor: tuple(levels) for factor, levels in found.items()}


def factor_effects(context: AnalysisContext) -> list[FactorEffect]:
    """Return all main effects, then all interactions of two and of three factors.

    Holm takes them all together. An effect that no seed completed every cell of has n = 0 and names
    those of its cells that none completed.
    """
    levels = {name: own for name, own in factor_levels(context.table).items() if len(own) > 1}
    if not levels:
        return []
    table = cells(context.table, context.metric, levels)
    contrasts = list(all_contrasts([len(own) for own in levels.values()]))
    differences = np.stack([contrast_by_seed(table, each) for each in contrasts], axis=1)
    # A contrast of order k takes 2^k cells together, of whatever sizes the seed has.
    sizes = rounding(context.values).max(axis=1, initial=0.0, keepdims=True)
    noise = sizes * [2.0 ** (len(each.factors) - 1) for each in contrasts]
    compared = compare(differences, context.family("factors", len(contrasts)), noise)
    return [
        specialize(
            comparison,
            FactorEffect,
            **_labels(contrast, levels),
            missing_cells=tuple(_empty_cells(table, contrast, levels)),
        )
        for comparison, contrast in zip(compared, contrasts, strict=True)
    ]


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
        if factor in contrast.factors:
            level = contrast.levels[contrast.factors.index(factor)]
            found = np.take(found, level, axis) - np.take(found, 0, axis)
        else:
            found = found.mean(axis=axis)
    return found


def _empty_cells(
    table: np.ndarray, contrast: Contrast, levels: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the cells of a contrast that no seed completed, named by their levels."""
    compared = {
        factor: (0, level) for factor, level in zip(contrast.factors, contrast.levels, strict=True)
    }
    empty = ~np.isfinite(table).any(axis=0)
    places = [compared.get(axis, range(len(own))) for axis, own in enumerate(levels.values())]
    return [
        ",".join(f"{name}={own[at]}" for (name, own), at in zip(levels.items(), cell, strict=True))
        for cell in product(*places)
        if empty[cell]
    ]


def _labels(contrast: Contrast, levels: Mapping[str, Sequence[str]]) -> dict[str, object]:
    names = [list(levels)[each] for each in contrast.factors]
    chosen = [levels[name][level] for name, level in zip(names, contrast.levels, strict=True)]
    parts = [
        name if len(levels[name]) == 2 else f"{name}={level}"
        for name, level in zip(names, chosen, strict=True)
    ]
    return {
        "name": " × ".join(parts),
        "order": len(names),
        "factors": tuple(names),
        "levels": tuple(chosen),
        "references": tuple(levels[name][0] for name in names),
    }
