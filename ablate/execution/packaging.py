"""What has to travel to a worker that shares no disk with the driver.

That is the files that trials name and archives of the Python modules they call, put once into an
object store. On the other side `unpack` writes the files once per machine, by content, and
`pointed` points the trials at them. A trial's id was computed before and stays.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import shutil
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablate.errors import StudyError
from ablate.scripts.captured import CAPTURE
from ablate.study.schema.probes import declared
from ablate.study.trial import FILE_FIELDS, Spec, Trial

#: Files larger than this are better read from a shared disk than sent (bytes).
LARGEST = 8 * 2**30


@dataclass(frozen=True)
class Packed:
    """A file or folder on its way: its name on the other side and its bytes (uint8)."""

    name: str
    content: np.ndarray


def named_files(trials: Iterable[Trial]) -> list[Path]:
    """Return the files and folders that trials name, each once.

    Raises:
        StudyError: one is too large to send.
    """
    found = dict.fromkeys(
        path for spec in _specs(trials) for path in _paths(spec).values() if path.exists()
    )
    for path in found:
        size = _size(path)
        if size > LARGEST:
            raise StudyError(
                f"'{path}' ({size / 2**30:.1f} GiB) is too large to send to the cluster. Put it "
                "on a disk that all machines share, and start the run from there."
            )
    return list(found)


def pack(path: Path) -> Packed:
    """Return a file (or folder) as it travels."""
    if path.is_dir():
        content = np.frombuffer(_tar(path), np.uint8)
        suffix = ".tar"
    else:
        content = np.fromfile(path, np.uint8)
        suffix = path.suffix
    return Packed(hashlib.sha256(content.data).hexdigest()[:32] + suffix, content)


def unpack(files: Mapping[str, Packed]) -> dict[str, str]:
    """Lay files down on this machine, once, and return where each now stands.

    `files` maps the path on the driver's machine to what `pack` made of it.
    """
    if not files:
        return {}
    # A folder of this user alone: what another could have written is not read.
    place = Path(tempfile.gettempdir()) / f"ablate-files-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.getuid():
        raise StudyError(f"{place} belongs to somebody else; remove it or set TMPDIR.")
    there = {}
    for source, packed in files.items():
        target = place / packed.name
        if packed.name.endswith(".tar") and not source.endswith(".tar"):
            folder = target.with_suffix("")
            if not folder.is_dir():
                _untar(packed.content, folder)
            there[source] = str(folder)
            continue
        if not target.is_file() or target.stat().st_size != len(packed.content):
            partial = target.with_name(f".{packed.name}.{os.getpid()}")
            packed.content.tofile(partial)
            partial.replace(target)
        there[source] = str(target)
    return there


def pointed(trials: Iterable[Trial], there: Mapping[str, str]) -> tuple[Trial, ...]:
    """Return the trials with their files where they stand on this machine."""
    return tuple(replace(trial, spec=_moved(trial.spec, there)) for trial in trials)


def code(trials: Iterable[Trial]) -> list[Path]:
    """Return the places of the code that trials need: this package and the user's modules."""
    return [Path(__file__).resolve().parents[1], *called_modules(trials)]


def called_modules(trials: Iterable[Trial]) -> list[Path]:
    """Return the files and folders of the user's own modules that trials call, each once.

    A module that lies alone in a folder brings its neighbours, which it may import. A module of
    an installed package is expected on the other side.

    Raises:
        StudyError: a call names the main script, which no other process can import.
    """
    found: dict[Path, None] = {}
    trials = list(trials)
    calls = [call for spec in _specs(trials) for call in _calls(spec.model_dump(mode="json"))]
    own = dict.fromkeys(each.name for trial in trials for each in trial.probes if ":" in each.name)
    for call in [*calls, *own, *(probe.measurement for each in own if (probe := declared(each)))]:
        top = call.partition(":")[0].partition(".")[0]
        if top == "__main__":
            raise StudyError(
                f"'{call}' lives in the main script, which cannot be sent to other machines. "
                "Move it into a module of its own."
            )
        place = _place(top)
        if place is not None:
            found[place] = None
    return list(found)


def archive(place: Path) -> tuple[str, bytes]:
    """Return the name and content of the archive of a package's folder or a module's file.

    Unpacked, the archive is a folder for the import path. Its name is its content's.
    """
    if place.is_dir():
        files = sorted(each for each in place.rglob("*") if each.is_file())
    else:
        # What makes a script's parts anew reads what was captured of it.
        captured = (CAPTURE, "weights-*.npz") if (place.parent / CAPTURE).is_file() else ()
        files = sorted(each for name in ("*.py", *captured) for each in place.parent.glob(name))
    root = place.parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for each in files:
            if "__pycache__" not in each.parts:
                # No times: equal code has an equal name.
                entry = zipfile.ZipInfo(each.relative_to(root).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(entry, each.read_bytes())
    content = buffer.getvalue()
    return hashlib.sha256(content).hexdigest()[:32], content


def _place(top: str) -> Path | None:
    """Return where a module of the user's own lies, None for one that is installed."""
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if found is None or found.origin is None or found.origin in {"built-in", "frozen"}:
        return None
    origin = Path(found.origin).resolve()
    installed = {
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    if top == "ablate" or any(origin.is_relative_to(Path(each).resolve()) for each in installed):
        return None
    return origin.parent if origin.name == "__init__.py" else origin


def _specs(trials: Iterable[Trial]) -> Iterator[Spec]:
    """Specs are shared by the seeds of a variant: each is looked at once."""
    yield from {id(trial.spec): trial.spec for trial in trials}.values()


def _paths(spec: Spec) -> dict[tuple[str, str], Path]:
    """Return the files that a spec may name, by section and field."""
    values = {(section, key): getattr(getattr(spec, section), key, None)
              for section, key in FILE_FIELDS}  # fmt: skip
    return {
        field: Path(value).expanduser().resolve()
        for field, value in values.items()
        if isinstance(value, str)
    }


def _moved(spec: Spec, there: Mapping[str, str]) -> Spec:
    update: dict[str, Any] = {}
    for (section, key), path in _paths(spec).items():
        if str(path) in there:
            part = update.get(section, getattr(spec, section))
            update[section] = part.model_copy(update={key: there[str(path)]})
    return spec.model_copy(update=update) if update else spec


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
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for each in sorted(path.rglob("*")):
            if each.is_file():
                target.add(each, arcname=each.relative_to(path).as_posix())
    return buffer.getvalue()


def _untar(content: np.ndarray, folder: Path) -> None:
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    with tarfile.open(fileobj=io.BytesIO(content.tobytes())) as source:
        source.extractall(partial, filter="data")
    try:
        partial.rename(folder)
    except OSError:  # another worker of this machine was first
        shutil.rmtree(partial, ignore_errors=True)
