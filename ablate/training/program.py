"""The program: one graph loop over Keras's own `train_step`.

A compiled model goes in; out comes something that trains it for an epoch in one call, and
evaluates it in another, whatever the rows, their order, the batch size and the learning rates
are: these are inputs of the graph, so many trials share one trace. What a step computes is
Keras's own `train_step`, with the last, partial batch kept and `get_metrics_result()` read at
the end, so the numbers are `model.fit`'s to the bit. The loop ends at the first step whose
loss is not finite. Rows come from a `Feed`, whole or a block at a time.

    program = Program(model)
    done = program.train(feed, order, rates, batch_size=32)
    logs = program.evaluate(feed, batch_size=32)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.training.augmentation import NONE, Augmentation
from ablate.training.feed import Batch, Feed, InMemory, Piece, ready, specs_of
from ablate.training.tracing import carried_from, flat_logs, gradients_forgotten, random_operations

#: A call of the graph is meant to take no longer than this, so that Ctrl-C, progress and time
#: limits are heard (seconds).
_LONGEST_CALL = 2.0

BatchHook = Callable[[int], None]
BatchLogs = Callable[[int, dict[str, Any]], bool]


@dataclass(frozen=True)
class Epoch:
    """What training for an epoch gave.

    `logs` are Keras's running values at its end. `steps` were taken. `diverged` is the step
    (from 1) whose loss was the first that is not finite, or the epoch's last step if a weight
    was found not finite after it; None otherwise. `stopped`: a hook asked to stop. `rate` is
    the learning rate of the last step. `seen` names the rows of the epoch, where nobody knew them
    before.
    """

    logs: dict[str, Any]
    steps: int
    diverged: int | None = None
    stopped: bool = False
    rate: float = 0.0
    seen: str | None = None


class Program:
    """A compiled model with the graph functions that train and evaluate it.

    Args:
        model: built and compiled; its optimizer's learning rate is a number, not a schedule.
        gather_on_cpu: leave the rows in main memory and send each batch to the device, for
            data that would not fit there.
        augmentation: what is done to batches before a step.
    """

    def __init__(
        self, model: keras.Model, gather_on_cpu: bool = False, augmentation: Augmentation = NONE
    ) -> None:
        self.model = model
        self.augmentation = augmentation
        self.traced = 0.0  # seconds spent tracing so far
        self._device = "/CPU:0" if gather_on_cpu else None
        self._trainers: dict[Any, Any] = {}
        self._evaluators: dict[Any, Any] = {}
        self._networks: dict[str, Any] = {}
        self._strides: dict[str, int] = {}
        self._reset: set[int] = set()  # variables of metrics that the last trace resets
        self.untracked_variables: list[tf.Variable] = []
        self.unseedable: tuple[str, ...] = ()
        model.optimizer.build(model.trainable_variables)

    def prepare(self, rows: Feed | Batch, evaluated: Feed | None = None) -> None:
        """Trace the graphs for rows like these, so that their random state is known."""
        feed = _feed(rows)
        self._trainer(feed)
        self._evaluator(feed if evaluated is None else evaluated)

    def train(
        self,
        rows: Feed | Batch,
        order: Any,
        rates: np.ndarray,
        batch_size: int,
        *,
        draws: np.ndarray | None = None,
        before: BatchHook | None = None,
        after: BatchLogs | None = None,
        rate: Callable[[], float] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Epoch:
        """Train for an epoch.

        Args:
            rows: what to train on, or a batch of tensors.
            order: the rows in the order in which they are taken, int32; None: as they come; of a
                stream, what its `order` returns.
            rates: the learning rate of each step and the one that is left behind after them,
                float32 of length steps + 1.
            batch_size: rows per step.
            draws: where the augmentation's generators begin in this epoch (`Augmentation.seeds`).
            before: called with the index of each step before it.
            after: called with the index and the running values after each step; returns
                whether to stop.
            rate: asked before each step, after the hooks, for the rate to take in the place of
                those of `rates`: hooks may have set it.
            on_progress: called with the number of steps done after each call of the graph.
        """
        feed = _feed(rows)
        function, scales = self._trainer(feed), _scalars(feed)
        scalars = tf.constant(rates)
        states = tf.constant(self.augmentation.seeds("", 0) if draws is None else draws, tf.int64)
        base = tf.constant(self._iteration(), tf.int64)
        hooked = before is not None or after is not None
        stop, bad, finite, logs = 0, 0, True, {}
        with closing(feed.start(order, batch_size)) as taken:
            steps = taken.steps
            while stop < steps:
                start, piece = stop, taken.piece(stop)
                stop = min(piece.stop, stop + (1 if hooked else self._stride("train")))
                if before is not None:
                    before(start)
                if hooked and rate is not None:
                    rates = np.full(len(rates), rate(), np.float32)
                    scalars = tf.constant(rates)
                began = time.perf_counter()
                results, bad_step, all_finite = function(
                    piece.data, scales, *_window(piece), scalars, states, base,
                    tf.constant(start), tf.constant(stop),
                    tf.constant(piece.batch_size or batch_size),
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
            seen = taken.seen
        last = float(rates[steps - 1])
        return Epoch(logs, steps, None if finite else steps, rate=last, seen=seen)

    def evaluate(
        self,
        rows: Feed | Batch,
        batch_size: int,
        *,
        before: BatchHook | None = None,
        after: BatchLogs | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Return Keras's metrics on `rows` in inference mode, by their own names."""
        feed = _feed(rows)
        function, scales = self._evaluator(feed), _scalars(feed)
        hooked = before is not None or after is not None
        stop, logs = 0, {}
        with closing(feed.start(None, batch_size)) as taken:
            while stop < taken.steps:
                start, piece = stop, taken.piece(stop)
                stop = min(piece.stop, stop + (1 if hooked else self._stride("test")))
                if before is not None:
                    before(start)
                began = time.perf_counter()
                results = function(
                    piece.data, scales, *_window(piece),
                    tf.constant(start), tf.constant(stop),
                    tf.constant(piece.batch_size or batch_size),
                )  # fmt: skip
                if hooked or stop == taken.steps:
                    logs = _numbers(results)
                self._pace("test", time.perf_counter() - began, stop - start)
                if after is not None and after(start, logs):
                    break
                if on_progress is not None:
                    on_progress(stop)
        return logs

    def outputs(self, x: Any) -> Any:
        """Return the outputs of a batch of inputs, in inference mode."""
        specs = specs_of(x)
        key = str(specs)
        if key not in self._networks:
            network = tf.autograph.experimental.do_not_convert(self.model)
            function = tf.function(
                lambda x: network(x, training=False), autograph=False, input_signature=[specs]
            )
            # Concrete: TensorFlow would warn of a function that each program traces anew.
            self._networks[key] = function.get_concrete_function()
        return self._networks[key](x)

    def _iteration(self) -> int:
        return int(self.model.optimizer.iterations.numpy())

    def _trainer(self, feed: Feed) -> Any:
        return self._traced(self._trainers, feed, self._build_trainer)

    def _evaluator(self, feed: Feed) -> Any:
        return self._traced(self._evaluators, feed, self._build_evaluator)

    def _traced(self, functions: dict[Any, Any], feed: Feed, build: Any) -> Any:
        scaled = tuple(each is not None for each in feed.scales)
        key = str((feed.specs, scaled))
        if key not in functions:
            began = time.perf_counter()
            with gradients_forgotten():
                functions[key] = build(feed.specs, scaled)
                if not {id(each) for each in self.model.metrics_variables} <= self._reset:
                    # Keras knows its metrics once a step was traced; now all of them are reset.
                    functions[key] = build(feed.specs, scaled)
            self.traced += time.perf_counter() - began
        return functions[key]

    def _build_trainer(self, specs: Any, scaled: tuple[bool, ...]) -> Any:
        model = self.model
        step, changed = self._step(model.train_step), self.augmentation.trained
        size = len(self.augmentation.generators)
        carried = carried_from(
            lambda batch: step(changed(batch, tf.zeros(size, tf.int64), 0)),
            _batch_specs(specs, scaled),
            model,
        )

        def train(  # type: ignore[no-untyped-def]
            data, scales, indices, offset, total, rates, states, base, start, stop, batch_size
        ):
            self._reset_when(tf.equal(start, 0))

            def body(index, bad, logs):  # type: ignore[no-untyped-def]
                rows = _taken(indices, index, batch_size, offset, total)
                model.optimizer.learning_rate = rates[self._position(index, base)]
                batch = self._gather(data, rows, _by_leaf(scales, scaled))
                found = step(changed(batch, states, index))
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
                *_input_specs(specs, scaled), tf.TensorSpec((None,), tf.float32),
                tf.TensorSpec((size,), tf.int64), tf.TensorSpec((), tf.int64),
                _NUMBER, _NUMBER, _NUMBER,
            ],
        )  # fmt: skip
        self._note_random_state(function.get_concrete_function())
        return function

    def _build_evaluator(self, specs: Any, scaled: tuple[bool, ...]) -> Any:
        model = self.model
        step = self._step(model.test_step)
        seen = self.augmentation.evaluated
        carried = carried_from(
            lambda batch: step(seen(batch)), _batch_specs(specs, scaled), model, training=False
        )

        def evaluate(  # type: ignore[no-untyped-def]
            data, scales, indices, offset, total, start, stop, batch_size
        ):
            self._reset_when(tf.equal(start, 0))

            def body(index, logs):  # type: ignore[no-untyped-def]
                rows = _taken(indices, index, batch_size, offset, total)
                found = step(seen(self._gather(data, rows, _by_leaf(scales, scaled))))
                return index + 1, {name: tf.cast(found[name], tf.float32) for name in logs}

            _, logs = tf.while_loop(
                lambda index, logs: index < stop, body, (start, dict(carried)),
                parallel_iterations=1,
            )  # fmt: skip
            return logs or model.get_metrics_result()

        function = tf.function(
            evaluate,
            autograph=False,
            input_signature=[*_input_specs(specs, scaled), _NUMBER, _NUMBER, _NUMBER],
        )
        self._note_random_state(function.get_concrete_function())
        return function

    def _step(self, step: Callable[[Any], Any]) -> Any:
        """Return the step as `fit` compiles it: a function of its own where XLA is asked for."""

        @tf.autograph.experimental.do_not_convert
        def flat(data: Any) -> Any:
            return flat_logs(step(data))

        if not self.model.jit_compile:
            return flat
        return tf.function(flat, jit_compile=True, reduce_retracing=True, autograph=False)

    def _gather(self, data: Batch, rows: Any, scales: tuple[Any, ...]) -> Batch:
        """Return rows as the step takes them."""

        def take(leaf: Any) -> Any:
            return tf.gather(leaf, rows)

        with tf.device(self._device):
            taken = keras.tree.map_structure(take, data)
        return ready(taken, scales)

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
            self._reset = {id(each) for each in self.model.metrics_variables}
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
        own |= {id(v) for v in (*self.untracked_variables, *self.augmentation.generators)}
        self.untracked_variables += [v for v in concrete.variables if id(v) not in own]
        found = random_operations(concrete.graph)
        self.unseedable = tuple(sorted(found | {*self.unseedable}))


#: A number that the graph takes.
_NUMBER = tf.TensorSpec((), tf.int32)


def _feed(rows: Feed | Batch) -> Feed:
    return InMemory(rows) if isinstance(rows, tuple) else rows


def _scalars(feed: Feed) -> tuple[Any, ...]:
    """Return by what the graph divides leaves of x: those that it takes as they are left out."""
    return tuple(tf.constant(each) for each in feed.scales if each is not None)


def _by_leaf(scales: tuple[Any, ...], scaled: tuple[bool, ...]) -> tuple[Any, ...]:
    """Return `scales` with None for the leaves that are taken as they are."""
    given = iter(scales)
    return tuple(next(given) if each else None for each in scaled)


def _input_specs(specs: Batch, scaled: tuple[bool, ...]) -> list[Any]:
    """Return the signature that the graphs have in common: rows, scales, indices, window."""
    scalars = tuple(tf.TensorSpec((), tf.float32) for each in scaled if each)
    return [specs, scalars, tf.TensorSpec((None,), tf.int32), _NUMBER, _NUMBER]


def _batch_specs(specs: Batch, scaled: tuple[bool, ...]) -> Batch:
    """Return the specs of a batch as the step takes it."""
    leaves = [
        tf.TensorSpec(spec.shape, tf.float32) if each else spec
        for spec, each in zip(keras.tree.flatten(specs[0]), scaled, strict=True)
    ]
    return (keras.tree.pack_sequence_as(specs[0], leaves), *specs[1:])


def _window(piece: Piece) -> tuple[Any, Any, Any]:
    return piece.indices, tf.constant(piece.offset), tf.constant(piece.total)


def _taken(indices: Any, step: Any, batch_size: Any, offset: Any, total: Any) -> Any:
    """Return which rows of a piece a step takes."""
    first = step * batch_size
    return indices[first - offset : tf.minimum(first + batch_size, total) - offset]


def _numbers(results: Any) -> dict[str, Any]:
    """Return Keras's logs as Python numbers; a metric of several values stays an array."""
    arrays = {name: value.numpy() for name, value in results.items()}
    return {name: float(each) if each.ndim == 0 else each for name, each in arrays.items()}
