"""Overrides: `a.b=c` laid upon a study's document, before it is judged.

A document (plain mappings and lists, as a file says them) and dotted paths with values go in;
a changed copy comes out, with a problem for every path that leads nowhere. Keys may themselves
have dots (a variant called `lr0.1`, a search path): the longest key that is there wins. List
elements are reached by index, `insert[0]` or `insert.0`. What is not there is made.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ablate.errors import nearest
from ablate.study.declaration import Declaration
from ablate.study.inherit import NAMED
from ablate.study.schema.train import Train
from ablate.study.validation import Path, Problem, _models, dotted, keys_at, shown


def apply(
    document: Mapping[str, Any], changes: Mapping[str, Any], at: Path = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Return a copy of `document` with `changes` (dotted path → value), and what went wrong.

    `at` stands before the paths of the problems, the dotted path as one key behind it.
    """
    changed = copy.deepcopy(dict(document))
    problems = []
    for path, value in changes.items():
        try:
            put(changed, path, copy.deepcopy(value))
        except LookupError as error:
            problems.append(Problem((*at, path), str(error.args[0])))
    return changed, problems


def put(document: dict[str, Any], dotted_path: str, value: Any) -> Path:
    """Set one value in `document`, in place; return its path.

    Raises:
        LookupError: the path leads through something that has no such part.
    """
    parts = [part for part in re.split(r"\.|\[(\d+)\]", dotted_path) if part]
    if not parts:
        raise LookupError("expected a dotted path, as train.epochs. Received: ''.")
    path: list[str | int] = []
    here: Any = document
    while True:
        key, used = _key(here, parts, tuple(path))
        parts = parts[used:]
        path.append(key)
        if not parts:
            here[key] = value
            return tuple(path)
        here = _step(here, key, tuple(path), parts[0])


def _key(here: Any, parts: list[str], path: Path) -> tuple[str | int, int]:
    """Return the key that `parts` begin with at `here`, and how many of them it takes."""
    if isinstance(here, list):
        if not parts[0].isdigit() or int(parts[0]) >= len(here):
            raise LookupError(
                f"{dotted(path)} is a list of {len(here)}. Expected an index from 0 to "
                f"{len(here) - 1}. Received: {parts[0]!r}."
            )
        return int(parts[0]), 1
    for length in range(len(parts), 0, -1):
        joined = ".".join(parts[:length])
        if joined in here:
            return joined, length
        if joined.isdigit() and int(joined) in here:
            return int(joined), length
    return _new_key(here, parts, path)


def _new_key(here: Mapping[str, Any], parts: list[str], path: Path) -> tuple[str, int]:
    """Return a key that is not there yet; refuse one that nothing there can have."""
    model = _model_at(path)
    known = keys_at(*model) if model else []
    if model and _closed(model) and parts[0] not in known:
        raise LookupError(
            f"unknown key '{parts[0]}'.{nearest(parts[0], known)} "
            f"Expected one of: {', '.join(known)}."
        )
    if path == ("search", "space"):  # its keys are paths; only the last part is a field
        return (".".join(parts[:-1]), len(parts) - 1) if len(parts) > 2 else (".".join(parts), 2)
    return parts[0], 1


def _step(here: Any, key: str | int, path: Path, following: str) -> Any:
    """Return the container at `key`, made or widened where a study allows it."""
    child = here.get(key) if isinstance(here, dict) else here[key]
    if child is None and following.isdigit():
        raise LookupError(f"{dotted(path)} is not there, so it has no element {following}.")
    if child is None:
        child = _default(path)
    elif isinstance(child, str) and key in NAMED:
        child = {"name": child}  # a text there stands for a mapping with that name
    if not isinstance(child, dict | list):
        raise LookupError(f"{dotted(path)} is {shown(child)}, which has no parts to set.")
    here[key] = child
    return child


def _default(path: Path) -> dict[str, Any]:
    """Return what a section that is not written holds: its default, if it has a name."""
    model = _model_at(path[:-1])
    if model is None:
        return {}
    for kind in _models(*model):
        field = kind.model_fields.get(str(path[-1]))
        if (
            field is not None
            and isinstance(field.default, BaseModel)
            and "name" in type(field.default).model_fields
        ):
            return field.default.model_dump()
    return {}


def _model_at(path: Path) -> tuple[type[BaseModel], Path] | None:
    """Return the model class and the path within it that a path of a study stands in."""
    if len(path) >= 3 and path[0] == "variants" and path[2] == "train":
        return Train, path[3:]
    return (Declaration, path) if _models(Declaration, path) else None


def _closed(model: tuple[type[BaseModel], Path]) -> bool:
    return all(kind.model_config.get("extra") == "forbid" for kind in _models(*model))
