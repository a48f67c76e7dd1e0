"""Messages through a trial's work folder.

A worker writes what happens under `work/<trial id>/`: a line per event, then the arrays and
the model, and the result last. The driver reads it there. No pipe or lock is shared, so a
worker that is killed in the middle of a sentence harms no other, a driver that is killed finds
what its workers had finished, and the same folder serves machines that share a disk.
"""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic_core import from_json

from ablate.disk import notice, read_arrays, set_aside, write_bytes, write_text
from ablate.execution.messages import Epoch, Finished, Message, Progress, Started, Step
from ablate.study.trial import Trial, TrialResult, contradiction

_EVENTS, _RESULT, _ARRAYS, _MODEL = "events.jsonl", "result.json", "probes.npz", "model.keras"

#: An epoch that ends sooner than this after the last one told (seconds) is not told by itself;
#: the result has them all.
QUIET = 0.2


class Reporter(ABC):
    """A worker's end, whatever the way: tells what happens to its trials.

    `pause` is the least time between two epochs told, in seconds; results have every epoch.
    """

    def __init__(self, works: Path, pause: float = QUIET) -> None:
        self._works = works
        self._pause = pause
        self._told = 0.0

    def folder(self, trial: str) -> Path:
        """Return a trial's work folder, made if need be."""
        place = self._works / trial
        place.mkdir(parents=True, exist_ok=True)
        return place

    def started(self, trial: str, epoch: int) -> None:
        """Say that a trial began, or goes on from `epoch`."""
        self._told = 0.0
        self._say(Started(trial, epoch))

    def epoch(self, trial: str, epoch: int, epochs: int, logs: Mapping[str, float | None]) -> None:
        """Say that an epoch ended, unless one was told a moment ago."""
        now = time.monotonic()
        if now - self._told >= self._pause:
            self._told = now
            self._say(Epoch(trial, epoch, epochs, dict(logs)))

    def step(self, trial: str, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Say how far an epoch is; training does so at most once a second."""
        self._say(Step(trial, epoch, epochs, step, steps))

    @abstractmethod
    def finished(
        self, result: TrialResult, arrays: Mapping[str, np.ndarray], model: Path | None
    ) -> None:
        """Hand in a trial."""

    @abstractmethod
    def _say(self, what: Progress) -> None:
        """Send a message."""


class FileReporter(Reporter):
    """The worker's end: writes events and results of its trials."""

    def finished(
        self, result: TrialResult, arrays: Mapping[str, np.ndarray], model: Path | None
    ) -> None:
        """Hand in a trial: what belongs to the result first, the result last."""
        place = self.folder(result.id)
        if arrays:
            buffer = io.BytesIO()
            np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
            write_bytes(place / _ARRAYS, buffer.getvalue(), flush=True)
        if model is not None and model != place / _MODEL:
            model.replace(place / _MODEL)
        write_text(place / _RESULT, json.dumps(result.to_json(), allow_nan=False))

    def _say(self, what: Progress) -> None:
        line: dict[str, object] = {"started": what.epoch}
        if isinstance(what, Epoch):
            finite = {
                key: float(value) if value is not None and math.isfinite(value) else None
                for key, value in what.logs.items()
            }
            line = {"epoch": what.epoch, "epochs": what.epochs, "logs": finite}
        elif isinstance(what, Step):
            line = {"epoch": what.epoch, "epochs": what.epochs, "step": what.step,
                    "steps": what.steps}  # fmt: skip
        with (self.folder(what.trial) / _EVENTS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


@dataclass
class Mailbox:
    """The driver's end: reads what the worker of one task has written since the last look."""

    works: Path
    trials: tuple[str, ...]
    _current: int = 0
    _offset: int = 0
    finished: set[str] = field(default_factory=set)

    @property
    def current(self) -> str | None:
        """The trial that the worker is at, None when all have finished."""
        return self.trials[self._current] if self._current < len(self.trials) else None

    def read(self) -> list[Message]:
        """Return the messages that are new."""
        messages: list[Message] = []
        while (trial := self.current) is not None:
            done = collect(self.works, trial)  # looked at first: events written before it count
            messages += self._events(trial)
            if done is None:
                break
            messages.append(done)
            self.finished.add(trial)
            self._current += 1
            self._offset = 0
        return messages

    def _events(self, trial: str) -> list[Message]:
        try:
            with (self.works / trial / _EVENTS).open("rb") as stream:
                stream.seek(self._offset)
                text = stream.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]  # a line being written is left for the next look
        self._offset += len(whole)
        return [each for line in whole.splitlines() if (each := _parse(trial, line)) is not None]


def collect(
    works: Path, trial: str, *, planned: Trial | None = None, keep: bool = False
) -> Finished | None:
    """Return what a worker handed in for a trial, None if it has not.

    What is no result of this trial, or lacks a part, is as good as none: a notice says so, and the
    trial is trained again.

    Args:
        works: the folder of the work folders.
        trial: the trial's id.
        planned: the trial itself, where it is known, to hold the message against.
        keep: leave an unsound message where it is; else it is set aside, so that it is met once.
    """
    place = works / trial
    try:
        document = from_json((place / _RESULT).read_bytes(), allow_inf_nan=False)
        result = TrialResult.from_json(document)
        if result.id != trial:
            raise ValueError(f"it is of another trial, {result.id[:12]}")
        if planned is not None and (why := contradiction(result, planned)):
            raise ValueError(why)
        # Arrays were there before the result; a shared disk may show them after it.
        arrays = read_arrays(place / _ARRAYS) if result.probes or _stands(place / _ARRAYS) else {}
    except (OSError, ValueError) as error:
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        if absent and not (place / _RESULT).is_symlink():
            return None
        if not keep:
            set_aside(place / _RESULT)
        notice(
            f"{place / _RESULT} is no sound message of a worker ({str(error)[:200]}): it is left "
            "out, and the trial is trained again."
        )
        return None
    model = place / _MODEL
    return Finished(result, arrays, model if model.is_file() else None)


def forget_events(works: Path, trial: str) -> None:
    """Remove what an earlier attempt said and handed in; its checkpoint stays."""
    place = works / trial
    for each in (place / _EVENTS, place / _RESULT, place / _ARRAYS):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        elif place.is_dir():
            each.unlink(missing_ok=True)
    if _stands(place) and not place.is_dir():
        place.unlink()  # no folder, and nothing that a worker wrote


def _stands(path: Path) -> bool:
    return os.path.lexists(path)


def _parse(trial: str, line: bytes) -> Message | None:
    """Return what a line says, None if it is none of ours: progress is a courtesy."""
    try:
        said = json.loads(line)
        if "started" in said:
            return Started(trial, int(said["started"]))
        if "step" in said:
            return Step(trial, *(int(said[key]) for key in ("epoch", "epochs", "step", "steps")))
        logs = {str(name): value for name, value in said["logs"].items()}
        return Epoch(trial, int(said["epoch"]), int(said["epochs"]), logs)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
