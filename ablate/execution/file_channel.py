"""Messages through a trial's work folder.

A worker writes what happens under `work/<trial id>/`: a line per event, then the arrays and
the model, and the result last. The driver reads it there. No pipe or lock is shared, so a
worker that is killed mid-write cannot corrupt another's messages, a driver that is killed finds
what its workers had finished, and the same folder serves machines that share a disk.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_core import from_json

from ablate.disk import notice, read_arrays, set_aside, write_arrays, write_text
from ablate.execution.messages import Finished, Message
from ablate.study.progress import Event
from ablate.study.trial import Trial, TrialResult, contradiction

_EVENTS, _RESULT, _ARRAYS, _MODEL = "events.jsonl", "result.json", "probes.npz", "model.keras"

#: An epoch that ends sooner than this after the last one reported (seconds) is not reported by
#: itself; the result has them all.
QUIET = 0.2


class Reporter(ABC):
    """A worker's end of a channel to its driver, of whatever kind.

    `pause` is the least time between two epochs reported, in seconds; results have every epoch.
    """

    def __init__(self, works: Path, pause: float = QUIET) -> None:
        self._works = works
        self._pause = pause
        self._last_epoch = 0.0

    def folder(self, trial: str) -> Path:
        """Return a trial's work folder, made if need be."""
        place = self._works / trial
        place.mkdir(parents=True, exist_ok=True)
        return place

    def report(self, event: Event) -> None:
        """Report an event, unless it is an epoch and one was reported a moment ago."""
        if event.kind == "epoch":
            now = time.monotonic()
            if now - self._last_epoch < self._pause:
                return
            self._last_epoch = now
        elif event.kind == "started":
            self._last_epoch = 0.0
        self._send(event)

    @abstractmethod
    def finished(self, outcome: Finished) -> None:
        """Hand in a trial."""

    @abstractmethod
    def _send(self, event: Event) -> None: ...


class FileReporter(Reporter):
    """Writes the events and results of trials to their work folders."""

    def finished(self, outcome: Finished) -> None:
        """Hand in a trial: what belongs to the result first, the result last."""
        place = self.folder(outcome.result.id)
        if outcome.arrays:
            write_arrays(place / _ARRAYS, outcome.arrays, compress=False)
        if outcome.model is not None and outcome.model != place / _MODEL:
            outcome.model.replace(place / _MODEL)
        write_text(place / _RESULT, json.dumps(outcome.result.to_json(), allow_nan=False))

    def _send(self, event: Event) -> None:
        line: dict[str, object] = {"epoch": event.epoch, "epochs": event.epochs}
        if event.kind == "started":
            line = {"started": event.epoch}
        elif event.kind == "step":
            line |= {"step": event.step, "steps": event.steps}
        else:
            line["logs"] = {
                key: float(value) if value is not None and math.isfinite(value) else None
                for key, value in event.logs.items()
            }
        with (self.folder(event.trial) / _EVENTS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


@dataclass
class FileReader:
    """The driver's end: reads what the worker of one task has written since the last time."""

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
            done = collect(self.works, trial)  # first: events written before it count
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
        whole = text[: text.rfind(b"\n") + 1]  # a line being written is left for the next time
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
        arrays = (
            read_arrays(place / _ARRAYS)
            if result.probes or os.path.lexists(place / _ARRAYS)
            else {}
        )
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
    if os.path.lexists(place) and not place.is_dir():
        place.unlink()  # no folder, and nothing that a worker wrote


def _parse(trial: str, line: bytes) -> Event | None:
    """Return the event of a line, None if it has none: progress is a courtesy."""
    try:
        found = json.loads(line)
        if "started" in found:
            return Event(trial, "started", int(found["started"]))
        epoch, epochs = int(found["epoch"]), int(found["epochs"])
        if "step" in found:
            return Event(
                trial, "step", epoch, epochs, step=int(found["step"]), steps=int(found["steps"])
            )
        return Event(trial, "epoch", epoch, epochs, dict(found["logs"].items()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
