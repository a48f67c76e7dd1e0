"""What stands on a machine of a Ray cluster before anything of `ablate` does.

Ray carries these two by value, so the machines need Keras and TensorFlow installed and nothing
of ours: `land` receives the code and the files that the driver put into the object store once,
lays them down, and hands over to `ablate.execution.ray_worker`. `Post` is the actor that keeps what
workers say until the driver fetches it; it holds bytes and never looks into them. Only the
standard library is used, and inside the functions, for nothing else of this module travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def land(
    parcel: bytes, post: Any, code: tuple[str, ...], paths: tuple[str, ...], *contents: Any
) -> None:
    """Lay code and files down on this machine, and do what `parcel` says.

    Args:
        parcel: the pickled arguments of `ablate.execution.ray_worker.train`.
        post: the actor to tell.
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
            beside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=home))
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(beside)
            try:
                beside.rename(place)
            except OSError:  # another worker of this machine was first
                shutil.rmtree(beside, ignore_errors=True)
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))
            importlib.invalidate_caches()
    train = importlib.import_module("ablate.execution.ray_worker").train
    train(parcel, post, dict(zip(paths, contents[len(code) :], strict=True)))


class EventQueue:
    """The actor that workers tell and the driver asks."""

    def __init__(self) -> None:
        self._said: list[tuple[int, bytes]] = []
        self._finished: dict[int, set[str]] = {}

    def say(self, errand: int, letter: bytes, finished: str | None = None) -> None:
        """Keep a letter for the driver; `finished` is the trial whose outcome it holds."""
        self._said.append((errand, letter))
        if finished is not None:
            self._finished.setdefault(errand, set()).add(finished)

    def drain(self) -> list[tuple[int, bytes]]:
        """Return what was said since the last time."""
        said, self._said = self._said, []
        return said

    def finished(self, errand: int) -> set[str]:
        """Return the trials of an errand that were handed in: begun again, it leaves them out."""
        return self._finished.get(errand, set())

    def forget(self, errand: int) -> None:
        """An errand is over."""
        self._finished.pop(errand, None)


def travelling(ray: Any, here: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return `land` and `Post` as things of Ray that carry their own code.

    `here` are the actor's options.
    """
    import sys

    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    return ray.remote(land), ray.remote(EventQueue).options(**here)
