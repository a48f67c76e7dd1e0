"""Moments of the activations at many sites, from one pass over the images.

Tensors enter, counts, means and sums of squared deviations leave. A batch is reduced
inside the graph, in two passes: the naive E[x²] − E[x]² loses a quarter of a true variance of 1
at a mean of 1000. The host merges the batches in float64 by Chan's formula, so memory does not
grow with the number of images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
        """Read the `(3, channels)` rows (count, mean, M2) that `reduce` returns."""
        count, mean, m2 = np.asarray(reduced, "float64")
        return cls(float(count[0]), mean, m2)


def merge(a: Moments, b: Moments) -> Moments:
    r"""Merge the moments of two disjoint samples.

    .. math:: n = n_a + n_b, \quad \delta = \mu_b - \mu_a, \quad
        \mu = \mu_a + \delta \frac{n_b}{n}, \quad
        M = M_a + M_b + \delta^2 \frac{n_a n_b}{n}

    Source: Chan, Golub, LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances*, 1979, equation 2.1.
    """
    count = a.count + b.count
    if count == 0:
        return a
    delta = b.mean - a.mean
    mean = a.mean + delta * (b.count / count)
    m2 = a.m2 + b.m2 + delta**2 * (a.count * b.count / count)
    return Moments(count, mean, m2)


def reduce(inputs: Any, axis: int = -1, mask: Any = None) -> Any:
    """Reduce a batch to the moments of its channels: a float64 tensor `(3, channels)`.

    The rows are count, mean and M2, as `Moments.unpack` reads them. Sums run in float32 over
    one axis at a time and in float64 over the few partial sums that remain: a single float32
    sum over all positions of a batch was measured to lose the fifth digit.

    Args:
        inputs: A tensor, of shape `(rows, …)`, any float dtype; half precision is widened.
        axis: The channels' axis, as in BatchNormalization.
        mask: Shape of `inputs` without its last axis. Masked positions do not count, as they
            do not in Keras's BatchNormalization.
    """
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    axis = axis % len(x.shape)
    total = _total(len(x.shape), axis)
    sizes = ops.shape(x)
    count = ops.cast(1, "float64")
    for position, size in enumerate(sizes):
        if position != axis:
            count = count * ops.cast(size, "float64")
    keep = None
    if mask is not None:
        keep = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), "bool"), sizes)
        x = ops.where(keep, x, ops.zeros_like(x))
        count = ops.sum(ops.cast(mask, "float64"))
    mean = total(x) / ops.maximum(count, ops.cast(1, "float64"))
    # The deviations are from the rounded mean; what rounding took is put back below.
    rounded = ops.cast(mean, x.dtype)
    shape = [1] * len(x.shape)
    shape[axis] = -1
    deviation = x - ops.reshape(rounded, shape)
    if keep is not None:
        deviation = ops.where(keep, deviation, ops.zeros_like(deviation))
    slip = mean - ops.cast(rounded, "float64")
    m2 = ops.maximum(total(ops.square(deviation)) - count * ops.square(slip), 0)
    return ops.stack([ops.broadcast_to(count, ops.shape(mean)), mean, m2])


def _total(rank: int, axis: int) -> Callable[[Any], Any]:
    """Return the function that sums all axes but the channels', in float64 where it matters."""
    others = [each for each in range(rank) if each != axis]
    innermost = others[-1]

    def total(values: Any) -> Any:
        if len(others) == 1:
            return ops.sum(ops.cast(values, "float64"), axis=innermost)
        partial = ops.sum(values, axis=innermost, keepdims=True)
        return ops.reshape(ops.sum(ops.cast(partial, "float64"), axis=others), (-1,))

    return total
