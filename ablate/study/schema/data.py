"""Where the examples come from, and how they are split and scaled.

One source per study: a `name` (`digits`, `noisy_line`, `badly_scaled` or a set of
`keras.datasets`), the `path` of an npz file, a `table`, a `directory` of images, or a `call`. A
named Keras set may have a `path` too: the file it is read from where there is no network. Whatever
else stands in the section is an argument of the source. Loading is `ablate.data`'s work; what
can be known without it (the shape of an example, for law 1) is known here.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ablate.errors import nearest
from ablate.study.registry import Chosen, Registry
from ablate.study.schema.sources import KERAS_SETS, SOURCES
from ablate.study.schema.strict import Strict
from ablate.study.validation import invalid

Scale = Literal["auto", "none", "unit", "standard", "application"]
Split = Literal["fixed", "per_seed", "ordered"]

CHANNELS = {"rgb": 3, "grayscale": 1, "rgba": 4}


class Shift(Strict):
    """A change of the test inputs alone, as large as `amount` times the range of the inputs.

    `invert` mirrors every value in that range, `brighten` adds, `contrast` stretches around the
    middle by 1 + amount, `noise` adds normal noise; values stay within the range.
    """

    name: Literal["invert", "brighten", "contrast", "noise"] = Field(
        description="How the test inputs are changed."
    )
    amount: float = Field(default=0.3, description="How much, in shares of the inputs' range.")


class Data(Chosen):
    """The examples of a study: their source, their split, their scale."""

    _registry: ClassVar[Registry] = SOURCES
    _keys: ClassVar[tuple[str, ...]] = ("name", "path", "table", "directory", "call")

    name: str | None = Field(default=None, description="A set that needs no file.")
    path: str | None = Field(default=None, description="The npz file to read the set from.")
    table: str | None = Field(default=None, description="A CSV or Parquet file.")
    directory: str | None = Field(default=None, description="A folder of images.")
    call: str | None = Field(
        default=None, description="package.module:function, which returns the arrays."
    )
    digest: str | None = Field(
        default=None,
        description="Of a call: the SHA-256 of what it returned when it was first read. Written by "
        "`ablate` with the trials; a later reading that differs is refused.",
    )
    image_size: Annotated[tuple[int, int], Field(strict=False)] | None = Field(
        default=None, description="Height and width that the images of a folder are read at."
    )
    validation: float = Field(
        default=0.15, ge=0, lt=1, description="Share of the training rows, stratified."
    )
    test: float = Field(
        default=0.2, ge=0, lt=1, description="Share of all rows, where the source has no test part."
    )
    split: Split = Field(
        default="fixed",
        description=(
            "One split for all seeds, or one redrawn for each; parts that the source brings stay. "
            "ordered, for rows in the order of time: the last are test, those before them "
            "validation, and limit keeps the latest."
        ),
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        description="k folds in place of `test`: seed s leaves out fold s mod k of repetition "
        "s // k as its test part.",
    )
    groups: str | None = Field(
        default=None,
        description="The array or column that says what each row belongs to (a patient, a "
        "writer): the rows of one group are never on two sides.",
    )
    load: Literal["memory", "stream"] | None = Field(
        default=None,
        description="memory: rows are held in memory; stream: they are read block by block while "
        "it trains, with the same numbers. null: stream where the rows, times the workers, take "
        "over a quarter of the memory. Of a `call` that gives a pipeline (tf.data, PyDataset, a "
        "generator), memory reads it once and keeps its rows, stream and null run it anew for "
        "each epoch.",
    )
    limit: int | None = Field(
        default=None, ge=1, description="First N training rows after split and shuffle."
    )
    only: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None,
        min_length=1,
        description="Rows of these classes only, taken after the split; labels keep their "
        "numbers, so studies on parts of the classes share the network and the split.",
    )
    scale: Scale = Field(
        default="auto",
        description="auto: the application's own preprocessing, else x/255 for uint8 (x/16 for "
        "digits), else none; unit: to [0, 1]; standard: zero mean, unit deviation.",
    )
    target: Literal["labels", "inputs"] = Field(
        default="labels", description="What is learnt: the labels, or the scaled inputs themselves."
    )
    binarize: float | None = Field(
        default=None, description="After scaling, make an input 1 where it exceeds this, else 0."
    )
    shift: Shift | None = Field(
        default=None, description="Change the test inputs, before scaling: a shifted test set."
    )

    @model_validator(mode="after")
    def _check(self) -> Data:
        _check_source(self)
        self._check_arguments()
        if self.directory is not None:
            if self.image_size is None:
                raise invalid(
                    "A directory of images needs 'image_size', for example image_size: [64, 64].",
                    "directory",
                )
            if min(self.image_size) < 1:
                raise invalid("Height and width are at least 1.", "image_size")
        elif self.image_size is not None:
            raise invalid(
                "'image_size' belongs to a 'directory' of images; this source has its own size.",
                "image_size",
            )
        if self.table and self.target == "labels" and self.arguments.get("label") is None:
            raise invalid(
                "A table needs 'label', the name of the column to learn; 'target: inputs' learns "
                "the features themselves.",
                "table",
            )
        if self.folds is not None and self.split != "fixed":
            raise invalid(
                f"'folds' divide the rows by themselves, one fold a seed; 'split: {self.split}' "
                "divides them in another way. Keep one of the two.",
                "folds",
            )
        if self.digest is not None and self.call is None:
            raise invalid("A 'digest' belongs to what a 'call' returns.", "digest")
        return self

    @property
    def redrawn(self) -> bool:
        """Whether each seed has a split of its own; such splits share rows with each other."""
        return self.split == "per_seed" or self.folds is not None


def example_shape(data: Data) -> tuple[int, ...] | None:
    """Return the shape of one example, as far as it is known without loading or Keras.

    Known for the embedded and generated sets, the sets of Keras, npz files (only the header of
    `x_train` is read) and folders of images; None for a `call`, for several inputs, and for a
    file that cannot be read (loading it will say why).
    """
    arguments = data.complete_arguments()
    shape = data.kind.shape
    if shape is not None:
        return shape(arguments) if callable(shape) else shape
    if data.directory is not None and data.image_size is not None:
        return (*data.image_size, CHANNELS[arguments["color_mode"]])
    if data.path is not None:
        return _npz_shape(Path(data.path).expanduser(), arguments["add_channel"])
    return None


def _npz_shape(path: Path, add_channel: bool | None) -> tuple[int, ...] | None:
    """Read the header of `x_train` (or `x`) and no row of it."""
    import numpy as np  # a study that names no file is read without it

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            member = "x_train.npy" if "x_train.npy" in names else "x.npy"
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(stream)
    except Exception:  # of a spoilt file zipfile, zlib and NumPy raise many kinds
        return None
    return with_channel(tuple(shape[1:]), dtype, add_channel) or (1,)


def with_channel(shape: tuple[int, ...], dtype: Any, add_channel: bool | None) -> tuple[int, ...]:
    """Return the shape of an example with the channel axis it is given, if it is.

    `add_channel` None gives one to uint8 examples of two axes, which are grey images.
    """
    grey = str(dtype) == "uint8" if add_channel is None else add_channel
    return (*shape, 1) if grey and len(shape) == 2 else shape


def _check_source(data: Data) -> None:
    given = data.given_keys
    if not given:
        hint = next(filter(None, (nearest(key, Data._keys) for key in data.arguments)), "")
        raise invalid(
            "The data has no source. Give one of: name (one of "
            f"{', '.join(SOURCES.names)}), path (an npz file), table (a CSV or Parquet file), "
            f"directory (of images), call.{hint}"
        )
    if data.name is not None and SOURCES.find("name", data.name) is None:
        raise invalid(
            f"There is no data set '{data.name}'.{nearest(data.name, SOURCES.names)} "
            f"There are: {', '.join(SOURCES.names)}. Your own data comes by 'path', 'table', "
            "'directory' or 'call'.",
            "name",
        )
    if given == ["name", "path"]:
        if data.name in KERAS_SETS:
            return
        raise invalid(
            f"'{data.name}' needs no file. A 'path' beside a name is where a set of "
            "keras.datasets is read from; without a name it is your own npz file.",
            "path",
        )
    if len(given) > 1:
        raise invalid(
            f"The data has {len(given)} sources: {', '.join(given)}. Give exactly one "
            "(a 'path' may stand beside the name of a keras.datasets set).",
            given[1],
        )
