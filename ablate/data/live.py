"""Data handed over in Python, written where workers read it.

Whatever `gather` takes goes in; a file of arrays comes out, or the import path of the function that
makes a pipeline. Arrays are written once and never copied in memory; one that is mapped from a file
already stays where it is, and a link to it is laid beside the others.
"""

from __future__ import annotations

import filecmp
import inspect
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.column import Column, chunks
from ablate.data.conversion import FACTS, gather, pipelines_in, training_pipeline
from ablate.data.nested import Tree
from ablate.disk import notice
from ablate.errors import DataError

#: What a link to a mapped file is called beside what says how it is to be read.
LINK, FACTS_OF_LINK = ".rows", ".rows.json"

_OUT = (
    "For one that is made anew for each epoch, with its own shuffling and augmentation, hand over "
    "the function that makes it, from a module that workers can import: data=load, or "
    "data={'call': 'module:load'}."
)


def save(data: Any, options: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Write `data` to `file` (npz), or to a folder of npy files beside it; return the new fields.

    Args:
        data: what `gather` takes, or a function that returns it.
        options: the other fields of the section: `load` and `groups` count.
        file: where the arrays go.

    Raises:
        DataError: it is no data, or a stream is asked for of what cannot be made anew.
    """
    value = data() if _is_function(data) else data
    stream = training_pipeline(value)[0] is not None and options.get("load") != "memory"
    if stream and (call := _import_path(data)) is not None:
        return {"path": None, "call": call}
    if stream and options.get("load") == "stream":
        raise DataError(f"data.load: stream: this pipeline cannot be made anew by a worker. {_OUT}")
    if pipelines_in(value):
        notice(
            "data: the pipeline is read once, here, and its rows are kept: what it draws is drawn "
            f"once, and batches are shuffled anew for each epoch. {_OUT}"
        )
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        raise DataError(
            "data: a table alone does not say what is to be learnt. Expected: (x, y), such as "
            "(table[features], table['label']); a file comes by {'table': 'rows.csv', 'label': …}."
        )
    arrays = _flat(gather(value, "data", options.get("groups")))
    if any(isinstance(each, Column) for each in arrays.values()):
        return {"path": str(_folder(arrays, file.with_suffix("")))}
    draft = file.with_name(f".draft-{os.getpid()}-{file.name}")
    try:
        with draft.open("wb") as stream_:
            np.savez(stream_, **arrays)  # type: ignore[arg-type]
        if not (file.is_file() and filecmp.cmp(draft, file, shallow=False)):
            os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return {"path": str(file)}


def unflat(arrays: Mapping[str, Any]) -> dict[str, Tree]:
    """Return trees of arrays that were written as `x_train/left` or `x_train/[0]`."""
    found: dict[str, Any] = {}
    for name, array in arrays.items():
        head, slash, key = name.partition("/")
        if slash:
            found.setdefault(head, {})[key] = array
        else:
            found[head] = array
    return {
        name: [each[f"[{index}]"] for index in range(len(each))]
        if isinstance(each, dict) and "[0]" in each
        else each
        for name, each in found.items()
    }


def _flat(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return trees as arrays by name, facts among them."""
    found: dict[str, Any] = {}
    for name, tree in named.items():
        if name in FACTS:
            if tree is not None:
                found[name] = np.asarray(tree)
        elif isinstance(tree, dict):
            found |= {f"{name}/{key}": each for key, each in tree.items()}
        elif isinstance(tree, list):
            found |= {f"{name}/[{index}]": each for index, each in enumerate(tree)}
        else:
            found[name] = tree
    return found


def _folder(arrays: Mapping[str, Any], place: Path) -> Path:
    """Write arrays as npy files, and links to those that lie in files already."""
    for name, array in arrays.items():
        file = place / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        lies = array.read if isinstance(array, Column) and array.rows is None else None
        if isinstance(getattr(lies, "file", None), Path) and not array.changes:
            _link(file.with_suffix(""), lies)
            continue
        draft = file.with_name(f".draft-{os.getpid()}-{file.name}")
        whole = np.lib.format.open_memmap(draft, "w+", array.dtype, array.shape)
        start = 0
        for block in chunks(array) if array.ndim else ():
            whole[start : start + len(block)] = block
            start += len(block)
        if not array.ndim:
            whole[...] = array
        whole.flush()
        del whole
        os.replace(draft, file)
    return place


def _link(place: Path, lies: Any) -> None:
    """Lay a link to a mapped file, and beside it how it is to be read."""
    link = place.with_name(place.name + LINK)
    link.unlink(missing_ok=True)
    link.symlink_to(lies.file.resolve())
    facts = {"dtype": lies.dtype.str, "shape": list(lies.shape), "offset": lies.offset}
    place.with_name(place.name + FACTS_OF_LINK).write_text(json.dumps(facts))


def _is_function(data: Any) -> bool:
    return callable(data) and not pipelines_in(data) and not hasattr(data, "shape")


def _import_path(data: Any) -> str | None:
    """Return `module:name` of a function that workers can import, None if they cannot."""
    if not inspect.isfunction(data) or data.__qualname__ != data.__name__:
        return None
    here, name = str(data.__module__), str(data.__name__)
    module = _script(sys.modules["__main__"]) if here == "__main__" else here
    if module is None or getattr(sys.modules.get(here), name, None) is not data:
        return None
    return f"{module}:{name}"


def _script(main: Any) -> str | None:
    """Return the name under which a script can be imported without running all of it again."""
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        return None
    place = Path(file).resolve()
    importable = str(place.parent) in [str(Path(each or ".").resolve()) for each in sys.path]
    guarded = "__main__" in place.read_text(encoding="utf-8", errors="replace")
    return place.stem if importable and guarded and place.stem.isidentifier() else None
