"""Load the source that a study names, once per process.

`Data` goes in, a checked `Source` comes out. Equal requests share one source, as long as the
files behind it have not changed and it fits in the memory that sources may hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data import npz
from ablate.data.cache import Memory
from ablate.data.called import check_digest
from ablate.data.check import source
from ablate.data.conversion import FACTS, gather
from ablate.data.live import unflat
from ablate.data.nested import nbytes
from ablate.data.remarks import remarked
from ablate.data.source import Source
from ablate.study.image_files import visible_files
from ablate.study.schema.data import Data

#: What decides a source: the rest of the section decides the split.
_FIELDS = ("name", "path", "table", "directory", "call", "image_size", "target", "groups")


def load(data: Data) -> Source:
    """Return the raw arrays of the source that `data` names.

    Raises:
        DataError: a file, an array or a download is not as it should be, or a `call` returns
            other rows than `data.digest` says.
        StudyError: a `call` names nothing that can be called.
    """
    document = {field: getattr(data, field) for field in _FIELDS} | data.complete_arguments()
    if data.directory is not None:
        document["load"] = data.load
    if data.call is not None:  # whether a pipeline is read once or made anew
        document["kept"] = data.load == "memory" or data.digest is not None
    key = json.dumps([document, _stamp(data)], sort_keys=True, default=str)
    found = _sources.get(key, lambda: remarked(data.kind.load()(data, data.target == "labels")))
    check_digest(data, found)
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
    if data.path is None and data.table is None:
        return []
    place = Path(str(data.path or data.table)).expanduser()
    if place.is_dir():
        return [_state(each) for each in sorted(place.rglob("*")) if each.is_file()]
    return [_state(place)] if place.is_file() else []


def _state(file: Path) -> list[Any]:
    status = file.stat()
    return [str(file.absolute()), status.st_size, status.st_mtime_ns]


def npz_file(data: Data, labels: bool) -> Source:
    """Return the arrays of an npz file, or of a folder of npy files, as a source."""
    named = gather(unflat(npz.read(str(data.path))), str(data.path), data.groups)
    facts = {key: np.asarray(named.pop(key)).tolist() for key in FACTS if key in named}
    if "class_names" in facts:
        facts["class_names"] = tuple(map(str, facts["class_names"]))
    given = data.complete_arguments()
    kept = {key: each for key, each in given.items() if each not in (None, "auto", False)}
    return source(str(data.path), named, labels=labels, **{**given, **facts, **kept})
