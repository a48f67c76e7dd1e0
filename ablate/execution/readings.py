"""The digest of the rows that the `call` of a study's data returned when it was first read.

It is set into the data of the variants, and so into the ids of their trials; every worker checks
its own reading against it. The digest is known from the
study's own records, or from `.digests.json`, where it stands under the declaration (the call, the
digest of its source, its arguments), or a worker reads the rows now.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.study.digests import source_digest
from ablate.study.identity import trial_ids
from ablate.study.in_memory import InMemory
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.data import Data
from ablate.study.study import Study
from ablate.study.trial import Spec, TrialResult

Read = Callable[[Spec], str]

#: What stands for a digest where training rows are made anew for each epoch: nobody knows them
#: beforehand, and the declaration alone is in the ids.
STREAM = "stream"


def with_digests(
    resolved: Sequence[ResolvedVariant],
    seeds: Sequence[int],
    results: Mapping[str, TrialResult],
    memory: MutableMapping[str, Any],
    *,
    numerics: int | None = None,
    read: Read | None = None,
    anew: bool = False,
) -> tuple[ResolvedVariant, ...]:
    """Return the variants, those whose data is a `call` with the digest of its rows.

    Args:
        resolved: the variants; a digest that stands in them already stays.
        seeds: the study's.
        results: the study's records, by trial id.
        memory: digests by declaration; takes up what is read.
        numerics: what the trials are planned under.
        read: reads the rows of a spec and returns their digest, or `STREAM`; without it, what is
            not known stays open.
        anew: read even where a digest is remembered.
    """
    # Variants differ in limit and scale, never in where rows come from.
    data = resolved[0].spec.data
    if data.call is None or data.digest is not None:
        return tuple(resolved)
    key = _declaration(data, memory)
    known = None
    if data.load != "stream":
        known = _recorded(resolved, seeds, results, memory, numerics)
    if known is None and not anew:
        known = memory.get(key)
    if known is None and read is not None:
        known = read(resolved[0].spec)
    if known is None:
        return tuple(resolved)
    memory[key] = known
    if known == STREAM:
        return tuple(resolved)
    return tuple(_digested(variant, known) for variant in resolved)


def materialised(study: Study, folder: Path) -> Study:
    """Return the study with its objects as files in `folder`.

    Rows that a function returns are read under seeds, as those of a `call` are. The file that
    keeps them is all that workers see, and its digest is in the ids.
    """
    objects = study.in_memory
    if objects is None:
        return study
    if objects.open_weights:
        study = _with_made_model(study, objects)
    if not callable(objects.data) and "tensorflow" not in sys.modules:
        return study.materialised(folder)  # arrays, which draw nothing
    from ablate.data.reading import seeded  # with Keras, which a driver needs for nothing else

    with seeded("live data"):
        return study.materialised(folder)


def _with_made_model(study: Study, objects: InMemory) -> Study:
    """Return the study with the model that its function makes, and which weights it has set."""
    from ablate.models.creation import kept_weights, noted

    with noted():
        made = objects.model()
    update: dict[str, Any] = {}
    if hasattr(made, "weights") and (kept := kept_weights(made)):
        found = {layer: list(each) for layer, each in kept.items()}
        update = {"model": study.model.model_copy(update={"weights": "keep", "kept": found})}
    return study.with_objects(replace(objects, model=made, open_weights=False), **update)


def _declaration(data: Data, memory: MutableMapping[str, Any]) -> str:
    arguments = json.dumps(data.complete_arguments(), sort_keys=True, default=str)
    what = "rows" if data.load == "memory" else "rows or stream"
    return f"{what} of {data.call} {source_digest(str(data.call), memory)} {arguments}"


def _recorded(
    resolved: Sequence[ResolvedVariant],
    seeds: Sequence[int],
    results: Mapping[str, TrialResult],
    memory: MutableMapping[str, Any],
    numerics: int | None,
) -> str | None:
    """Return the digest under which trials of these very variants were trained, if any were."""
    candidates = {
        section["digest"]: None
        for result in results.values()
        if (section := result.spec.get("data", {})).get("call") == resolved[0].spec.data.call
        and section.get("digest")
    }
    for digest in candidates:
        for variant in (_digested(each, digest) for each in resolved):
            ids = trial_ids(
                variant.spec, seeds, salt=variant.salt, memory=memory, numerics=numerics
            )
            if any(each in results for each in ids):
                return str(digest)
    return None


def _digested(variant: ResolvedVariant, digest: str) -> ResolvedVariant:
    data = variant.spec.data.model_copy(update={"digest": digest})
    return replace(variant, spec=variant.spec.model_copy(update={"data": data}))
