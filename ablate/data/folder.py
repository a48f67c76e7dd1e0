"""Images in folders, a folder per class, read once through Keras.

A directory goes in, a `Source` of uint8 images comes out. With `train/` inside (and `val/` or
`validation/`, and `test/`) each part has its own class folders, which must agree; without them
all images are one part that is split later. Classes are numbered by the sorted folder names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.check import source
from ablate.data.source import Source
from ablate.errors import DataError, nearest
from ablate.reasons import sentence
from ablate.study.data import Data

_PARTS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


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
    arrays: dict[str, Any] = {}
    for part, place in places.items():
        arrays[f"x_{part}"], arrays[f"y_{part}"] = _read(place, classes[part], data)
    names = tuple(classes["train"])
    return source(str(data.directory), arrays, labels=labels, classes=len(names), class_names=names)


def _places(root: Path) -> dict[str, Path]:
    """Return the folder of each part; all is one training part where there is no train/."""
    inside = {each.name: each for each in sorted(root.iterdir()) if each.is_dir()}
    if "train" not in inside:
        return {"train": root}
    strange = [name for name in inside if name not in _PARTS and not name.startswith(".")]
    if strange:
        raise DataError(
            f"data.directory: '{root}' has train/ and '{strange[0]}'.{nearest(strange[0], _PARTS)} "
            "Beside train/ only val/ (or validation/) and test/ are parts."
        )
    return {_PARTS[name]: place for name, place in inside.items() if name in _PARTS}


def _classes(place: Path) -> list[str]:
    names = sorted(
        each.name for each in place.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    if len(names) < 2:
        found = f"the folder '{names[0]}'" if names else "no folder"
        raise DataError(
            f"data.directory: '{place}' needs a folder per class, at least two. Found: {found}."
        )
    return names


def _read(place: Path, names: list[str], data: Data) -> tuple[np.ndarray, np.ndarray]:
    import keras

    try:
        dataset = keras.utils.image_dataset_from_directory(
            place,
            labels="inferred",
            label_mode="int",
            class_names=names,
            image_size=data.image_size,
            batch_size=64,
            shuffle=False,
            verbose=False,
            **data.complete_arguments(),
        )
        batches = list(dataset.as_numpy_iterator())
    except ValueError as error:
        raise DataError(f"data.directory: '{place}' cannot be read: {sentence(error)}") from None
    except Exception as error:
        raise DataError(
            f"data.directory: an image under '{place}' cannot be read: {sentence(error)} "
            "Expected: whole JPEG, PNG, BMP or GIF files."
        ) from error
    # Resizing gives fractions; as uint8 the images are a quarter as large and x/255 applies.
    x = np.concatenate([np.clip(np.rint(images), 0, 255).astype(np.uint8) for images, _ in batches])
    y = np.concatenate([labels for _, labels in batches])
    counts = np.bincount(y, minlength=len(names))
    if not counts.all():
        raise DataError(
            f"data.directory: '{place / names[int(counts.argmin())]}' has no images. Expected: "
            "JPEG, PNG, BMP or GIF files in every class folder."
        )
    return x, y
