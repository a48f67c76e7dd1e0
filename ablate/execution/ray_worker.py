"""A task on a machine of a Ray cluster: train its trials and report to the driver's actor.

`ablate.execution.ray_bootstrap` calls `train` once code and files are on the machine. Messages are
pickled: an `Event`, or a `ResultPayload`, which is an outcome with all its files.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablate.execution import packaging, worker
from ablate.execution.file_channel import Reporter
from ablate.execution.messages import Finished, Task
from ablate.study.progress import Event
from ablate.study.trial import FILES, Trial, TrialResult

#: In the work folder: a word by which a worker knows that it sees the same folder.
SHARED = ".shared"


@dataclass(frozen=True)
class ResultPayload:
    """An outcome on its way: a trained model, and what callbacks wrote, travel as bytes."""

    result: TrialResult
    arrays: Mapping[str, np.ndarray]
    model: bytes | None
    files: Mapping[str, bytes]

    def opened(self, works: Path, trial: Trial) -> Finished:
        """Return the outcome with its model as a file here, its files where the driver has them."""
        spec = trial.spec.model_dump(mode="json", by_alias=True)
        result = replace(self.result, spec=spec)
        place = works / result.id
        for name, content in self.files.items():
            (place / FILES / name).parent.mkdir(parents=True, exist_ok=True)
            (place / FILES / name).write_bytes(content)
        if self.model is None:
            return Finished(result, self.arrays)
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.keras").write_bytes(self.model)
        return Finished(result, self.arrays, place / "model.keras")


def train(payload: bytes, queue: Any, files: Mapping[str, Any]) -> None:
    """Train a task's trials on a machine of the cluster.

    Args:
        payload: the pickled number of the Ray task, the task, the work folder, its token, and the
            pause between two epochs reported (seconds).
        queue: the actor that takes messages.
        files: what trials name, by its place on the driver's machine.
    """
    import ray

    number, task, works, token, pause = pickle.loads(payload)
    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    done = ray.get(queue.finished.remote(number))
    there = packaging.unpack(files)
    left = packaging.pointed((trial for trial in task.trials if trial.id not in done), there)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    worker.prepare(int(os.environ["ABLATE_THREADS"]))
    folder, own = _folder(Path(works), token)
    try:
        worker.train(Task(task.number, left), folder, _QueueReporter(queue, number, folder, pause))
    finally:
        if own:
            shutil.rmtree(folder, ignore_errors=True)


class _QueueReporter(Reporter):
    """Sends events and outcomes to the driver's actor."""

    def __init__(self, queue: Any, task: int, works: Path, pause: float) -> None:
        super().__init__(works, pause)
        self._queue = queue
        self._task = task

    def finished(self, outcome: Finished) -> None:
        import ray

        content = None if outcome.model is None else outcome.model.read_bytes()
        result = outcome.result
        written = self.folder(result.id) / FILES
        files = {
            each.relative_to(written).as_posix(): each.read_bytes()
            for each in written.rglob("*")
            if each.is_file()
        }
        payload = pickle.dumps(ResultPayload(result, dict(outcome.arrays), content, files))
        # An outcome is waited for: once this returns, no loss of this machine can lose it.
        ray.get(self._queue.put.remote(self._task, payload, result.id))

    def _send(self, event: Event) -> None:
        self._queue.put.remote(self._task, pickle.dumps(event), None)


def _folder(works: Path, token: str) -> tuple[Path, bool]:
    """Return the driver's work folder if this machine sees it, else one of its own (True)."""
    with suppress(OSError):
        if (works / SHARED).read_text(encoding="utf-8") == token:
            return works, False
    return Path(tempfile.mkdtemp(prefix="ablate-work-")), True
