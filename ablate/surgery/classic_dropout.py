"""Dropout as it was first published: units are dropped in training, outputs scaled at inference.

Keras's own `Dropout` is the inverted one: what is kept is scaled up by 1/(1 − rate) in training, so
that inference does nothing. Here training only drops, and inference multiplies by 1 − rate. In
expectation the two differ by the constant 1 − rate, which a linear layer behind takes into its
weights. A study names it `ClassicDropout`; saved models hold it as `ablate>ClassicDropout`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ablate")
class ClassicDropout(keras.layers.Layer):
    """Drop units in training, scale by 1 − rate at inference.

    With r ~ Bernoulli(1 − rate) for each unit: y = r ⊙ x in training and y = (1 − rate)·x at
    inference, so that E[y] in training is y at inference.

    Args:
        rate: share of the units that is dropped, in [0, 1).
        seed: of the masks.

    Source: Srivastava et al. 2014, sections 4 and 10 (there p is the share that is kept).
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"Expected a rate of at least 0 and below 1. Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        self.supports_masking = True
        if rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if self.rate == 0:
            return inputs
        if not training:
            return inputs * ops.cast(1 - self.rate, inputs.dtype)
        kept = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator) >= self.rate
        return ops.where(kept, inputs, ops.zeros_like(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
