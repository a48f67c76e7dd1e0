"""Targets: class numbers, one-hot rows or numbers, recognized and made uniform.

They become int32 class numbers, float32 one-hot rows or float32 numbers of at least two axes, with
the `Target` that says which. Integers, texts and one-hot rows are classes, other floats are
regression, unless the task is given. Large ones of several values a row (masks, images) are
columns, which are looked through once and stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ablate.data.column import Column, chunks
from ablate.data.nested import Tree, leaves, names_of, over
from ablate.data.source import listed
from ablate.errors import DataError
from ablate.study.specs import Target

Leaf = np.ndarray | Column
Parts = dict[str, Leaf]

#: Floats of no more whole values than this may be classes; integers of more may be numbers.
_MANY = 20


@dataclass(frozen=True)
class _Given:
    """The targets of one output by part, as they were handed over, and what was declared.

    `label` is what messages call them.
    """

    label: str
    parts: Parts
    task: str
    classes: int | None
    class_names: tuple[str, ...] | None

    @property
    def train(self) -> Leaf:
        return self.parts["train"]

    def looks(self) -> dict[str, _Look]:
        """Look through each part."""
        return {part: _look(y) for part, y in self.parts.items()}


@dataclass(frozen=True)
class _Look:
    """What is to be known of the values of one part.

    `odd` is a value that is no whole number, `values` are all that there are, None where they are
    many or not whole. `one_hot`: rows of one 1 and else 0.
    """

    low: float
    high: float
    odd: float | None
    values: tuple[float, ...] | None
    one_hot: bool


def _look(y: Leaf) -> _Look:
    lows, highs = [], []
    odd: float | None = None
    values: np.ndarray | None = np.empty(0)
    one_hot = y.ndim == 2 and y.shape[1] > 1
    for block in chunks(y):
        lows.append(float(block.min()))
        highs.append(float(block.max()))
        if odd is None and block.dtype.kind == "f":
            whole = np.isfinite(block) & (block == np.floor(block))
            odd = None if whole.all() else float(block[~whole].flat[0])
        if values is not None and odd is None:
            values = np.unique(np.concatenate([values, np.unique(block)]))
        values = None if odd is not None or values is None or len(values) > _MANY else values
        one_hot = one_hot and _one_hot(block)
    return _Look(
        min(lows), max(highs), odd, None if values is None else tuple(values.tolist()), one_hot
    )


def targets(
    name: str,
    ys: Mapping[str, Tree],
    task: str = "auto",
    classes: int | None = None,
    class_names: tuple[str, ...] | None = None,
) -> tuple[dict[str, Tree], Target | dict[str, Target] | list[Target]]:
    """Return each part's targets, uniform, and what they are.

    Args:
        name: what messages call the data.
        ys: trees of one structure under train, val, test, train first; each leaf (rows, …).
        task: auto, classification or regression.
        classes: number of classes, if known.
        class_names: names of the classes, in order.

    Raises:
        DataError: labels negative, not whole, out of range, or all the same; targets of
            different shape between parts.
    """
    train = ys["train"]
    for part, tree in ys.items():
        if _structure(tree) != _structure(train):
            raise DataError(
                f"{name}: y_{part} has outputs {_structure(tree)}, y_train has {_structure(train)}."
            )

    def uniform(label: str, *parts: Leaf) -> tuple[Parts, Target]:
        named = dict(zip(ys, parts, strict=True))
        return _uniform(_Given(f"{name}: {label}", named, task, classes, class_names))

    made = over(uniform, names_of(train, "y"), *ys.values())
    ready = {part: over(lambda each, part=part: each[0][part], made) for part in ys}
    return ready, over(lambda each: each[1], made)


def _structure(tree: Tree) -> str:
    if isinstance(tree, dict):
        return str(sorted(tree))
    return str(list(range(len(tree)))) if isinstance(tree, list) else "one array"


def guesses(
    ys: Mapping[str, Tree],
    target: Target | dict[str, Target] | list[Target],
    task: str = "auto",
    classes: int | None = None,
) -> tuple[str, ...]:
    """Return what was supposed of the targets and might have been meant otherwise.

    Args:
        ys: as `targets` made them.
        target: what it found them to be.
        task: as it was asked for; one that is given leaves nothing to suppose.
        classes: the number of classes, if it was given.
    """
    if task != "auto":
        return ()
    pairs = zip(leaves(ys["train"], "y"), leaves(target), strict=True)
    found = (_guess(label, y, each, classes) for (label, y), (_, each) in pairs)
    return tuple(each for each in found if each is not None)


def _guess(label: str, y: Leaf, target: Target, classes: int | None) -> str | None:
    if target.values is not None:
        shown = listed([f"{each:g}" for each in target.values], 6)
        return (
            f"{label} holds whole numbers as floats, of {len(target.values)} values "
            f"({shown}): taken for numbers to predict (regression). For classes give "
            "integers, or say task: classification"
        )
    if target.task == "regression" or target.one_hot:
        return None
    if len(target.shape) == 1 and target.classes == 2:
        return (
            f"{label} holds {target.shape[0]} integers of 0 or 1 in a row: taken for labels of "
            "their own where the output has a unit for each, as a class for each position where "
            "it has one more axis"
        )
    count = target.classes or 0
    if classes is None and target.class_names is None and count > _MANY and len(y) < 10 * count:
        return (
            f"{label} holds integers up to {count - 1} in {len(y)} training rows: taken for "
            f"{count} classes. For numbers to predict, say task: regression"
        )
    return None


def strata(y: Tree, target: Target | dict[str, Target] | list[Target] | None) -> np.ndarray | None:
    """Return the class of each row by which a split is stratified, or None.

    One classification output with one label per row has strata; anything else has not.
    """
    if not isinstance(target, Target) or target.task != "classification":
        return None
    if target.one_hot:
        return np.concatenate([block.argmax(axis=1) for block in chunks(y)])
    return y if y.ndim == 1 else None


def _uniform(given: _Given) -> tuple[Parts, Target]:
    """Make the targets of one output uniform."""
    parts = {
        part: y[:, 0] if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "f" else y
        for part, y in given.parts.items()
    }
    given = replace(given, parts=parts)
    _check_shapes(given)
    kinds = {y.dtype.kind for y in parts.values()}
    if kinds & set("US"):
        if given.task == "regression":
            raise DataError(f"{given.label} holds texts. Expected: numbers, for regression.")
        given = _encode(given)
        kinds = {"i"}
    if not kinds <= set("biuf"):
        raise DataError(f"{given.label} holds {given.train.dtype} values. Expected: numbers.")
    looks = given.looks()
    if given.task != "regression" and looks["train"].one_hot:
        return _rows_of_ones(given, looks)
    if given.task == "regression" or (given.task == "auto" and given.train.dtype.kind == "f"):
        return _numbers(given, looks)
    return _class_numbers(given, looks)


def _as(dtype: type, parts: Parts) -> Parts:
    """Return targets in another type; columns are read in it."""

    def cast(y: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # what overflows is found by the check for infinity
            y = y.astype(dtype)
        return y[:, None] if y.ndim == 1 and dtype is np.float32 else y

    return {
        part: y.changed(cast) if isinstance(y, Column) else cast(y) for part, y in parts.items()
    }


def _check_shapes(given: _Given) -> None:
    shape = given.train.shape[1:]
    for part, y in given.parts.items():
        if y.shape[1:] != shape:
            raise DataError(
                f"{given.label}: a row has shape {y.shape[1:]} in the {part} part and {shape} in "
                "the train part. Expected: the same."
            )


def _encode(given: _Given) -> _Given:
    """Number the texts, in the order of `class_names`, else sorted."""
    parts = {part: np.asarray(y).astype(str) for part, y in given.parts.items()}
    known = given.class_names or tuple(str(each) for each in np.unique(parts["train"]))
    number = {each: index for index, each in enumerate(known)}
    for part, y in parts.items():
        strange = sorted(set(np.unique(y).tolist()) - set(number))
        if strange:
            raise DataError(
                f"{given.label} of the {part} part has the class '{strange[0]}', which is not "
                f"among the {len(known)} classes of the train part."
            )
    encode = np.vectorize(number.__getitem__, otypes=[int])
    numbers = {part: encode(y) for part, y in parts.items()}
    return replace(given, parts=numbers, class_names=known)


def _one_hot(y: np.ndarray) -> bool:
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all())


def _rows_of_ones(given: _Given, looks: dict[str, _Look]) -> tuple[Parts, Target]:
    count = given.train.shape[1]
    for part, look in looks.items():
        if not look.one_hot:
            raise DataError(
                f"{given.label} is one-hot in the train part and not in the {part} part. "
                "Expected: a single 1 in every row, the rest 0."
            )
    if given.classes is not None and given.classes != count:
        raise DataError(
            f"{given.label} has {count} columns, but classes: {given.classes} is given."
        )
    ready = _as(np.float32, given.parts)
    return ready, Target("classification", (count,), count, _names(given, count), one_hot=True)


def _numbers(given: _Given, looks: dict[str, _Look]) -> tuple[Parts, Target]:
    ready = _as(np.float32, given.parts)
    size, values = int(np.prod(ready["train"].shape)), looks["train"].values
    few = values if values is not None and 2 * len(values) <= size else None
    return ready, Target("regression", ready["train"].shape[1:], values=few)


def _class_numbers(given: _Given, looks: dict[str, _Look]) -> tuple[Parts, Target]:
    parts, classes, class_names = given.parts, given.classes, given.class_names
    for part, look in looks.items():
        if look.odd is not None:
            raise DataError(
                f"{given.label} of the {part} part has the label {look.odd:g}. Expected: whole "
                "class numbers from 0. For numbers to predict, say task: regression."
            )
        if look.low < 0:
            raise DataError(
                f"{given.label} of the {part} part has the label {int(look.low)}. Expected: "
                "class numbers from 0. For numbers to predict, say task: regression."
            )
    count = classes or (len(class_names) if class_names else int(looks["train"].high) + 1)
    for part, look in looks.items():
        if look.high >= count:
            known = "are given" if classes or class_names else "are known from the train part"
            raise DataError(
                f"{given.label} of the {part} part has the label {int(look.high)}, but "
                f"{count} classes {known}: 0 to {count - 1}. Give the number with 'classes', or "
                "mend the labels."
            )
    rows = len(parts["train"])
    if classes is None and class_names is None and count > max(rows, 2):
        raise DataError(
            f"{given.label} has labels up to {count - 1} in {rows} training rows: more classes "
            "than rows. For numbers to predict, say task: regression."
        )
    if count < 2:
        raise DataError(f"{given.label} is 0 in every row. Expected: at least two classes.")
    ready = _as(np.int32, parts)
    return ready, Target("classification", given.train.shape[1:], count, _names(given, count))


def _names(given: _Given, count: int) -> tuple[str, ...] | None:
    if given.class_names is None:
        return None
    if len(given.class_names) != count:
        raise DataError(f"{given.label}: {len(given.class_names)} class names for {count} classes.")
    return tuple(str(each) for each in given.class_names)
