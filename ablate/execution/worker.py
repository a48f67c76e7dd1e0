"""What runs inside a worker process, wherever that process is.

Settings go in once, when the process starts: threads, devices, the Keras backend. Then tasks
go in, and what happens goes out through the trial's work folder. Only this module of the
package imports the Keras half, and only in the functions that a worker calls.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.execution.mailbox import Letters, Teller
from ablate.execution.messages import Task
from ablate.quiet import quiet_start
from ablate.study.arm import Arm
from ablate.study.study import Found, LeaveOneOut
from ablate.study.trial import Spec, Trial


@dataclass(frozen=True)
class Settings:
    """What a worker must know before TensorFlow starts."""

    threads: int
    gpus: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # import path of the driver
    parent: int | None = None  # the driver's process; the worker ends when it is gone


def start(settings: Settings) -> None:
    """Make this process a worker: called once, before its first task."""
    # Ctrl-C reaches the whole process group; the driver alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if settings.parent is not None:
        watch = threading.Thread(target=_follow, args=(settings.parent,), daemon=True)
        watch.start()
    for path in reversed(settings.paths):
        if path not in sys.path:
            sys.path.insert(0, path)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(settings.gpus) if settings.gpus else "-1"
    prepare(settings.threads)


def prepare(threads: int) -> None:
    """Import the Keras half and fix the threads; an error shows when the first task runs."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # what trials are trained with, whatever is set
    try:
        with quiet_start():
            from ablate.training import configure

            configure(threads)
    except Exception:
        # The pool would restart a worker that dies here for ever. The task imports the same
        # modules again and its failure is then told as the task's.
        return


def train(task: Task, works: Path, letters: Teller | None = None) -> None:
    """Train a task's trials; each outcome is handed in as soon as it is there."""
    from ablate.training import run_group

    letters = letters or Letters(works)
    for outcome in run_group(task.trials, work=letters.folder, report=_reporter(letters)):
        result, arrays, model = outcome
        letters.finished(result, arrays, Path(model) if model is not None else None)


def _reporter(letters: Teller) -> Callable[[Any], None]:
    """Return the function that passes training's events to `letters`."""

    def report(event: Any) -> None:
        if event.kind == "started":
            letters.started(event.trial, event.epoch)
        elif event.kind == "epoch":
            letters.epoch(event.trial, event.epoch, event.epochs, event.logs)

    return report


def _follow(parent: int) -> None:
    """End this process when its driver is gone: no orphan goes on training."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def preview(arms: Sequence[Arm]) -> list[Any]:
    """Build each arm once and return what it became; a mistake shows here, before training."""
    from ablate.training import preview as build

    return list(build(arms))


def look_inside(arm: Arm, rule: LeaveOneOut) -> list[Found]:
    """Build an arm and return the sites or layers that leave-one-out leaves out in turn."""
    from ablate.training import found_in

    return list(found_in(arm, rule))


def read(spec: Spec) -> str:
    """Read the rows of a spec, and return the digest of what its `call` returned."""
    from ablate.data import load

    return str(load(spec.data).digest)


def pace(trial: Trial) -> float:
    """Return about how many seconds an epoch of a trial takes on this machine."""
    from ablate.training import seconds_per_epoch

    return seconds_per_epoch(trial)
