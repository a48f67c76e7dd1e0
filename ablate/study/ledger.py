"""The trials of a ledger: the baseline with one source of chance drawn anew at a time.

A radial design. Its base trials are the baseline's own, with the study's first seeds (and more,
where those are too few); each source adds a variant with the same seeds and a `reseed`, and three
trials differ in nothing, which tells how far a machine repeats itself. All of them are planned,
stored and resumed as any other trial, and no part of the study's comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ablate.study.declaration import Declaration
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.ledger import Reseed
from ablate.study.trial import Spec

#: Before the source in the names of a ledger's variants; no study's variant can begin so.
PREFIX = "ledger~"

#: The sources of chance, in the order in which a trial meets them, and in words.
SOURCES = {
    "split": "split of the rows",
    "initialization": "initialization",
    "order": "batch order",
    "masks": "masks and augmentation",
}

#: Trials that differ in nothing.
RERUNS = 3


def ledger_seeds(study: Declaration) -> tuple[int, ...]:
    """Return the seeds of the base trials: the study's own first, then the next ones."""
    assert study.ledger is not None
    own = list(study.seed_list)
    more = (each for each in range(max(own) + 1, max(own) + 1 + study.ledger.runs))
    return tuple([*own, *more][: study.ledger.runs])


def ledger_variants(
    study: Declaration, resolved: Sequence[ResolvedVariant]
) -> list[tuple[ResolvedVariant, tuple[int, ...]]]:
    """Return the variants of the study's ledger with their seeds, none without a ledger."""
    if study.ledger is None:
        return []
    baseline = baseline_of(study, resolved)
    seeds, gone = ledger_seeds(study), absent(baseline.spec)
    found = [(_reseeded(baseline, each), seeds) for each in ("base", *SOURCES) if each not in gone]
    return [*found, (_reseeded(baseline, "rerun"), seeds[:RERUNS])]


def baseline_of(study: Declaration, resolved: Sequence[ResolvedVariant]) -> ResolvedVariant:
    """Return the variant whose spread is looked into: the baseline."""
    return next((each for each in resolved if each.name == study.baseline), resolved[0])


def absent(spec: Spec) -> Mapping[str, str]:
    """Return the sources that trials of `spec` surely do not have, each with the reason.

    What only training can tell (a test part that the source brings, the Dropout of someone else's
    model) is trained and found not to matter.
    """
    found = {}
    data, model = spec.data, spec.model
    if data.folds is not None:
        found["split"] = "data.folds leaves out the fold that belongs to the seed"
    if data.split == "ordered":
        found["split"] = "data.split: ordered cuts the rows by their order"
    if model.weights == "keep":
        found["initialization"] = "model.weights: keep, every seed starts from the same weights"
    own = model.file is None and model.call is None and model.application is None
    edits = [each.layer for each in (*spec.insert, *(spec.replace or ()))]
    random = any("Dropout" in each or "Noise" in each for each in edits)
    if own and not random and spec.train.augment is None:
        found["masks"] = "nothing in the baseline masks, adds noise or augments"
    return found


def _reseeded(baseline: ResolvedVariant, source: str) -> ResolvedVariant:
    spec = baseline.spec
    if source != "base":
        spec = spec.model_copy(update={"reseed": Reseed(**{source: 1})})
    return replace(
        baseline, name=f"{PREFIX}{source}", spec=spec, factors={}, origin="ledger", alias_of=None
    )
