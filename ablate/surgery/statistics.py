"""Moments of the activations at many sites, from one pass over the images.

A batch is reduced to counts, means and sums of squared deviations inside the graph, in two passes:
the naive E[x²] − E[x]² loses a quarter of a true variance of 1 at a mean of 1000. The host merges
the batches in float64 by Chan's formula, so memory does not grow with the number of images.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclass(frozen=True)
class Moments:
    """Hold the count, the mean and M2 (sum of squared deviations) of each channel, in float64."""

    count: float
    mean: np.ndarray
    m2: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """The biased variance, as batch normalization has it: M2 / count."""
        return self.m2 / self.count

    @classmethod
    def none(cls, channels: int) -> Moments:
        """Return the moments of no values: the neutral element of `merge`."""
        return cls(0.0, np.zeros(channels), np.zeros(channels))

    @classmethod
    def unpack(cls, reduced: np.ndarray) -> Moments:
        """Read the `(4, channels)` rows that `reduce` returns."""
        count, mean, rest, m2 = np.asarray(reduced, "float64")
        with np.errstate(invalid="ignore"):  # an infinite mean lacks NaN; the caller reports it
            return cls(float(count[0]), mean + rest, m2)


def merge(a: Moments, b: Moments) -> Moments:
    r"""Merge the moments of two disjoint samples.

    .. math:: n = n_a + n_b, \quad \delta = \mu_b - \mu_a, \quad
        \mu = \mu_a + \delta \frac{n_b}{n}, \quad
        M = M_a + M_b + \delta^2 \frac{n_a n_b}{n}

    Source: Chan, Golub, LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances*, 1979, equation 2.1.
    """
    if a.count == 0:
        return b
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    m2 = a.m2 + b.m2 + delta**2 * (a.count * b.count / count)
    return Moments(count, mean, m2)


def reduce(inputs: Any, axis: int = -1, mask: Any = None) -> Any:
    """Reduce a batch to the moments of its channels: a tensor `(4, channels)`.

    The rows are the count, the mean as the inputs' dtype holds it, what that lacks of the mean,
    and M2; `Moments.unpack` reads them. Sums run in float32 over one axis at a time and in float64
    over the few partial sums that remain: a single float32 sum over all positions of a batch was
    measured to lose the fifth digit. JAX has no float64 unless `jax_enable_x64` is set: there the
    deviations say what the mean lacks.

    Args:
        inputs: A tensor, of shape `(rows, …)`, any float dtype; half precision is widened.
        axis: The channels' axis, as in BatchNormalization.
        mask: Shape of `inputs` without its last axis. Masked positions do not count, as they
            do not in Keras's BatchNormalization.
    """
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    wide = _widest()
    axis = axis % len(x.shape)
    total = _total(len(x.shape), axis, wide)
    sizes = ops.shape(x)
    count = ops.cast(1, wide)
    for position, size in enumerate(sizes):
        if position != axis:
            count = count * ops.cast(size, wide)
    keep = None
    if mask is not None:
        keep = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), "bool"), sizes)
        x = ops.where(keep, x, ops.zeros_like(x))
        count = ops.sum(ops.cast(mask, wide))
    at_least_one = ops.maximum(count, ops.cast(1, wide))
    mean = total(x) / at_least_one
    # The deviations are from the rounded mean; what rounding took is put back below.
    rounded = ops.cast(mean, x.dtype)
    shape = [1] * len(x.shape)
    shape[axis] = -1
    deviation = x - ops.reshape(rounded, shape)
    if keep is not None:
        deviation = ops.where(keep, deviation, ops.zeros_like(deviation))
    held = ops.cast(rounded, wide)
    rest = mean - held if wide == "float64" else total(deviation) / at_least_one
    m2 = ops.maximum(total(ops.square(deviation)) - count * ops.square(rest), 0)
    return ops.stack([ops.broadcast_to(count, ops.shape(mean)), held, rest, m2])


@cache
def _widest() -> str:
    """Return the widest float dtype that the backend computes in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX says at each use that it has no float64
        return str(keras.backend.standardize_dtype(ops.cast(np.ones(()), "float64").dtype))


def _total(rank: int, axis: int, wide: str) -> Callable[[Any], Any]:
    """Return the function that sums all axes but the channels', in `wide` where it matters."""
    others = [each for each in range(rank) if each != axis]

    def total(values: Any) -> Any:
        if len(others) == 1:
            return ops.sum(ops.cast(values, wide), axis=others[0])
        partial = ops.sum(values, axis=others[-1], keepdims=True)
        return ops.reshape(ops.sum(ops.cast(partial, wide), axis=others), (-1,))

    return total
