"""A test set unlike the training set: the covariate shift of the text-books.

Raw test inputs and the range of the training inputs go in, changed inputs of the same type come
out. Labels stay.
"""

from __future__ import annotations

import numpy as np

from ablate.data.rng import generator
from ablate.study.schema.data import Shift


def shifted(test: np.ndarray, train: np.ndarray, shift: Shift) -> np.ndarray:
    """Return `test` changed as `shift` says, within the range of `train`.

    With low and high the least and largest training input, range = high − low and a the amount:
    invert: low + high − x; brighten: x + a·range; contrast: middle + (1 + a)(x − middle);
    noise: x + a·range·ε, ε ~ N(0, 1). Values are then clipped to [low, high].
    """
    low, high = float(train.min()), float(train.max())
    width = high - low
    x = test.astype(np.float64)
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
