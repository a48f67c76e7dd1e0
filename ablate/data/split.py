"""Split a source into training, validation and test rows, and scale its inputs.

Which rows are in which part `ablate.data.partition` says. What is fitted is fitted on the training
rows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ablate.data.cache import Memory
from ablate.data.column import Column, held, is_wide
from ablate.data.nested import Tree, freeze, leaves, names_of, nbytes, over, take
from ablate.data.partition import partition, parts_taken
from ablate.data.remarks import absent, equal_rows, sorted_by_class, unscaled
from ablate.data.scale import Scaler, fit, shifted
from ablate.data.source import Part, Source, Splits
from ablate.data.streams import Stream, check_stream, prepared
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
        seed: the trial's; it matters only with `split: per_seed` and `folds`.
        application: the network of `keras.applications` that is trained, if it is one.

    Raises:
        DataError: too few rows of a class to be in every part, or a scale that does not fit.
    """
    drawn = seed if data.redrawn else 0
    # Sources are remembered by their loader: the same source is the same object.
    key = json.dumps([id(source), data.model_dump_json(), drawn, application])
    made = _remembered.get(key, lambda: (source, _split(source, data, drawn, application)))
    return made[1]


def forget() -> None:
    """Drop every split that is remembered."""
    _remembered.clear()


# The source is kept with its splits: as long as it is, its id is nobody else's.
_remembered: Memory[tuple[Source, Splits]] = Memory(
    lambda entry: sum(nbytes(part.x) + nbytes(part.y) for part in entry[1].parts.values() if part)
)


def _split(source: Source, data: Data, seed: int, application: str | None) -> Splits:
    if source.stream is not None:
        there = {"validation": source.validation is not None, "test": source.test is not None}
        check_stream(source.stream, data, there)
    generated = source.redraw is not None
    if data.split == "per_seed" and source.redraw is not None:
        source = source.redraw(seed)
    parts = {
        "train": source.train,
        "val": source.validation or source.train,
        "test": source.test or source.train,
    }
    divided = partition(source, data, seed)
    rows, taken = divided.rows, parts_taken(source, data)
    limited = data.limit is not None and data.limit < len(rows["train"])
    drawn: tuple[str, ...] = ()
    if (limited or taken) and data.split != "ordered":
        drawn = ("train", *(part for part in ("validation", "test") if part in taken))
    notes = [*source.notes, *divided.notes]
    cautions = [*source.cautions, *divided.cautions]
    if data.only is not None:
        rows = _only(source, data.only, parts, rows)
    if data.limit is not None:
        if data.limit > len(rows["train"]):
            notes.append(f"limit {data.limit}: there are only {len(rows['train'])} training rows")
        latest = data.split == "ordered"
        rows["train"] = rows["train"][-data.limit :] if latest else rows["train"][: data.limit]
    raw = {name: _take(part, rows[name], data) for name, part in parts.items()}
    train = raw["train"]
    if train is None:
        raise DataError(f"{source.name}: no row is left to train on.")
    notes += absent(source, train, data.only)
    if data.split == "ordered":
        cautions += sorted_by_class(source, raw["val"], raw["test"])
    equal = equal_rows(train, raw["val"], raw["test"])
    notes += equal[0]
    cautions += equal[1]
    notes += _counting(raw)
    if data.shift is not None:
        if raw["test"] is None:
            raise DataError("data.shift changes the test rows, and there are none.")
        shift = partial(shifted, shift=data.shift)
        raw["test"] = replace(raw["test"], x=over(shift, raw["test"].x, train.x))
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
        arrays[f"weight_{name}"] = None if part is None else freeze(part.weight)
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
        groups_test=None if raw["test"] is None else freeze(raw["test"].groups),
        stream=None if source.stream is None else _prepared(source, train, scalers, data),
    )


def _counting(parts: dict[str, Part | None]) -> list[str]:
    """Say in which parts rows count by their weights."""
    names = {"train": "training", "val": "validation", "test": "test"}
    there = {names[name]: part.weight for name, part in parts.items() if part is not None}
    weighed = [name for name, weight in there.items() if weight is not None]
    if not weighed:
        return []
    alike = [name for name in there if name not in weighed]
    rest = f"; {' and '.join(alike)} rows count alike" if alike else ""
    return [f"{', '.join(weighed)} rows count by their weights in the loss{rest}"]


def _unscaled(train: Tree, scalers: Tree, data: Data) -> tuple[str, ...]:
    """Say which inputs reach far and enter the network as they are, though nobody asked for it."""
    if data.binarize is not None or data.scale == "none":
        return ()
    pairs = zip(leaves(train, "x_train"), leaves(scalers), strict=True)
    found = (unscaled(name, leaf) for (name, leaf), (_, each) in pairs if each.words == "none")
    return tuple(text for text in found if text)


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


def _take(part: Part, rows: np.ndarray, data: Data) -> Part | None:
    """Return rows of a part; of what is large, or to be streamed, only their numbers are taken."""
    if not len(rows):
        return None
    x = part.x
    if data.load == "stream" or any(is_wide(leaf) for _, leaf in leaves(x)):
        x = over(lambda leaf, name: _held(leaf, name), x, names_of(x, "x"))
    members = (x, part.y, part.weight, part.groups)
    return Part(*(None if each is None else take(each, rows) for each in members))


def _held(leaf: np.ndarray | Column, name: str) -> Column:
    return held(leaf, name) if isinstance(leaf, np.ndarray) else leaf


def _prepared(source: Source, train: Part, scalers: Tree, data: Data) -> Stream:
    """Return the stream with its inputs scaled; bytes that are only divided stay bytes."""
    assert source.stream is not None

    def scale(leaf: np.ndarray, scaler: Scaler) -> float | None:
        bytes_only = leaf.dtype == np.uint8 and data.binarize is None and train.y is not None
        return scaler.divisor if bytes_only else None

    def prepare(leaf: np.ndarray, scaler: Scaler, divisor: float | None) -> np.ndarray:
        if divisor is not None:
            return leaf
        x = scaler.apply(leaf)
        return x if data.binarize is None else (x > data.binarize).astype(np.float32)

    divisors = over(scale, train.x, scalers)
    return prepared(
        source.stream,
        lambda x: over(prepare, x, scalers, divisors),
        source.target,
        tuple(each for _, each in leaves(divisors)),
    )


def _ready(part: Part | None, scalers: Tree, data: Data) -> tuple[Tree, Tree]:
    """Return scaled inputs and targets, read-only."""
    if part is None:
        return None, None

    def prepare(leaf: np.ndarray | Column, scaler: Scaler) -> np.ndarray | Column:
        if isinstance(leaf, Column):
            divisor = scaler.divisor if leaf.dtype == np.uint8 else None
            scaled = leaf.changed(scaler.apply, divisor)
            return scaled if data.binarize is None else scaled.changed(binary)
        x = scaler.apply(leaf)
        return x if data.binarize is None else binary(x)

    def binary(x: np.ndarray) -> np.ndarray:
        return (x > data.binarize).astype(np.float32)

    x = freeze(over(prepare, part.x, scalers))
    return x, x if part.y is None else freeze(part.y)


def _words(scalers: Tree, data: Data) -> str:
    words = "; ".join(dict.fromkeys(scaler.words for _, scaler in leaves(scalers)))
    return words if data.binarize is None else f"{words}, then 1 where above {data.binarize:g}"
