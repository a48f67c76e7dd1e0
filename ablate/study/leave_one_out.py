"""The sites that a study's variants depend on, which only the built model can tell.

Leave-one-out by site or by layer leaves them out in turn; a screening switches each on and off.
`wanted_sites` names the variant that a worker has to preview, `with_sites` writes what it found
into the study, and from then on the study knows all its variants; until then it has those that
need no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablate.errors import StudyError
from ablate.study.expand import leave_one_out_origin
from ablate.study.inherit import VariantResolver
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.variant import Found, LeaveOneOut
from ablate.study.screen_design import ALL
from ablate.study.screening import with_found
from ablate.study.study import Study


def wanted_sites(study: Study) -> tuple[ResolvedVariant, LeaveOneOut] | None:
    """Return the variant whose sites (or own layers) must be found before all variants are known.

    None if `expand` knows them all. By site, the worker reports what each placement of this
    variant inserted; by layer, which layers of the base model `leave_one_out.where` selects.
    """
    if study.screen is not None:
        every = LeaveOneOut.model_validate({"from": ALL, "by": "site"})
        return None if study.screen.found is not None else (study.resolved[0], every)
    rule = study.leave_one_out
    if rule is None or rule.by == "placement" or rule.found is not None:
        return None
    return _origin(study), rule


def with_sites(study: Study, found: Sequence[Found]) -> Study:
    """Return `study` with the sites (or layers) that were found.

    Raises:
        StudyError: nothing was found, or the variants it gives contradict others.
    """
    if study.screen is not None:
        return with_found(study, found)
    if study.leave_one_out is None:
        return study
    if not found:
        raise StudyError(
            f"leave_one_out: there is nothing to leave out of '{study.leave_one_out.from_}'."
        )
    return study.with_leave_one_out(found=list(found))


def carry_sites(study: Study, earlier: Study) -> Study:
    """Return `study` with the sites that `earlier` knows, if they are the same variant's."""
    if study.screen is not None or earlier.screen is not None:
        return _carry_screen(study, earlier)
    rule, known = study.leave_one_out, earlier.leave_one_out
    if rule is None or known is None or rule.found is not None or known.found is None:
        return study
    if rule != known.model_copy(update={"found": None}):
        return study
    before, now = _origin(earlier), _origin(study)
    return with_sites(study, known.found) if _same_network(now, before) else study


def _carry_screen(study: Study, earlier: Study) -> Study:
    now, before = study.screen, earlier.screen
    if now is None or before is None or now.found is not None or before.found is None:
        return study
    if now.placements != before.placements:
        return study
    old = earlier.model_copy(update={"screen": before.model_copy(update={"found": None})})
    same = _same_network(study.resolved[0], old.resolved[0])
    return with_found(study, before.found) if same else study


def _same_network(one: ResolvedVariant, other: ResolvedVariant) -> bool:
    parts = ("data", "model", "insert", "remove", "replace", "change")
    return all(getattr(one.spec, part) == getattr(other.spec, part) for part in parts)


def _origin(study: Study) -> ResolvedVariant:
    known = [variant for variant in study.resolved if variant.origin != "leave_one_out"]
    return leave_one_out_origin(known, study, VariantResolver(study))
