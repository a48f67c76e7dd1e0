"""Undo a normalization to the last bit.

It finds the parameters with which a batch normalization is the identity. In real numbers `gamma =
sqrt(v + eps)` and `beta = mean` undo the normalization. In floating point that leaves `rsqrt(v +
eps) * gamma` one unit off 1 for nearly half of the channels, so this module searches the
neighbouring floats of gamma, and where none will do moves the variance up by one unit in the last
place and tries again. What counts is the product the backend itself computes, so every candidate is
put through the very operation that the layer will run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

#: Moves of the variance tried before a channel is given up as not exact. In float32 no channel
#: of hundreds of thousands needed more than a score of them, under 1e-6 of the variance.
MOVES = 64

#: Moves of one unit each, before they grow. XLA's rsqrt was seen to change only at every other unit
#: and then by two, so that a product misses 1 for hundreds of them, most just above powers
#: of 4. With a growth of k²/4 none of 320 000 such channels was left, at 1.5e-4 of the variance.
SMALL_MOVES = 24


@dataclass(frozen=True)
class Parameters:
    """Hold a BN's parameters and statistics, each of shape `(channels,)`.

    `exact` is true for each channel where the backend's `rsqrt(variance + epsilon) * gamma` is
    the wanted factor to the last bit.
    """

    mean: np.ndarray
    variance: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    exact: np.ndarray


def undoing(
    mean: np.ndarray, variance: np.ndarray, epsilon: float, *, dtype: str = "float32"
) -> Parameters:
    r"""Find gamma and beta, and a variance within a few units, that make a BN the identity.

    .. math:: \gamma \cdot \mathrm{rsqrt}(v + \epsilon) = 1, \qquad \beta = \mu

    With the factor exactly 1 and `beta == mean` the offset is exactly 0 and the output is the
    input. A dead channel (variance 0) gets `gamma = sqrt(epsilon)`, not 0, which would cut its
    gradient. Values that `dtype` cannot hold are brought into its range; the identity holds
    for any mean and variance, so it is kept.

    Args:
        mean: Means per channel, shape `(channels,)`, units of the activations.
        variance: Biased variances per channel, shape `(channels,)`, units squared.
        epsilon: The layer's epsilon.
        dtype: The dtype of the layer's variables. In float16 and bfloat16 the grid of gamma is
            too coarse and the best approximation is returned, with `exact` false.

    Returns:
        The parameters as arrays of `dtype`, and which channels are exact.
    """
    one, zero = np.ones(np.shape(mean)), np.zeros(np.shape(mean))
    return keeping(mean, variance, epsilon, one, zero, dtype=dtype)


def keeping(
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float,
    wanted: np.ndarray,
    offset: np.ndarray,
    *,
    dtype: str = "float32",
) -> Parameters:
    r"""Find gamma and beta under which new statistics leave a BN's map as it was.

    .. math:: \gamma \cdot \mathrm{rsqrt}(v + \epsilon) = f, \qquad \beta = o + \mu f

    Args:
        mean: The new means, shape `(channels,)`.
        variance: The new biased variances, shape `(channels,)`.
        epsilon: The layer's epsilon.
        wanted: The factors f that shall be computed, shape `(channels,)`.
        offset: The offsets o that shall be added, shape `(channels,)`.
        dtype: The dtype of the layer's variables.
    """
    stored = numpy_dtype(dtype)
    mean = _fit(mean, stored)
    variance = _fit(np.maximum(np.asarray(variance, "float64"), 0.0), stored)
    wanted = np.asarray(wanted, "float64")
    gamma = np.ones_like(variance)
    error = np.full(variance.shape, np.inf)
    best_variance = variance.copy()
    direction = _directions(variance, stored)
    # In half precision a unit is a visible change and exactness still stays out of reach.
    for turn in range(MOVES if stored.itemsize >= 4 else 1):
        # The whole vector goes through the operation each time, found channels too: a
        # vectorized rsqrt gives other last bits in the remainder of a vector than in its body,
        # so a channel's factor is only meaningful at its own place in the whole.
        if not (error > 0).any():
            break
        root = factor(variance, np.ones_like(variance), epsilon)
        first = _fit(wanted / root.astype("float64"), stored)
        for candidate in (first, _step(first, np.inf), _step(first, -np.inf)):
            # A product of two floats is the same everywhere; a root is the backend's own.
            product = root * candidate.astype(root.dtype)
            off = np.abs(product.astype("float64") - wanted)
            better = off < error
            gamma = np.where(better, candidate, gamma)
            best_variance = np.where(better, variance, best_variance)
            error = np.where(better, off, error)
        grown = max(0, turn + 1 - SMALL_MOVES) ** 2 // 4
        units = direction * max(1, grown)
        variance = np.where(error > 0, _move(variance, units, epsilon), best_variance)
    beta = _fit(np.asarray(offset, "float64") + mean.astype("float64") * wanted, stored)
    return Parameters(mean, best_variance, gamma, beta, error == 0)


def factor(variance: np.ndarray, gamma: np.ndarray, epsilon: float) -> np.ndarray:
    """Return `rsqrt(variance + epsilon) * gamma`, shape `(channels,)`, as the backend has it.

    It is read off the normalization itself: the image of 1 with mean and offset 0.
    """
    zeros = np.zeros_like(variance)
    return _normalize(np.ones_like(variance), zeros, variance, gamma, zeros, epsilon)


def shift(
    mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> np.ndarray:
    """Return `beta - mean * factor`, shape `(channels,)`, as the backend has it: the image of 0."""
    return _normalize(np.zeros_like(mean), mean, variance, gamma, beta, epsilon)


def is_identity(
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray | None,
    beta: np.ndarray | None,
    epsilon: float,
) -> bool:
    """Tell whether a BN with these parameters returns its input to the last bit.

    Exactly 1 must be the factor and exactly 0 the offset, on the backend that runs.
    """
    gamma = np.ones_like(variance) if gamma is None else gamma
    beta = np.zeros_like(mean) if beta is None else beta
    offset = shift(mean, variance, gamma, beta, epsilon)
    return bool(np.all(factor(variance, gamma, epsilon) == 1) and np.all(offset == 0))


def held(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return the values as a variable of `dtype` holds them, overflow brought into range."""
    return _fit(values, numpy_dtype(dtype))


def value(variable: Any) -> np.ndarray:
    """Return a copy of a variable's value, in its own dtype."""
    return np.array(ops.convert_to_numpy(variable.value))


def _normalize(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """Run the backend's normalization on one row, in the dtype that the layer computes in."""
    compute = "float64" if variance.dtype == np.float64 else "float32"
    row, mean, variance, gamma, beta = (
        ops.convert_to_tensor(each.astype(compute)) for each in (x, mean, variance, gamma, beta)
    )
    result = ops.batch_normalization(
        row[None, :], mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=epsilon
    )
    return ops.convert_to_numpy(result)[0]


def numpy_dtype(dtype: str) -> np.dtype:
    """Return NumPy's dtype of that name; bfloat16 is not NumPy's own, the backend brings it."""
    return ops.convert_to_numpy(ops.zeros((1,), dtype)).dtype


def _largest(dtype: np.dtype) -> float:
    return float(_step(np.full((1,), np.inf, dtype), 0.0)[0])


def _fit(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round to `dtype`, bringing what would overflow to its largest finite value."""
    limit = _largest(dtype)
    return np.clip(np.asarray(values, "float64"), -limit, limit).astype(dtype)


def _step(values: np.ndarray, towards: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.nextafter(values, values.dtype.type(towards))


def _directions(variance: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return +1, or -1 near the top of the range, where there is no room to move up."""
    return np.where(variance.astype("float64") > 0.5 * _largest(dtype), -1, 1)


def _move(variance: np.ndarray, units: np.ndarray, epsilon: float) -> np.ndarray:
    """Move each variance so that its sum with epsilon moves by so many units in the last place."""
    total = (variance.astype("float64") + epsilon).astype(variance.dtype)
    unit = _step(total, np.inf).astype("float64") - total.astype("float64")
    unit = np.where(np.isfinite(unit), unit, total.astype("float64") - _step(total, 0.0))
    return (variance.astype("float64") + units * unit).astype(variance.dtype)
