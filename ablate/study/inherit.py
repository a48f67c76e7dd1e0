"""Inheritance: what a variant says, added to what it extends and to the study's own sections.

Declared variants (or one level of each factor) go in, in the order in which they apply; a
`Spec` comes out. `insert` and `remove` concatenate with exact repeats once; of `replace` and
`change` there is one for each selector, its arguments merged; mappings merge by
key, but one that gives another `name` (or `file`, or `call`) replaces the whole. A section that
no change touches, or the same changes touch, is validated once and shared by all its variants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ablate.errors import nearest
from ablate.study.declaration import Declaration
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.placement import Placement, Removal
from ablate.study.schema.train import Train
from ablate.study.schema.variant import Variant
from ablate.study.trial import Spec
from ablate.study.validation import InvalidFields, Path, Problem, problems_of

#: Keys that say what a mapping is about: another value starts a new mapping.
_IDENTITY = ("name", "file", "call", "study")

#: Fields where a text stands for a mapping with that name.
NAMED = ("optimizer", "schedule")

_SECTIONS: dict[str, type[BaseModel]] = {"data": Data, "model": Model, "train": Train}


@dataclass(frozen=True)
class Part:
    """One declared variant or level, and where the study says it."""

    path: Path
    variant: Variant


def inheritance_chain(name: str, declared: Mapping[str, Variant], path: Path) -> list[Part]:
    """Return what variant `name` is made of: its parents left to right, then itself.

    Args:
        name: a key of `declared`.
        declared: the variants, or the levels of one factor.
        path: where `declared` stands in the study.

    Raises:
        InvalidFields: an unknown parent, or a cycle, which is spelled out.
    """
    parts: list[Part] = []

    def visit(each: str, chain: tuple[str, ...]) -> None:
        if each in chain:
            cycle = " -> ".join([*chain[chain.index(each) :], each])
            raise InvalidFields(Problem((*path, name, "extends"), f"a cycle: {cycle}."))
        for parent in declared[each].parents:
            if parent not in declared:
                text = (
                    f"no variant '{parent}' to extend.{nearest(parent, declared)} "
                    f"Expected one of: {', '.join(declared)}."
                )
                raise InvalidFields(Problem((*path, each, "extends"), text))
            visit(parent, (*chain, each))
        parts.append(Part((*path, each), declared[each]))

    visit(name, ())
    return parts


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid upon it, key by key.

    >>> merge({"optimizer": {"name": "sgd", "momentum": 0.9}}, {"optimizer": {"momentum": 0.5}})
    {'optimizer': {'name': 'sgd', 'momentum': 0.5}}
    >>> merge({"optimizer": {"name": "sgd", "momentum": 0.9}}, {"optimizer": {"name": "adam"}})
    {'optimizer': {'name': 'adam'}}
    """
    for key in _IDENTITY:
        if key in over and over[key] is not None and over[key] != base.get(key):
            return dict(over)
    merged = dict(base)
    for key, value in over.items():
        under = merged.get(key)
        if isinstance(value, Mapping):
            if isinstance(under, str) and key in NAMED:
                under = {"name": under}
            merged[key] = merge(under, value) if isinstance(under, Mapping) else dict(value)
        else:
            merged[key] = value
    return merged


class VariantResolver:
    """Makes specs of a study's parts, remembering every section it has validated."""

    def __init__(self, study: Declaration) -> None:
        self._base = {name: getattr(study, name) for name in _SECTIONS}
        # Defaults of `train` can be merged into (an optimizer's momentum); those of a factory or
        # a source are its own, and go when another takes its place.
        self._plain = {
            name: base.model_dump(by_alias=True, exclude_unset=name != "train")
            for name, base in self._base.items()
        }
        self._made: dict[tuple[Any, ...], BaseModel] = {}

    def spec(self, parts: Sequence[Part]) -> Spec:
        """Return the spec of `parts`, applied in order.

        Raises:
            InvalidFields: a section refuses what the parts say, at the part that said it.
        """
        problems: list[Problem] = []
        sections: dict[str, Any] = {}
        for name in _SECTIONS:
            try:
                sections[name] = self._section(name, parts)
            except InvalidFields as error:
                problems += error.problems
        if problems:
            raise InvalidFields(*problems)
        insert: list[Placement] = []
        remove: list[Removal] = []
        for part in parts:
            insert += [each for each in part.variant.insert if each not in insert]
            remove += [each for each in part.variant.remove if each not in remove]
        edits: dict[str, Any] = {
            "replace": _overridden([each for part in parts for each in part.variant.replace]),
            "change": _overridden([each for part in parts for each in part.variant.change]),
        }
        # Every part is validated already: a spec only holds them.
        return Spec.model_construct(**sections, insert=insert, remove=remove, **edits)

    def _section(self, name: str, parts: Sequence[Part]) -> BaseModel:
        telling = [part for part in parts if getattr(part.variant, name)]
        if not telling:
            return self._base[name]
        key = (name, *(id(part.variant) for part in telling))
        if key not in self._made:
            document = self._plain[name]
            for part in telling:
                over = getattr(part.variant, name)
                if over.get("phases") and "epochs" not in over:
                    document = {k: v for k, v in document.items() if k != "epochs"}
                document = merge(document, over)
            try:
                self._made[key] = _SECTIONS[name].model_validate(document)
            except ValidationError as error:
                problems = problems_of(error, _SECTIONS[name], document)
                raise InvalidFields(*(_blame(each, name, telling) for each in problems)) from None
        return self._made[key]


def _overridden(edits: Sequence[Any]) -> list[Any] | None:
    """Return replacements or changes, one of each selector: later arguments count.

    A replacement by another class replaces the whole. None where there are none.
    """
    found: dict[str, Any] = {}
    for each in edits:
        key = str((each.where, each.except_))
        before = found.get(key)
        if before is not None and getattr(before, "layer", None) == getattr(each, "layer", None):
            older, newer = (e.model_dump(by_alias=True, exclude_unset=True) for e in (before, each))
            each = type(each)(**{**older, **newer})
        found[key] = each
    return list(found.values()) or None


def _blame(problem: Problem, section: str, parts: Sequence[Part]) -> Problem:
    """Return `problem` at the last part that says the field, or something above or below it."""
    for length in range(len(problem.path), -1, -1):
        for part in reversed(parts):
            if _says(getattr(part.variant, section), problem.path[:length]):
                return Problem((*part.path, section, *problem.path), problem.text)
    return Problem((*parts[-1].path, section, *problem.path), problem.text)


def _says(document: Any, path: Path) -> bool:
    try:
        for key in path:
            document = document[key]
    except (LookupError, TypeError):
        return False
    return True
