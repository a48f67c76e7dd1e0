"""Leave one out: what each layer, site or placement contributes, ranked.

A contribution is the whole minus the variant that lacks one part, per seed, whatever the study's
baseline is. Holm takes the contributions to one whole together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ablate.analysis.descriptive import rounding
from ablate.analysis.effects import Contribution, Direction
from ablate.analysis.paired import Family, compare, correlate, specialize
from ablate.analysis.result_table import ResultTable


def contributions(
    outcomes: ResultTable,
    metric: str,
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> list[Contribution]:
    """Return every left-out part's contribution, the most helpful first, unmeasured ones last."""
    parts: dict[str, list[tuple[str, str]]] = {}
    for variant in outcomes.resolved:
        if variant.left_out is not None and variant.left_out[0] in outcomes.names:
            origin, what = variant.left_out
            parts.setdefault(origin, []).append((what, variant.name))
    values = outcomes.values(metric)
    found: list[Contribution] = []
    for origin, left_out in parts.items():
        whole = values[:, [outcomes.column(origin)]]
        lacking = values[:, [outcomes.column(without) for _, without in left_out]]
        compared = compare(
            whole - lacking,
            seeds=outcomes.seeds,
            metric=metric,
            direction=direction,
            confidence=confidence,
            family=Family(f"contributions to {origin}", len(left_out)),
            rng=rng,
            noise=rounding(whole, lacking),
            correlations=correlate(whole, lacking),
        )
        own = [
            specialize(comparison, Contribution, what=what, origin=origin, without=without)
            for comparison, (what, without) in zip(compared, left_out, strict=True)
        ]
        found += _ranked(own, direction)
    return found


def _ranked(parts: list[Contribution], direction: Direction) -> list[Contribution]:
    sign = 1 if direction == "max" else -1
    measured = [each for each in parts if each.mean is not None]
    measured.sort(key=lambda each: -sign * (each.mean or 0.0))
    ranked = [replace(each, rank=place) for place, each in enumerate(measured, start=1)]
    return ranked + [each for each in parts if each.mean is None]
