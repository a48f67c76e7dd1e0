"""Whether a JSON document is the record of a trial.

A document goes in; nothing comes out where it is one, else the reason why not. Written by hand,
since ten thousand records are read at every `status`: a look at the kinds of values costs a
fraction of what a schema would.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import NoneType
from typing import Any

from ablate._version import __version__

_NUMBER: tuple[type, ...] = (int, float)
_NUMBER_OR_NULL: tuple[type, ...] = (int, float, NoneType)

Check = Callable[[Any], bool]


class UnsoundRecord(ValueError):
    """Say why a document is no record; `later`: a later version of ablate may have written it."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


def check(document: Any, statuses: Collection[str]) -> None:
    """Return if `document` is the record of a trial; `statuses` are those that are known.

    Raises:
        UnsoundRecord: it is not: the field, what was expected, what was received.
    """
    if type(document) is not dict:
        raise UnsoundRecord(f"expected the record of a trial, received {_shown(document)}")
    for name in ("id", "variant", "seed", "status"):
        if name not in document:
            raise UnsoundRecord(f"it has no '{name}'", _later(document))
    for name, (sound, expected) in FIELDS.items():
        if name in document and not sound(document[name]):
            reason = f"'{name}' is {_shown(document[name])}, expected {expected}"
            raise UnsoundRecord(reason, _later(document))
    if document["status"] not in statuses:
        raise UnsoundRecord(
            f"its status is '{document['status'][:60]}', which ablate {__version__} does not know "
            f"(it knows {', '.join(statuses)})",
            later=True,
        )


def _of(*kinds: type) -> Check:
    allowed = frozenset(kinds)
    return lambda value: type(value) in allowed


def _mapping_of(*kinds: type) -> Check:
    allowed = frozenset(kinds)
    return lambda value: type(value) is dict and allowed.issuperset(map(type, value.values()))


def _list_of(*kinds: type) -> Check:
    allowed = frozenset(kinds)
    return lambda value: type(value) is list and allowed.issuperset(map(type, value))


def _curves(value: Any) -> bool:
    return type(value) is dict and all(map(_numbers_or_null, value.values()))


_numbers_or_null = _list_of(*_NUMBER_OR_NULL)


def _sections(value: Any) -> bool:
    return type(value) is dict and all(
        type(each) is (list if name in ("insert", "remove") else dict)
        for name, each in value.items()
        if name in ("data", "model", "train", "insert", "remove")
    )


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""


#: Field of `TrialResult` -> (whether a value of the document is sound, what is expected).
FIELDS: dict[str, tuple[Check, str]] = {
    "id": (_is_text, "a text"),
    "variant": (_of(str), "a text"),
    "seed": (_of(int), "a whole number"),
    "status": (_is_text, "a text"),
    "factors": (_mapping_of(str), "a mapping of texts"),
    "spec": (_sections, "a mapping of sections"),
    "metrics": (_mapping_of(*_NUMBER_OR_NULL), "a mapping of numbers"),
    "curves": (_curves, "a mapping of lists of numbers"),
    "epochs": (_count, "a whole number from 0"),
    "best_epoch": (_of(int, NoneType), "a whole number or null"),
    "steps": (_count, "a whole number from 0"),
    "diverged": (
        lambda value: value is None or _mapping_of(int)(value),
        "null or a mapping of whole numbers",
    ),
    "parameters": (_of(int, NoneType), "a whole number or null"),
    "bn_momentum": (_of(*_NUMBER_OR_NULL), "a number or null"),
    "rows": (_mapping_of(int), "a mapping of whole numbers"),
    "drawn": (
        lambda value: value is None or _list_of(str)(value),
        "null or a list of texts",
    ),
    "majority": (_of(*_NUMBER_OR_NULL), "a number or null"),
    "seconds": (_mapping_of(*_NUMBER), "a mapping of numbers"),
    "inference": (_list_of(*_NUMBER), "a list of numbers"),
    "phases": (_list_of(int), "a list of whole numbers"),
    "environment": (_mapping_of(str), "a mapping of texts"),
    "error": (_of(str, NoneType), "a text or null"),
    "notes": (_list_of(str), "a list of texts"),
    "cautions": (_list_of(str), "a list of texts"),
    "attempts": (_count, "a whole number from 0"),
    "probes": (_list_of(str), "a list of texts"),
    "seen": (_list_of(str), "a list of texts"),
    "measured": (_list_of(str), "a list of texts"),
    "saved": (_of(str, NoneType), "a text or null"),
    "row_metric": (_of(str, NoneType), "a text or null"),
}


def _later(document: dict[str, Any]) -> bool:
    """Whether a document says that a later version than this wrote it."""
    environment = document.get("environment")
    written_by = environment.get("ablate") if type(environment) is dict else None
    return type(written_by) is str and _numbers(written_by) > _numbers(__version__)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split(".") if each.isdecimal())


def _shown(value: Any) -> str:
    """Say what was received, shortly."""
    if isinstance(value, dict | list) and value:
        return f"a {'mapping' if isinstance(value, dict) else 'list'} ({str(value)[:40]}…)"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)[:60]
