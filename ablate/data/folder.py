"""Images in folders, a folder per class, read once; every file is accounted for.

A directory goes in, a `Source` of uint8 images comes out. With `train/` inside (and `val/` or
`validation/`, and `test/`) each part has its own class folders, which must agree; without them
all images are one part that is split later. Classes are numbered by the sorted folder names.
What is not read is noted with the reason.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.check import source
from ablate.data.column import Column, memory
from ablate.data.images import Facts, decoded, remarks_on
from ablate.data.source import Source, listed
from ablate.errors import DataError, nearest
from ablate.study.image_files import OTHER_IMAGES, is_hidden, is_image, visible_files
from ablate.study.schema.data import CHANNELS, Data

_PARTS = {"train": "train", "val": "val", "validation": "val", "test": "test"}

#: Why a file is not read.
_HIDDEN = "hidden"
_OUTSIDE = "outside the class folders"
_NO_IMAGE = "no image by its name"
_NOT_DECODED = "in a format that TensorFlow does not decode"


def folder(data: Data, labels: bool = True) -> Source:
    """Return the images under `data.directory`, resized to `image_size`, as uint8.

    Raises:
        DataError: no such folder, no class folders, an image that cannot be read, or parts
            with different classes.
    """
    root = Path(str(data.directory)).expanduser()
    if not root.is_dir():
        what = "is a file" if root.exists() else "is not there"
        raise DataError(
            f"data.directory: '{data.directory}' {what} (looked at {root.absolute()}). "
            "Expected: a folder with a folder of images per class."
        )
    places = _places(root)
    classes = {part: _classes(place) for part, place in places.items()}
    for part, there in classes.items():
        if there != classes["train"]:
            odd = sorted(set(there) ^ set(classes["train"]))
            raise DataError(
                f"data.directory: '{root}' has other classes in {part} than in train: "
                f"{', '.join(odd)}. Expected: the same folders in each part."
            )
    names = tuple(classes["train"])
    folders = {part: [place / name for name in names] for part, place in places.items()}
    images, skipped = sort_files(root, [each for of_part in folders.values() for each in of_part])
    for place, found in images.items():
        if not found:
            raise DataError(_no_images(root, place, skipped))
    facts: dict[Path, Facts] = {}
    arrays: dict[str, Any] = {}
    streamed = is_streamed(data, sum(map(len, images.values())))
    for part, of_part in folders.items():
        files = [file for each in of_part for file in images[each]]
        read = partial(_read, root, data=data, facts=facts)
        arrays[f"x_{part}"] = _column(files, read, part) if streamed else read(files)
        counts = [len(images[each]) for each in of_part]
        arrays[f"y_{part}"] = np.repeat(np.arange(len(names)), counts)
    made = source(str(data.directory), arrays, labels=labels, classes=len(names), class_names=names)
    notes, cautions = _remarks(root, images, skipped, facts)
    notes, cautions = [*made.notes, *notes], [*made.cautions, *cautions]
    return replace(made, notes=tuple(notes), cautions=tuple(cautions), skipped=skipped)


def sort_files(
    root: Path, places: Sequence[Path]
) -> tuple[dict[Path, list[Path]], dict[str, tuple[str, ...]]]:
    """Return the images under each of `places`, and every other file under `root` by reason.

    Images are in the order in which they are read: folder by folder, then by name.
    """
    visible, hidden = visible_files(root)
    images: dict[Path, list[Path]] = {place: [] for place in places}
    skipped: dict[str, list[str]] = {}

    def skip(file: Path, reason: str) -> None:
        end = "/" if file.is_dir() else ""
        skipped.setdefault(reason, []).append(file.relative_to(root).as_posix() + end)

    for file in visible:
        place = next((each for each in file.parents if each in images), None)
        if place is None and (is_image(file) or is_image(file, OTHER_IMAGES)):
            skip(file, _OUTSIDE)
        elif is_image(file) and place is not None and not file.is_fifo():
            images[place].append(file)
        else:
            skip(file, _NOT_DECODED if is_image(file, OTHER_IMAGES) else _NO_IMAGE)
    for file in hidden:
        skip(file, _HIDDEN)
    return images, {reason: tuple(names) for reason, names in skipped.items()}


def accounted(skipped: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Return notes and cautions on files that are not read: what is no image is only noted."""
    notes: list[str] = []
    cautions: list[str] = []
    for reason, names in skipped.items():
        noun = "file" if len(names) == 1 else "files"
        text = f"{len(names)} {noun} not read ({reason}): {listed(names)}"
        (cautions if reason in (_NOT_DECODED, _OUTSIDE) else notes).append(text)
    return notes, cautions


def _remarks(
    root: Path,
    images: Mapping[Path, Sequence[Path]],
    skipped: Mapping[str, Sequence[str]],
    facts: Mapping[Path, Facts],
) -> tuple[list[str], list[str]]:
    """Return notes and cautions on the files."""
    notes, cautions = accounted(skipped)
    below = Counter(
        file.parent.relative_to(root).as_posix() + "/"
        for place, files in images.items()
        for file in files
        if file.parent != place
    )
    if below:
        notes.append(
            f"{sum(below.values())} images lie in folders below those of their classes and are "
            f"read as theirs: {listed([f'{name} ({count})' for name, count in below.items()])}"
        )
    lost = remarks_on(facts, root)
    return [*notes, *lost[0]], [*cautions, *lost[1]]


def _places(root: Path) -> dict[str, Path]:
    """Return the folder of each part; all is one training part where there is no train/."""
    inside = {
        each.name: each
        for each in sorted(root.iterdir())
        if each.is_dir() and not is_hidden(each.name)
    }
    if "train" not in inside:
        if inside and set(inside) <= set(_PARTS):
            raise DataError(
                f"data.directory: '{root}' has {', '.join(f'{name}/' for name in inside)} but no "
                "train/. Expected: train/ as well, or a folder per class."
            )
        return {"train": root}
    strange = [name for name in inside if name not in _PARTS]
    if strange:
        raise DataError(
            f"data.directory: '{root}' has train/ and '{strange[0]}'.{nearest(strange[0], _PARTS)} "
            "Next to train/ only val/ (or validation/) and test/ are parts."
        )
    if {"val", "validation"} <= set(inside):
        raise DataError(
            f"data.directory: '{root}' has val/ and validation/. Expected: one of them."
        )
    return {_PARTS[name]: place for name, place in inside.items()}


def _classes(place: Path) -> list[str]:
    names = sorted(
        each.name for each in place.iterdir() if each.is_dir() and not is_hidden(each.name)
    )
    if len(names) < 2:
        found = f"the folder '{names[0]}'" if names else "no folder"
        raise DataError(
            f"data.directory: '{place}' needs a folder per class, at least two. Found: {found}."
        )
    return names


def _no_images(root: Path, place: Path, skipped: Mapping[str, Sequence[str]]) -> str:
    inside = place.relative_to(root).as_posix() + "/"
    there = [
        f"{name} ({reason})"
        for reason, names in skipped.items()
        for name in names
        if name.startswith(inside)
    ]
    return (
        f"data.directory: '{place}' has no images. Expected: JPEG, PNG, GIF, BMP or WebP files in "
        f"every class folder. Found: {listed(there) or 'nothing'}. Remove the folder if it is no "
        "class, or add or convert its images."
    )


def is_streamed(data: Data, files: int) -> bool:
    """Whether images are decoded while it trains: as asked, or where they take too much memory.

    Too much is over a quarter of the machine's memory for as many workers as it has cores.
    """
    if data.load is not None:
        return data.load == "stream"
    assert data.image_size is not None  # a directory has one
    values = math.prod(data.image_size) * CHANNELS[data.complete_arguments()["color_mode"]]
    return files * values * (os.cpu_count() or 1) > memory() / 4


def _column(
    files: Sequence[Path], read: Callable[[Sequence[Path]], np.ndarray], part: str
) -> Column:
    """Return the images of files as rows that are decoded when they are asked for."""
    one = read(files[:1])

    def rows(numbers: np.ndarray) -> np.ndarray:
        return read([files[number] for number in numbers])

    return Column(f"x_{part}", rows, len(files), one.shape[1:], one.dtype)


def _read(root: Path, files: Sequence[Path], data: Data, facts: dict[Path, Facts]) -> np.ndarray:
    assert data.image_size is not None  # a directory has one
    arguments = data.complete_arguments()
    images = decoded(
        files,
        data.image_size,
        CHANNELS[arguments["color_mode"]],
        interpolation=arguments["interpolation"],
        crop=arguments["crop_to_aspect_ratio"],
        root=root,
        facts=facts,
    )
    # Resizing gives fractions; as uint8 the images are a quarter as large and x/255 applies.
    x: np.ndarray | None = None
    try:
        for index, image in enumerate(images):
            if x is None:
                x = np.empty((len(files), *image.shape), np.uint8)
            x[index] = np.clip(np.rint(image), 0, 255)
    except DataError as error:
        raise DataError(f"data.directory: '{data.directory}': {error}") from None
    assert x is not None  # every class has an image
    return x
