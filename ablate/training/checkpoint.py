"""A trial's state between two epochs, written to its work folder whole or not at all.

Variables and plain Python state go in; after a kill they come out, and the trial goes on to the
bits it would have had. A checkpoint is written after an epoch, but not within `INTERVAL` seconds
of the last one and not while it would take more than its `SHARE` of the time, so a small trial
never writes one and a long one loses a moment to a kill. It is an npz file of arrays and JSON, no
pickle: reading it runs nothing. One that is damaged or does not fit is named in a note, and the
trial begins anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablate.disk import DamagedError, read_arrays
from ablate.study.identity import NUMERICS
from ablate.training.packing import CannotPackError, pack, unpack

#: Seconds between two checkpoints of a trial, at least.
INTERVAL = 2.0

#: The share of a trial's time that its checkpoints may take.
SHARE = 0.02

_FILE = "checkpoint.npz"


@dataclass(frozen=True)
class Checkpoint:
    """What a trial goes on from: the values of its variables, and the state around them."""

    variables: list[np.ndarray]
    state: Mapping[str, Any]


def pause(cost: float) -> float:
    """Return the seconds to train before the next checkpoint when the last one took `cost`."""
    return max(INTERVAL, cost / SHARE)


def write(folder: Path, variables: Sequence[keras.Variable], state: Mapping[str, Any]) -> bool:
    """Write a checkpoint; return whether that was possible.

    A state that cannot be packed (a callback that holds an open file, or objects of its own) makes
    none: the trial then begins anew after a kill, which costs time and no bit.
    """
    try:
        tree, arrays = pack({**state, "numerics": NUMERICS, "keras": keras.__version__})
        text = json.dumps(tree)
    except (CannotPackError, RecursionError, ValueError):
        return False
    arrays |= {f"v{index}": variable.value.numpy() for index, variable in enumerate(variables)}
    arrays["state"] = np.frombuffer(text.encode(), np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{_FILE}.{os.getpid()}"
    try:
        with draft.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, folder / _FILE)
    except OSError:
        # A full disk must not end a trial that could still finish.
        draft.unlink(missing_ok=True)
        return False
    return True


def read(folder: Path, variables: Sequence[keras.Variable]) -> Checkpoint | None:
    """Return the checkpoint in `folder`, None if there is none.

    Raises:
        DamagedError: it cannot be gone on from: it is damaged, of another version, or of other
            variables than these.
    """
    try:
        arrays = read_arrays(folder / _FILE)
    except FileNotFoundError:
        return None
    try:
        state = unpack(json.loads(arrays.pop("state").tobytes()), arrays)
        numerics, version = state.pop("numerics"), state.pop("keras")
        values = [arrays[f"v{index}"] for index in range(len(variables))]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"it is no checkpoint ({type(error).__name__}: {error})") from None
    if (numerics, version) != (NUMERICS, keras.__version__):
        raise DamagedError(f"it was written under numerics {numerics} and Keras {version}")
    expected = [(tuple(v.shape), str(v.dtype)) for v in variables]
    if [(value.shape, value.dtype.name) for value in values] != expected:
        raise DamagedError("its variables are not those of this network")
    return Checkpoint(values, state)


def is_there(folder: Path) -> bool:
    """Whether there is a checkpoint, sound or not."""
    return os.path.lexists(folder / _FILE)


def phase_ends(folder: Path) -> list[int]:
    """Return the last epochs of the phases before that of the checkpoint; none if there is none."""
    try:
        arrays = read_arrays(folder / _FILE)
        ends = unpack(json.loads(arrays.pop("state").tobytes()), arrays)["ends"]
    except (DamagedError, OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return []  # `read` says what is wrong with it
    return ends if isinstance(ends, list) and all(isinstance(each, int) for each in ends) else []


def remove(folder: Path) -> None:
    """Remove the checkpoint of a trial that is done."""
    with suppress(OSError):  # a folder in its place goes with the work folder
        (folder / _FILE).unlink(missing_ok=True)
