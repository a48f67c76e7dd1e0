"""Arrays from an npz file, without executing what may be in it.

Pickled members are refused, but for the ragged word
sequences of Keras's own files (`ragged=True`), where only plain NumPy arrays and lists are let
through.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.source import listed
from ablate.errors import DataError
from ablate.reasons import sentence
from ablate.study.image_files import OTHER_IMAGES, READ, is_image
from ablate.study.schema.sources import TABLES

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


def read(path: str, *, ragged: bool = False, field: str = "data.path") -> dict[str, np.ndarray]:
    """Return the arrays of an npz file by name.

    Args:
        path: the file; `~` is the home folder.
        ragged: allow arrays of lists, as the word sequences of Keras's files are.
        field: the study's field, for messages.

    Raises:
        DataError: no such file, no npz file, or members that are no plain arrays.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"{field}: there is no file '{path}' (looked at {place.absolute()}).")
    if place.is_dir():
        raise DataError(f"{field}: '{path}' is a folder. Images in folders come by 'directory'.")
    if place.suffix.lower() in TABLES:
        raise DataError(f"{field}: '{path}' is a table. It comes by 'table', with its 'label'.")
    if is_image(place) or is_image(place, OTHER_IMAGES):
        raise DataError(
            f"{field}: '{path}' is an image, and one array of an npz file is expected for all of "
            f"them. A folder of images comes by 'directory' ({listed(READ, 10)}); other kinds of "
            "images, and stacks of them in one file, by a 'call' that returns arrays."
        )
    name = ""
    try:
        with zipfile.ZipFile(place) as archive:
            arrays = {}
            for name in archive.namelist():
                if name.endswith(".npy"):
                    arrays[name[:-4]] = _member(archive, name, ragged)
            return arrays
    except Exception as error:  # a damaged archive raises whatever its bytes lead to
        raise DataError(f"{field}: '{path}' {_trouble(place, name, error)}") from None


def _trouble(place: Path, name: str, error: Exception) -> str:
    """Say what is wrong with a file, or with the member that was being read."""
    array = f"its array '{name.removesuffix('.npy')}'" if name else "it"
    if isinstance(error, pickle.UnpicklingError) or "allow_pickle" in str(error):
        why = f" ({error})" if isinstance(error, pickle.UnpicklingError) else ""
        return (
            f"cannot be read: {array} holds Python objects{why}, as rows of different lengths or "
            "None do. They are pickled, and reading a pickle can run code. Expected: plain arrays "
            "of numbers or texts; pad rows to one shape, save texts as astype(str)."
        )
    if isinstance(error, MemoryError):
        return f"cannot be read: {array} does not fit into memory, or its header is damaged."
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}."
    if not name and _begins_as_npy(place):
        return (
            "is an npy file, one array without a name. Expected: an npz file with x_train and "
            "y_train, as numpy.savez('data.npz', x_train=x, y_train=y) writes."
        )
    reason = str(error) if isinstance(error, zipfile.BadZipFile) else sentence(error)
    return (
        f"is no whole npz file: {array} cannot be read ({reason.rstrip('.')}). Expected: "
        "a file that numpy.savez wrote; save or copy it again."
    )


def _begins_as_npy(place: Path) -> bool:
    with place.open("rb") as stream:
        return stream.read(6) == b"\x93NUMPY"


def _member(archive: zipfile.ZipFile, name: str, ragged: bool) -> np.ndarray:
    with archive.open(name) as stream:
        try:
            return np.lib.format.read_array(stream, allow_pickle=False)
        except ValueError:
            if not ragged:
                raise
    with archive.open(name) as stream:
        if np.lib.format.read_magic(stream) == (1, 0):
            np.lib.format.read_array_header_1_0(stream)
        else:
            np.lib.format.read_array_header_2_0(stream)
        return np.asarray(_Plain(stream).load())


class _Plain(pickle.Unpickler):
    """Unpickles NumPy arrays and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds a '{module}.{name}'")
