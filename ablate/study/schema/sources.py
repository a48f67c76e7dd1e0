"""The data sources that a study can name, and the arguments of each.

A table, not code that loads: names, shapes and arguments are known here without Keras, so that
a mistake is found at once and a plan can be made without reading a row. `ablate.data` has one
loader for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from ablate.study.registry import Kind, NoArguments, Registry
from ablate.study.schema.strict import Strict

Task = Literal["auto", "classification", "regression"]


#: Every source of data that a study can name.
SOURCES = Registry()

SOURCES.register(
    "digits",
    "ablate.data.embedded:digits",
    "1797 handwritten digits of 8×8 pixels from 0 to 16, carried by scikit-learn.",
    shape=(8, 8, 1),
)(NoArguments)

for _name, _about, _shape in (
    ("wine", "178 wines of three growers, 13 measurements of each, carried by scikit-learn.", 13),
    ("breast_cancer", "569 tumours, benign or not, 30 measurements of each, carried by "
     "scikit-learn.", 30),
    ("diabetes", "442 patients, 10 measurements of each; the disease's progress a year later, in "
     "its standard deviations: regression, carried by scikit-learn.", 10),
):  # fmt: skip
    SOURCES.register(_name, "ablate.data.embedded:table_of_sklearn", _about, shape=(_shape,))(
        NoArguments
    )


@SOURCES.register(
    "mnist1d",
    "ablate.data.embedded:mnist1d",
    "Ten digits as noisy curves of 40 points, generated.",
    shape=(40, 1),
)
class Mnist1d(Strict):
    """MNIST-1D by its published recipe: templates padded, stretched, moved, sheared, with noise.

    Source: S. Greydanus, D. Kobak, Scaling Down Deep Learning with MNIST-1D, ICML 2024.
    """

    size: int = Field(default=4000, ge=10, description="Training rows.")
    test_size: int = Field(default=1000, ge=0, description="Test rows; 0 takes data.test.")
    seed: int = Field(default=42, ge=0, description="Seed of the rows.")


@SOURCES.register(
    "noisy_line", "ablate.data.embedded:noisy_line", "A noisy line, 1-D regression.", shape=(1,)
)
class NoisyLine(Strict):
    """The 1-D regression y = slope·x + noise·ε, ε ~ N(0, 1), x on an even grid over [-1, 1]."""

    size: int = Field(default=50, ge=1, description="Training rows.")
    noise: float = Field(default=0.3, ge=0, description="Standard deviation of the noise.")
    slope: float = Field(default=1.0, description="Slope of the line.")
    seed: int = Field(default=0, ge=0, description="Seed of the noise.")
    validation_size: int = Field(
        default=50, ge=0, description="Validation rows, drawn anew; 0 takes data.validation."
    )
    test_size: int = Field(
        default=50, ge=0, description="Test rows, drawn anew; 0 takes data.test."
    )


@SOURCES.register(
    "badly_scaled",
    "ablate.data.embedded:badly_scaled",
    "Two classes whose inputs differ in range by orders of magnitude.",
    shape=lambda arguments: (len(arguments["ranges"]),),
)
class BadlyScaled(Strict):
    """Two classes, inside or outside an ellipse, whose inputs differ in range.

    Input j is uniform in ±ranges[j]; the class is whether Σ(x_j/range_j)² is below the value
    that makes both classes equally frequent.
    """

    size: int = Field(default=1000, ge=10, description="Training rows.")
    ranges: list[float] = Field(
        default=[200.0, 10.0], min_length=1, description="Half the range of each input."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the rows.")
    validation_size: int = Field(
        default=500, ge=0, description="Validation rows, drawn anew; 0 takes data.validation."
    )
    test_size: int = Field(
        default=500, ge=0, description="Test rows, drawn anew; 0 takes data.test."
    )


class Tokens(Strict):
    """Sequences of word numbers, as padded rows or as one 0/1 column per word."""

    num_words: int = Field(
        default=10000, ge=4, description="Words kept, the most frequent first; the rest read 2."
    )
    encoding: Literal["padded", "multi_hot"] = Field(
        default="padded", description="Rows of word numbers (for an Embedding), or 0/1 columns."
    )
    maxlen: int = Field(
        default=200, ge=1, description="Length of a padded row; longer texts keep their end."
    )


class Cifar100(Strict):
    """The hundred classes, or the twenty they fall into."""

    label_mode: Literal["fine", "coarse"] = Field(
        default="fine", description="100 fine classes or 20 coarse ones."
    )


class California(Strict):
    """The full set of 20 640 districts or its sample of 600."""

    version: Literal["large", "small"] = Field(
        default="large", description="20640 rows, or the sample of 600."
    )


class Arrays(Strict):
    """How the arrays of an npz file are to be read."""

    task: Task = Field(
        default="auto",
        description="auto: integer or text labels and one-hot rows are classes, else regression.",
    )
    classes: int | None = Field(
        default=None, ge=2, description="Number of classes; default: the largest label + 1."
    )
    tokens: bool = Field(default=False, description="The inputs are token numbers: keep integers.")
    add_channel: bool | None = Field(
        default=None,
        description="Give images of shape (height, width) a channel axis; default: uint8 images.",
    )


#: Ends of the names of tables.
TABLES = (".csv", ".tsv", ".tab", ".parquet", ".pq")


class Table(Strict):
    """Which columns of a table are what."""

    label: str | list[str] | None = Field(
        default=None, description="The column to learn, or several (numbers side by side)."
    )
    features: list[str] | dict[str, str | list[str]] | None = Field(
        default=None,
        description="The columns to learn from; default: all others. A mapping gives a model of "
        "several inputs each by its name: {text: review, numbers: [age, income]}.",
    )
    weight: str | None = Field(default=None, description="The column with the weight of each row.")
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="What divides the cells of a CSV file; default: the one of , ; | and tab that "
        "its first line has most.",
    )
    task: Task = Field(
        default="auto",
        description="auto: integer or text labels are classes, other numbers regression.",
    )
    classes: int | None = Field(
        default=None, ge=2, description="Number of classes; default: the largest label + 1."
    )


class Folder(Strict):
    """How the images of a folder are read."""

    color_mode: Literal["rgb", "grayscale", "rgba"] = Field(
        default="rgb", description="Channels of an image: 3, 1 or 4."
    )
    interpolation: Literal["bilinear", "nearest", "bicubic", "area"] = Field(
        default="bilinear", description="How an image of another size is resized."
    )
    crop_to_aspect_ratio: bool = Field(
        default=False, description="Crop before resizing, so that nothing is stretched."
    )


@dataclass(frozen=True)
class KerasSet:
    """A set of `keras.datasets`: its task, classes, and the shape of an example as delivered."""

    about: str
    task: Literal["classification", "regression"]
    classes: int | None
    shape: tuple[int, ...] | Callable[[Mapping[str, Any]], tuple[int, ...]]
    files: tuple[str, ...]  # what Keras looks for under ~/.keras/datasets
    origin: str
    arguments: type[Strict] = NoArguments


def _token_shape(arguments: Mapping[str, Any]) -> tuple[int, ...]:
    return (arguments["maxlen" if arguments["encoding"] == "padded" else "num_words"],)


_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_FASHION = tuple(
    f"fashion-mnist/{part}-{what}.gz"
    for part in ("train", "t10k")
    for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
)

#: Every set of `keras.datasets` (a test compares the names with Keras).
KERAS_SETS: dict[str, KerasSet] = {
    "mnist": KerasSet(
        "70000 handwritten digits, 28×28.",
        "classification", 10, (28, 28, 1), ("mnist.npz",), _GOOGLE,
    ),
    "fashion_mnist": KerasSet(
        "70000 pieces of clothing, 28×28, 10 classes.",
        "classification", 10, (28, 28, 1), _FASHION, _GOOGLE,
    ),
    "cifar10": KerasSet(
        "60000 colour images, 32×32, 10 classes.",
        "classification", 10, (32, 32, 3), ("cifar-10-batches-py-target_archive",),
        _TORONTO + "cifar-10-python.tar.gz",
    ),
    "cifar100": KerasSet(
        "60000 colour images, 32×32, 100 or 20 classes.",
        "classification", 100, (32, 32, 3), ("cifar-100-python-target_archive",),
        _TORONTO + "cifar-100-python.tar.gz", Cifar100,
    ),
    "imdb": KerasSet(
        "50000 film reviews, good or bad.",
        "classification", 2, _token_shape, ("imdb.npz",), _GOOGLE, Tokens,
    ),
    "reuters": KerasSet(
        "11228 newswires, 46 topics.",
        "classification", 46, _token_shape, ("reuters.npz",), _GOOGLE, Tokens,
    ),
    "boston_housing": KerasSet(
        "506 rows of 13 features, regression.",
        "regression", None, (13,), ("boston_housing.npz",), _GOOGLE,
    ),
    "california_housing": KerasSet(
        "20640 rows of 8 features, regression.",
        "regression", None, (8,), ("california_housing.npz",), _GOOGLE, California,
    ),
}  # fmt: skip

for _name, _set in KERAS_SETS.items():
    SOURCES.register(
        _name, "ablate.data.keras_sets:keras_set", _set.about, shared=("path",), shape=_set.shape
    )(_set.arguments)

SOURCES.add(
    Kind(
        "path", "path", None, Arrays,
        "An npz file: x_train, y_train, and x_val, y_val, x_test, y_test if there are.",
        "ablate.data.load:npz_file",
    ),
    Kind(
        "table", "table", None, Table,
        "A CSV file whose first line names the columns; a Parquet file with the extra `tables`.",
        "ablate.data.table:table",
    ),
    Kind(
        "directory", "directory", None, Folder,
        "A folder of images, a folder per class; or train/, val/ and test/ with those inside.",
        "ablate.data.folder:folder", ("image_size",),
    ),
    Kind(
        "call", "call", None, None,
        "package.module:function, which returns arrays, a reader or a pipeline. Those of its "
        "arguments that are keys of this section, too, stand under `arguments`.",
        "ablate.data.called:rows_of",
    ),
)  # fmt: skip
