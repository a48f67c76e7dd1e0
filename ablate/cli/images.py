"""IMAGES of the surgical commands: an npz, an npy or a folder becomes what a model takes.

`Images` are arrays, or for a folder a stream that can be read again and again without holding all
of it, prepared as the model expects, with a note on where they come from for the certificate.
"""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.errors import DataError, nearest
from ablate.reasons import sentence
from ablate.study.schema.factories import APPLICATIONS

if TYPE_CHECKING:
    import keras

    from ablate.data.scale import Scaler

#: Names under which an npz usually holds inputs, in order of preference.
_USUAL = ("images", "x", "x_train", "x_test", "inputs", "arr_0")

#: Images of a folder that are held at once.
_BATCH = 32

#: Rows of random inputs where no images are given.
RANDOM_ROWS = 32


@dataclass(frozen=True)
class Images:
    """What a model takes (`x`), and words on where it comes from and how it was prepared.

    `invented` is true of random inputs, made up since no images were given.
    """

    x: Any
    words: str
    invented: bool = False


def read_images(
    path: str, model: keras.Model, application: str | None, preprocessing: str = "auto"
) -> Images:
    """Return the images at `path`, prepared for `model`.

    Args:
        path: An npz (arrays by the names of the inputs, or `images`, `x`, …), an npy, or a
            folder of JPEG, PNG, GIF, BMP or WebP files, at any depth.
        model: The model that will take them.
        application: The network of `keras.applications` that the model comes from, if known.
        preprocessing: `auto`, `none`, or a name of `keras.applications`.

    Raises:
        DataError: there are no images, they cannot be read or they do not fit.
    """
    if preprocessing not in ("auto", "none"):
        application = preprocessing.lower().replace("_", "")
        if application not in APPLICATIONS:
            raise DataError(
                "--preprocessing: expected auto, none or a name of keras.applications. "
                f"Received: '{preprocessing}'.{nearest(preprocessing, APPLICATIONS)}"
            )
    prepare = _Preparation(application, preprocessing)
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"IMAGES: there is no file or folder '{path}' ({place.absolute()}).")
    if not (place.is_dir() or place.is_file()):
        raise DataError(f"IMAGES: '{path}' is neither a file nor a folder (a pipe, a device).")
    if place.is_dir():
        return _folder(place, model, prepare)
    if place.suffix == ".npy":
        return _prepared(_npy(place), path, model, prepare)
    if place.suffix == ".npz":
        prepared = _prepared(_npz(place, model), path, model, prepare)
        return replace(prepared, x=_nested(prepared.x, model))
    raise DataError(
        f"IMAGES: expected an npz, an npy or a folder. Received: '{path}', which ends in "
        f"'{place.suffix}'."
    )


def random_inputs(model: keras.Model, rows: int = RANDOM_ROWS, seed: int = 0) -> Images:
    """Return seeded random inputs that fit the model's, nested as they are.

    Standard normal, token numbers that an Embedding knows, or words that a lookup knows. As many
    rows as the model's inputs are declared with, where they fix that.
    """
    import keras

    from ablate.surgery.batches import fixed_rows, structure

    draw = np.random.default_rng(seed)
    rows = fixed_rows(model) or rows
    arrays = []
    for tensor in model.inputs:
        shape = (rows, *_sizes(tensor.shape))
        if tensor.dtype == "string":
            arrays.append(draw.choice(_words_known(model), shape).astype(object))
        elif "int" in tensor.dtype or tensor.dtype == "bool":
            arrays.append(draw.integers(0, _vocabulary(model), shape).astype(tensor.dtype))
        else:
            arrays.append(draw.standard_normal(shape).astype("float32"))
    x = arrays[0] if len(arrays) == 1 else keras.tree.pack_sequence_as(structure(model), arrays)
    return Images(x, f"{rows} random inputs (seed {seed}), since no images were given", True)


@dataclass(frozen=True)
class _Preparation:
    """How images are scaled: by the rule of `preprocessing`, for an application if it is known."""

    application: str | None
    preprocessing: str

    def scaler(self, array: Any) -> Scaler | None:
        """Return what scales such an array, None where it stays as it is."""
        from ablate.data.scale import fit

        if self.preprocessing == "none" or array.ndim < 4:
            return None
        rule: Any = "auto" if self.preprocessing == "auto" else "application"
        scaler = fit(rule, array, name="IMAGES", application=self.application)
        return None if scaler.words == "none" else scaler


def _prepared(raw: Any, path: str, model: keras.Model, prepare: _Preparation) -> Images:
    arrays = raw if isinstance(raw, dict) else {"images": raw}
    made, words = {}, "as they are"
    texts = any(tensor.dtype == "string" for tensor in model.inputs)
    for name, array in arrays.items():
        if array.ndim < 2 or len(array) == 0:
            raise DataError(
                f"IMAGES: '{path}' holds no images: '{name}' has the shape {array.shape}. "
                "Expected rows of images, at least one."
            )
        made[name] = array
        if texts and array.dtype.kind in "US":
            continue
        if array.dtype.kind not in "fiub":
            raise DataError(f"IMAGES: '{path}' holds {array.dtype}. Expected numbers.")
        scaler, words = prepare.scaler(array), "as they are"
        if scaler is not None:
            made[name], words = scaler.apply(array), scaler.words
    rows = len(next(iter(arrays.values())))
    return Images(
        made if isinstance(raw, dict) else made["images"], f"{rows} rows of {path}, {words}"
    )


def _npy(place: Path) -> Any:
    try:
        array = np.load(place, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an npz archive")
        return array
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as trouble:
        raise DataError(
            f"IMAGES: '{place}' is not an npy file of numbers: {sentence(trouble)} "
            "Expected a file that numpy.save wrote."
        ) from trouble


def _npz(place: Path, model: keras.Model) -> Any:
    from ablate.data.npz import read

    arrays = read(str(place), field="IMAGES")
    names = [tensor.name for tensor in model.inputs]
    if set(names) <= set(arrays):
        found = {name: arrays[name] for name in names}
        return found if len(names) > 1 else found[names[0]]
    if len(names) == 1:
        if len(arrays) == 1:
            return next(iter(arrays.values()))
        for usual in _USUAL:
            if usual in arrays:
                return arrays[usual]
    raise DataError(
        f"IMAGES: '{place}' holds {', '.join(arrays) or 'no arrays'}. Expected an array for each "
        f"input of the model: {', '.join(names)}"
        f"{'; or one of ' + ', '.join(_USUAL) if len(names) == 1 else ''}."
    )


def _nested(x: Any, model: keras.Model) -> Any:
    """Put arrays that go by the inputs' names where the model takes them, if that is elsewhere."""
    import keras

    from ablate.surgery.batches import structure

    names = [tensor.name for tensor in model.inputs]
    like = structure(model)
    flat = isinstance(like, list | tuple) and all(isinstance(e, keras.KerasTensor) for e in like)
    if not isinstance(x, dict) or flat or (isinstance(like, dict) and set(like) == set(names)):
        return x
    return keras.tree.pack_sequence_as(like, [x[name] for name in names])


@dataclass(frozen=True)
class _Folder:
    """The images under a folder, batch by batch, each time anew."""

    files: Sequence[Path]
    size: tuple[int, int]
    channels: int
    scaler: Scaler | None

    def __iter__(self) -> Iterator[np.ndarray]:
        from ablate.data.images import decoded

        try:
            images = decoded(self.files, self.size, self.channels)
            while batch := list(itertools.islice(images, _BATCH)):
                whole = np.stack(batch)
                yield whole if self.scaler is None else self.scaler.apply(whole)
        except DataError as trouble:
            raise DataError(f"IMAGES: {trouble}") from None


def _folder(place: Path, model: keras.Model, prepare: _Preparation) -> Images:
    import keras

    from ablate.data.folder import accounted, sort_files

    shape = tuple(model.inputs[0].shape)
    first = keras.config.image_data_format() == "channels_first"
    channels = shape[1 if first else -1] if len(shape) == 4 else None
    if len(model.inputs) != 1 or channels not in (1, 3, 4):
        raise DataError(
            f"IMAGES: a folder is for a model with one input of images. '{model.name}' takes "
            f"{', '.join(str(tuple(each.shape)) for each in model.inputs)}. Give an npz."
        )
    usual = APPLICATIONS[prepare.application].size if prepare.application else 224
    tall, wide = (size or usual for size in (shape[2:] if first else shape[1:3]))
    images, skipped = sort_files(place, [place])
    notes = "; ".join(text for texts in accounted(skipped) for text in texts)
    if not images[place]:
        raise DataError(
            f"IMAGES: there are no images in '{place}'. Expected JPEG, PNG, GIF, BMP or WebP "
            f"files, there or in folders below. Found: {notes or 'nothing'}."
        )
    scaler = prepare.scaler(np.zeros((1, tall, wide, channels), "uint8"))
    words = f"the {len(images[place])} images under {place}, "
    words += "from 0 to 255" if scaler is None else scaler.words
    return Images(
        _Folder(images[place], (tall, wide), channels, scaler),
        words + (f" ({notes})" if notes else ""),
    )


def _sizes(shape: Any) -> list[int]:
    """The sizes of one example, with usual ones where the model leaves them open."""
    usual = 64 if len(shape) >= 4 else 16
    return [size or usual for size in shape[1:]]


def _vocabulary(model: keras.Model) -> int:
    import keras

    from ablate.surgery.graph import paths

    embeddings = (each for each, _ in paths(model) if isinstance(each, keras.layers.Embedding))
    return min((each.input_dim for each in embeddings), default=2)


def _words_known(model: keras.Model) -> list[str]:
    """The words of the model's lookups, and one that none of them has."""
    from ablate.surgery.graph import paths

    lookups = (each for each, _ in paths(model) if hasattr(each, "get_vocabulary"))
    known = {str(w) for each in lookups for w in each.get_vocabulary() if isinstance(w, str)}
    return sorted({*known, "unheard"})
