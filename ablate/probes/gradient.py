"""Gradients, the one thing that Keras has no interface for.

The loss is the model's own, `compute_loss`, regularizers included; the forward pass is that of
`ablate.surgery.instrumented_model`, with chosen layers as in training. This is the only module of
the probes that knows the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ablate.errors import StudyError
from ablate.probes.layer_outputs import packed
from ablate.surgery.instrumented_model import InstrumentedModel


class Slope:
    """The loss of a model, and its slope by chosen variables.

    Args:
        model: a compiled model.
        variables: what the gradient is by.
        training: layers that work as in training; the others as at inference.

    Raises:
        StudyError: Keras runs on a backend that has no gradients.
    """

    def __init__(
        self,
        model: keras.Model,
        variables: Sequence[keras.Variable],
        training: Collection[keras.Layer] = (),
    ) -> None:
        ways = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
        backend = keras.backend.backend()
        if backend not in ways:
            raise StudyError(
                f"probes: gradients need a backend of {', '.join(ways)}. Received: {backend}."
            )
        self.variables = tuple(variables)
        seen = InstrumentedModel(model, training=training, outputs=True)

        def loss(x: Any, y: Any) -> Any:
            found = packed(model, seen(x)[1])
            return model.compute_loss(x=x, y=y, y_pred=found, training=True)

        self._run = ways[backend](loss, self.variables, model)

    def __call__(self, x: Any, y: Any) -> tuple[float, list[np.ndarray]]:
        """Return the loss on rows and its gradient by each variable, 0 for one it does not use."""
        x, y = keras.tree.map_structure(ops.convert_to_tensor, (x, y))
        loss, found = self._run(x, y)
        return float(ops.convert_to_numpy(loss)), [
            np.zeros(variable.shape, "float32")
            if each is None
            else np.asarray(ops.convert_to_numpy(each), "float32")
            for each, variable in zip(found, self.variables, strict=True)
        ]


Loss = Callable[[Any, Any], Any]
Run = Callable[[Any, Any], tuple[Any, Sequence[Any]]]


def _tensorflow(loss: Loss, variables: Sequence[keras.Variable], model: keras.Model) -> Run:
    import tensorflow as tf

    def run(x: Any, y: Any) -> tuple[Any, list[Any]]:
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for value in values:
                tape.watch(value)
            found = loss(x, y)
        slopes = tape.gradient(found, values)
        return found, [
            tf.convert_to_tensor(each) if isinstance(each, tf.IndexedSlices) else each
            for each in slopes
        ]

    compiled: Run = tf.function(run, autograph=False)
    return compiled


def _jax(loss: Loss, variables: Sequence[keras.Variable], model: keras.Model) -> Run:
    import jax

    chosen = {id(each) for each in variables}
    rest = [each for each in model.variables if id(each) not in chosen]

    def of(values: Any, others: Any, x: Any, y: Any) -> Any:
        state = [*zip(variables, values, strict=True), *zip(rest, others, strict=True)]
        with keras.StatelessScope(state_mapping=state):
            return loss(x, y)

    compiled = jax.jit(jax.value_and_grad(of))
    return lambda x, y: compiled([v.value for v in variables], [v.value for v in rest], x, y)


def _torch(loss: Loss, variables: Sequence[keras.Variable], model: keras.Model) -> Run:
    import torch

    def run(x: Any, y: Any) -> tuple[Any, Sequence[Any]]:
        found = loss(x, y)
        values = [variable.value for variable in variables]
        return found.detach(), torch.autograd.grad(found, values, allow_unused=True)

    return run


def norm(gradients: Sequence[np.ndarray]) -> float:
    """Return the Euclidean norm of several arrays taken as one vector."""
    return float(
        np.sqrt(sum(float(np.sum(np.square(each, dtype="float64"))) for each in gradients))
    )


def distance(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    """Return the Euclidean distance of two vectors, each of several arrays."""
    return norm([a - b for a, b in zip(first, second, strict=True)])


def cosine(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    """Return the cosine of the angle between two vectors, NaN where one is 0."""
    product = sum(
        float(np.sum(np.multiply(a, b, dtype="float64")))
        for a, b in zip(first, second, strict=True)
    )
    lengths = norm(first) * norm(second)
    return product / lengths if lengths else float("nan")
