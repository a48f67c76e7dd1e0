"""Targets: class numbers, one-hot rows or numbers, told apart and made uniform.

`y` of each part goes in as it was handed over; out come int32 class numbers, float32 one-hot
rows or float32 numbers of at least two axes, and the `Target` that says which. Integers, texts
and one-hot rows are classes, other floats are regression, unless the task is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ablate.data.nested import Tree
from ablate.errors import DataError
from ablate.study.specs import Target

Parts = dict[str, np.ndarray]

#: Floats of no more whole values than this may be classes; integers of more may be numbers.
_MANY = 20


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
        ys: trees of one structure under train, val, test; each leaf (rows, …).
        task: auto, classification or regression.
        classes: number of classes, if known.
        class_names: names of the classes, in order.

    Raises:
        DataError: labels negative, not whole, out of range, or all the same; targets of
            different shape between parts; NaN.
    """
    train = ys["train"]
    if not isinstance(train, dict | list):
        return _one(name, "y", dict(ys), task, classes, class_names)
    keys: list[Any] = list(train) if isinstance(train, dict) else list(range(len(train)))
    for part, tree in ys.items():
        there = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if type(tree) is not type(train) or set(there) != set(keys):
            raise DataError(f"{name}: y_{part} has outputs {there}, y_train has {keys}.")
    done = {
        key: _one(
            name,
            f"y[{key!r}]",
            {part: tree[key] for part, tree in ys.items()},
            task,
            classes,
            class_names,
        )
        for key in keys
    }
    if isinstance(train, dict):
        made: dict[str, Tree] = {part: {k: done[k][0][part] for k in keys} for part in ys}
        return made, {key: done[key][1] for key in keys}
    made = {part: [done[k][0][part] for k in keys] for part in ys}
    return made, [done[key][1] for key in keys]


def guesses(
    ys: Mapping[str, Tree],
    target: Target | dict[str, Target] | list[Target],
    task: str = "auto",
    classes: int | None = None,
) -> tuple[str, ...]:
    """Return what was supposed of the targets and might have been meant otherwise.

    Args:
        ys: as `targets` made them.
        target: what it told of them.
        task: as it was asked for; one that is given leaves nothing to suppose.
        classes: the number of classes, if it was given.
    """
    if task != "auto":
        return ()
    if isinstance(target, Target):
        found = _guess("y", ys["train"], target, classes)
        return () if found is None else (found,)
    pairs = target.items() if isinstance(target, dict) else enumerate(target)
    told = (_guess(f"y[{key!r}]", ys["train"][key], each, classes) for key, each in pairs)
    return tuple(each for each in told if each is not None)


def _guess(label: str, y: np.ndarray, target: Target, classes: int | None) -> str | None:
    if target.values is not None:
        shown = ", ".join(f"{each:g}" for each in target.values[:6])
        more = ", …" if len(target.values) > 6 else ""
        return (
            f"{label} holds whole numbers as floats, of {len(target.values)} values "
            f"({shown}{more}): taken for numbers to predict (regression). For classes give "
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
        return np.asarray(y.argmax(axis=1))
    return y if y.ndim == 1 else None


def _one(
    name: str,
    label: str,
    parts: Parts,
    task: str,
    classes: int | None,
    class_names: tuple[str, ...] | None,
) -> tuple[Parts, Target]:
    """Make the targets of one output uniform."""
    parts = {
        part: y[:, 0] if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind != "f" else y
        for part, y in parts.items()
    }
    _check_shapes(name, label, parts)
    kinds = {y.dtype.kind for y in parts.values()}
    if kinds & set("US"):
        if task == "regression":
            raise DataError(f"{name}: {label} holds texts. Expected: numbers, for regression.")
        parts, class_names = _encode(name, label, parts, class_names)
        kinds = {"i"}
    if not kinds <= set("biuf"):
        raise DataError(f"{name}: {label} holds {parts['train'].dtype} values. Expected: numbers.")
    if task != "regression" and _one_hot(parts["train"]):
        return _rows_of_ones(name, label, parts, classes, class_names)
    if task == "regression" or (task == "auto" and "f" in kinds):
        return _numbers(name, label, parts)
    return _class_numbers(name, label, parts, classes, class_names)


def _check_shapes(name: str, label: str, parts: Parts) -> None:
    shape = parts["train"].shape[1:]
    for part, y in parts.items():
        if y.shape[1:] != shape:
            raise DataError(
                f"{name}: a row of {label} has shape {y.shape[1:]} in the {part} part and "
                f"{shape} in the train part. Expected: the same."
            )


def _encode(
    name: str, label: str, parts: Parts, class_names: tuple[str, ...] | None
) -> tuple[Parts, tuple[str, ...]]:
    """Number the texts, in the order of `class_names`, else sorted."""
    parts = {part: y.astype(str) for part, y in parts.items()}
    known = class_names or tuple(str(each) for each in np.unique(parts["train"]))
    number = {each: index for index, each in enumerate(known)}
    for part, y in parts.items():
        strange = sorted(set(np.unique(y).tolist()) - set(number))
        if strange:
            raise DataError(
                f"{name}: {label} of the {part} part has the class '{strange[0]}', which is not "
                f"among the {len(known)} classes of the train part."
            )
    return {p: np.vectorize(number.__getitem__, otypes=[int])(y) for p, y in parts.items()}, known


def _one_hot(y: np.ndarray) -> bool:
    return bool(
        y.ndim == 2
        and y.shape[1] > 1
        and ((y == 0) | (y == 1)).all()
        and (y.sum(axis=1) == 1).all()
    )


def _rows_of_ones(
    name: str, label: str, parts: Parts, classes: int | None, class_names: tuple[str, ...] | None
) -> tuple[Parts, Target]:
    count = parts["train"].shape[1]
    for part, y in parts.items():
        if not _one_hot(y):
            raise DataError(
                f"{name}: {label} is one-hot in the train part and not in the {part} part. "
                "Expected: a single 1 in every row, the rest 0."
            )
    if classes is not None and classes != count:
        raise DataError(f"{name}: {label} has {count} columns, but classes: {classes} is given.")
    ready = {part: y.astype(np.float32) for part, y in parts.items()}
    names = _names(name, class_names, count)
    return ready, Target("classification", (count,), count, names, one_hot=True)


def _numbers(name: str, label: str, parts: Parts) -> tuple[Parts, Target]:
    ready = {}
    for part, y in parts.items():
        with np.errstate(over="ignore"):
            y = y.astype(np.float32)
        ready[part] = y[:, None] if y.ndim == 1 else y
        bad = np.flatnonzero(~np.isfinite(ready[part]).reshape(len(y), -1).all(axis=1))
        if len(bad):
            raise DataError(
                f"{name}: {label} of the {part} part is not finite in {len(bad)} of {len(y)} "
                f"rows, the first at row {bad[0]}. Remove or replace these rows."
            )
    train = ready["train"]
    return ready, Target("regression", train.shape[1:], values=_few_whole(train))


def _few_whole(y: np.ndarray) -> tuple[float, ...] | None:
    """Return the values of targets that are a few whole numbers, each of them more than once."""
    if not (y.flat[:1000] == np.floor(y.flat[:1000])).all():
        return None  # most numbers are told without looking at all of them
    found = np.unique(y)
    few = len(found) <= _MANY and 2 * len(found) <= y.size
    return tuple(found.tolist()) if few and (found == np.floor(found)).all() else None


def _class_numbers(
    name: str, label: str, parts: Parts, classes: int | None, class_names: tuple[str, ...] | None
) -> tuple[Parts, Target]:
    for part, y in parts.items():
        if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.floor(y))).all():
            wrong = y[~(np.isfinite(y) & (y == np.floor(y)))].flat[0]
            raise DataError(
                f"{name}: {label} of the {part} part has the label {wrong:g}. Expected: whole "
                "class numbers from 0. For numbers to predict, say task: regression."
            )
        if y.min() < 0:
            raise DataError(
                f"{name}: {label} of the {part} part has the label {int(y.min())}. Expected: "
                "class numbers from 0. For numbers to predict, say task: regression."
            )
    count = classes or (len(class_names) if class_names else int(parts["train"].max()) + 1)
    for part, y in parts.items():
        if y.max() >= count:
            known = "are given" if classes or class_names else "are known from the train part"
            raise DataError(
                f"{name}: {label} of the {part} part has the label {int(y.max())}, but "
                f"{count} classes {known}: 0 to {count - 1}. Give the number with 'classes', or "
                "mend the labels."
            )
    rows = len(parts["train"])
    if classes is None and class_names is None and count > max(rows, 2):
        raise DataError(
            f"{name}: {label} has labels up to {count - 1} in {rows} training rows: more classes "
            "than rows. For numbers to predict, say task: regression."
        )
    if count < 2:
        raise DataError(f"{name}: every label in {label} is 0. Expected: at least two classes.")
    ready = {part: y.astype(np.int32) for part, y in parts.items()}
    target = Target(
        "classification", parts["train"].shape[1:], count, _names(name, class_names, count)
    )
    return ready, target


def _names(name: str, class_names: tuple[str, ...] | None, count: int) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    if len(class_names) != count:
        raise DataError(f"{name}: {len(class_names)} class names for {count} classes.")
    return tuple(str(each) for each in class_names)
