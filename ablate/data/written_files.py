"""Files that a person's own code writes while it runs here: kept apart, nothing of theirs replaced.

A script runs up to its fit many times, and callbacks run once for every trial. What they would
write over, move or remove stays as it is: they write to a folder of ours instead, and find there
afterwards what they wrote.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras


class Files:
    """The files that somebody's code has written, and where they are kept instead.

    A file below the current folder keeps its path inside of `folder`, another its name.

    Args:
        folder: takes what is written; what lies beside it is ours to write.
        everything: whether new files are kept apart, too.

    Attributes:
        everything: as given; may be set later.
    """

    def __init__(self, folder: Path, *, everything: bool = False) -> None:
        self._folder = folder.absolute()
        self._idle = False
        self._moved: dict[str, Path] = {}
        self._new: set[str] = set()
        self._removed: set[str] = set()
        self.everything = everything

    def place(self, path: Any, mode: str = "r") -> Any:
        """Return where to open a path instead of where the code says."""
        if self._idle or not isinstance(path, str | os.PathLike):
            return path
        given = os.path.abspath(os.fspath(path))
        if not isinstance(given, str) or given.startswith(("/dev/", "/proc/")):
            return path
        if given in self._moved:
            return str(self._moved[given])
        if not any(letter in mode for letter in "wax+") or self._is_ours(given):
            return path
        if not (self.everything or os.path.isfile(given)):
            self._new.add(given)
            return path
        kept = self._kept(given)
        if os.path.isfile(given) and ("a" in mode or "+" in mode) and "w" not in mode:
            with self.idle():
                shutil.copyfile(given, kept)
        return str(kept)

    def remove(self, path: Any, remove: Callable[[Any], Any]) -> Any:
        """Remove a file or folder, unless it is the person's: that only seems to be gone."""
        given = os.path.abspath(os.fspath(path))
        place = self.place(path)
        if place is not path or self._is_ours(given) or not os.path.lexists(given):
            return remove(place)
        if os.path.isdir(given):
            self._removed.add(given)
        else:
            self._kept(given)
        return None

    def move(self, source: Any, target: Any, move: Callable[[Any, Any], Any]) -> Any:
        """Rename a file; the person's is copied and stays."""
        given, there = os.path.abspath(os.fspath(source)), self.place(source)
        into = self.place(target, "w")
        if there is not source or self._is_ours(given) or not os.path.isfile(given):
            return move(there, into)
        with self.idle():
            shutil.copyfile(there, into)
        self._kept(given)
        return None

    def make_folder(self, path: Any, make: Callable[[], Any]) -> Any:
        """Make a folder, unless it is one that only seems to be gone."""
        seems_gone = not self._idle and os.path.abspath(os.fspath(path)) in self._removed
        return None if seems_gone else make()

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """Leave paths as they are for a while, for code of ours."""
        before, self._idle = self._idle, True
        try:
            yield
        finally:
            self._idle = before

    def _kept(self, given: str) -> Path:
        """Return where a file is kept from now on."""
        inside = os.path.relpath(given)
        if inside.startswith(os.pardir):
            inside = os.path.basename(given)
        if self._folder / inside in self._moved.values():
            inside = os.path.join(str(len(self._moved)), inside)
        kept = self._moved[given] = self._folder / inside
        kept.parent.mkdir(parents=True, exist_ok=True)
        return kept

    def _is_ours(self, given: str) -> bool:
        """Whether a path is new since this began, or of a cache, a temporary folder or ours."""
        home = Path.home()
        caches = (home / ".keras", home / ".cache", home / ".config", self._folder.parent)
        inside = self._idle or any(given.startswith(f"{each}{os.sep}") for each in caches)
        temporary = given.startswith(os.path.join(tempfile.gettempdir(), tempfile.gettempprefix()))
        return inside or temporary or given in self._new or "__pycache__" in given


@contextlib.contextmanager
def guarded(files: Files) -> Iterator[None]:
    """Open, save, load, move and remove through `files`, as long as the context lasts."""
    opened, mkdir = io.open, os.mkdir

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

    def removes(function: Any) -> Any:
        def remove(path: Any, *rest: Any, **more: Any) -> Any:
            if not isinstance(path, str | os.PathLike) or more.get("dir_fd") is not None:
                return function(path, *rest, **more)  # inside of a folder that is removed
            return files.remove(path, lambda place: function(place, *rest, **more))

        return remove

    def moves(function: Any) -> Any:
        def move(source: Any, target: Any, *rest: Any, **more: Any) -> Any:
            return files.move(source, target, lambda a, b: function(a, b, *rest, **more))

        return move

    def mkdir_(path: Any, *rest: Any, **more: Any) -> Any:
        return files.make_folder(path, lambda: mkdir(path, *rest, **more))

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
            (os, "remove", removes(os.remove)),
            (os, "unlink", removes(os.unlink)),
            (shutil, "rmtree", removes(shutil.rmtree)),
            (os, "rename", moves(os.rename)),
            (os, "replace", moves(os.replace)),
            (os, "mkdir", mkdir_),
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
