"""How a point of a search changes a variant.

`parameters_of` tells which paths of the space a variant has, `apply_point` the spec that a point
makes of it, `values_at` what a spec has at a path. Keras Tuner is not needed here: oracles and
their hyperparameters are `ablate.search`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablate.errors import StudyError, nearest
from ablate.study.inherit import merge
from ablate.study.keras_names import LAYER_ARGUMENTS
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement
from ablate.study.schema.search import Dimension, Search
from ablate.study.schema.train import Train
from ablate.study.trial import Spec
from ablate.study.validation import InvalidFields, invalid

_PLACEMENT_FIELDS = ("present", "at", "where", "except", "calibrate")


def parameters_of(variant: ResolvedVariant, search: Search) -> dict[str, Dimension]:
    """Return the parameters that `variant` has, by path, in the order of the space.

    Every variant has the fields of `train`, but a part of one (`train.optimizer.momentum`) only
    if its own takes it; it has an `insert` path if it has that placement. The other fields of a
    placement matter only where `insert.<placement>.present` is true.
    """
    labels = {placement.label for placement in variant.spec.insert}
    return {
        path: dimension
        for path, dimension in search.space.items()
        if _placement_path(path, labels) is not None or _has_field(variant, path, dimension)
    }


def _has_field(variant: ResolvedVariant, path: str, dimension: Dimension) -> bool:
    if not path.startswith("train."):
        return False
    if path.count(".") == 1:
        return True
    return any(_accepts(variant.spec, path, value) for value in dimension.samples())


def _accepts(spec: Spec, path: str, value: Any) -> bool:
    try:
        apply_point(spec, {path: value})
    except StudyError:
        return False
    return True


def condition_of(path: str, search: Search) -> str | None:
    """Return the `present` path that `path` hangs on: it matters only where that is true."""
    head, _, last = path.rpartition(".")
    parent = f"{head}.present"
    return parent if path.startswith("insert.") and last != "present" and parent in search.space \
        else None  # fmt: skip


def apply_point(spec: Spec, point: Mapping[str, Any]) -> Spec:
    """Return the spec that `point` (path → value) makes of `spec`.

    Only the sections a point touches are validated again, so ten thousand points take a
    fraction of a second.

    Raises:
        StudyError: a field refuses its value, or the spec has no such parameter.
    """
    train: dict[str, Any] = {}
    inserts: dict[str, dict[str, Any]] = {}
    labels = {placement.label for placement in spec.insert}
    for path, value in point.items():
        if path.startswith("train."):
            _put(train, path.split(".")[1:], value)
            continue
        found = _placement_path(path, labels)
        if found is None:
            raise StudyError(f"{path}: {slip_for(path, labels)}")
        inserts.setdefault(found[0], {})[found[1]] = value
    update: dict[str, Any] = {}
    if train:
        update["train"] = Train(**merge(_fields(spec.train), train))
    if inserts:
        placed = (_placed(each, inserts.get(each.label, {})) for each in spec.insert)
        update["insert"] = [each for each in placed if each is not None]
    return spec.model_copy(update=update)


def values_at(spec: Spec, path: str) -> tuple[Any, ...]:
    """Return what `spec` has at a path of `parameters_of`: the inverse of `apply_point`.

    Returns:
        one value; none where the spec leaves the field to Keras; more than one where placements
        of one name differ.
    """
    if path.startswith("train."):
        sections: list[Any] = [_fields(spec.train)]
        keys = path.split(".")[1:]
    else:
        label, _, last = path.removeprefix("insert.").rpartition(".")
        placements = [_fields(each) for each in spec.insert if each.label == label]
        sections, keys = [{"present": True, **each} for each in placements], [last]
    for key in keys:
        sections = [each[key] for each in sections if isinstance(each, Mapping) and key in each]
    return tuple(each for at, each in enumerate(sections) if each not in sections[:at])


def slip_for(path: str, labels: set[str]) -> InvalidFields:
    """Return the complaint about a path that leads nowhere."""
    expected = f"Expected train.<field> or insert.<placement>.<field>, placements being " \
        f"{', '.join(sorted(labels)) or 'none here'}."  # fmt: skip
    if path.startswith("insert."):
        name = path.removeprefix("insert.").rpartition(".")[0]
        return invalid(
            f"no variant has a placement called '{name}'.{nearest(name, labels)} {expected}"
        )
    return invalid(f"not a path that can be searched. {expected}")


def check_path(path: str, labels: set[str], layers: Mapping[str, set[str]]) -> None:
    """Refuse a path that names no field.

    Args:
        path: as in `search.space`.
        labels: what the placements of all variants are called.
        layers: the layer classes behind each label.

    Raises:
        InvalidFields: with the nearest valid name.
    """
    if path.startswith("train."):
        name = path.split(".")[1]
        fields = list(Train.model_fields)
        if name not in fields:
            raise invalid(
                f"'train' has no field '{name}'.{nearest(name, fields)} "
                f"It has: {', '.join(fields)}."
            )
        return
    found = _placement_path(path, labels) if path.startswith("insert.") else None
    if found is None:
        raise slip_for(path, labels)
    label, name = found
    for layer in sorted(layers[label]):
        own = LAYER_ARGUMENTS.get(layer)
        if own is not None and name not in own and name not in _PLACEMENT_FIELDS:
            known = [*_PLACEMENT_FIELDS, *sorted(own)]
            raise invalid(
                f"a placement of {layer} has no field '{name}'.{nearest(name, known)} "
                f"It has: {', '.join(known)}."
            )


def _placement_path(path: str, labels: set[str]) -> tuple[str, str] | None:
    """Return (label, field) of an `insert` path; labels may themselves have dots."""
    label, _, name = path.removeprefix("insert.").rpartition(".")
    return (label, name) if path.startswith("insert.") and label in labels and name else None


def _placed(placement: Placement, change: Mapping[str, Any]) -> Placement | None:
    """Return the placement as a point wants it, None where it is not present."""
    if not change:
        return placement
    if not change.get("present", True):
        return None
    fields = {key: value for key, value in change.items() if key != "present"}
    return Placement(**{**_fields(placement), **fields}) if fields else placement


def _put(document: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        document = document.setdefault(part, {})
    document[parts[-1]] = value


def _fields(model: Train | Placement) -> dict[str, Any]:
    return model.model_dump(by_alias=True)
