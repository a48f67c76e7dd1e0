"""Arrays from an npz file, without executing what may be in it.

Pickled members are refused, but for the ragged word
sequences of Keras's own files (`ragged=True`), where only plain NumPy arrays and lists are let
through.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.column import LARGE, in_file, mapped
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
        return _folder(place, path, field)
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
                    arrays[name[:-4]] = _mapped(place, archive, name) or _member(
                        archive, name, ragged
                    )
            return arrays
    except Exception as error:  # a damaged archive raises whatever its bytes lead to
        raise DataError(f"{field}: '{path}' {_trouble(place, name, error)}") from None


def _folder(place: Path, path: str, field: str) -> dict[str, np.ndarray]:
    """Return the arrays of a folder of npy files; large ones are read when they are asked for."""
    arrays: dict[str, Any] = {}
    for file in sorted(place.rglob("*")):
        name = file.relative_to(place).as_posix()
        if file.name.startswith("."):
            continue
        try:
            if name.endswith(".npy"):
                array = np.load(file, mmap_mode="r", allow_pickle=False)
                column = mapped(array, name) if array.nbytes > LARGE else None
                arrays[name[:-4]] = np.array(array) if column is None else column
            elif name.endswith(_LINKED):
                facts = json.loads(file.read_text())
                arrays[name.removesuffix(_LINKED)] = in_file(
                    name, file.with_suffix(""), int(facts["offset"]), tuple(facts["shape"]),
                    np.dtype(facts["dtype"]),
                )  # fmt: skip
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            raise DataError(f"{field}: '{file}' cannot be read: {error}.") from None
    if not arrays:
        raise DataError(
            f"{field}: '{path}' is a folder without npy files. Expected: x_train.npy, y_train.npy "
            "and so on. Images in folders come by 'directory'."
        )
    return arrays


#: What says how a file that is linked to is read.
_LINKED = ".rows.json"


def _mapped(place: Path, archive: zipfile.ZipFile, name: str) -> Any:
    """Return a large array that lies in the archive as it is, to be read when it is asked for."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size <= LARGE:
        return None
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            return None
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = header(stream)
        begins = stream.tell()
    if fortran or dtype.hasobject or not shape:
        return None
    with place.open("rb") as whole:
        whole.seek(info.header_offset + 26)
        lengths = struct.unpack("<HH", whole.read(4))
    offset = info.header_offset + 30 + sum(lengths) + begins
    return in_file(f"{place}: {name[:-4]}", place, offset, tuple(shape), dtype)


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
