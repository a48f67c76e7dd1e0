"""Which files of a folder count, and which of them are images, by name alone.

A folder goes in; its visible files come out, at any depth, and the names of what is hidden.
Digests and loaders ask here, so that what identifies a folder is what is read from it.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

#: What TensorFlow decodes, by the ends of file names.
READ = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp")

#: Ends of file names that numerics 1 read.
READ_BEFORE = (".bmp", ".gif", ".jpeg", ".jpg", ".png")

#: Images that TensorFlow does not decode.
OTHER_IMAGES = (
    ".avif", ".cr2", ".dcm", ".dng", ".exr", ".hdr", ".heic", ".heif", ".ico", ".j2k", ".jp2",
    ".jxl", ".nef", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".raw", ".svg", ".tga", ".tif", ".tiff",
)  # fmt: skip

#: The EXIF tag that says how an image is to be turned: 1 not at all, to 8.
_ORIENTATION = 0x0112


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the data: `.git`, `._x.png`, what macOS adds to zips."""
    return name.startswith(".") or name == "__MACOSX"


def visible_files(place: Path) -> tuple[list[Path], list[Path]]:
    """Return the files below a folder at any depth, and the hidden files and folders.

    Files come sorted by their folder and then by name. Links to folders are followed, unless
    they lead back to where they are.
    """
    files: list[Path] = []
    hidden: list[Path] = []
    for root, folders, names in os.walk(place, followlinks=True):
        here = Path(root)
        hidden += [here / name for name in sorted([*folders, *names]) if is_hidden(name)]
        folders[:] = [
            name for name in folders if not is_hidden(name) and not _leads_back(here, name)
        ]
        files += [here / name for name in names if not is_hidden(name)]
    return sorted(files, key=lambda each: (str(each.parent), each.name)), sorted(hidden)


def _leads_back(here: Path, name: str) -> bool:
    place = here / name
    return place.is_symlink() and here.resolve().is_relative_to(place.resolve())


def orientation(path: Path, memory: MutableMapping[str, Any] | None = None) -> int:
    """Return the EXIF orientation of an image, 1 (as it is) to 8; 1 where it says nothing.

    `memory` keeps it between calls, by path, size and time of change.
    """
    memory = {} if memory is None else memory
    key, status = f"orientation of {path}", path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    known = memory.get(key)
    if known is None or known[:2] != stamp:
        known = memory[key] = [*stamp, _orientation(path)]
    return int(known[2])


def _orientation(path: Path) -> int:
    from PIL import Image  # with matplotlib's half second, and only folders of images need it

    try:
        with Image.open(path) as image:
            return orientation_of(image)
    except Exception:  # no image, or one that Pillow does not know: TensorFlow will judge it
        return 1


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an image that Pillow has opened."""
    value = image.getexif().get(_ORIENTATION, 1)
    return int(value) if value in range(1, 9) else 1


def read_otherwise_before(place: Path, memory: MutableMapping[str, Any] | None = None) -> bool:
    """Whether numerics 1 read files of a folder otherwise than they are read now.

    It passed over WebP, and did not turn images as their EXIF orientation says.
    """
    for file in visible_files(place)[0]:
        if is_image(file) and not is_image(file, READ_BEFORE):
            return True
        if is_image(file) and orientation(file, memory) != 1:
            return True
    return False


def is_image(file: Path, ends: tuple[str, ...] = READ) -> bool:
    """Whether a file's name ends as those of images do."""
    return file.name.lower().endswith(ends)
