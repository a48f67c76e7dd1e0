"""How a point of a search changes a variant.

`parameters_of` tells which paths of the space a variant has, `apply_point` the spec that a point
makes of it, `values_at` what a spec has at a path. Keras Tuner is not needed here: oracles and
their hyperparameters are `ablate.search`'s work.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ablate.errors import StudyError, nearest
from ablate.study.inherit import merge
from ablate.study.keras_names import LAYER_ARGUMENTS
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Change, Placement, Replacement
from ablate.study.schema.search import Dimension, Search
from ablate.study.schema.train import Train
from ablate.study.trial import Spec
from ablate.study.validation import InvalidFields, invalid

#: The edits of a spec that a path may lead into, by their kind, with their own fields.
EDITS: dict[str, tuple[str, ...]] = {
    "insert": ("present", "at", "where", "except", "calibrate"),
    "replace": ("present", "where", "except", "calibrate"),
    "change": ("present", "where", "except"),
}

Edit = Placement | Replacement | Change

#: The point under which a winner's fresh seeds stand in search.csv and on TensorBoard.
CONFIRMED = "confirmed"


def edits_of(spec: Spec) -> dict[str, list[Edit]]:
    """Return the edits of a spec by what their paths begin with: `insert.<label>`, and so on.

    What has no name is called by its layer (insert) or by its selector (replace, change).
    """
    found: dict[str, list[Edit]] = {}
    for kind in EDITS:
        for each in getattr(spec, kind) or ():
            found.setdefault(f"{kind}.{each.label}", []).append(each)
    return found


def is_edit(path: str) -> bool:
    """Whether a path leads into an edit of the model, as far as its first word tells."""
    return path.partition(".")[0] in EDITS


def parameters_of(variant: ResolvedVariant, search: Search) -> dict[str, Dimension]:
    """Return the parameters that `variant` has, by path, in the order of the space.

    Every variant has the fields of `train`, but a part of one (`train.optimizer.momentum`) only
    if its own takes it; it has an `insert` path if it has that placement, and so on. The other
    fields of a placement matter only where `insert.<placement>.present` is true.
    """
    prefixes = edits_of(variant.spec)
    return {
        path: dimension
        for path, dimension in search.space.items()
        if path.rpartition(".")[0] in prefixes or _has_field(variant, path, dimension)
    }


def _has_field(variant: ResolvedVariant, path: str, dimension: Dimension) -> bool:
    if not path.startswith("train."):
        return False
    if path.count(".") == 1 and "[" not in path:
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
    prefix, _, last = path.rpartition(".")
    parent = f"{prefix}.present"
    return parent if is_edit(path) and last != "present" and parent in search.space \
        else None  # fmt: skip


def apply_point(spec: Spec, point: Mapping[str, Any]) -> Spec:
    """Return the spec that `point` (path → value) makes of `spec`.

    Only the sections a point touches are validated again, so ten thousand points take a
    fraction of a second.

    Raises:
        StudyError: a field refuses its value, or the spec has no such parameter.
    """
    train: dict[str, Any] = {}
    edited: dict[str, dict[str, Any]] = {}
    prefixes = edits_of(spec)
    for path, value in point.items():
        if path.startswith("train."):
            _put(train, path.split(".")[1:], value)
            continue
        prefix, _, name = path.rpartition(".")
        if prefix not in prefixes:
            raise StudyError(f"{path}: {slip_for(path, prefixes)}")
        edited.setdefault(prefix, {})[name] = value
    update: dict[str, Any] = {}
    if train:
        update["train"] = _searched(spec.train, train)
    for kind in {prefix.partition(".")[0] for prefix in edited}:
        own = [(each, edited.get(f"{kind}.{each.label}", {})) for each in getattr(spec, kind)]
        made = [_edited(each, change) for each, change in own]
        present = [each for each in made if each is not None]
        update[kind] = present if kind == "insert" else present or None
    return spec.model_copy(update=update)


def _searched(train: Train, changes: dict[str, Any]) -> Train:
    """Return the section with a point's fields, those of phases among them (`phases[1]`)."""
    document = _fields(train)
    for key in [key for key in changes if key.startswith("phases[")]:
        over, index = changes.pop(key), _index(key)
        phases = list(document.get("phases") or [])
        if index is None or index >= len(phases):
            raise StudyError(f"train.{key}: the variant has {len(phases)} phases, counted from 0.")
        phases[index] = merge(phases[index], over)
        document = {**document, "phases": phases}
        document.pop("epochs", None)
    return Train(**merge(document, changes))


def _index(part: str) -> int | None:
    """Return the index in `phases[1]`, None where there is none."""
    found = re.fullmatch(r"\w+\[(\d+)\]", part)
    return int(found[1]) if found else None


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
        prefix, _, last = path.rpartition(".")
        edits = [_fields(each) for each in edits_of(spec).get(prefix, ())]
        sections, keys = [{"present": True, **each} for each in edits], [last]
    for key in keys:
        if (index := _index(key)) is not None:
            key = key.partition("[")[0]
            sections = [
                {**each, key: each[key][index]}
                for each in sections
                if len(each.get(key) or ()) > index
            ]
        sections = [each[key] for each in sections if isinstance(each, Mapping) and key in each]
    return tuple(each for at, each in enumerate(sections) if each not in sections[:at])


def slip_for(path: str, prefixes: Collection[str]) -> InvalidFields:
    """Return the complaint about a path that leads nowhere."""
    expected = f"Expected train.<field>, insert.<placement>.<field> or change.<change>.<field>; " \
        f"there are {', '.join(sorted(prefixes)) or 'none of the last two here'}."  # fmt: skip
    kind = path.partition(".")[0]
    if kind in EDITS:
        name = path.removeprefix(f"{kind}.").rpartition(".")[0]
        labels = [
            prefix.removeprefix(f"{kind}.") for prefix in prefixes if prefix.startswith(f"{kind}.")
        ]
        what = {"insert": "placement", "replace": "replacement"}.get(kind, kind)
        return invalid(
            f"no variant has a {what} called '{name}'.{nearest(name, labels)} {expected}"
        )
    return invalid(f"not a path that can be searched. {expected}")


def check_path(path: str, prefixes: Mapping[str, set[str]]) -> None:
    """Refuse a path that names no field.

    Args:
        path: as in `search.space`.
        prefixes: of all variants' edits (`edits_of`), with the classes of the layers that they
            bring; none for changes.

    Raises:
        InvalidFields: with the nearest valid name.
    """
    if path.startswith("train."):
        name, fields = path.split(".")[1].partition("[")[0], list(Train.model_fields)
        if name not in fields:
            raise invalid(
                f"'train' has no field '{name}'.{nearest(name, fields)} "
                f"It has: {', '.join(fields)}."
            )
        return
    prefix, _, name = path.rpartition(".")
    if prefix not in prefixes or not is_edit(path):
        raise slip_for(path, prefixes)
    of_edit = EDITS[path.partition(".")[0]]
    for layer in sorted(prefixes[prefix]):
        own = LAYER_ARGUMENTS.get(layer)
        if own is not None and name not in own and name not in of_edit:
            known = [*of_edit, *sorted(own)]
            raise invalid(
                f"a placement of {layer} has no field '{name}'.{nearest(name, known)} "
                f"It has: {', '.join(known)}."
            )


def _edited(edit: Edit, change: Mapping[str, Any]) -> Edit | None:
    """Return the edit as a point wants it, None where it is not present."""
    if not change:
        return edit
    if not change.get("present", True):
        return None
    fields = {key: value for key, value in change.items() if key != "present"}
    return type(edit)(**{**_fields(edit), **fields}) if fields else edit


def _put(document: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        document = document.setdefault(part, {})
    document[parts[-1]] = value


def _fields(model: Train | Edit) -> dict[str, Any]:
    return model.model_dump(by_alias=True)
