"""Files that are whole or absent, and what becomes of damaged ones.

A file is written under a temporary name in its folder and then renamed. What is in the way of a
file or cannot be read is never deleted: it is renamed to `<name>.unsound`, and a notice says so.
"""

from __future__ import annotations

import errno
import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import Notice, StoreError

if TYPE_CHECKING:
    import numpy as np

_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space and run again",
    errno.EDQUOT: "The disk quota is used up: free some space and run again",
    errno.EROFS: "It is on a read-only file system: choose another folder with --logs",
    errno.EACCES: "You may not write there: choose another folder with --logs",
    errno.EPERM: "You may not write there: choose another folder with --logs",
    errno.ENOTDIR: "A file stands where a folder is needed: move it away and run again",
    errno.EEXIST: "A file stands where a folder is needed: move it away and run again",
}


class DamagedError(ValueError):
    """Say why a file cannot be read as what it should be."""


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes, *, flush: bool = False) -> None:
    """Write a file whole or not at all; `flush`: it is on the disk when this returns.

    A folder that stands in its place is set aside.

    Raises:
        StoreError: the disk is full, the folder read-only, … with what to do.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_way(path)
        try:
            with partial.open("wb") as stream:
                stream.write(content)
                if flush:
                    flush_file(stream.fileno())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compress: bool) -> None:
    """Write an npz file whole or not at all; it is on the disk when this returns."""
    import numpy as np

    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **dict(arrays))  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue(), flush=True)


def flush_file(handle: int) -> None:
    """Wait until the file behind an open handle is on the disk."""
    os.fsync(handle)


def move(source: Path, path: Path) -> None:
    """Move a file to its place, flushed first, also from another disk.

    Raises:
        StoreError: it cannot be written there.
    """
    import shutil

    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_way(path)
        with source.open("rb+") as stream:
            flush_file(stream.fileno())
        shutil.move(source, path)


def make_way(path: Path) -> None:
    """Set a folder aside that stands in the place of a file."""
    if path.is_dir() and not path.is_symlink():
        kept = set_aside(path)
        notice(f"{path} is a folder, and a file belongs there. The folder is kept as {kept.name}.")


def set_aside(path: Path) -> Path:
    """Rename what stands at `path` to `<name>.unsound` (or `.unsound-2`, …) and return its place.

    Raises:
        StoreError: it cannot be renamed.
    """
    kept, count = path.with_name(f"{path.name}.unsound"), 2
    while os.path.lexists(kept):
        kept, count = path.with_name(f"{path.name}.unsound-{count}"), count + 1
    with explained(path):
        path.rename(kept)
    return kept


def notice(text: str) -> None:
    """Tell a person something that stops nothing."""
    warnings.warn(Notice(text), stacklevel=3)


def read_arrays(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the arrays of an npz file whose names begin with `prefix`.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: it is no npz file, or not a whole one.
    """
    import numpy as np

    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name.startswith(prefix)}
    except FileNotFoundError:
        if path.is_symlink():
            raise DamagedError("a link to nothing") from None
        raise
    except Exception as error:
        # What spoilt bytes raise in zipfile, zlib and NumPy has no list: a header of NumPy alone
        # may raise SyntaxError, TokenError or MemoryError.
        raise DamagedError(_reason(path, error)) from None


def check_archive(path: Path, *, whole: bool) -> None:
    """Return if `path` is a zip archive (npz, keras); `whole`: every byte of it is looked at.

    Raises:
        DamagedError: it is not there, or no archive, or not a whole one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if whole and (spoilt := archive.testzip()) is not None:
                raise DamagedError(f"its part {spoilt} is damaged")
    except FileNotFoundError:
        raise DamagedError("it is not there") from None
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DamagedError(_reason(path, error)) from None


def _reason(path: Path, error: Exception) -> str:
    if path.is_dir():
        return "a folder stands there"
    try:
        if path.stat().st_size == 0:
            return "it is empty"
    except OSError:
        pass
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = (words or type(error).__name__).splitlines()[0][:120]
    return f"no whole {path.suffix[1:] or 'zip'} file ({words})"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system says of a file into what a person can do about it."""
    try:
        yield
    except TimeoutError:  # of a lock that is held: an OSError too, and no disk that fails
        raise
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, str(error))
        raise StoreError(
            f"{path} cannot be written. {remedy}; what is finished is kept."
        ) from error
