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
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ablate.errors import StudyError
from ablate.study.declaration import Declaration

if TYPE_CHECKING:
    import numpy as np

MODEL_FILE = "model.keras"
DATA_FILE = "data.npz"

_ARRAYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")
_SHORT = {"x": "x_train", "y": "y_train"}


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
    for the whole `data` section or for its `path` or `call`.
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
            found[section] = value
            changed[section] = {key: name}
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
        path = _save_data(objects.data, target / DATA_FILE)
        sections["data"] = study.data.model_copy(update={"path": str(path)})
    return sections


def _is_model(value: Any) -> bool:
    """Whether `value` is a Keras model, by what one can do."""
    return all(hasattr(value, name) for name in ("layers", "get_config", "save", "weights"))


def _is_model_source(value: Any) -> bool:
    return not isinstance(value, BaseModel | type) and (_is_model(value) or callable(value))


def _is_data_source(value: Any) -> bool:
    if isinstance(value, str | BaseModel | type) or value is None:
        return False
    if isinstance(value, Mapping):
        return any(key in value for key in (*_ARRAYS, "x", "y")) and not isinstance(
            value.get("x_train", value.get("x")), str
        )
    return callable(value) or _is_array(value) or isinstance(value, tuple | list)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


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
        return _keep(path, _undated(draft))
    finally:
        draft.unlink(missing_ok=True)


def _undated(archive: Path) -> bytes:
    """Return the bytes of a .keras file without the times at which it was written."""
    out = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                facts = json.loads(content)
                facts.pop("date_saved", None)
                content = json.dumps(facts, sort_keys=True).encode()
            target.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _save_data(data: Any, path: Path) -> Path:
    import numpy as np

    arrays = _arrays(data() if callable(data) else data)
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return _keep(path, out.getvalue())


def _arrays(data: Any) -> dict[str, np.ndarray]:
    """Return arrays by the names that an npz study file has.

    Takes (x, y), ((x_train, y_train), (x_test, y_test)), the same with validation pairs in the
    middle, or a mapping by name.
    """
    named: dict[str, Any]
    if isinstance(data, Mapping):
        named = {_SHORT.get(str(key), str(key)): each for key, each in data.items()}
    elif isinstance(data, tuple | list) and _are_pairs(data) and len(data) in (2, 3):
        splits = ("train", "test") if len(data) == 2 else ("train", "val", "test")
        named = {
            f"{axis}_{split}": each
            for split, pair in zip(splits, data, strict=True)
            for axis, each in zip("xy", pair, strict=True)
        }
    elif isinstance(data, tuple | list) and len(data) == 2:
        named = {"x_train": data[0], "y_train": data[1]}
    else:
        raise StudyError(
            "data: expected (x, y), ((x_train, y_train), (x_test, y_test)), a mapping of arrays, "
            f"or a callable that returns one of these. Received: an object of type "
            f"{type(data).__name__}."
        )
    unknown = [key for key in named if key not in _ARRAYS]
    if unknown:
        raise StudyError(
            f"data: expected arrays called {', '.join(_ARRAYS)} (or x and y). "
            f"Received: {', '.join(map(str, unknown))}."
        )
    return {key: _array(each, key) for key, each in named.items()}


def _are_pairs(data: Sequence[Any]) -> bool:
    return all(isinstance(each, tuple) and len(each) == 2 for each in data)


def _array(value: Any, name: str) -> np.ndarray:
    import numpy as np

    if isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and value and all(_is_array(each) for each in value)
    ):
        raise StudyError(
            f"data: '{name}' has several parts, and one array per name is what a file holds. For "
            "a model of several inputs write a function in a module and say data={'call': "
            "'package.module:function'}."
        )
    array = np.asarray(value)
    if array.dtype == object:
        raise StudyError(
            f"data: '{name}' is not an array of numbers. Received: an object of type "
            f"{type(value).__name__}."
        )
    return array


def _keep(path: Path, content: bytes) -> Path:
    """Write `content` to `path` whole, unless it is there already."""
    if not (path.is_file() and path.read_bytes() == content):
        draft = path.with_name(f".draft-{os.getpid()}-{path.name}.part")
        draft.write_bytes(content)
        os.replace(draft, path)
    return path
