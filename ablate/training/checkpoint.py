"""A trial's state between two epochs, written to its work folder whole or not at all.

Variables and plain Python state go in; after a kill they come out, and the trial goes on to the
bits it would have had. A checkpoint is written after an epoch, but not within `INTERVAL` seconds
of the last one and not while it would take more than its `SHARE` of the time, so a small trial
never writes one and a long one loses a moment to a kill. One that cannot be read is as good as
none: the trial begins anew.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ablate.study.identity import NUMERICS

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

    A state that cannot be pickled (a callback that holds an open file) makes none: the trial
    then begins anew after a kill, which costs time and no bit.
    """
    try:
        document = pickle.dumps({**state, "numerics": NUMERICS, "keras": keras.__version__})
    except Exception:
        return False
    arrays = {f"v{index}": variable.value.numpy() for index, variable in enumerate(variables)}
    arrays["state"] = np.frombuffer(document, np.uint8)
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
    """Return the checkpoint in `folder`, None if there is none that fits these variables."""
    try:
        with np.load(folder / _FILE, allow_pickle=False) as archive:
            state = pickle.loads(archive["state"].tobytes())
            values = [archive[f"v{index}"] for index in range(len(archive.files) - 1)]
    except Exception:
        return None
    expected = [(tuple(v.shape), str(v.dtype)) for v in variables]
    if [(value.shape, value.dtype.name) for value in values] != expected:
        return None
    if state.pop("numerics", None) != NUMERICS or state.pop("keras", None) != keras.__version__:
        return None
    return Checkpoint(values, state)


def remove(folder: Path) -> None:
    """Remove the checkpoint of a trial that is done."""
    (folder / _FILE).unlink(missing_ok=True)
