"""Event files on disk: one written whole and put in place, or one that grows while a trial runs.

An event file is a sequence of framed `Event` messages. `write` makes a file that is whole or
absent; `EventFile` appends and flushes, for the live view, and TensorBoard's readers wait for the
rest of a record that is cut short. Every file gets a name never used before, since TensorBoard
reads a name once and then only its growth.

TensorBoard takes every file below its logdir whose name has `tfevents` in it. What is shown on
request alone is the same file under another name, until `link` gives it that one.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

_ORDINAL = itertools.count()

#: What TensorBoard looks for in a name, and what stands in its place until it shall look.
SHOWN, ON_REQUEST = "tfevents", "onrequest"

#: Around a record: its length (8 bytes), the sum of that (4), and the sum of the record (4).
_FRAME = 16


class Point(NamedTuple):
    """A summary value at a step, `seconds` after the epoch (the wall clock of its trial)."""

    value: Summary.Value
    step: int
    seconds: float


class EventFile:
    """An event file that grows: `add` points, `flush` them, `close` it."""

    def __init__(self, folder: Path, label: str, *, on_request: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / new_name(label, on_request=on_request)
        self._writer = RecordWriter(open(self.path, "wb"))  # noqa: SIM115 - closed by close()
        self._described: set[str] = set()
        self._writer.write(_version().SerializeToString())

    def add(self, points: Iterable[Point]) -> None:
        """Append points, each tag described only the first time, as TensorBoard expects."""
        for value, step, seconds in points:
            event = Event(wall_time=seconds, step=step, summary=Summary(value=[value]))
            if value.tag in self._described:
                event.summary.value[0].ClearField("metadata")
            self._described.add(value.tag)
            self._writer.write(event.SerializeToString())

    def flush(self) -> None:
        """Hand what was added to the operating system, where a reader sees it."""
        self._writer.flush()

    def close(self) -> None:
        """Flush and close; closing twice does nothing."""
        if not self._writer.closed:
            self._writer.close()


def write(
    folder: Path, label: str, points: Iterable[Point], *, on_request: bool = False
) -> Path | None:
    """Write a whole event file into `folder` and return its path; None when there is no point.

    It is written under a name TensorBoard ignores and renamed, so no reader ever sees
    half of it.
    """
    points = list(points)
    if not points:
        return None
    growing = EventFile(folder, label, on_request=on_request)
    hidden = folder / f".{growing.path.name.replace(SHOWN, 'partial')}"
    os.rename(growing.path, hidden)
    growing.add(points)
    growing.close()
    os.replace(hidden, growing.path)
    return growing.path


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a file up to the last whole one, without checking their sums.

    TensorBoard's own reader imports TensorFlow where it is installed.
    """
    content = path.read_bytes()
    at = 0
    while len(content) >= at + _FRAME:
        length = int.from_bytes(content[at : at + 8], "little")
        record = content[at + 12 : at + 12 + length]
        at += _FRAME + length
        if at > len(content):
            return
        yield Event.FromString(record)


def event_files(folder: Path) -> list[Path]:
    """Return the event files directly in `folder`, oldest first; [] where there is no folder."""
    return sorted(folder.glob("events.out.*")) if folder.is_dir() else []


def link(source: Path, folder: Path) -> Path:
    """Link an event file into `folder` under the name that TensorBoard looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / source.name.replace(ON_REQUEST, SHOWN)
    if not place.is_symlink():
        os.symlink(source.resolve(), place)
    return place


def new_name(label: str, *, on_request: bool = False) -> str:
    """Return a file name never used before; `label` (a trial id, a purpose) ends it."""
    kind = ON_REQUEST if on_request else SHOWN
    return f"events.out.{kind}.{time.time_ns():019d}.{os.getpid()}.{next(_ORDINAL)}.{label}"


def _version() -> Event:
    return Event(
        wall_time=time.time(),
        file_version="brain.Event:2",
        source_metadata=SourceMetadata(writer="ablate.events"),
    )
