"""What runs inside a worker process, wherever that process is.

The process gets its settings once, when it starts: threads, devices, the Keras backend. Then it
answers calls; what happens to trials is reported through their work folders. Only this module of
the package imports the Keras half, and only in the functions that a worker calls.
"""

from __future__ import annotations

import os
import pickle
import runpy
import signal
import sys
import threading
import time
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.errors import AblateError
from ablate.execution.file_channel import FileReporter, Reporter
from ablate.execution.messages import Finished, Task
from ablate.reasons import reason, sentence
from ablate.study.network import LayerNode
from ablate.study.preview import AugmentedRows
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.variant import Found, LeaveOneOut
from ablate.study.trial import Spec, Trial
from ablate.suppress_stderr import quiet_start


@dataclass(frozen=True)
class Settings:
    """What a worker must know before TensorFlow starts."""

    threads: int
    gpus: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # import path of the driver
    main: tuple[str, str] | None = None  # its script: ("path" or "module", name)
    parent: int | None = None  # the driver's process; the worker ends when it is gone


def serve(pipe: Any, settings: Settings) -> None:
    """Make this process a worker and answer its driver's calls until that hangs up.

    Goes out: None once it is ready, then for each call (value, False) or (error, True).
    """
    start(settings)
    trouble = _adopt(settings.main)
    try:
        pipe.send(None)
        while True:
            answer = _answer(pipe, trouble)
            try:
                pipe.send(answer)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                pipe.send((_portable(error), True))
    except (EOFError, OSError):
        return  # the driver is gone, or needs this worker no more


def _answer(pipe: Any, trouble: AblateError | None) -> tuple[Any, bool]:
    try:
        function, arguments = pipe.recv()
    except (EOFError, OSError):
        raise
    except Exception as error:  # what it names is not known here
        return trouble or _portable(error), True
    try:
        return function(*arguments), False
    except BaseException as error:
        return _portable(error), True


def _portable(error: BaseException) -> Exception:
    """Return the error as it can travel: as it is, or else its reason."""
    try:
        if isinstance(error, Exception) and isinstance(
            pickle.loads(pickle.dumps(error)), Exception
        ):
            return error
    except Exception:
        pass
    return RuntimeError(reason(error))


def _adopt(main: tuple[str, str] | None) -> AblateError | None:
    """Import the driver's script, so that what it defines is known here; return what went wrong.

    This is how `multiprocessing` does it, which does it before threads are fixed: a script that
    makes TensorFlow's objects when it is imported would start TensorFlow with its own threads.
    """
    if main is None:
        return None
    kind, name = main
    module = types.ModuleType("__mp_main__")
    try:
        if kind == "path":
            found = runpy.run_path(name, run_name="__mp_main__")
        else:
            found = runpy.run_module(name, run_name="__mp_main__", alter_sys=True)
    except (Exception, SystemExit) as error:
        return AblateError(
            f"'{name}' cannot be imported by a worker process, which needs what it defines. "
            f"{sentence(error)} Move what must not run there below "
            'if __name__ == "__main__".'
        )
    module.__dict__.update(found)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    return None


def start(settings: Settings) -> None:
    """Fix what a worker must know before TensorFlow starts."""
    # Ctrl-C reaches the whole process group; the driver alone decides what it means. It was
    # held back since this process began.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
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
        # A worker that dies here would only be started again. The task imports the same
        # modules again and its failure is then the task's.
        return


def train(task: Task, works: Path, reporter: Reporter | None = None) -> None:
    """Train a task's trials; each outcome is handed in as soon as it is there."""
    from ablate.training import run_group

    reporter = reporter or FileReporter(works)
    for outcome in run_group(task.trials, work=reporter.folder, report=reporter.report):
        reporter.finished(Finished(*outcome))


def _follow(parent: int) -> None:
    """End this process when its driver is gone: no orphan goes on training."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def preview(resolved: Sequence[ResolvedVariant]) -> list[Any]:
    """Build each variant once and return what it became; a mistake shows here, before training."""
    from ablate.training import preview as build

    return list(build(resolved))


def look_inside(variant: ResolvedVariant, rule: LeaveOneOut) -> list[Found]:
    """Build a variant and return the sites or layers that leave-one-out leaves out in turn."""
    from ablate.training import found_in

    return list(found_in(variant, rule))


def look_at_model(spec: Spec) -> dict[str, Any]:
    """Build the base model of a spec and return what it brings along: settings, kept weights."""
    from ablate.training import brought_by_model

    return dict(brought_by_model(spec))


def network_of(variant: ResolvedVariant) -> list[LayerNode]:
    """Build the base model of a variant and return its layers, from input to output."""
    from ablate.training import network_of as described

    return list(described(variant))


def read(spec: Spec) -> str:
    """Read the rows of a spec; return the digest that all other readings must have."""
    from ablate.data import load
    from ablate.data.called import settled

    return settled(spec.data, load(spec.data))


def augmented_rows(trial: Trial) -> AugmentedRows:
    """Return rows of a trial as its augmentation makes them."""
    from ablate.training.contact_sheet import augmented_rows as made

    return made(trial)


def epoch_seconds(trial: Trial) -> float:
    """Return about how many seconds an epoch of a trial takes on this machine."""
    from ablate.training import seconds_per_epoch

    return seconds_per_epoch(trial)
