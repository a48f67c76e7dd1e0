"""Load the source that a study names, once per process.

`Data` goes in, a checked `Source` comes out. Equal requests share one source, as long as the
files behind it have not changed and it fits in the memory that sources may hold.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data import embedded, npz
from ablate.data.check import source
from ablate.data.folder import folder
from ablate.data.intake import FACTS, gather
from ablate.data.keras_sets import keras_set
from ablate.data.memory import Memory
from ablate.data.reading import content_digest, seeded
from ablate.data.source import Source
from ablate.data.trees import nbytes
from ablate.errors import DataError
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.data import Data
from ablate.study.image_files import visible_files

#: What decides a source: the rest of the section decides the split.
_FIELDS = ("name", "path", "directory", "call", "image_size", "target")


def load(data: Data) -> Source:
    """Return the raw arrays of the source that `data` names.

    Raises:
        DataError: a file, an array or a download is not as it should be, or a `call` returns
            other rows than `data.digest` says.
        StudyError: a `call` names nothing that can be called.
    """
    document = {field: getattr(data, field) for field in _FIELDS} | data.complete_arguments()
    key = json.dumps([document, _stamp(data)], sort_keys=True, default=str)
    found = _sources.get(key, lambda: _load(data))
    if data.digest is not None and found.digest != data.digest:
        raise DataError(_differs(data, str(found.digest)))
    return found


def forget() -> None:
    """Drop every source that is remembered."""
    _sources.clear()


def _size(each: Source) -> int:
    parts = (each.train, each.validation, each.test)
    return sum(nbytes(part.x) + nbytes(part.y) for part in parts if part is not None)


_sources: Memory[Source] = Memory(_size)


def _stamp(data: Data) -> list[Any]:
    """Return what changes when the file or the folder behind a source does."""
    if data.directory is not None:
        files, hidden = visible_files(Path(data.directory).expanduser())
        return [*map(_state, files), *map(str, hidden)]
    if data.path is None:
        return []
    place = Path(data.path).expanduser()
    return [_state(place)] if place.is_file() else []


def _state(file: Path) -> list[Any]:
    status = file.stat()
    return [str(file.absolute()), status.st_size, status.st_mtime_ns]


def _load(data: Data) -> Source:
    labels = data.target == "labels"
    arguments = data.complete_arguments()
    if data.name == "digits":
        return embedded.digits(labels)
    if data.name in ("noisy_line", "badly_scaled"):
        draw = partial(getattr(embedded, data.name), arguments, labels)
        return replace(draw(), redraw=lambda seed: draw(redraw=seed))
    if data.name is not None:
        return keras_set(data, labels)
    if data.path is not None:
        named: dict[str, Any] = gather(npz.read(data.path), data.path)
        return source(data.path, named, labels=labels, **arguments)
    if data.directory is not None:
        return folder(data, labels)
    return _called(str(data.call), arguments, labels)


def _called(call: str, arguments: dict[str, Any], labels: bool) -> Source:
    """Return what anyone's own function returns."""
    named = _reading(call, arguments)
    digest = content_digest(named)
    facts = {key: named.pop(key) for key in FACTS if key in named}
    if facts.get("class_names") is not None:
        facts["class_names"] = tuple(str(each) for each in np.asarray(facts["class_names"]).ravel())
    return replace(source(call, named, labels=labels, **facts), digest=digest)


def _reading(call: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the named arrays of a function, read under seeds that derive from its declaration."""
    with seeded(call, sorted(arguments.items())):
        function = resolve(call, "data.call")  # its module may draw when it is imported
        try:
            inspect.signature(function).bind(**arguments)
        except TypeError as error:
            raise DataError(f"data.call: '{call}' cannot be called like that: {error}.") from None
        except ValueError:
            pass  # a builtin without a signature: calling it will tell
        try:
            value = function(**arguments)
        except Exception as error:
            raise DataError(f"data.call: '{call}' raised {reason(error)}") from error
        return gather(value, f"data.call: {call}")


def _differs(data: Data, found: str) -> str:
    """Say that a reading differs from the first, and what makes it so."""
    again = content_digest(_reading(str(data.call), data.complete_arguments()))
    cause = (
        "It returns the same when it is called again: what it reads (a file, a table, a service) "
        "or what it imports has changed since, or is another on this machine."
        if again == found
        else "Called twice in a row it returns different rows: it draws from a source of chance "
        "that no global seed reaches, or keeps a state from one call to the next."
    )
    return (
        f"data.call: '{data.call}' returns other rows than when they were first read (digest "
        f"{found[:12]}, first {str(data.digest)[:12]}). It is read once in each process, under "
        f"fixed seeds, and every trial must see the same rows. {cause} Make the pipeline inside "
        "the function, seed its own generators (`default_rng(0)`, `shuffle(n, seed=0)`), or save "
        "the arrays as an npz file and give its path. To begin anew with what it returns now: "
        "`ablate run --fresh`."
    )
