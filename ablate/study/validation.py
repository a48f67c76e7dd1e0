"""The problems of a study, in plain words.

A pydantic `ValidationError`, the model class and the document it judged go in; problems come
out: the field's path, and a sentence with what was expected, what was received and the nearest
valid name. Validators of our own raise `InvalidFields` with finished sentences. `study_error` joins
problems into the one `StudyError` a person reads, every problem of a file at once.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from ablate.errors import StudyError, nearest

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One problem: the path of the field, the sentence, and where the field was written."""

    path: Path
    text: str
    source: str = ""  # "study.yaml:12", or the override that said it

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, dotted(self.path), self.text) if part)


class InvalidFields(ValueError):
    """Raised by a validator: problems whose paths are relative to the model validated."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def invalid(text: str, *path: str | int) -> InvalidFields:
    """Return a single problem at `path`, to be raised by a validator."""
    return InvalidFields(Problem(path, text))


#: Problems reported at once; who has more mends these first.
MOST = 50


def study_error(
    problems: Sequence[Problem], *, of: str = "", place: Callable[[Path], str] | None = None
) -> StudyError:
    """Return the error that reports all `problems`, each once, in the order of the file.

    Args:
        problems: at least one.
        of: what was being made, put before the paths where there is no file.
        place: returns "file:line" for a path.
    """
    located = [replace(p, source=place(p.path)) if place else p for p in problems]
    lines = list(dict.fromkeys(f"{of + ': ' if of else ''}{problem}" for problem in located))
    shown_lines = lines if len(lines) <= MOST else [*lines[:MOST], f"and {len(lines) - MOST} more."]
    text = lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} problems:", *shown_lines])
    error = StudyError(text)
    error.problems = tuple(located)
    return error


def dotted(path: Iterable[str | int]) -> str:
    """Return a path as `--set` takes it: `variants.bn.insert[0].rate`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown(value: Any) -> str:
    """Return what was received as a person would write it in YAML, shortened."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, Mapping):
        keys = ", ".join(str(key) for key in list(value)[:4])
        return f"a mapping with {keys}{', ...' if len(value) > 4 else ''}" if value else "{}"
    if isinstance(value, list | tuple):
        inner = ", ".join(shown(each) for each in value[:4])
        return f"[{inner}{', ...' if len(value) > 4 else ''}]"
    if isinstance(value, int | float):
        return repr(value)
    return f"an object of type {type(value).__name__}"


def problems_of(error: ValidationError, root: type[BaseModel], document: Any) -> list[Problem]:
    """Translate pydantic's error into problems, one per field, the innermost where it has choices.

    A union of forms gives one error per form; those whose form was met half-way (a mapping with
    a wrong key) win over those that it never resembled (a text was also possible).
    """
    found: dict[Path, list[dict[str, Any]]] = {}
    for each in error.errors(include_url=False)[: 4 * MOST]:
        found.setdefault(_path(each, document), []).append(dict(each))
    deepest = {path for path in found if not any(_above(path, other) for other in found)}
    problems = []
    for path, errors in found.items():
        mismatches = all(each["type"] in _EXPECTED for each in errors)
        if path not in deepest and mismatches:
            continue
        problems += _tell(path, errors, root)
    return problems


def _path(error: Mapping[str, Any], document: Any) -> Path:
    """Return the path of a field as written: pydantic's, without the names of union members."""
    path: list[str | int] = []
    here = document
    parts = list(error["loc"])
    for position, part in enumerate(parts):
        if part == "[key]" or str(part).startswith("function-"):
            continue  # pydantic's names for a key and for a model with a validator in a union
        if isinstance(here, Mapping) and (part in here or _digits(part, here) is not None):
            key = part if part in here else _digits(part, here)
            path.append(key)  # type: ignore[arg-type]
            here = here[key]
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            path.append(part)
            here = here[part]
        elif isinstance(here, BaseModel) and isinstance(part, str) and hasattr(here, part):
            path.append(part)
            here = getattr(here, part)
        elif position == len(parts) - 1 and error["type"] not in (*_FORMS, "value_error"):
            path.append(part)  # a key that is missing; our own errors say theirs themselves
    return tuple(path)


def _digits(part: Any, here: Mapping[Any, Any]) -> Any:
    """Return the key that pydantic turned into text, if there is one."""
    return next((key for key in here if not isinstance(key, str) and str(key) == str(part)), None)


def _above(path: Path, other: Path) -> bool:
    return len(other) > len(path) and other[: len(path)] == path


#: pydantic's mismatches of type, and what was expected instead.
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "literal_error": "",
}


#: The rest of pydantic's own kinds; whatever else arrives is a finished sentence.
_FORMS = {
    *_EXPECTED, "greater_than", "greater_than_equal", "less_than", "less_than_equal",
    "string_too_short", "string_pattern_mismatch", "too_short", "too_long", "finite_number",
}  # fmt: skip


_BOUNDS = {"ge": "of at least", "gt": "above", "le": "at most", "lt": "below"}


def _tell(path: Path, errors: list[dict[str, Any]], root: type[BaseModel]) -> list[Problem]:
    """Return the problems of one field."""
    problems = []
    for each in errors:
        cause = (each.get("ctx") or {}).get("error")
        if isinstance(cause, InvalidFields):
            problems += [Problem(path + problem.path, problem.text) for problem in cause.problems]
        elif cause is not None:
            problems.append(Problem(path, str(cause)))
        elif each["type"] == "extra_forbidden":
            problems.append(_unknown_key(path, root))
        elif each["type"] == "missing":
            problems.append(_missing(path, each, root))
        elif each["type"] not in _FORMS:
            problems.append(Problem(path, str(each["msg"])))
    if problems:
        return problems
    received = errors[0]["input"]
    if "[key]" in errors[0]["loc"] and errors[0]["type"] == "string_type":
        text = f"expected a name as text. Received: {shown(received)}. Put it in quotes."
        return [Problem(path, text)]
    # A form that was met but for a bound says more than one that was never resembled.
    errors = [each for each in errors if each["type"] not in _EXPECTED] or errors
    expected = " or ".join(dict.fromkeys(_expected(each, path, root) for each in errors))
    return [Problem(path, f"expected {expected}. Received: {shown(received)}.{_hint(errors)}")]


def _expected(error: Mapping[str, Any], path: Path, root: type[BaseModel]) -> str:
    """Return what pydantic expected, in words."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "literal_error":
        choices = _literal(error)
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if kind in ("model_type", "model_attributes_type", "dict_type", "mapping_type"):
        known = keys_at(root, path)
        return f"a mapping with {', '.join(known[:4])}" if 0 < len(known) <= 4 else "a mapping"
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if bound := next((key for key in _BOUNDS if key in context), None):
        return f"a number {_bounds(root, path) or f'{_BOUNDS[bound]} {context[bound]:g}'}"
    if kind == "string_too_short":
        return "text that is not empty"
    if kind == "string_pattern_mismatch":
        return (
            "a name of letters, digits, '.', '_', '+' and '-' that begins with a letter or a "
            "digit, at most 64 characters"
        )
    if kind == "finite_number":
        return "a finite number"
    if kind in ("too_short", "too_long"):
        size = context.get("min_length", context.get("max_length"))
        return f"{'at least' if kind == 'too_short' else 'at most'} {_values(size)}"
    raise AssertionError(kind)


def _values(count: Any) -> str:
    return "one value" if count == 1 else f"{count} values"


def _hint(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return the nearest of the words that were possible, or a remedy for a quoted number."""
    received = errors[0]["input"]
    if not isinstance(received, str):
        return ""
    words = [word for each in errors if each["type"] == "literal_error" for word in _literal(each)]
    if words:
        return nearest(received, words)
    if any(each["type"] in ("int_type", "float_type") for each in errors) and _number(received):
        return " Write it without quotes."
    return ""


def _literal(error: Mapping[str, Any]) -> list[str]:
    text = error["ctx"]["expected"].replace(" or ", ", ")
    return [word.strip().strip("'") for word in text.split(", ")]


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _missing(path: Path, error: Mapping[str, Any], root: type[BaseModel]) -> Problem:
    if isinstance(path[-1], int):
        return Problem(path[:-1], f"expected more values. Received: {shown(error['input'])}.")
    return Problem(path, f"missing. Expected: {_what(root, path)}.")


def _unknown_key(path: Path, root: type[BaseModel]) -> Problem:
    known = keys_at(root, path[:-1])
    text = f"unknown key.{nearest(str(path[-1]), known)} Expected one of: {', '.join(known)}."
    return Problem(path, text)


def _bounds(root: type[BaseModel], path: Path) -> str:
    """Return all bounds of the number at `path`: "of at least 0 and below 1"."""
    parts = []
    if path and isinstance(path[-1], str):
        for model in _models(root, path[:-1]):
            for rule in getattr(_field(model, path[-1]), "metadata", ()):
                parts += [f"{_BOUNDS[b]} {getattr(rule, b):g}" for b in _BOUNDS if hasattr(rule, b)]
    return " and ".join(dict.fromkeys(parts))


def _what(root: type[BaseModel], path: Path) -> str:
    """Return what a missing field holds: its description's first sentence."""
    for model in _models(root, path[:-1]):
        field = _field(model, str(path[-1]))
        if field is not None and field.description:
            sentence = field.description.split(". ")[0].rstrip(".")
            return sentence[:1].lower() + sentence[1:]
    return "a value"


def keys_at(root: type[BaseModel], path: Path) -> list[str]:
    """Return the keys that a mapping at `path` may have, if `root` declares them."""
    keys: list[str] = []
    for model in _models(root, path):
        keys += [field.alias or name for name, field in model.model_fields.items()]
    return list(dict.fromkeys(keys))


def _field(model: type[BaseModel], key: str) -> Any:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return field
    return None


def _models(root: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """Return the model classes that the value at `path` may be of."""
    here: list[Any] = [root]
    for part in path:
        following: list[Any] = []
        for kind in here:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                field = _field(kind, str(part))
                following += _members(field.annotation) if field is not None else []
            elif typing.get_origin(kind) is dict:
                following += _members(typing.get_args(kind)[1])
            elif typing.get_origin(kind) in (list, tuple):
                following += _members(typing.get_args(kind)[0])
        here = following
    return [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _members(annotation: Any) -> list[Any]:
    """Return the forms an annotation allows, unions and metadata taken apart."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [member for each in typing.get_args(annotation) for member in _members(each)]
    return [annotation]
