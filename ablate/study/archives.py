"""What a saved model says of itself without Keras: sizes, versions, how it was compiled.

An archive that would unpack to far more than it is, is refused by its table of contents: a small
file that stands for gigabytes would fill the memory before anything could be said of it.
"""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ablate.errors import StudyError

#: Keras writes its members as they are. One that was compressed since may shrink, not vanish.
MOST_TIMES = 100
#: Up to this size (bytes) a member is harmless whatever it was compressed to.
HARMLESS = 64 * 2**20
#: The configuration of a network: the largest of keras.applications has 2 MB.
LARGEST_TEXT = 256 * 2**20


def check_archive(place: Path) -> None:
    """Refuse an archive that unpacks out of all proportion.

    Raises:
        StudyError: a member is far larger than the file; the text names both sizes.
    """
    try:
        with zipfile.ZipFile(place) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile):
        return  # whoever reads it says so
    for each in members:
        beyond = each.file_size > MOST_TIMES * max(each.compress_size, 1)
        text = each.filename.endswith(".json")
        if (each.file_size > HARMLESS and beyond) or (text and each.file_size > LARGEST_TEXT):
            raise StudyError(
                f"'{place}' is not read: {each.file_size / 1e6:,.0f} MB of '{each.filename}' lie "
                f"in {each.compress_size / 1e6:,.1f} MB of it, as in no file that Keras wrote. "
                "Expected a file that model.save wrote."
            )


def keras_version(place: Path) -> str | None:
    """Return the version of Keras that wrote a file; both formats carry it."""
    found = _stored(place, "metadata.json", "keras_version", "keras_version")
    return found[:40] if isinstance(found, str) else None


def layer_classes(place: Path) -> list[str]:
    """Return the classes of all layers in a saved model, those of models inside it included."""
    found = _stored(place, "config.json", "config", "model_config")
    if isinstance(found, str):
        with contextlib.suppress(ValueError):
            found = json.loads(found).get("config")
    return list(_classes(found))


def _classes(config: Any) -> Iterator[str]:
    layers = config.get("layers") if isinstance(config, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            yield str(layer.get("class_name"))
            yield from _classes(layer.get("config"))


def compiled_in(place: Path) -> dict[str, Any] | None:
    """Return the configuration of the compilation that a file carries, None if there is none."""
    found = _stored(place, "config.json", "compile_config", "training_config")
    if isinstance(found, str):
        with contextlib.suppress(ValueError):
            found = json.loads(found)
    if not isinstance(found, dict) or not found:
        return None
    return {**found, "optimizer": found.get("optimizer") or found.get("optimizer_config")}


def _stored(place: Path, member: str, key: str, attribute: str) -> Any:
    """Return `key` of a JSON member of a `.keras` file, or an attribute of an HDF5 file."""
    try:
        if zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                return json.loads(archive.read(member)).get(key)
        import h5py

        with h5py.File(place) as stored:
            found = stored.attrs.get(attribute)
    except (OSError, KeyError, ValueError, AttributeError, TypeError, zipfile.BadZipFile):
        return None
    return found.decode(errors="replace") if isinstance(found, bytes) else found
