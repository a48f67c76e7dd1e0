"""Relatives of batch normalization that Keras does not have; renorm and synchronization it has.

They answer what becomes of BN where a batch is not one batch: on replicas that do not synchronize,
with gradients accumulated over steps, and in fine-tuning, where parts of it stand still. Saved
models hold them as `ablate>GhostBatchNormalization`, and so on.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ablate.study.schema.placement import PARTLY

#: What the moving statistics of a `GhostBatchNormalization` may follow.
MOVING = ("first", "mean", "in_turn")


@keras.saving.register_keras_serializable(package="ablate")
class GhostBatchNormalization(keras.layers.BatchNormalization):
    r"""Normalize parts of a batch, each by its own statistics; one pass over the whole batch.

    The batch is cut into `parts` runs of ⌈n / parts⌉ rows, in order (the last ones may be shorter
    or empty), and in training each row is normalized by the moments of its part:

    .. math:: y = \gamma \frac{x - \mu_{p(x)}}{\sqrt{v_{p(x)} + \epsilon}} + \beta

    That is what `parts` replicas without synchronization do to their shares of a batch, or steps
    over which gradients are accumulated. What the moving statistics follow is said by `moving`:

    - `first`: the first part, as in the model that Keras saves of such replicas (each has moving
      statistics of its own there), and in PyTorch's DistributedDataParallel;
    - `mean`: the average of the parts;
    - `in_turn`: one part after the other, as accumulated steps do: μ ← m μ + (1 − m) μ_p for each.

    At inference it is a BatchNormalization.

    Args:
        parts: How many parts, at least 1 (which is a BatchNormalization).
        moving: What the moving statistics follow.
        kwargs: The arguments of BatchNormalization, but neither `renorm` nor `synchronized`.

    Source: Hoffer, Hubara, Soudry, *Train longer, generalize better*, 2017, algorithm 1.
    """

    def __init__(self, parts: int = 2, moving: str = "first", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
            raise ValueError(f"Expected a number of parts, at least 1. Received: parts={parts!r}")
        if moving not in MOVING:
            raise ValueError(f"Expected moving to be one of {MOVING}. Received: moving={moving!r}")
        for name in ("renorm", "synchronized"):
            if getattr(self, name):
                raise ValueError(
                    f"The parts of a batch have statistics of their own, so {name} must be False."
                )
        self.parts = parts
        self.moving = moving

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable) or self.parts == 1:
            return super().call(inputs, training=training, mask=mask)
        y, count, mean, variance = normalized_by_part(self, inputs, self.parts, mask)
        self._follow(count, mean, variance)
        return y

    def _follow(self, count: Any, mean: Any, variance: Any) -> None:
        """Let the moving statistics follow those of the parts, of shape (parts, channels)."""
        there = ops.cast(count > 0, mean.dtype)  # the last parts of a small batch may be empty
        for moving, values in ((self.moving_mean, mean), (self.moving_variance, variance)):
            now, keep = ops.cast(moving, values.dtype), self.momentum
            if self.moving == "in_turn":
                for part in range(self.parts):
                    now = now + (1.0 - keep) * there[part] * (values[part] - now)
            else:
                some = values[0]
                if self.moving == "mean":
                    some = ops.sum(values * there, axis=0) / ops.sum(there, axis=0)
                now = now * keep + some * (1.0 - keep)
            moving.assign(now)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parts": self.parts, "moving": self.moving}


@keras.saving.register_keras_serializable(package="ablate")
class PartialBatchNormalization(keras.layers.BatchNormalization):
    r"""A BatchNormalization of which a part learns, and the rest stands still.

    With `learns="parameters"` gamma and beta learn; the moving statistics stay, and normalize in
    training, too. With `learns="statistics"` the moving statistics follow the batches, which
    normalize in training; gamma and beta stay. At inference it is a BatchNormalization.

    Args:
        learns: `parameters` or `statistics`.
        kwargs: The arguments of BatchNormalization.
    """

    def __init__(self, learns: str, **kwargs: Any) -> None:
        if learns not in PARTLY:
            raise ValueError(f"Expected learns to be one of {PARTLY}. Received: {learns!r}")
        super().__init__(**kwargs)
        self.learns = learns

    def add_weight(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        if self.learns == "statistics" and name in ("gamma", "beta"):
            kwargs["trainable"] = False
        return super().add_weight(*args, name=name, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        training = training and self.learns == "statistics"
        return super().call(inputs, training=training, mask=mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learns": self.learns}


@keras.saving.register_keras_serializable(package="ablate")
class FrozenAffine(keras.layers.Layer):
    r"""Scale and shift each channel by numbers that never learn: a BN that is frozen for good.

    .. math:: y = s \, x + t, \qquad s = \gamma / \sqrt{v + \epsilon}, \qquad t = \beta - \mu s

    It is the same in training and at inference, whatever `trainable` says.

    Args:
        axis: The axis of the channels.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape, fixed = (input_shape[self.axis],), {"trainable": False, "autocast": False}
        self.factor = self.add_weight(shape=shape, name="factor", initializer="ones", **fixed)
        self.shift = self.add_weight(shape=shape, name="shift", initializer="zeros", **fixed)

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        shape = [1] * len(x.shape)
        shape[self.axis] = -1
        factor, shift = (
            ops.reshape(ops.cast(each, x.dtype), shape) for each in (self.factor, self.shift)
        )
        return ops.cast(x * factor + shift, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def normalized_by_part(
    layer: keras.layers.BatchNormalization, inputs: Any, parts: Any, mask: Any = None
) -> tuple[Any, Any, Any, Any]:
    """Normalize each of `parts` runs of ⌈n / parts⌉ rows by its own moments.

    Args:
        layer: Whose gamma, beta, epsilon and axis they are; its statistics have no part in it.
        inputs: A tensor of n rows.
        parts: How many runs.
        mask: Shape of `inputs` without its last axis; masked positions do not count.

    Returns:
        The output, in the layer's dtype; and of each part and channel, `(parts, channels)`, the
        count, the mean and the biased variance.
    """
    x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
    axis = layer.axis % len(x.shape)
    channels = [1] * len(x.shape)
    channels[0], channels[axis] = -1, x.shape[axis]
    others = [each for each in range(1, len(x.shape)) if each != axis]
    rows = ops.shape(x)[0]
    part = ops.arange(rows) // ((rows + parts - 1) // parts)
    weight = ops.ones_like(x)
    if mask is not None:
        weight = weight * ops.cast(ops.expand_dims(mask, -1), x.dtype)

    def by_part(values: Any) -> Any:
        """Sum the values of each part and channel, of shape (parts, channels)."""
        sums = ops.sum(values, axis=others) if others else values
        return ops.segment_sum(sums, part, num_segments=parts)

    def by_row(values: Any) -> Any:
        return ops.reshape(ops.take(values, part, axis=0), channels)

    count = by_part(weight)
    at_least_one = ops.maximum(count, 1)
    mean = by_part(x * weight) / at_least_one
    deviation = x - by_row(mean)
    variance = by_part(ops.square(deviation) * weight) / at_least_one
    factor = ops.rsqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * ops.cast(layer.gamma, x.dtype)
    y = deviation * by_row(factor)
    if layer.center:
        y = y + ops.reshape(ops.cast(layer.beta, x.dtype), [1, *channels[1:]])
    return ops.cast(y, layer.compute_dtype), count, mean, variance
