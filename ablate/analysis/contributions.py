"""Leave one out: what each layer, site or placement contributes, ranked.

A contribution is the whole minus the variant that lacks one part, per seed, whatever the study's
baseline is. Holm takes the contributions to one whole together.
"""

from __future__ import annotations

from dataclasses import replace

from ablate.analysis.context import AnalysisContext
from ablate.analysis.effects import Contribution
from ablate.analysis.paired import compare_sides, specialize


def contributions(context: AnalysisContext) -> list[Contribution]:
    """Return every left-out part's contribution, the most helpful first, unmeasured ones last."""
    table, values = context.table, context.values
    parts: dict[str, list[tuple[str, str]]] = {}
    for variant in table.resolved:
        if variant.left_out is not None and variant.left_out[0] in table.names:
            origin, what = variant.left_out
            parts.setdefault(origin, []).append((what, variant.name))
    found: list[Contribution] = []
    for origin, left_out in parts.items():
        whole = values[:, [table.column(origin)]]
        lacking = values[:, [table.column(without) for _, without in left_out]]
        family = context.family(f"contributions to {origin}", len(left_out))
        compared = compare_sides(whole, lacking, family)
        found += _ranked(
            [
                specialize(comparison, Contribution, what=what, origin=origin, without=without)
                for comparison, (what, without) in zip(compared, left_out, strict=True)
            ]
        )
    return found


def _ranked(parts: list[Contribution]) -> list[Contribution]:
    measured = [each for each in parts if each.mean is not None]
    measured.sort(key=lambda each: (each.mean or 0.0) * (-1 if each.direction == "max" else 1))
    ranked = [replace(each, rank=place) for place, each in enumerate(measured, start=1)]
    return ranked + [each for each in parts if each.mean is None]
