"""What has to travel to a worker that shares no disk with the driver.

Trials go in; out come the files that they name (to be put once into an object store) and the
Python modules of their calls. On the other side `unpack` lays the files down once per machine,
by content, and points the trials at them. A trial's id was computed before and stays.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.errors import StudyError
from ablate.study.trial import Spec, Trial

#: Files larger than this are better read from a shared disk than sent (bytes).
LARGEST = 8 * 2**30

_FILES = (("data", "path"), ("data", "directory"), ("model", "file"), ("model", "weights"))


def named_files(trials: Iterable[Trial]) -> list[Path]:
    """Return the files and folders that trials name, each once.

    Raises:
        StudyError: one is too large to send.
    """
    found: dict[Path, None] = {}
    for spec in _specs(trials):
        for section, key in _FILES:
            path = _path(spec, section, key)
            if path is not None:
                found[path] = None
    for path in found:
        size = _size(path)
        if size > LARGEST:
            raise StudyError(
                f"'{path}' ({size / 2**30:.1f} GiB) is too large to send to the cluster. Put it "
                "on a disk that all machines share, and start the run from there."
            )
    return list(found)


def pack(path: Path) -> tuple[str, bytes]:
    """Return a file's (or folder's) name on the other side and its content."""
    content = _tar(path) if path.is_dir() else path.read_bytes()
    suffix = "".join(path.suffixes[-1:])
    name = hashlib.sha256(content).hexdigest()[:32] + (".tar" if path.is_dir() else suffix)
    return name, content


def unpack(cargo: Mapping[str, tuple[str, bytes]]) -> dict[str, str]:
    """Lay files down on this machine, once, and return where each now stands.

    `cargo` maps the path on the driver's machine to `pack`'s name and content.
    """
    # A folder of this user alone: what another could have written is not read.
    place = Path(tempfile.gettempdir()) / f"ablate-files-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.getuid():
        raise StudyError(f"{place} belongs to somebody else; remove it or set TMPDIR.")
    there = {}
    for source, (name, content) in cargo.items():
        target = place / name
        if name.endswith(".tar"):
            folder = target.with_suffix("")
            if not folder.is_dir():
                _untar(content, folder)
            there[source] = str(folder)
            continue
        if not target.is_file() or target.stat().st_size != len(content):
            beside = target.with_name(f".{name}.{os.getpid()}")
            beside.write_bytes(content)
            beside.replace(target)
        there[source] = str(target)
    return there


def pointed(trials: Iterable[Trial], there: Mapping[str, str]) -> tuple[Trial, ...]:
    """Return the trials with their files where they stand on this machine."""
    return tuple(replace(trial, spec=_moved(trial.spec, there)) for trial in trials)


def called_modules(trials: Iterable[Trial]) -> list[str]:
    """Return the places of the user's own modules that trials call, to be sent along.

    A module of an installed package is expected on the other side.

    Raises:
        StudyError: a call names the main script, which no other process can import.
    """
    found: dict[str, None] = {}
    for spec in _specs(trials):
        for call in _calls(spec.model_dump(mode="json")):
            top = call.partition(":")[0].partition(".")[0]
            if top == "__main__":
                raise StudyError(
                    f"'{call}' lives in the main script, which cannot be sent to other machines. "
                    "Move it into a module of its own."
                )
            place = importlib.util.find_spec(top)
            if place is None or place.origin is None:
                continue
            origin = Path(place.origin)
            if "site-packages" in origin.parts or top == "ablate":
                continue
            found[str(origin.parent if origin.name == "__init__.py" else origin)] = None
    return list(found)


def _specs(trials: Iterable[Trial]) -> Iterator[Spec]:
    """Specs are shared by the seeds of an arm: each is looked at once."""
    yield from {id(trial.spec): trial.spec for trial in trials}.values()


def _path(spec: Spec, section: str, key: str) -> Path | None:
    value = getattr(getattr(spec, section), key, None)
    if not isinstance(value, str):
        return None
    path = Path(value).expanduser()
    return path.resolve() if path.exists() else None


def _moved(spec: Spec, there: Mapping[str, str]) -> Spec:
    update: dict[str, Any] = {}
    for section, key in _FILES:
        path = _path_text(spec, section, key)
        if path is None or path not in there:
            continue
        part = update.get(section, getattr(spec, section))
        update[section] = part.model_copy(update={key: there[path]})
    return spec.model_copy(update=update) if update else spec


def _path_text(spec: Spec, section: str, key: str) -> str | None:
    value = getattr(getattr(spec, section), key, None)
    return str(Path(value).expanduser().resolve()) if isinstance(value, str) else None


def _calls(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("call"), str):
            yield value["call"]
        for each in value.values():
            yield from _calls(each)
    elif isinstance(value, list):
        for each in value:
            yield from _calls(each)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


def _tar(path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for each in sorted(path.rglob("*")):
            if each.is_file():
                archive.add(each, arcname=each.relative_to(path).as_posix())
    return buffer.getvalue()


def _untar(content: bytes, folder: Path) -> None:
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(beside, filter="data")
    try:
        beside.rename(folder)
    except OSError:  # another worker of this machine was first
        import shutil

        shutil.rmtree(beside, ignore_errors=True)
