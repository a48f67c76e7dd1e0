"""What is to be known of a graph that is traced, and what is not to be left behind by it.

Steps, specs and graphs go in: what a step reports that the loop has to carry, and which
operations draw from a state that nobody can set, come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import ops as framework


def carried_from(
    step: Any, specs: Any, model: keras.Model, training: bool = True
) -> dict[str, Any]:
    """Return the first values of the logs to carry through the loop.

    Nothing is carried for Keras's own steps: their logs are the metrics, read after the loop. A
    step of anyone's own may return other things, of which `fit` shows the last step's.
    """
    name = "train_step" if training else "test_step"
    if all(
        getattr(type(model), each) is getattr(keras.Model, each)
        for each in (name, "compute_metrics", "get_metrics_result")
    ):
        return {}
    found = tf.function(step, autograph=False).get_concrete_function(specs).structured_outputs
    try:
        metrics = set(model.get_metrics_result())
    except ValueError:
        metrics = set()  # metrics that the step never feeds
    if not isinstance(found, dict) or set(found) == metrics:
        return {}
    return {name: tf.constant(0.0) for name in found}


def flat_logs(logs: Any) -> Any:
    """Return logs without mappings in them, as `fit` reports what a step of anyone's own returns.

    >>> flat_logs({"loss": 1.0, "compile_metrics": {"mae": 2.0}})
    {'loss': 1.0, 'mae': 2.0}
    """
    if not isinstance(logs, dict):
        return logs
    found: dict[str, Any] = {}
    for name, value in logs.items():
        found |= flat_logs(value) if isinstance(value, dict) else {name: value}
    return found


@contextmanager
def gradients_forgotten() -> Iterator[None]:
    """Take back the gradients that TensorFlow registers, for ever, while a graph is traced.

    Every custom gradient in a trace (Keras's optimizers make one) stays in a registry and holds
    the whole graph: a worker would grow by some 8 MB with each program. They have served when
    the trace is done. Where this TensorFlow keeps them elsewhere, nothing is taken back.
    """
    held = getattr(getattr(framework, "gradient_registry", None), "_registry", {})
    before = set(held)
    try:
        yield
    finally:
        for name in set(held) - before:
            if name.startswith("CustomGradient-"):
                del held[name]


def random_operations(graph: Any) -> set[str]:
    """Return the kinds of operations in a graph that draw from a state of their own."""
    graphs = [graph.as_graph_def()]
    nodes = [*graphs[0].node, *(n for f in graphs[0].library.function for n in f.node_def)]
    return {node.op for node in nodes if node.op in _STATEFUL}


#: TensorFlow's random operations that keep their state to themselves, and calls of Python.
_STATEFUL = frozenset(
    {
        "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal",
        "ParameterizedTruncatedNormal", "Multinomial", "RandomShuffle", "RandomGamma",
        "RandomPoisson", "RandomPoissonV2", "RandomGammaGrad", "PyFunc", "PyFuncStateless",
        "EagerPyFunc", "NonDeterministicInts", "RngReadAndSkip",
    }
)  # fmt: skip
