"""Load a model from a file that Keras wrote, or say why that cannot be done.

What a file is shows in its first bytes: a zip archive (`.keras`) or HDF5 (`.h5`), under any name.
Files of Keras 1 and 2 are translated (`ablate.models.legacy`) into temporary ones. The error gives
Keras's own reason without the configuration around it, which version of Keras wrote the file, and
what to do. Keras's safe mode stays on: nothing in a file is run.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from ablate.errors import AblateError, some
from ablate.models import legacy
from ablate.reasons import reason
from ablate.study.archives import check_archive, keras_version
from ablate.surgery.recursion_limit import deep_graphs


def load(place: Path, compiled: bool = False, notes: list[str] | None = None) -> keras.Model:
    """Return the model in a file, with its weights.

    Args:
        place: A file that `model.save` wrote, under any name.
        compiled: Whether to compile it as it was. Where this Keras does not know the optimizer,
            the loss or a metric, the model is not compiled rather than refused; nor is one that
            was translated.
        notes: A list that receives a sentence where that is so, and what was translated.

    Raises:
        AblateError: The file gives no model; the text says why and what to do, not which field
            named the file.
    """
    check_archive(place)
    with warnings.catch_warnings(), deep_graphs(), _readable(place) as (readable, said):
        warnings.simplefilter("ignore")
        if compiled and not said:
            try:
                return _model(keras.saving.load_model(readable), place)
            except Exception as trouble:
                uncompiled = reason(trouble).rstrip(".")
        try:
            loaded = keras.saving.load_model(readable, compile=False)
        except Exception as trouble:
            raise AblateError(_not_loaded(place, trouble)) from trouble
        if said and readable.suffix == ".keras":
            _check_filled(loaded, readable, place)
    if notes is not None and said:
        wrote = keras_version(place) or "1 or 2"
        notes.append(f"'{place.name}' is of Keras {wrote}, translated: {'; '.join(said)}.")
    elif notes is not None and compiled:
        notes.append(
            f"'{place}' was compiled in a way that this Keras does not take ({uncompiled}): the "
            "model is not compiled."
        )
    return _model(loaded, place)


def is_hdf5(place: Path) -> bool:
    """Whether a file is HDF5, by its first bytes."""
    with place.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"


@contextmanager
def _readable(place: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield the file as this Keras can load it, and what was translated for that."""
    hdf5 = is_hdf5(place)
    if not hdf5 and not zipfile.is_zipfile(place):
        yield place, []  # Keras says what is wrong with it
        return
    former = legacy.is_legacy(keras_version(place))
    suffix = (".h5", ".hdf5") if hdf5 else (".keras",)
    if not former and place.suffix in suffix:
        yield place, []
        return
    with tempfile.TemporaryDirectory(prefix="ablate-") as folder:
        copy = Path(folder, f"{place.stem or 'model'}{suffix[0]}")
        document = _configuration(place) if former else None
        said = legacy.translated(document, keras_version(place)) if document else []
        if not said:
            with contextlib.suppress(OSError):
                copy.symlink_to(place.absolute())
            if not copy.exists():
                shutil.copyfile(place, copy)
        elif hdf5 or document is None:
            _write_hdf5(place, copy, document)
        else:
            said += _write_archive(place, copy, document)
        yield copy, said


def _configuration(place: Path) -> dict[str, Any] | None:
    """Return the configuration of the model in a file."""
    import h5py

    try:
        if zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                document = json.loads(archive.read("config.json"))
        else:
            with h5py.File(place) as stored:
                document = json.loads(stored.attrs["model_config"])
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
        return None
    return document if isinstance(document, dict) else None


def _write_hdf5(place: Path, copy: Path, document: Any) -> None:
    import h5py

    shutil.copyfile(place, copy)
    copy.chmod(0o600)
    with h5py.File(copy, "r+") as stored:
        stored.attrs["model_config"] = json.dumps(document)


def _write_archive(place: Path, copy: Path, document: dict[str, Any]) -> list[str]:
    """Write an archive with another configuration, and weights under the paths of today."""
    import h5py

    moved = False
    with zipfile.ZipFile(place) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if name == "model.weights.h5":
                weights = copy.with_suffix(".weights.h5")
                weights.write_bytes(old.read(name))
                with h5py.File(weights, "r+") as stored:
                    moved = _move_weights(stored)
                new.write(weights, name)
            else:
                new.writestr(
                    name, json.dumps(document) if name == "config.json" else old.read(name)
                )
    return ["weights lie under the paths of today"] if moved else []


def _move_weights(stored: Any) -> bool:
    """Rename the groups of a file of weights as Keras 3 names them; whether any was."""
    datasets: list[str] = []
    stored.visititems(lambda path, each: datasets.append(path) if hasattr(each, "dtype") else None)
    moved = False
    for path in datasets:
        today = path.replace("\\", "/")
        today = re.sub(r"(^|/)_layer_checkpoint_dependencies(?=/)", r"\1layers", today)
        if today == path:
            continue
        moved = True
        if today not in stored:
            stored.move(path, today)
    return moved


def _check_filled(loaded: Any, readable: Path, place: Path) -> None:
    """Refuse a model that took up only some of the weights that its file has.

    Keras passes over groups of weights that it does not find, and leaves layers as they were
    initialized.
    """
    import h5py

    sizes: list[int] = []
    with (
        zipfile.ZipFile(readable) as archive,
        archive.open("model.weights.h5") as stream,
        h5py.File(stream) as stored,
    ):
        stored.visititems(
            lambda path, each: (
                sizes.append(each.size)
                if hasattr(each, "dtype") and not path.startswith("optimizer")
                else None
            )
        )
    ours = sum(math.prod(each.shape) for each in loaded.weights)
    if sum(sizes) < ours:
        raise AblateError(
            f"'{place}' holds {sum(sizes):,} numbers and its model {ours:,} weights, so that not "
            f"all would be taken over. {_remedy(place, in_configuration=True)}"
        )


def _model(loaded: object, place: Path) -> keras.Model:
    if not isinstance(loaded, keras.Model):
        raise AblateError(f"'{place}' holds a {type(loaded).__name__}, no model.")
    return loaded


def _not_loaded(place: Path, trouble: Exception) -> str:
    text = str(trouble)
    if "lambda" in text.lower() and "safe_mode" in text:
        return (
            f"'{place}' holds Python code (a Lambda layer or a lambda), which Keras's safe mode "
            "does not load, since it would run. If you trust the file, load it in Python with "
            "keras.models.load_model(…, safe_mode=False) and hand over the model."
        )
    unknown = re.findall(r"(?:Could not locate \w+|Unknown \w+:) '([^']+)'", text)
    unknown += legacy.unknown_classes(_configuration(place) or {})
    if unknown:
        return (
            f"'{place}' needs classes or functions that this process does not know: "
            f"{some(dict.fromkeys(unknown))}. Name the module that registers them "
            "(keras.saving.register_keras_serializable): --import package.module on the command "
            "line, model.imports in a study; or load the model in Python and hand it over."
        )
    if place.suffix == ".keras" and not zipfile.is_zipfile(place):
        return f"'{place}' is not a .keras file (a zip archive), or not a whole one."
    if "No model config" in text:
        return f"'{place}' holds weights only. Expected a whole model, as model.save writes."
    return (
        f"'{place}' could not be loaded. Keras says: {reason(trouble).rstrip('.')}. "
        f"{_remedy(place, in_configuration='deserializ' in text)}"
    )


def _remedy(place: Path, in_configuration: bool) -> str:
    """What to do about a file that does not load: mostly one of another Keras."""
    wrote, runs = keras_version(place), keras.__version__
    words = []
    if wrote is not None and wrote != runs:
        words.append(
            f"Keras {wrote} wrote the file, and Keras {runs} runs here, whose layers may take "
            "other arguments or names."
        )
    elif not in_configuration:
        return "Expected a file that model.save wrote (.keras, .h5), whole."
    words.append(
        "Build the network in Python with the layers of today, take the weights over from the "
        "file, and hand over that model, or save it as .keras."
    )
    return " ".join(words)
