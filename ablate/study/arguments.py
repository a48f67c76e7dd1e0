"""Arguments that depend on a kind: what a factory, a data source or a file takes beside its name.

A section of a study (`data`, `model`) says which kind it is by one key, and the rest are that
kind's own arguments. Here a `Kind` ties the two together: its arguments are a strict pydantic
model, so each has a type, a default and a sentence; a wrong one is told with its own path and
the nearest valid name; and the JSON Schema lists the kinds one by one, so that editors
complete them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ablate.errors import nearest
from ablate.study.schema.strict import Strict
from ablate.study.validation import InvalidFields, Problem, problems_of


class NoArguments(Strict):
    """Takes nothing beside its name."""


@dataclass(frozen=True)
class Kind:
    """One way to fill a section: the `key` that names it and the arguments it takes.

    `names` are the values the key may have (None: a path or an import path). `arguments` is
    None where anything goes, because someone else's function takes them. `shared` are the
    section's own fields that this kind uses beyond the key.
    """

    title: str
    key: str
    names: tuple[str, ...] | None
    arguments: type[Strict] | None
    about: str
    shared: tuple[str, ...] = ()


def complete(kind: Kind, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arguments` with the kind's defaults filled in (they are valid already)."""
    if kind.arguments is None:
        return dict(arguments)
    return kind.arguments.model_validate(dict(arguments)).model_dump()


def check(kind: Kind, arguments: Mapping[str, Any], fields: Iterable[str] = ()) -> None:
    """Check a kind's own arguments; every slip has the argument's name as its path.

    `fields` are the section's own keys, which a misspelt argument may have meant.

    Raises:
        Slips: unknown arguments (with the nearest valid name) or wrong values.
    """
    if kind.arguments is None:
        return
    known = list(kind.arguments.model_fields)
    takes = f"It takes: {', '.join(known)}." if known else "It takes none."
    problems = [
        Problem(
            (key,),
            f"not an argument of {kind.title}.{nearest(key, [*known, *fields])} {takes}",
        )
        for key in arguments
        if key not in known
    ]
    fitting = {key: value for key, value in arguments.items() if key in known}
    try:
        kind.arguments.model_validate(fitting)
    except ValidationError as error:
        problems += problems_of(error, kind.arguments, fitting)
    if problems:
        raise InvalidFields(*problems)


def schema(section: type[BaseModel], plain: dict[str, Any], kinds: Iterable[Kind]) -> None:
    """Make `plain`, the JSON Schema of `section`, list its kinds one by one, in place."""
    kinds = list(kinds)
    keys = {kind.key for kind in kinds}
    special = keys | {field for kind in kinds for field in kind.shared}
    fields = plain.get("properties", {})
    common = {name: value for name, value in fields.items() if name not in special}
    plain.pop("properties", None)
    plain.pop("additionalProperties", None)
    plain["anyOf"] = [_alternative(kind, fields, common) for kind in kinds]


def _alternative(
    kind: Kind, fields: Mapping[str, Any], common: Mapping[str, Any]
) -> dict[str, Any]:
    key = {"type": "string", "description": kind.about}
    if kind.names is not None:
        key["enum"] = list(kind.names)  # type: ignore[assignment]
    own: dict[str, Any] = {}
    if kind.arguments is not None:
        own = kind.arguments.model_json_schema().get("properties", {})
    shared = {name: fields[name] for name in kind.shared if name in fields and name not in own}
    return {
        "title": kind.title,
        "description": kind.about,
        "type": "object",
        "properties": {kind.key: key, **shared, **own, **common},
        "required": [kind.key],
        "additionalProperties": kind.arguments is None,
    }
