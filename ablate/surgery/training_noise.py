"""Layers that disturb training and are at rest at inference, as two papers have them.

`EarlyDropout` drops units for the first steps only; `DriftingNoise` moves and stretches what
passes by other amounts at every step. Saved models hold them as `ablate>EarlyDropout`, and so on.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ablate")
class EarlyDropout(keras.layers.Dropout):
    """A Dropout for the first `steps` steps of training; afterwards nothing is dropped.

    The steps are counted by the layer, and saved with its weights.

    Args:
        rate: share of the units that is dropped, in [0, 1).
        steps: how many steps it works for, at least 0.
        kwargs: the arguments of Dropout.

    Source: Liu et al. 2023, *Dropout Reduces Underfitting*, section 4 (early dropout).
    """

    def __init__(self, rate: float, steps: int, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ValueError(f"Expected a number of steps, at least 0. Received: steps={steps!r}")
        self.steps = steps

    def build(self, input_shape: Any) -> None:
        self.taken = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="taken"
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        dropped = super().call(inputs, training=True)
        made = ops.where(self.taken < self.steps, dropped, inputs)
        self.taken.assign_add(1)
        return made

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="ablate")
class DriftingNoise(keras.layers.Layer):
    r"""Noise whose mean and scale drift: in training a unit's distribution changes at every step.

    .. math:: y = s x + m, \quad s \sim N(\sigma_t, r), \quad m \sim N(\mu_t, r), \quad
        \mu_t \sim U(-a, a), \quad \sigma_t \sim U(1, b)

    with one drift :math:`\mu_t, \sigma_t` per unit and step, and one pair s, m per value.

    Args:
        shift: a, at least 0.
        scale: b, at least 1.
        jitter: r, at least 0.
        seed: of what is drawn.

    Source: Santurkar et al. 2018, *How Does Batch Normalization Help Optimization?*, section 2.1.
    """

    def __init__(
        self,
        shift: float = 0.5,
        scale: float = 1.25,
        jitter: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if shift < 0 or scale < 1 or jitter < 0:
            raise ValueError(
                "Expected shift >= 0, scale >= 1 and jitter >= 0. Received: "
                f"shift={shift}, scale={scale}, jitter={jitter}"
            )
        self.shift, self.scale, self.jitter, self.seed = shift, scale, jitter, seed
        self.supports_masking = True
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        dtype, own = self.compute_dtype, self.seed_generator
        units = (1,) * (len(inputs.shape) - 1) + (inputs.shape[-1],)
        moved = keras.random.uniform(units, -self.shift, self.shift, dtype=dtype, seed=own)
        stretched = keras.random.uniform(units, 1.0, self.scale, dtype=dtype, seed=own)
        shape = ops.shape(inputs)
        moved = moved + keras.random.normal(shape, 0.0, self.jitter, dtype=dtype, seed=own)
        stretched = stretched + keras.random.normal(shape, 0.0, self.jitter, dtype=dtype, seed=own)
        return inputs * stretched + moved

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("shift", "scale", "jitter", "seed")}
        return {**super().get_config(), **own}
