"""Where a script runs: as `__main__`, with its arguments, and with the user's files out of reach.

Files that are there already are not overwritten: what the script writes to them goes to a folder
of its own, and is what it reads there afterwards. Once a fit was passed by, what it goes on with
is not what it means to keep, and everything that it writes goes there.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from ablate.capture.source import Source


class Stop(BaseException):
    """Ends the script at the fit that was wanted; no `except Exception` of the script takes it."""


class Files:
    """The files that a script has written, and where they are kept instead.

    Attributes:
        everything: whether new files are kept away, too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._moved: dict[str, Path] = {}
        self.everything = False

    def place(self, path: Any, mode: str = "r") -> Any:
        """Return where to open a path instead of where the script says."""
        if not isinstance(path, str | os.PathLike):
            return path
        given = os.path.abspath(os.fspath(path))
        if not isinstance(given, str) or given.startswith(("/dev/", "/proc/")):
            return path
        writes = any(letter in mode for letter in "wax+")
        if given in self._moved:
            return str(self._moved[given])
        if not writes or not (os.path.isfile(given) or self.everything) or self._is_own(given):
            return path
        kept = self._folder / str(len(self._moved)) / os.path.basename(given)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isfile(given) and ("a" in mode or "+" in mode) and "w" not in mode:
            shutil.copyfile(given, kept)
        self._moved[given] = kept
        return str(kept)

    def _is_own(self, given: str) -> bool:
        """Whether a path belongs to a cache, of Keras, matplotlib or Python, or to this folder."""
        caches = (Path.home() / ".keras", Path.home() / ".cache", Path.home() / ".config")
        own = any(given.startswith(f"{each}{os.sep}") for each in (*caches, self._folder.parent))
        return own or "__pycache__" in given


@contextlib.contextmanager
def guarded(files: Files) -> Iterator[None]:
    """Open, save and load through `files`, as long as the context lasts."""
    opened = io.open

    def open_(file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        return opened(files.place(file, mode), mode, *rest, **more)

    def writes(function: Any) -> Any:
        def method(self: Any, filepath: Any, *rest: Any, **more: Any) -> Any:
            return function(self, files.place(filepath, "w"), *rest, **more)

        return method

    def loads(function: Any) -> Any:
        def load(filepath: Any, *rest: Any, **more: Any) -> Any:
            return function(files.place(filepath), *rest, **more)

        return load

    def loads_weights(self: Any, filepath: Any, *rest: Any, **more: Any) -> Any:
        return real_load_weights(self, files.place(filepath), *rest, **more)

    real_load_weights = keras.Model.load_weights
    with contextlib.ExitStack() as stack:
        for owner, name, value in (
            (builtins, "open", open_),
            (io, "open", open_),
            (keras.Model, "save", writes(keras.Model.save)),
            (keras.Model, "save_weights", writes(keras.Model.save_weights)),
            (keras.Model, "load_weights", loads_weights),
            (keras.models, "load_model", loads(keras.models.load_model)),
            (keras.saving, "load_model", loads(keras.saving.load_model)),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an object another attribute for a while."""
    own = name in vars(owner)
    before = getattr(owner, name, None)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def run(
    source: Source, arguments: Sequence[str], keep: Callable[[dict[str, Any]], None] | None = None
) -> None:
    """Run a script as `python script.py arguments` would.

    A notebook runs in its own folder. `keep` is given what the script defines, before it runs.
    """
    assert source.tree is not None
    module = types.ModuleType("__main__")
    module.__file__ = str(source.file)
    module.__dict__.update(__builtins__=builtins, __name__="__main__", __package__=None)
    if source.cells:
        module.__dict__.update(get_ipython=lambda: _NoShell(), display=print)
    folder, cwd = str(source.file.parent), Path.cwd()
    before = sys.modules.get("__main__"), sys.argv, list(sys.path)
    os.environ.setdefault("MPLBACKEND", "Agg")
    if keep is not None:
        keep(module.__dict__)
    sys.modules["__main__"] = module
    sys.argv = [str(source.file), *arguments]
    sys.path.insert(0, folder)
    try:
        if source.cells:
            os.chdir(folder)
        exec(compile(source.tree, str(source.file), "exec"), module.__dict__)
    finally:
        if source.cells:
            os.chdir(cwd)
        sys.modules["__main__"] = before[0]  # type: ignore[assignment]
        sys.path[:] = before[2]
        sys.argv = before[1]


class _NoShell:
    """Stands for IPython's shell: every magic does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: None
