"""The program: one graph loop over Keras's own `train_step`, on tensors in memory.

A compiled model goes in; out comes something that trains it for an epoch in one call, and
evaluates it in another, whatever the rows, their order, the batch size and the learning rates
are: these are inputs of the graph, so many trials share one trace. What a step computes is
Keras's own `train_step`, with the last, partial batch kept and `get_metrics_result()` read at
the end, so the numbers are `model.fit`'s to the bit. The loop ends at the first step whose
loss is not finite.

    program = Program(model)
    done = program.train(data, order, rates, batch_size=32)
    logs = program.evaluate(data, batch_size=32)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.training.tracing import carried_from, gradients_forgotten, random_operations

#: A call of the graph is meant to take no longer than this, so that Ctrl-C, progress and time
#: limits are heard (seconds).
_LONGEST_CALL = 2.0

Batch = tuple[Any, ...]
BatchHook = Callable[[int], None]
BatchLogs = Callable[[int, dict[str, Any]], bool]


@dataclass(frozen=True)
class Epoch:
    """What training for an epoch gave.

    `logs` are Keras's running values at its end. `steps` were taken. `diverged` is the step
    (from 1) whose loss was the first that is not finite, or the epoch's last step if a weight
    was found not finite after it; None otherwise. `stopped`: a hook asked to stop. `rate` is
    the learning rate of the last step.
    """

    logs: dict[str, Any]
    steps: int
    diverged: int | None = None
    stopped: bool = False
    rate: float = 0.0


def row_count(batch: Batch) -> int:
    """Return how many rows a batch, or a split, has."""
    return int(keras.tree.flatten(batch)[0].shape[0])


class Program:
    """A compiled model with the graph functions that train and evaluate it.

    Args:
        model: built and compiled; its optimizer's learning rate is a number, not a schedule.
        gather_on_cpu: leave the rows in main memory and send each batch to the device, for
            data that would not fit there.
    """

    def __init__(self, model: keras.Model, gather_on_cpu: bool = False) -> None:
        self.model = model
        self.traced = 0.0  # seconds spent tracing so far
        self._device = "/CPU:0" if gather_on_cpu else None
        self._trainers: dict[Any, Any] = {}
        self._evaluators: dict[Any, Any] = {}
        self._strides: dict[str, int] = {}
        self.untracked_variables: list[tf.Variable] = []
        self.unseedable: tuple[str, ...] = ()
        model.optimizer.build(model.trainable_variables)

    def prepare(self, data: Batch) -> None:
        """Trace the graphs for rows like `data`, so that their random state is known."""
        self._trainer(data)
        self._evaluator(data[:2])

    def train(
        self,
        data: Batch,
        order: np.ndarray,
        rates: np.ndarray,
        batch_size: int,
        *,
        before: BatchHook | None = None,
        after: BatchLogs | None = None,
        rate: Callable[[], float] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Epoch:
        """Train for an epoch.

        Args:
            data: (x, y) or (x, y, sample weights): tensors or trees of tensors, by row.
            order: the rows in the order in which they are taken, int32.
            rates: the learning rate of each step and the one that is left behind after them,
                float32 of length steps + 1.
            batch_size: rows per step.
            before: called with the index of each step before it.
            after: called with the index and the running values after each step; returns
                whether to stop.
            rate: asked before each step, after the hooks, for the rate to take in the place of
                those of `rates`: hooks may have set it.
            on_progress: called with the number of steps done after each call of the graph.
        """
        steps = -(-len(order) // batch_size)
        function = self._trainer(data)
        rows, scalars = tf.constant(order), tf.constant(rates)
        base = tf.constant(self._iteration(), tf.int64)
        hooked = before is not None or after is not None
        stop, bad, finite, logs = 0, 0, True, {}
        while stop < steps:
            start, stop = stop, min(steps, stop + (1 if hooked else self._stride("train")))
            if before is not None:
                before(start)
            if hooked and rate is not None:
                rates = np.full(len(rates), rate(), np.float32)
                scalars = tf.constant(rates)
            began = time.perf_counter()
            results, bad_step, all_finite = function(
                data, rows, scalars, base,
                tf.constant(start), tf.constant(stop), tf.constant(batch_size),
            )  # fmt: skip
            bad, finite = int(bad_step), bool(all_finite)
            self._pace("train", time.perf_counter() - began, stop - start)
            if hooked or bad or stop == steps:
                logs = _numbers(results)
            if after is not None and after(start, logs):
                return Epoch(logs, stop, bad or None, stopped=True, rate=float(rates[start]))
            if bad:
                return Epoch(logs, bad, bad, rate=float(rates[bad - 1]))
            if on_progress is not None:
                on_progress(stop)
        return Epoch(logs, steps, None if finite else steps, rate=float(rates[steps - 1]))

    def evaluate(
        self,
        data: Batch,
        batch_size: int,
        *,
        before: BatchHook | None = None,
        after: BatchLogs | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Return Keras's metrics on `data` in inference mode, by their own names."""
        steps = -(-row_count(data) // batch_size)
        function = self._evaluator(data)
        hooked = before is not None or after is not None
        stop, results = 0, None
        while stop < steps:
            start, stop = stop, min(steps, stop + (1 if hooked else self._stride("test")))
            if before is not None:
                before(start)
            began = time.perf_counter()
            results = function(data, tf.constant(start), tf.constant(stop), tf.constant(batch_size))
            if hooked or stop == steps:
                logs = _numbers(results)
            self._pace("test", time.perf_counter() - began, stop - start)
            if after is not None and after(start, logs):
                break
            if on_progress is not None:
                on_progress(stop)
        return logs

    def _iteration(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def _trainer(self, data: Batch) -> Any:
        return self._traced(self._trainers, data, self._build_trainer)

    def _evaluator(self, data: Batch) -> Any:
        return self._traced(self._evaluators, data, self._build_evaluator)

    def _traced(self, functions: dict[Any, Any], data: Batch, build: Any) -> Any:
        specs = keras.tree.map_structure(
            lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), data
        )
        key = str(specs)
        if key not in functions:
            began = time.perf_counter()
            with gradients_forgotten():
                functions[key] = build(specs)
            self.traced += time.perf_counter() - began
        return functions[key]

    def _build_trainer(self, specs: Any) -> Any:
        model = self.model
        step = self._step(model.train_step)
        indices = tf.TensorSpec((None,), tf.int32)
        number = tf.TensorSpec((), tf.int32)
        carried = carried_from(step, specs, model)

        def train(data, order, rates, base, start, stop, batch_size):  # type: ignore[no-untyped-def]
            total = tf.shape(order)[0]
            self._reset_when(tf.equal(start, 0))

            def body(index, bad, logs):  # type: ignore[no-untyped-def]
                rows = order[index * batch_size : tf.minimum((index + 1) * batch_size, total)]
                model.optimizer.learning_rate = rates[self._position(index, base)]
                found = step(self._gather(data, rows))
                finite = tf.math.is_finite(found["loss"]) if "loss" in found else True
                kept = {name: tf.cast(found[name], tf.float32) for name in logs}
                return index + 1, tf.where(finite, 0, index + 1), kept

            reached, bad, logs = tf.while_loop(
                lambda index, bad, logs: (index < stop) & tf.equal(bad, 0),
                body,
                (start, tf.constant(0), dict(carried)),
                parallel_iterations=1,
            )
            last = reached * batch_size >= total
            finite = tf.cond(last & tf.equal(bad, 0), self._weights_finite, lambda: True)
            rest = tf.cond(
                last, lambda: rates[-1], lambda: tf.identity(model.optimizer.learning_rate)
            )
            model.optimizer.learning_rate = rest
            return logs or model.get_metrics_result(), bad, finite

        function = tf.function(
            train,
            autograph=False,
            input_signature=[
                specs, indices, tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((), tf.int64), number, number, number,
            ],
        )  # fmt: skip
        self._note_random_state(function.get_concrete_function())
        return function

    def _build_evaluator(self, specs: Any) -> Any:
        model = self.model
        step = self._step(model.test_step)
        number = tf.TensorSpec((), tf.int32)
        carried = carried_from(step, specs, model, training=False)

        def evaluate(data, start, stop, batch_size):  # type: ignore[no-untyped-def]
            total = tf.shape(keras.tree.flatten(data)[0])[0]
            self._reset_when(tf.equal(start, 0))

            def body(index, logs):  # type: ignore[no-untyped-def]
                rows = tf.range(index * batch_size, tf.minimum((index + 1) * batch_size, total))
                found = step(self._gather(data, rows))
                return index + 1, {name: tf.cast(found[name], tf.float32) for name in logs}

            _, logs = tf.while_loop(
                lambda index, logs: index < stop, body, (start, dict(carried)),
                parallel_iterations=1,
            )  # fmt: skip
            return logs or model.get_metrics_result()

        function = tf.function(
            evaluate, autograph=False, input_signature=[specs, number, number, number]
        )
        self._note_random_state(function.get_concrete_function())
        return function

    def _step(self, step: Callable[[Any], Any]) -> Any:
        """Return the step as `fit` compiles it: a function of its own where XLA is asked for."""
        if not self.model.jit_compile:
            return tf.autograph.experimental.do_not_convert(step)
        return tf.function(step, jit_compile=True, reduce_retracing=True, autograph=False)

    def _gather(self, data: Batch, rows: Any) -> Batch:
        def take(leaf: Any) -> Any:
            return tf.gather(leaf, rows)

        if self._device is None:
            return keras.tree.map_structure(take, data)
        with tf.device(self._device):
            return keras.tree.map_structure(take, data)

    def _position(self, index: Any, base: Any) -> Any:
        """Return which rate a step takes: Keras's schedules count the optimizer's iterations.

        Under a loss scale they count the steps that were applied; where gradients are
        accumulated the property counts updates and the schedule steps, so the index does.
        """
        optimizer = self.model.optimizer
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if scaled and not optimizer.inner_optimizer.gradient_accumulation_steps:
            return tf.cast(tf.cast(optimizer.iterations, tf.int64) - base, tf.int32)
        return index

    def _reset_when(self, first: Any) -> None:
        """Reset the metrics at the first step, in the graph: from Python it takes a while."""

        def reset() -> Any:
            self.model.reset_metrics()
            return tf.constant(True)

        tf.cond(first, reset, lambda: tf.constant(False))

    def _weights_finite(self) -> Any:
        checks = [
            tf.reduce_all(tf.math.is_finite(variable.value))
            for variable in self.model.weights
            if variable.value.dtype.is_floating
        ]
        return tf.reduce_all(checks) if checks else tf.constant(True)

    def _stride(self, kind: str) -> int:
        return self._strides.get(kind, 8)

    def _pace(self, kind: str, seconds: float, steps: int) -> None:
        """Choose how many steps the next call takes from how long the last one took."""
        stride = self._stride(kind)
        if seconds < _LONGEST_CALL / 4 and steps >= stride:
            self._strides[kind] = stride * 4
        elif seconds > _LONGEST_CALL:
            self._strides[kind] = max(1, int(stride * _LONGEST_CALL / seconds / 2))

    def _note_random_state(self, concrete: Any) -> None:
        """Note random state that no layer owns, and random operations that have no state.

        A call of `keras.random` without a seed draws from Keras's global generator: a variable
        that can be set, though it is not the model's.
        """
        own = {id(v.value) for v in (*self.model.variables, *self.model.optimizer.variables)}
        own |= {id(v.value) for metric in self.model.metrics for v in metric.variables}
        own |= {id(v) for v in self.untracked_variables}
        self.untracked_variables += [v for v in concrete.variables if id(v) not in own]
        found = random_operations(concrete.graph)
        self.unseedable = tuple(sorted(found | {*self.unseedable}))


def _numbers(results: Any) -> dict[str, Any]:
    """Return Keras's logs as Python numbers; a metric of several values stays an array."""
    arrays = {name: value.numpy() for name, value in results.items()}
    return {name: float(each) if each.ndim == 0 else each for name, each in arrays.items()}
