"""What leave-one-out leaves out by site or by layer, which only the built model can tell.

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
from ablate.study.schema.variant import Found
from ablate.study.study import Study


def wanted_sites(study: Study) -> ResolvedVariant | None:
    """Return the variant whose sites (or own layers) must be found before all variants are known.

    None if `expand` knows them all. By site, the worker reports what each placement of this
    variant inserted; by layer, which layers of the base model `leave_one_out.where` selects.
    """
    rule = study.leave_one_out
    if rule is None or rule.by == "placement" or rule.found is not None:
        return None
    return _origin(study)


def with_sites(study: Study, found: Sequence[Found]) -> Study:
    """Return `study` with the sites (or layers) that leave-one-out leaves out in turn.

    Raises:
        StudyError: nothing was found, or the variants it gives contradict others.
    """
    if study.leave_one_out is None:
        return study
    if not found:
        raise StudyError(
            f"leave_one_out: there is nothing to leave out of '{study.leave_one_out.from_}'."
        )
    return study.with_leave_one_out(found=list(found))


def carry_sites(study: Study, earlier: Study) -> Study:
    """Return `study` with the sites that `earlier` knows, if they are the same variant's."""
    rule, known = study.leave_one_out, earlier.leave_one_out
    if rule is None or known is None or rule.found is not None or known.found is None:
        return study
    if rule != known.model_copy(update={"found": None}):
        return study
    before, now = _origin(earlier), _origin(study)
    same = all(
        getattr(now.spec, part) == getattr(before.spec, part)
        for part in ("data", "model", "insert", "remove", "replace", "change")
    )
    return with_sites(study, known.found) if same else study


def _origin(study: Study) -> ResolvedVariant:
    known = [variant for variant in study.resolved if variant.origin != "leave_one_out"]
    return leave_one_out_origin(known, study, VariantResolver(study))
