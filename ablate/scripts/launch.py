"""Run a script in a process of its own, and say how far it is.

Whatever it does there ends with it. Its output goes to a file, of which the end is shown where it
fails; Ctrl-C ends it. What it had handed to its fits by then is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.disk import write_text
from ablate.scripts.captured import CAPTURE, Captured, Fit, parsed, source_of, stored
from ablate.study.digests import digest
from ablate.study.schema.script import Script

Say = Callable[[str], None]

#: Seconds between two looks at the process, and between two lines of how far it is.
_LOOK, _PAUSE = 0.05, 5.0


def capture(script: Script, folder: Path, say: Say) -> Captured:
    """Return what a script hands to its fits: as it was captured before, or by running it now.

    Args:
        script: its file is absolute.
        folder: takes the models and rows.
        say: shows a line.

    Raises:
        StudyError: it cannot be run, or came to no fit at all.
    """
    if (known := stored(script, folder)) is not None:
        return known
    wanted = script.fit or 1
    found = _run(script, folder, say, rehearse=script.rehearse, fit=script.fit)
    fit = next((each for each in found.fits if each.number == wanted), None)
    if script.fit and fit is not None and fit.shares and not script.rehearse:
        earlier = ", ".join(map(str, fit.shares))
        say(
            f"Fit {wanted} goes on with the model of fit {earlier}, which is trained in full first."
        )
        found = _run(script, folder, say, rehearse=False, fit=script.fit, train=list(fit.shares))
    if any(each.number == wanted for each in found.fits):
        write_text(folder / CAPTURE, json.dumps(found.to_json()))
    return found


def _run(
    script: Script, folder: Path, say: Say, *, rehearse: bool, fit: int | None, train: Any = ()
) -> Captured:
    folder.mkdir(parents=True, exist_ok=True)
    how = ", one step for every fit" if rehearse else " up to its fit call"
    say(f"Running {script.file}{how} …")
    with _scratch(folder) as scratch:
        request = {
            "file": script.file,
            "arguments": script.arguments,
            "fit": fit,
            "rehearse": rehearse,
            "train": list(train),
            "folder": str(scratch),
        }
        write_text(scratch / "request.json", json.dumps(request))
        status, output = _process(scratch, say)
        try:
            document = json.loads((scratch / CAPTURE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            document = {"fits": []}
        if document.get("end") is None:
            document["end"] = {"kind": "ended", "status": status}
        document["end"]["output"] = output
        read = document.get("read") or {}
        found = parsed(document, script, folder, source_of(script, read))
        fits = tuple(_kept(each, scratch / f"fit-{each.number}", folder) for each in found.fits)
        end = dict(found.end)
        if end.get("model"):
            end["model"] = _moved(scratch / end["model"], folder, digest(scratch / end["model"]))
        return replace(found, fits=fits, end=end)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Give a new folder inside another one, gone afterwards."""
    scratch = (folder / f".capture-{os.getpid()}").resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _process(scratch: Path, say: Say) -> tuple[int, str]:
    """Run the capturing process to its end; return its exit status and the end of its output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _path()}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    log = scratch / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ablate.capture", str(scratch / "request.json")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            _follow(process, scratch, say)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    return process.returncode, _tail(log)


def _path() -> str:
    """Return the import path of a process that must find this package, and nothing else new."""
    package = str(Path(__file__).parents[2])
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(part for part in (package, given) if part)


def _follow(process: subprocess.Popen[bytes], scratch: Path, say: Say) -> None:
    """Wait for a process, and say from time to time where the script is."""
    began = spoke = time.monotonic()
    while process.poll() is None:
        time.sleep(_LOOK)
        now = time.monotonic()
        if now - spoke < _PAUSE:
            continue
        spoke = now
        place = "starting"
        with contextlib.suppress(OSError, ValueError, KeyError):
            place = json.loads((scratch / "at.json").read_text(encoding="utf-8"))["place"]
        last = _tail(scratch / "output.log", lines=1)
        say(f"  {now - began:.0f} s: {place}{f' | {last[:100]}' if last else ''}")


def _tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a script's output."""
    with contextlib.suppress(OSError):
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 10_000))
            text = stream.read().decode(errors="replace").replace("\r", "\n")
        kept = [line.rstrip() for line in text.splitlines() if line.strip()]
        return "\n".join(kept[-lines:])
    return ""


def _kept(fit: Fit, source: Path, folder: Path) -> Fit:
    """Move a fit's files to where they stay, under names that say their content."""
    model, data = dict(fit.model), dict(fit.data)
    if model.get("file"):
        model["file"] = _moved(source / model["file"], folder, digest(source / model["file"]))
    if model.get("trained"):
        model["trained"] = _moved(source / "weights.npz", folder, model["weights"])
    if data.get("kind") == "file":
        data["file"] = _moved(source / "data.npz", folder, data["digest"])
    return replace(fit, model=model, data=data)


def _moved(file: Path, folder: Path, content: str) -> str:
    name = f"{file.stem}-{content[:16]}{file.suffix}"
    if not (folder / name).exists():
        os.replace(file, folder / name)
    return name
