"""Objects in memory as a study's model or data: a Keras model, arrays, callables.

`take` puts placeholders into the document a study is made of and keeps the objects aside,
`materialise` writes them to files. Objects are recognised by what they can do (a model saves
itself, an array has a shape), so that no framework is imported here. Equal objects give equal
bytes: what identifies a trial is the content of its files.
"""

from __future__ import annotations

import io
import json
import os
import pkgutil
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ablate.errors import StudyError
from ablate.study.declaration import Declaration
from ablate.study.schema.data import Data
from ablate.study.schema.sources import Arrays

MODEL_FILE = "model.keras"
DATA_FILE = "data.npz"

#: What writes data to a file; with the Keras half, so that it is named and not imported.
_SAVE = "ablate.data.live:save"

#: Names of parts that may be options too (a share, the name of an array), and of others.
_BOTH, _ALONE = ("validation", "test", "groups"), ("train", "val")


@dataclass(frozen=True, eq=False)
class InMemory:
    """The objects in memory of a study. Two are equal only if they are one.

    `open_weights`: the model is made by a function, and the study does not say what is to become
    of its weights; whoever calls the function can tell which of them it set.
    """

    model: Any = None
    data: Any = None
    open_weights: bool = False


def take(document: Any) -> tuple[Any, InMemory | None]:
    """Return `document` with placeholders for its objects in memory, and those objects.

    An object may stand for the whole `model` section or for its `file` or `call`, data
    for the whole `data` section or for its `path` or `call`; in a mapping of arrays the options of
    the section may stand beside them.
    """
    if not isinstance(document, Mapping):
        return document, None
    changed = dict(document)
    found: dict[str, Any] = {}
    for section, key, name, is_object in (
        ("model", "file", MODEL_FILE, _is_model_source),
        ("data", "path", DATA_FILE, _is_data_source),
    ):
        value = changed.get(section)
        if is_object(value):
            options: dict[str, Any] = {}
            if section == "data" and isinstance(value, Mapping):
                options, value = _options(value)
            found[section] = value
            changed[section] = {**options, key: name}
        elif isinstance(value, Mapping):
            rest = dict(value)
            for each in (key, "call"):
                if each in rest and not isinstance(rest[each], str) and is_object(rest[each]):
                    found[section] = rest.pop(each)
                    changed[section] = {**rest, key: name}
        if section == "model" and section in found and not _is_model(found[section]):
            found["open_weights"] = "weights" not in changed[section]
            changed[section].setdefault("weights", "fresh")  # made by a call, as `call:` is
    return changed, InMemory(**found) if found else None


def materialise(
    study: Declaration, objects: InMemory, folder: str | os.PathLike[str]
) -> dict[str, Any]:
    """Write the objects into `folder`; return the sections of `study` that name the files.

    Raises:
        StudyError: an object is not what its section needs.
    """
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    sections: dict[str, Any] = {}
    if objects.model is not None:
        path = _save_model(objects.model, target / MODEL_FILE)
        sections["model"] = study.model.model_copy(update={"file": str(path)})
    if objects.data is not None:
        options = study.data.model_dump()
        fields = pkgutil.resolve_name(_SAVE)(objects.data, options, target / DATA_FILE)
        sections["data"] = study.data.model_copy(update=fields)
    return sections


def _is_model(value: Any) -> bool:
    """Whether `value` is a Keras model, by what one can do."""
    return all(hasattr(value, name) for name in ("layers", "get_config", "save", "weights"))


def _is_model_source(value: Any) -> bool:
    return not isinstance(value, BaseModel | type) and (_is_model(value) or callable(value))


def _is_data_source(value: Any) -> bool:
    """Whether `value` is data, whatever its form: `ablate.data.live` says what it takes."""
    if isinstance(value, str | BaseModel | type | int | float) or value is None:
        return False
    if isinstance(value, Mapping):
        return any(_is_part(key, each) for key, each in value.items())
    return True


def _is_part(key: Any, value: Any) -> bool:
    """Whether a field of a mapping is data, and not an option that stands beside it."""
    known = str(key) in _BOTH or str(key) in _ALONE
    array = str(key).partition("_")[0] in ("x", "y", "weight", "groups", "sample")
    # A text names a column or a file, whatever its key.
    return (known or array) and not isinstance(value, str | int | float) and value is not None


def _options(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a mapping as its options (split, limit, …) and the data that they stand beside."""
    fields = {*Data.model_fields, *Arrays.model_fields} - {"classes", "task", "tokens"}
    options = {key: each for key, each in data.items() if key in fields and not _is_part(key, each)}
    return options, {key: each for key, each in data.items() if key not in options}


def _save_model(model: Any, path: Path) -> Path:
    """Save a model, or what a callable returns, unless the same file is there."""
    if not _is_model(model):
        model = model()
    if not _is_model(model):
        raise StudyError(
            f"model: expected a Keras model, or a callable that returns one. Received: an object "
            f"of type {type(model).__name__}."
        )
    draft = path.with_name(f".draft-{os.getpid()}-{path.name}")
    try:
        model.save(draft)
        return _keep(path, without_accidents(draft))
    finally:
        draft.unlink(missing_ok=True)


def without_accidents(archive: Path) -> bytes:
    """Return the bytes of a .keras file without what differs from one saving to the next.

    That is the time of saving, and the addresses by which Keras says that layers share an object.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                facts = json.loads(content)
                facts.pop("date_saved", None)
                content = json.dumps(facts, sort_keys=True).encode()
            elif name == "config.json":
                content = _renumbered(content)
            target.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _renumbered(config: bytes) -> bytes:
    """Return a configuration with its shared objects counted from 0, in order."""
    found = re.findall(_SHARED, config)
    numbers = {address: b"%d" % number for number, address in enumerate(dict.fromkeys(found))}
    return re.sub(_SHARED, lambda match: b'"shared_object_id": ' + numbers[match[1]], config)


_SHARED = re.compile(rb'"shared_object_id": (\d+)')


def _keep(path: Path, content: bytes) -> Path:
    """Write `content` to `path` whole, unless it is there already."""
    if not (path.is_file() and path.read_bytes() == content):
        draft = path.with_name(f".draft-{os.getpid()}-{path.name}.part")
        draft.write_bytes(content)
        os.replace(draft, path)
    return path
