"""Split a source into training, validation and test rows, and scale its inputs.

The order of the rows derives
from (seed, "split") alone, or from (0, "split") when one split serves all seeds; classes keep
their shares in every part. What is fitted is fitted on the training rows.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np

from ablate.data.cache import Memory
from ablate.data.nested import Tree, freeze, leaves, names_of, nbytes, over, take
from ablate.data.remarks import absent, equal_rows, unscaled
from ablate.data.rng import order
from ablate.data.scale import Scaler, fit, shifted
from ablate.data.source import Part, Source, Splits
from ablate.data.targets import strata
from ablate.errors import DataError
from ablate.study.schema.data import Data
from ablate.study.specs import Target


def split(source: Source, data: Data, seed: int = 0, application: str | None = None) -> Splits:
    """Return what a trial with `seed` trains, validates and tests on.

    The source's own validation and test parts are used where there are; else `data.test` of all
    rows, then `data.validation` of what remains. `data.limit` keeps the first training rows
    after the shuffle. The same arguments give the same object as long as it is remembered.

    Args:
        source: the raw arrays.
        data: shares, split, limit, scale.
        seed: the trial's; it matters only with `split: per_seed`.
        application: the network of `keras.applications` that is trained, if it is one.

    Raises:
        DataError: too few rows of a class to be in every part, or a scale that does not fit.
    """
    drawn = seed if data.split == "per_seed" else 0
    # Sources are remembered by their loader: the same source is the same object.
    key = json.dumps([id(source), data.model_dump_json(), drawn, application])
    made = _remembered.get(key, lambda: (source, _split(source, data, drawn, application)))
    return made[1]


# The source is kept with its splits: as long as it is, its id is nobody else's.
_remembered: Memory[tuple[Source, Splits]] = Memory(
    lambda entry: sum(nbytes(part.x) + nbytes(part.y) for part in entry[1].parts.values() if part)
)


def _split(source: Source, data: Data, seed: int, application: str | None) -> Splits:
    generated = source.redraw is not None
    if data.split == "per_seed" and source.redraw is not None:
        source = source.redraw(seed)
    parts = {
        "train": source.train,
        "val": source.validation or source.train,
        "test": source.test or source.train,
    }
    rows = _rows(source, data, seed)
    limited = data.limit is not None and data.limit < len(rows["train"])
    drawn = ("train", *_taken(source, data)) if limited or _taken(source, data) else ()
    notes, cautions = list(source.notes), list(source.cautions)
    if data.only is not None:
        rows = _only(source, data.only, parts, rows)
    if data.limit is not None:
        if data.limit > len(rows["train"]):
            notes.append(f"limit {data.limit}: there are only {len(rows['train'])} training rows")
        rows["train"] = rows["train"][: data.limit]
    raw = {name: _take(part, rows[name]) for name, part in parts.items()}
    train = raw["train"]
    if train is None:
        raise DataError(f"{source.name}: no row is left to train on.")
    notes += absent(source, train, data.only)
    equal = equal_rows(train, {"validation": raw["val"], "test": raw["test"]})
    notes += equal[0]
    cautions += equal[1]
    if data.shift is not None:
        if raw["test"] is None:
            raise DataError("data.shift changes the test rows, and there are none.")
        shift = partial(shifted, shift=data.shift)
        raw["test"] = Part(over(shift, raw["test"].x, train.x), raw["test"].y)
        notes.append(f"test inputs shifted: {data.shift.name} {data.shift.amount:g}")
    scaler = partial(
        fit, data.scale, full_scale=source.full_scale, application=application, tokens=source.tokens
    )
    scalers = over(
        lambda leaf, name: scaler(leaf, name=name), train.x, names_of(train.x, "x_train")
    )
    arrays: dict[str, Any] = {}
    for name, part in raw.items():
        arrays[f"x_{name}"], arrays[f"y_{name}"] = _ready(part, scalers, data)
        arrays[f"rows_{name}"] = freeze(rows[name])
    targets = source.target
    if targets is None:
        targets = over(lambda x: Target("regression", tuple(x.shape[1:])), arrays["x_train"])
    return Splits(
        **arrays,
        targets=targets,
        scaling=_words(scalers, data),
        drawn=("train", "validation", "test") if generated else drawn,
        tokens=source.tokens,
        notes=tuple(notes),
        cautions=tuple(cautions),
        unscaled=_unscaled(train.x, scalers, data),
    )


def _unscaled(train: Tree, scalers: Tree, data: Data) -> tuple[str, ...]:
    """Say which inputs reach far and enter the network as they are, though nobody asked for it."""
    if data.binarize is not None or data.scale == "none":
        return ()
    pairs = zip(leaves(train, "x_train"), leaves(scalers), strict=True)
    found = (unscaled(name, leaf) for (name, leaf), (_, each) in pairs if each.words == "none")
    return tuple(text for text in found if text)


def _taken(source: Source, data: Data) -> list[str]:
    """Return the parts that are taken from the training rows: not those of the source's own."""
    return [
        part
        for part in ("validation", "test")
        if getattr(source, part) is None and getattr(data, part) > 0
    ]


def _rows(source: Source, data: Data, seed: int) -> dict[str, np.ndarray]:
    """Return the row numbers of the three parts, training rows in their shuffled order."""
    rest = order(source.train.rows, seed, "split")
    classes = None if source.train.y is None else strata(source.train.y, source.target)
    taken = _taken(source, data)
    if classes is not None:
        _check_classes(source.name, classes, len(taken))
    rows = {}
    for name, part in (("test", "test"), ("val", "validation")):
        own: Part | None = getattr(source, part)
        rows[name] = np.arange(0 if own is None else own.rows)
        if part in taken:
            rows[name], rest = _part(rest, getattr(data, part), classes, source.name, part)
    # Classes that fill their share of the other parts early come first in what is left: shuffle
    # again, so that the first N rows are N rows at random.
    return {**rows, "train": rest[order(len(rest), seed, "split", "train")]}


def _only(
    source: Source, only: list[int], parts: dict[str, Part], rows: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Keep the rows of some classes, in every part.

    The split comes first: a row that one study trains on is never a test row of another that
    takes other classes of the same data.
    """
    labels = {name: strata(part.y, source.target) for name, part in parts.items()}
    classes = getattr(source.target, "classes", None)
    if classes is None or labels["train"] is None:
        raise DataError(f"{source.name}: data.only chooses classes, and the labels are none.")
    if max(only) >= classes:
        raise DataError(
            f"{source.name}: data.only: there is no class {max(only)}. "
            f"Expected: 0 to {classes - 1}."
        )
    return {
        name: chosen[np.isin(np.asarray(labels[name])[chosen], only)]
        for name, chosen in rows.items()
    }


def _check_classes(name: str, classes: np.ndarray, parts: int) -> None:
    """Refuse a class with fewer rows than there are parts to be in."""
    present, counts = np.unique(classes, return_counts=True)
    if parts and counts.min() <= parts:
        label, count = present[counts.argmin()], counts.min()
        raise DataError(
            f"{name}: class {label} has {count} row{'s' if count > 1 else ''}, too few to be in "
            f"{parts + 1} parts. Expected: at least {parts + 1} rows of every class. Add rows, "
            "drop the class, or give x_val and x_test yourself."
        )


def _part(
    rows: np.ndarray, share: float, classes: np.ndarray | None, name: str, part: str
) -> tuple[np.ndarray, np.ndarray]:
    """Take `share` of the rows, stratified if there are classes; return what is taken and left."""
    total = round(share * len(rows))
    if total < 1 or total >= len(rows):
        raise DataError(
            f"{name}: data.{part}: {share:g} of {len(rows)} rows is {total}. Expected: at least "
            "one row, and one left to train on."
        )
    if classes is None:
        return rows[:total], rows[total:]
    own = classes[rows]
    present, counts = np.unique(own, return_counts=True)
    taken = np.zeros(len(rows), dtype=bool)
    for label, quota in zip(present, _quotas(counts, share, total), strict=True):
        taken[np.flatnonzero(own == label)[:quota]] = True
    return rows[taken], rows[~taken]


def _quotas(counts: np.ndarray, share: float, total: int) -> np.ndarray:
    """Return how many rows of each class are taken: its share, at least one, by largest rest."""
    exact = counts * share
    quotas = np.clip(np.floor(exact).astype(int), 1, counts - 1)
    missing = total - quotas.sum()
    for index in np.argsort(quotas - exact, kind="stable")[: max(missing, 0)]:
        quotas[index] = min(quotas[index] + 1, counts[index] - 1)
    return quotas


def _take(part: Part, rows: np.ndarray) -> Part | None:
    if not len(rows):
        return None
    return Part(take(part.x, rows), None if part.y is None else take(part.y, rows))


def _ready(part: Part | None, scalers: Tree, data: Data) -> tuple[Tree, Tree]:
    """Return scaled inputs and targets, read-only."""
    if part is None:
        return None, None

    def prepare(leaf: np.ndarray, scaler: Scaler) -> np.ndarray:
        x = scaler.apply(leaf)
        return x if data.binarize is None else (x > data.binarize).astype(np.float32)

    x = freeze(over(prepare, part.x, scalers))
    return x, x if part.y is None else freeze(part.y)


def _words(scalers: Tree, data: Data) -> str:
    words = "; ".join(dict.fromkeys(scaler.words for _, scaler in leaves(scalers)))
    return words if data.binarize is None else f"{words}, then 1 where above {data.binarize:g}"
