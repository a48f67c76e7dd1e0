"""What was captured of a script: its fits as plain values, and whether they still hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate._version import __version__
from ablate.study.schema.script import Script

#: The endings of what is run as a script.
ENDINGS = (".py", ".ipynb")

CAPTURE = "capture.json"


@dataclass(frozen=True)
class Fit:
    """A `fit` call of a script, as `ablate.capture.handover` writes it.

    `another` says why it may not be the only one, `refused` why no study can be made of it,
    `shares` has the numbers of earlier fits of the same model; one that `goes_on` has the optimizer
    of an earlier one, with its state.
    """

    number: int
    line: int
    place: str
    another: str | None = None
    refused: str | None = None
    traceback: str | None = None
    method: str = "fit"
    shares: Sequence[int] = ()
    goes_on: bool = False
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    compiled: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Sequence[Mapping[str, Any]] = ()
    seconds_per_step: float | None = None


@dataclass(frozen=True)
class Captured:
    """All that is known of a script: its fits, how it ended, and the digest of its source.

    `folder` has the files that the entries name.
    """

    script: Script
    folder: Path
    fits: tuple[Fit, ...]
    end: Mapping[str, Any]
    source: str
    read: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def holds(self) -> bool:
        """Whether the script, and what it read, is as it was."""
        return self.source == source_of(self.script, self.read) and all(
            stamp(path) == list(known) for path, known in self.read.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as one JSON document."""
        return {
            "version": __version__,
            "script": self.script.model_dump(),
            "source": self.source,
            "read": dict(self.read),
            "end": dict(self.end),
            "fits": [vars(each) for each in self.fits],
        }


def stored(script: Script, folder: Path) -> Captured | None:
    """Return what was captured of the script before, if it still holds."""
    try:
        document = json.loads((folder / CAPTURE).read_text(encoding="utf-8"))
        if document["version"] != __version__ or document["script"] != script.model_dump():
            return None
        found = parsed(document, script, folder, document["source"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    files = (
        name
        for each in found.fits
        for name in (each.model.get("file"), each.data.get("file"))
        if name is not None
    )
    return found if found.holds() and all((folder / name).is_file() for name in files) else None


def script_of(folder: Path) -> Path | None:
    """Return the script that a folder of captured files is of, None if of none."""
    try:
        document = json.loads((folder / CAPTURE).read_text(encoding="utf-8"))
        return Path(document["script"]["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parsed(document: Mapping[str, Any], script: Script, folder: Path, source: str) -> Captured:
    """Return what a document of the capturing process says."""
    known = Fit.__dataclass_fields__
    fits = [Fit(**{k: v for k, v in each.items() if k in known}) for each in document["fits"]]
    end = document.get("end") or {"kind": "lost"}
    return Captured(script, folder, tuple(fits), end, source, document.get("read") or {})


def source_of(script: Script, read: Mapping[str, Any]) -> str:
    """Return the digest of a script, its arguments and the modules of its folder that it read."""
    file = Path(script.file)
    whole = hashlib.sha256(json.dumps([script.arguments, script.fit, script.rehearse]).encode())
    modules = [path for path in read if path.endswith(".py") and Path(path) != file]
    for path in (str(file), *sorted(modules)):
        try:
            whole.update(Path(path).read_bytes())
        except OSError:
            whole.update(b"gone")
    return whole.hexdigest()


def stamp(path: str) -> list[int]:
    """Return the size and the time of change of a file, the time alone of a folder."""
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [0 if os.path.isdir(path) else found.st_size, found.st_mtime_ns]
