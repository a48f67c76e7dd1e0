"""The loop over epochs: what `model.fit` does around its steps, on a program.

A program, rows, callbacks and a listener go in; the model is trained. Callbacks hear what they
hear in `fit`, in the same order, through Keras's own `CallbackList`. Those that listen to
batches get the program's steps one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from ablate.training.feed import Feed
from ablate.training.program import Program
from ablate.training.schedules import Rates, rate_of, written_rate
from ablate.training.watching import Watch

_TRAIN_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
_TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")


@dataclass
class Listener:
    """What the loop reports: each epoch's logs with the rate of its last step, a divergence."""

    epoch: Callable[[int, dict[str, Any], float], None]
    diverged: Callable[[int, int, float], None]
    on_progress: Callable[[int, int, int], None]


@dataclass
class Clock:
    """Seconds spent, by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)
    inference: list[float] = field(default_factory=list)

    def add(self, what: str, since: float) -> float:
        """Add the time since `since` to `what` and return it."""
        spent = time.perf_counter() - since
        self.seconds[what] = self.seconds.get(what, 0.0) + spent
        return spent


class EpochLogs(keras.callbacks.Callback):
    """Stands last and keeps an epoch's logs: with what callbacks before it have put into them."""

    logs: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the logs."""
        self.logs = dict(logs or {})


@dataclass
class Loop:
    """Training of one trial.

    Args:
        program: the model with its graph functions, in the state to go on from.
        train: training rows, with weights if there are any.
        validation: validation rows, or None.
        batch_size: rows per step.
        epochs: the last epoch's number.
        order: gives the order of the rows in an epoch, counted from 0.
        draws: gives where the generators of the augmentation begin in an epoch.
        rates: the learning rates.
        callbacks: Keras's and anyone's own.
        listener: hears what happens.
        clock: adds up how long it took.
        taken: steps taken before.
        seen: what names the rows of the epochs before, of a stream.
        first: the number of the epoch before the first.
    """

    program: Program
    train: Feed
    validation: Feed | None
    batch_size: int
    epochs: int
    order: Callable[[int], Any]
    draws: Callable[[int], Any]
    rates: Rates
    callbacks: keras.callbacks.CallbackList
    listener: Listener
    clock: Clock
    taken: int = 0  # steps so far
    seen: list[str] = field(default_factory=list)  # what names the rows of each epoch of a stream
    first: int = 0
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._kept = EpochLogs()
        self.callbacks.callbacks.append(self._kept)
        self.watch = Watch(self.program.model, self.callbacks, self.rates.scheduled)

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self.train.steps(self.batch_size)

    def begin(self) -> None:
        """Call the callbacks' on_train_begin; called before the steps are traced."""
        self.watch.begin(self.callbacks.on_train_begin)

    def go(self, done: int = 0) -> None:
        """Train from the epoch after `done` to the end, or until something asks to stop.

        `begin` has been called, and the steps are traced; `on_train_end` is called here.
        """
        model, logs = self.program.model, None
        self.watch.traced()
        for epoch in range(done, self.epochs):
            logs = self._epoch(epoch)
            if logs is None or model.stop_training:
                break
        if self.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        self.callbacks.on_train_end(logs)

    def _epoch(self, epoch: int) -> dict[str, Any] | None:
        """Train for an epoch and validate; return its logs, None if it diverged."""
        model, callbacks = self.program.model, self.callbacks
        self.watch.call(callbacks.on_epoch_begin, epoch)
        self.watch.check(epoch + 1, self.taken)
        rates = self.rates.of(model.optimizer, self.steps, self._counted(epoch))
        began, traced = time.perf_counter(), self.program.traced
        before, after = self._hooks(_TRAIN_HOOKS, "stop_training")
        done = self.program.train(
            self.train, self.order(epoch), rates, self.batch_size,
            draws=self.draws(epoch), before=before, after=after,
            rate=None if self.rates.scheduled else lambda: rate_of(model.optimizer),
            on_progress=lambda step: self.listener.on_progress(epoch + 1, step, self.steps),
        )  # fmt: skip
        self._account("train", began, traced)
        self.taken += done.steps
        if done.seen is not None:
            self.seen.append(done.seen)
        rate = written_rate(done.rate)
        if done.diverged is not None:
            self.listener.diverged(epoch + 1, done.diverged, rate)
            return None
        logs: dict[str, Any] = dict(done.logs)
        if self.validation is not None:
            found = self._validate(self.validation)
            logs.update({f"val_{name}": value for name, value in found.items()})
        self.watch.check(epoch + 1, self.taken)
        self.watch.call(callbacks.on_epoch_end, epoch, logs)
        self.listener.epoch(epoch + 1, {**logs, **self._kept.logs}, rate)
        return logs

    def evaluate(self, rows: Feed, batch_size: int | None = None) -> dict[str, Any]:
        """Return Keras's metrics on `rows` in inference mode; callbacks hear nothing of it."""
        began, traced = time.perf_counter(), self.program.traced
        logs = self.program.evaluate(rows, rows.batch_size or batch_size or self.batch_size)
        self._account("evaluate", began, traced)
        return logs

    def _validate(self, rows: Feed) -> dict[str, Any]:
        """Evaluate after an epoch; callbacks hear of it as they do in `fit`."""
        began, traced = time.perf_counter(), self.program.traced
        self.program.model.stop_evaluating = False
        self.watch.call(self.callbacks.on_test_begin)
        before, after = self._hooks(_TEST_HOOKS, "stop_evaluating")
        size = rows.batch_size or self.batch_size
        logs = self.program.evaluate(rows, size, before=before, after=after)
        self.watch.call(self.callbacks.on_test_end, logs)
        spent = self._account("evaluate", began, traced)
        self.clock.inference.append(1000 * spent / max(1, rows.rows))
        return logs

    def _account(self, what: str, began: float, traced: float) -> float:
        """Book the time since `began`, what was spent tracing apart."""
        tracing = self.program.traced - traced
        if tracing:
            self.clock.seconds["trace"] = self.clock.seconds.get("trace", 0.0) + tracing
        return self.clock.add(what, began + tracing)

    def _counted(self, epoch: int) -> int:
        """Return how many steps a schedule has counted when `epoch` begins."""
        optimizer = self.program.model.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return int(keras.ops.convert_to_numpy(optimizer.iterations))
        return (epoch - self.first) * self.steps

    def _hooks(self, names: Sequence[str], flag: str) -> tuple[Any, Any]:
        """Return what to call before and after each step, None where no callback listens.

        Where one has asked to stop already, a single step is taken, as in `fit`.
        """
        asked = getattr(self.program.model, flag, False)
        if not asked and not any(listens(each, names) for each in self.callbacks.callbacks):
            return None, None
        kind = "train" if flag == "stop_training" else "test"
        begin = getattr(self.callbacks, f"on_{kind}_batch_begin")
        end = getattr(self.callbacks, f"on_{kind}_batch_end")

        def before(step: int) -> None:
            self.watch.call(begin, step)

        def after(step: int, logs: dict[str, Any]) -> bool:
            self.watch.call(end, step, logs)
            return bool(getattr(self.program.model, flag, False))

        return before, after


def listens(callback: keras.callbacks.Callback, names: Sequence[str]) -> bool:
    """Whether a callback has hooks of its own among `names`."""
    return any(
        name in vars(callback)
        or getattr(type(callback), name, None) is not getattr(keras.callbacks.Callback, name)
        for name in names
    )


def listens_to_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has a hook that is called for single batches."""
    return listens(callback, (*_TRAIN_HOOKS, *_TEST_HOOKS))
