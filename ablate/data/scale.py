"""Scale the inputs, and shift those of the test: what is fitted is fitted on the training rows.

A `Scaler` turns raw inputs into float32, and says in words what it does. Statistics are per
channel for images and per feature otherwise, that is over every axis but the last, and computed
in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ablate.data.column import Column, chunks, extremes
from ablate.data.rng import generator
from ablate.errors import DataError
from ablate.study.schema.data import Scale, Shift
from ablate.study.schema.factories import APPLICATIONS

Leaf = np.ndarray | Column


@dataclass(frozen=True)
class Scaler:
    """A function of raw inputs, row by row, and its words.

    `divisor`: it turns them into float32 and divides them by this.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    words: str
    divisor: float | None = None


def fit(
    rule: Scale,
    train: Leaf,
    *,
    name: str = "x_train",
    full_scale: float | None = None,
    application: str | None = None,
    tokens: bool = False,
) -> Scaler:
    """Return the scaler that `rule` means for these inputs.

    - none: the raw values.
    - unit: to [0, 1]: x/255 for uint8, x/full_scale where the source has one, else
      (x − min)/(max − min) of the training rows.
    - standard: (x − mean)/deviation of the training rows, a deviation of 0 counting as 1.
    - application: the network's own `preprocess_input`, on images of three channels from 0 to
      255.
    - auto: as application if there is one and the images are such, else x/255 for uint8,
      x/full_scale where the source has one, else none.

    Args:
        rule: one of the above.
        train: the raw training inputs, (rows, …).
        name: what messages call them.
        full_scale: the value that raw inputs reach by their nature.
        application: the network of `keras.applications` that is trained, if it is one.
        tokens: the inputs are token numbers.

    Raises:
        DataError: the rule does not fit these inputs.
    """
    if train.dtype.kind == "U":
        if rule in ("auto", "none"):
            return Scaler(lambda x: x, "texts as they are")
        raise DataError(f"data.scale: {name} holds texts, which '{rule}' cannot scale.")
    if tokens and np.issubdtype(train.dtype, np.integer):
        if rule in ("auto", "none"):
            return Scaler(lambda x: x, "token numbers as they are")
        raise DataError(
            f"data.scale: {name} holds token numbers, which '{rule}' would turn into nonsense. "
            "Expected: auto or none."
        )
    if rule == "application":
        return _application(train, name, application, asked=True)
    if rule == "auto" and application is not None and _is_photo(train, full_scale):
        return _application(train, name, application, asked=False)
    if rule == "standard":
        return _standard(train)
    if rule in ("auto", "unit"):
        top = 255.0 if train.dtype == np.uint8 else full_scale
        if top is not None:
            return Scaler(lambda x: x.astype(np.float32) / np.float32(top), f"x/{top:g}", top)
        if rule == "unit":
            return _min_max(train)
    return Scaler(lambda x: x.astype(np.float32), "none", 1.0)


def shifted(test: Leaf, train: Leaf, shift: Shift) -> np.ndarray:
    """Return `test` changed as `shift` says, within the range of `train`.

    With low and high the least and largest training input, range = high − low and a the amount:
    invert: low + high − x; brighten: x + a·range; contrast: middle + (1 + a)(x − middle);
    noise: x + a·range·ε, ε ~ N(0, 1). Values are then clipped to [low, high].
    """
    low, high = map(float, extremes(train))
    width = high - low
    x = np.asarray(test).astype(np.float64)
    if shift.name == "invert":
        x = low + high - x
    elif shift.name == "brighten":
        x = x + shift.amount * width
    elif shift.name == "contrast":
        middle = (low + high) / 2
        x = middle + (1 + shift.amount) * (x - middle)
    else:
        x = x + shift.amount * width * generator(0, "shift").standard_normal(x.shape)
    x = np.clip(x, low, high)
    return (np.rint(x) if np.issubdtype(test.dtype, np.integer) else x).astype(test.dtype)


def _standard(train: Leaf) -> Scaler:
    axes = tuple(range(train.ndim - 1))
    count = len(train) * int(np.prod(train.shape[1:-1], dtype=np.int64))
    # Sums over so many rows at a time: the bits are the same however rows arrive.
    mean = _total(each.sum(axis=axes, dtype=np.float64) for each in chunks(train)) / count
    squares = (((each.astype(np.float64) - mean) ** 2).sum(axis=axes) for each in chunks(train))
    deviation = np.sqrt(_total(squares) / count)
    # A constant feature comes out as zeros whatever it is divided by; rounding in the mean
    # leaves a deviation of its last bits, which must not be blown up.
    low, high = extremes(train, axes)
    deviation = np.where((low == high) | (deviation == 0), 1.0, deviation)
    return _linear(train, mean, deviation, "(x - mean)/deviation")


def _total(parts: Iterable[np.ndarray]) -> np.ndarray:
    total: np.ndarray | None = None
    for each in parts:
        total = each if total is None else total + each
    assert total is not None  # there are rows
    return total


def _min_max(train: Leaf) -> Scaler:
    axes = tuple(range(train.ndim - 1))
    low, high = (each.astype(np.float64) for each in extremes(train, axes))
    width = high - low
    width = np.where(width == 0, 1.0, width)
    return _linear(train, low, width, "(x - min)/(max - min)")


def _linear(train: Leaf, zero: np.ndarray, width: np.ndarray, formula: str) -> Scaler:
    per = "channel" if train.ndim == 4 else "feature"
    return Scaler(
        lambda x: ((x - zero) / width).astype(np.float32),
        f"{formula} per {per}, of the training rows",
    )


def _is_photo(train: Leaf, full_scale: float | None) -> bool:
    """Whether inputs are images as applications expect them: three channels, 0 to 255."""
    if train.ndim != 4 or train.shape[-1] != 3 or full_scale is not None:
        return False
    if train.dtype == np.uint8:
        return True
    low, high = extremes(train)
    return bool(low >= 0 and 1 < high <= 255)


def _application(train: Leaf, name: str, application: str | None, *, asked: bool) -> Scaler:
    if application is None:
        raise DataError(
            "data.scale: 'application' is the preprocessing of a network of keras.applications, "
            "and the model is none. Expected: auto, none, unit or standard."
        )
    if asked and not _is_photo(train, None):
        low, high = extremes(train)
        raise DataError(
            f"data.scale: the preprocessing of '{application}' takes images of 3 channels from 0 "
            f"to 255. {name} has examples of shape {train.shape[1:]} from {low:g} to "
            f"{high:g}. Expected here: none, unit or standard."
        )
    import keras

    preprocess = getattr(keras.applications, APPLICATIONS[application].module).preprocess_input

    def apply(x: np.ndarray) -> np.ndarray:
        # It writes into what it is given.
        return np.asarray(preprocess(x.astype(np.float32)), np.float32)

    return Scaler(apply, f"the preprocessing of {application}")
