"""What a variant is, in words: `bn` → `bn (BN before the activation)`; and what intervals cover.

Both are read off the arms' specs; no result is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.analysis.sentences import listing
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement

_POSITIONS = {
    "before": "before",
    "before_activation": "before the activation",
    "after_activation": "after the activation",
    "after": "after",
}


def described(variant: ResolvedVariant, baseline: ResolvedVariant) -> str:
    """Return the variant's name and, where it inserts up to three layers, what it inserts."""
    known = list(baseline.spec.insert)
    added = [each for each in variant.spec.insert if each not in known]
    if variant.factors or variant.origin != "declared" or not 1 <= len(added) <= 3:
        return variant.name
    return f"{variant.name} ({listing([_placed(each) for each in added])})"


def weights_kept(variant: ResolvedVariant) -> bool:
    """Whether the base model keeps weights it came with: a file's, or those that are named."""
    model = variant.spec.model
    if model.file is not None:
        return model.weights != "fresh"
    return model.weights not in (None, "none", "fresh")


def coverage_clause(
    variant: ResolvedVariant,
    *,
    held_out: str,
    rows: int | None,
    seeds: int,
    drawn: Sequence[str] | None = None,
) -> str:
    """Return the clause that ends the report's first sentence: what the intervals cover.

    Args:
        arm: the baseline.
        held_out: "test", "validation" or "training": where the headline metric is measured.
        rows: how many such rows there are, if known.
        seeds: the most seeds that any comparison has.
        drawn: the parts that `split: per_seed` draws anew; None where the records do not say.
    """
    where = f"{rows} {held_out} rows" if rows else f"{held_out} rows"
    anew = variant.spec.data.split == "per_seed"
    redrawn = anew and (drawn is None or {"training": "train"}.get(held_out, held_out) in drawn)
    on = f"on these {where}"
    if redrawn:
        on = f"on {where}, redrawn with every seed"
        on += f" where the source has no {held_out} part of its own" if drawn is None else ""
    if seeds < 3:
        return f"{on}, and without an interval, which takes 3 seeds"
    varied = []
    if redrawn:
        varied.append("the split")
    elif anew and drawn:
        parts = ["training" if each == "train" else each for each in drawn]
        varied.append(f"the draw of {listing(parts)} rows")
    if weights_kept(variant):
        varied += ["batch order", "Dropout", "inserted layers", "a new head"]
        return f"{on}, the intervals covering {listing(varied)} only, as the weights are kept"
    varied += ["initialization", "batch order"]
    only = "" if redrawn else " only"
    return f"{on}, the intervals covering {listing(varied)}{only}"


def differing(
    resolved: Sequence[ResolvedVariant], baseline: ResolvedVariant, path: str
) -> set[str]:
    """Return the arms whose spec differs from the baseline's at a path such as `train.epochs`."""
    return {variant.name for variant in resolved if _at(variant, path) != _at(baseline, path)}


def rows_phrase(rows: dict[str, int]) -> str:
    """Return `1000 train, 200 validation and 300 test rows`."""
    return listing([f"{count} {name}" for name, count in rows.items()]) + " rows"


def seeds_phrase(seeds: Sequence[int]) -> str:
    """Return `seed 3` or `seeds 0, 1 and 4`."""
    return f"seed{'s' if len(seeds) > 1 else ''} {listing([str(each) for each in seeds])}"


def counted(names: Sequence[str], most: int = 4) -> str:
    """Return the names, or, past `most`, the first ones and how many more."""
    if len(names) <= most:
        return listing(list(names))
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def _placed(placement: Placement) -> str:
    layer = "BN" if placement.layer == "BatchNormalization" else placement.layer
    rate = placement.arguments.get("rate")
    share = f" {rate:g}" if isinstance(rate, int | float) else ""
    hosts = placement.where if isinstance(placement.where, str) else listing(placement.where)
    if placement.at in ("before", "after"):
        hosts = "each hidden layer" if hosts == "hidden" else hosts
        return f"{layer}{share} {placement.at} {hosts}"
    of = "" if hosts == "hidden" else f" of {hosts}"
    return f"{layer}{share} {_POSITIONS[placement.at]}{of}"


def _at(variant: ResolvedVariant, path: str) -> object:
    found: object = variant.spec
    for name in path.split("."):
        found = getattr(found, name)
    return found
