"""Content digests of the files that a study names.

A digest is remembered by path, size and time of change, so that a study over a large file is
planned in no time twice. The memory is a plain mapping that its owner keeps where it likes. What is
no longer there has the digest that is remembered of it: what was trained on it can be shown where
only the study's folder was copied to, and what is to be trained asks for the file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, MutableMapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from ablate.errors import StudyError
from ablate.reasons import sentence
from ablate.study.archives import check_archive
from ablate.study.image_files import visible_files

Memory = MutableMapping[str, Any]

#: What reading a spoilt archive raises.
_SPOILT = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


def digest(
    path: str | os.PathLike[str], memory: Memory | None = None, *, hidden: bool = False
) -> str:
    """Return the SHA-256 (hex) of a file, or of a folder's file names and contents.

    Hidden files and folders do not count, at any depth. `hidden` digests a folder as numerics 1
    did: what lies in hidden folders counts, and what lies behind links to folders does not.

    A `.keras` archive is digested by its members less `metadata.json`, which holds the time of
    saving and would make two savings of one model differ.

    Raises:
        StudyError: nothing stands at `path`, or it cannot be read.
    """
    memory = {} if memory is None else memory
    place = Path(path).expanduser().resolve()
    try:
        if place.is_dir():
            files = _files(place) if hidden else visible_files(place)[0]
            return _keep(memory, str(path), _folder(place, files, memory))
        return _keep(memory, str(path), _file(place, memory))
    except FileNotFoundError:
        if (known := _remembered(memory, str(path))) is not None:
            return known
        raise StudyError(f"File not found: '{path}' (looked at {place}).") from None
    except (OSError, EOFError, *_SPOILT) as error:
        raise StudyError(f"'{path}' cannot be read: {error}.") from None


def source_digest(call: str, memory: Memory | None = None) -> str:
    """Return the digest of the source behind `package.module:name`, without importing it.

    The module's file counts, not what it imports in turn.

    Raises:
        StudyError: `call` is not of that form, or there is no such module.
    """
    module, colon, name = call.partition(":")
    if not colon or not module or not name:
        raise StudyError(f"A call is written 'package.module:name'. Received: '{call}'.")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a study stands beside the code it calls
    try:
        spec = _spec(module)
    except Exception as error:  # a package that had to be imported may raise anything
        raise StudyError(f"The module of '{call}' cannot be found: {sentence(error)}") from None
    if spec is None:
        if memory is not None and (known := _remembered(memory, call)) is not None:
            return known
        raise StudyError(
            f"There is no module '{module}' for '{call}'. It is looked for in the current folder "
            "and in the installed packages."
        )
    if not spec.origin or not Path(spec.origin).is_file():
        return hashlib.sha256(call.encode()).hexdigest()
    memory = {} if memory is None else memory
    return _keep(memory, call, digest(spec.origin, memory))


def _spec(module: str) -> ModuleSpec | None:
    """Find a module without importing the packages that it is in, if that can be done."""
    top, *parts = module.split(".")
    name, spec = top, importlib.util.find_spec(top)
    for part in parts:
        places = spec.submodule_search_locations if spec else None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, places) if places else None
    # A package may have made itself a search path of its own, which only importing it tells.
    return spec or (importlib.util.find_spec(module) if parts else None)


def _file(place: Path, memory: Memory) -> str:
    stat = place.stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    known = memory.get(str(place))
    # The memory is a file that anything may have happened to.
    if isinstance(known, list) and known[:2] == stamp and _is_digest(known[2:]):
        return str(known[2])
    if place.suffix == ".keras" and zipfile.is_zipfile(place):
        value = _archive(place)
    else:
        with place.open("rb") as stream:
            value = hashlib.file_digest(stream, "sha256").hexdigest()
    memory[str(place)] = [*stamp, value]
    return value


def _keep(memory: Memory, name: str, value: str) -> str:
    """Remember the digest of what a study names under the name it has there."""
    if _remembered(memory, name) != value:
        memory[name] = [0, 0, value]
    return value


def _remembered(memory: Memory, name: str) -> str | None:
    known = memory.get(name)
    return str(known[2]) if isinstance(known, list) and _is_digest(known[2:]) else None


def _is_digest(rest: list[Any]) -> bool:
    return (
        len(rest) == 1
        and isinstance(rest[0], str)
        and re.fullmatch(r"[0-9a-f]{64}", rest[0]) is not None
    )


def _archive(place: Path) -> str:
    check_archive(place)
    whole = hashlib.sha256()
    with zipfile.ZipFile(place) as archive:
        for name in sorted(archive.namelist()):
            if name == "metadata.json":
                continue
            whole.update(f"{name}\0".encode())
            with archive.open(name) as member:
                for chunk in iter(lambda: member.read(1 << 20), b""):
                    whole.update(chunk)
    return whole.hexdigest()


def _folder(place: Path, files: Iterable[Path], memory: Memory) -> str:
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(f"{file.relative_to(place).as_posix()}\0{_file(file, memory)}\0".encode())
    return whole.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    for file in place.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            yield file
