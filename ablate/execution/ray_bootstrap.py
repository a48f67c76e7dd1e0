"""What runs on a machine of a Ray cluster before `ablate` is installed there.

Ray pickles this module by value, so the machines need Keras and TensorFlow and nothing of ours.
`land` writes the code and the files that the driver put into the object store once to the disk
and calls `ablate.execution.ray_worker`. `EventQueue` is the actor that keeps messages until the
driver fetches them, as bytes. Each function imports what it needs, from the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def land(
    payload: bytes, queue: Any, code: tuple[str, ...], paths: tuple[str, ...], *contents: Any
) -> None:
    """Write code and files to the disk of this machine, and train the task of `payload`.

    Args:
        payload: the pickled arguments of `ablate.execution.ray_worker.train`.
        queue: the actor that takes messages.
        code: names of the archives of code that are the first of `contents`.
        paths: where the other `contents` stand on the driver's machine.
        contents: the archives and files themselves, fetched by Ray once per machine.
    """
    import importlib
    import io
    import os
    import shutil
    import sys
    import tempfile
    import zipfile
    from pathlib import Path

    home = Path(tempfile.gettempdir()) / f"ablate-code-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise PermissionError(f"{home} belongs to somebody else; remove it or set TMPDIR")
    for name, content in zip(code, contents, strict=False):
        place = home / name
        if not place.is_dir():
            partial = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=home))
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(partial)
            try:
                partial.rename(place)
            except OSError:  # another worker of this machine was first
                shutil.rmtree(partial, ignore_errors=True)
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))
            importlib.invalidate_caches()
    train = importlib.import_module("ablate.execution.ray_worker").train
    train(payload, queue, dict(zip(paths, contents[len(code) :], strict=True)))


class EventQueue:
    """The actor that keeps messages of workers for the driver."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, bytes]] = []
        self._finished: dict[int, set[str]] = {}

    def put(self, task: int, message: bytes, finished: str | None = None) -> None:
        """Keep a message for the driver; `finished` is the trial whose outcome it holds."""
        self._messages.append((task, message))
        if finished is not None:
            self._finished.setdefault(task, set()).add(finished)

    def drain(self) -> list[tuple[int, bytes]]:
        """Return the messages since the last time."""
        messages, self._messages = self._messages, []
        return messages

    def finished(self, task: int) -> set[str]:
        """Return the trials of a task that were handed in: begun again, it skips them."""
        return self._finished.get(task, set())

    def forget(self, task: int) -> None:
        """Drop what is known of a task that is over."""
        self._finished.pop(task, None)


def by_value(ray: Any, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return `land` and `EventQueue` for Ray, with their code; `options` are the actor's."""
    import sys

    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    return ray.remote(land), ray.remote(EventQueue).options(**options)
