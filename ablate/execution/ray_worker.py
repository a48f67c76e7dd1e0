"""What a machine of a Ray cluster does with a task: train its trials and tell the driver's actor.

`ablate.execution.ray_bootstrap` calls `train` once code and files are on the machine. What is said
travels as pickled `Started`, `Epoch` and `Parcel`; a parcel is an outcome with all its files.
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
from ablate.execution.messages import Finished, Progress, Task
from ablate.study.trial import Trial, TrialResult

#: In the work folder: a word by which a worker knows that it sees the same folder.
SHARED = ".shared"


@dataclass(frozen=True)
class ResultPayload:
    """An outcome on its way: a trained model travels as its bytes."""

    result: TrialResult
    arrays: Mapping[str, np.ndarray]
    model: bytes | None

    def opened(self, works: Path, trial: Trial) -> Finished:
        """Return the outcome with its model as a file here, its files where the driver has them."""
        spec = trial.spec.model_dump(mode="json", by_alias=True)
        result = replace(self.result, spec=spec)
        if self.model is None:
            return Finished(result, self.arrays)
        place = works / result.id
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.keras").write_bytes(self.model)
        return Finished(result, self.arrays, place / "model.keras")


def train(parcel: bytes, post: Any, files: Mapping[str, Any]) -> None:
    """Train a task's trials on a machine of the cluster.

    Args:
        parcel: the pickled number of the errand, task, work folder, its token, and the pause
            between two epochs told (seconds).
        post: the actor to tell.
        files: what trials name, by its place on the driver's machine.
    """
    import ray

    errand, task, works, token, pause = pickle.loads(parcel)
    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    done = ray.get(post.finished.remote(errand))
    there = packaging.unpack(files)
    left = packaging.pointed((trial for trial in task.trials if trial.id not in done), there)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    worker.prepare(int(os.environ["ABLATE_THREADS"]))
    folder, own = _folder(Path(works), token)
    try:
        worker.train(Task(task.number, left), folder, _FileReporter(post, errand, folder, pause))
    finally:
        if own:
            shutil.rmtree(folder, ignore_errors=True)


class _FileReporter(Reporter):
    """Tells the actor what happens."""

    def __init__(self, post: Any, errand: int, works: Path, pause: float) -> None:
        super().__init__(works, pause)
        self._post = post
        self._errand = errand

    def finished(
        self, result: TrialResult, arrays: Mapping[str, np.ndarray], model: Path | None
    ) -> None:
        import ray

        content = None if model is None else model.read_bytes()
        # An outcome is waited for: once this returns, no loss of this machine can lose it.
        ray.get(self._send(ResultPayload(result, dict(arrays), content), result.id))

    def _say(self, what: Progress) -> None:
        self._send(what)

    def _send(self, what: Progress | ResultPayload, finished: str | None = None) -> Any:
        return self._post.say.remote(self._errand, pickle.dumps(what), finished)


def _folder(works: Path, token: str) -> tuple[Path, bool]:
    """Return the driver's work folder if this machine sees it, else one of its own (True)."""
    with suppress(OSError):
        if (works / SHARED).read_text(encoding="utf-8") == token:
            return works, False
    return Path(tempfile.mkdtemp(prefix="ablate-work-")), True
