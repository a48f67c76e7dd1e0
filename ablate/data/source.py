"""The examples of a study as they come from their source, and as they go into training.

`Source` has the raw arrays, checked but neither split nor scaled; `Splits` has what a trial
trains, validates and tests on. Both are values: frozen, their arrays read-only, so that many
trials share them. Inputs and targets are arrays, or dicts or lists of arrays for models with
several inputs or outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ablate.data.nested import Tree, leaves, over, rows
from ablate.data.streams import Stream
from ablate.study.specs import InputOutputSpec, Target, Task


def listed(values: Sequence[object], most: int = 3) -> str:
    """Return the first of some values for a message, and that there are more."""
    return ", ".join(map(str, values[:most])) + (", …" if len(values) > most else "")


@dataclass(frozen=True)
class Part:
    """Rows of inputs `x` and targets `y`; y is None where the inputs are the targets.

    `weight` is a number per row, float32, by which its loss counts; `groups` names what each row
    belongs to (a patient, a writer), of which all rows stay on one side of a split.
    """

    x: Tree
    y: Tree
    weight: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return rows(self.x)


@dataclass(frozen=True)
class Source:
    """The raw arrays of a source.

    `validation` and `test` are there if the source gives them. `target` has the structure of y.
    `full_scale` is the value that raw inputs reach by their nature (16 for the digits), where it is
    not that of their type. `tokens`: the inputs are token numbers and stay integers. `redraw`
    draws a generated source anew for a seed (split: per_seed). `skipped` names the files of a
    folder that are not read, by the reason. `digest` is that of what a `call` returned.
    `stream` makes the training rows anew for each epoch; `train` then has its first batches.
    `notes` and `cautions` are what plan and report say of the data: a caution is something that may
    spoil the comparison.
    """

    name: str
    train: Part
    validation: Part | None
    test: Part | None
    target: Target | dict[str, Target] | list[Target] | None
    full_scale: float | None = None
    tokens: bool = False
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    digest: str | None = None
    stream: Stream | None = None
    redraw: Callable[[int], Source] | None = None


@dataclass(frozen=True)
class Splits:
    """What a trial trains, validates and tests on.

    x is float32 (integer where tokens), scaled. y is integer labels of shape (rows,), one-hot
    rows, or float32 numbers of at least two axes. A part that is not there is None. `rows_*`
    are the row numbers in the source's own part: `rows_train` and `rows_val` count in the
    source's training rows, `rows_test` too if the source has no test part, and those of a part
    that the source gives count in that part. `drawn` names the parts (train, validation, test)
    that `split: per_seed` or `folds` draws anew for a seed, whether it is asked for or not.
    `weight_*` are the rows' weights in loss and weighted metrics, None where all count alike.
    `groups_test` is the group of each test row. `stream` makes the training rows anew for each
    epoch; `x_train` and `y_train` are then its first batches.
    """

    x_train: Tree
    y_train: Tree
    x_val: Tree
    y_val: Tree
    x_test: Tree
    y_test: Tree
    targets: Target | dict[str, Target] | list[Target]
    rows_train: np.ndarray
    rows_val: np.ndarray
    rows_test: np.ndarray
    scaling: str
    drawn: tuple[str, ...] = ()
    tokens: bool = False
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    unscaled: tuple[str, ...] = ()
    weight_train: np.ndarray | None = None
    weight_val: np.ndarray | None = None
    weight_test: np.ndarray | None = None
    groups_test: np.ndarray | None = None
    stream: Stream | None = None

    @property
    def input_shape(self) -> tuple[int, ...] | dict[str, tuple[int, ...]] | list[tuple[int, ...]]:
        """The shape of one example; for several inputs, of each."""
        return over(lambda leaf: tuple(leaf.shape[1:]), self.x_train)

    @property
    def spec(self) -> InputOutputSpec:
        """What a model has to fit."""
        return InputOutputSpec(self.input_shape, self.targets, self.tokens)

    @property
    def output_shape(self) -> tuple[int, ...] | dict[str, tuple[int, ...]] | list[tuple[int, ...]]:
        """The shape of one row's target, () for integer labels; for several outputs, of each."""
        return over(lambda target: target.shape, self.targets)

    @property
    def task(self) -> Task:
        """`classification` if every output is, else `regression`."""
        tasks = {target.task for _, target in leaves(self.targets)}
        return "classification" if tasks == {"classification"} else "regression"

    @property
    def classes(self) -> int | None:
        """The number of classes of a single classification output, else None."""
        return self.targets.classes if isinstance(self.targets, Target) else None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of those classes, where the source has names."""
        return self.targets.class_names if isinstance(self.targets, Target) else None

    @property
    def parts(self) -> dict[str, Part | None]:
        """The three parts by the names that results use: train, validation, test."""
        return {
            name: None if x is None else Part(x, y, weight)
            for name, x, y, weight in (
                ("train", self.x_train, self.y_train, self.weight_train),
                ("validation", self.x_val, self.y_val, self.weight_val),
                ("test", self.x_test, self.y_test, self.weight_test),
            )
        }

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each part has."""
        return {name: 0 if part is None else part.rows for name, part in self.parts.items()}
