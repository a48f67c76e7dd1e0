"""Learning rates: what `train.schedule` asks for, step by step.

The program takes the rates of an epoch's steps as an input, so variants that differ in the rate
or in how it falls share a trace. Keras's own schedule objects compute them, one step at a time
in a graph, as inside `fit`; `plateau` is Keras's callback and acts between epochs.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers import schedules

from ablate.errors import StudyError
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.schema.optimizing import Called, Named
from ablate.study.schema.train import Train


@keras.saving.register_keras_serializable(package="ablate")
class Warmup(schedules.LearningRateSchedule):
    """Rise to `learning_rate` in `steps` equal parts, then stay: rate·min(1, (step + 1)/steps)."""

    def __init__(self, learning_rate: float, steps: int) -> None:
        super().__init__()
        self.learning_rate, self.steps = learning_rate, steps

    def __call__(self, step: Any) -> Any:
        part = (keras.ops.cast(step, "float32") + 1) / max(self.steps, 1)
        return self.learning_rate * keras.ops.minimum(part, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"learning_rate": self.learning_rate, "steps": self.steps}


class Rates:
    """The learning rate of every step of a trial.

    Args:
        train: the trial's `train` section.
        steps: steps per epoch.
    """

    def __init__(self, train: Train, steps: int) -> None:
        self._schedule = keras_schedule(train, steps)
        self._curve: Any = None

    @property
    def scheduled(self) -> bool:
        """Whether a schedule sets the rate of every step, so that nobody else may."""
        return self._schedule is not None

    def of(self, optimizer: keras.Optimizer, steps: int, done: int) -> np.ndarray:
        """Return the rates of the next `steps` steps, and the one after them, float32.

        Without a schedule the rate is what the optimizer has now: callbacks may have set it.

        Args:
            optimizer: the model's.
            steps: steps in the coming epoch.
            done: steps that schedules have counted so far.
        """
        if self._schedule is None:
            return np.full(steps + 1, rate_of(optimizer), np.float32)
        if self._curve is None:
            # A scalar at a time: vectorised functions round other than those in a step do.
            schedule = self._schedule

            @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.int64)])
            def curve(at: Any) -> Any:
                return tf.map_fn(
                    lambda step: tf.cast(schedule(step), tf.float32),
                    at,
                    fn_output_signature=tf.float32,
                )

            self._curve = curve
        return self._curve(tf.range(done, done + steps + 1, dtype=tf.int64)).numpy()

    def first(self, learning_rate: float) -> float:
        """Return the rate that training starts with."""
        if self._schedule is None:
            return learning_rate
        return float(keras.ops.convert_to_numpy(self._schedule(0)))


def rate_of(optimizer: keras.Optimizer) -> float:
    """Return the learning rate that an optimizer has now."""
    return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def written_rate(rate: float) -> float:
    """Return a float32 as people write it: 0.05, not 0.05000000074505806."""
    return float(str(np.float32(rate)))


def keras_schedule(train: Train, steps: int) -> schedules.LearningRateSchedule | None:
    """Return Keras's schedule for `train.schedule`, None if the rate changes between epochs only.

    Lengths given in epochs are turned into steps. Left out, a cosine or polynomial decay lasts
    until the end of training, an exponential or inverse-time decay has one epoch as its unit.

    Args:
        train: the `train` section.
        steps: steps per epoch.
    """
    named = train.schedule
    if isinstance(named, Called):
        return _own_schedule(named, train.learning_rate)
    if named is None or named.name == "plateau":
        return None
    rate, total = train.learning_rate, max(1, steps * train.epochs)
    options = named.arguments

    def length(name: str, default: int) -> int:
        if f"{name}_epochs" in options:
            return max(1, round(options[f"{name}_epochs"] * steps))
        return int(options.get(f"{name}_steps", default))

    if named.name == "cosine":
        return _cosine(rate, total, options, length("warmup", 0), length)
    if named.name == "cosine_restarts":
        extra = _only(options, "t_mul", "m_mul", "alpha")
        return schedules.CosineDecayRestarts(rate, length("first_decay", steps), **extra)
    if named.name in ("exponential", "inverse_time"):
        exponential = named.name == "exponential"
        kind = schedules.ExponentialDecay if exponential else schedules.InverseTimeDecay
        decay, staircase = options["decay_rate"], options.get("staircase", False)
        return kind(rate, length("decay", steps), decay, staircase=staircase)
    if named.name == "polynomial":
        extra = _only(options, "end_learning_rate", "power", "cycle")
        return schedules.PolynomialDecay(rate, length("decay", total), **extra)
    unit = steps if "epochs" in options else 1
    bounds = options["epochs" if "epochs" in options else "steps"]
    if named.name == "warmup":
        return Warmup(rate, round(bounds * unit))
    # Keras takes a boundary as the last step of a piece.
    boundaries = [max(0, round(each * unit) - 1) for each in bounds]
    values = [rate * each for each in options["factors"]]
    return schedules.PiecewiseConstantDecay(boundaries, values)


def _own_schedule(given: Called, rate: float) -> schedules.LearningRateSchedule:
    """Make a schedule by call; it gets the rate where it takes one as its first.

    Raises:
        StudyError: what is called is no schedule, or refuses.
    """
    kind, arguments = resolve(given.call, "train.schedule"), given.arguments
    try:
        takes = inspect.signature(kind).parameters
        name = next(
            (each for each in ("initial_learning_rate", "learning_rate") if each in takes), None
        )
        made = kind(**({name: rate} if name else {}), **arguments)
    except (TypeError, ValueError) as error:
        raise StudyError(f"train.schedule: '{given.call}' refused: {reason(error)}") from error
    if not isinstance(made, schedules.LearningRateSchedule):
        raise StudyError(
            "train.schedule: expected a keras.optimizers.schedules.LearningRateSchedule from "
            f"'{given.call}'. Received: {type(made).__name__}."
        )
    return made


def _only(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _cosine(rate: float, total: int, options: dict[str, Any], warmup: int, length: Any) -> Any:
    decay, alpha = length("decay", max(1, total - warmup)), options.get("alpha", 0.0)
    if not warmup:
        return schedules.CosineDecay(rate, decay, alpha=alpha)
    return schedules.CosineDecay(0.0, decay, alpha=alpha, warmup_target=rate, warmup_steps=warmup)


def plateau(schedule: Named | Called | None) -> list[keras.callbacks.Callback]:
    """Return Keras's `ReduceLROnPlateau` if the schedule is one."""
    if not isinstance(schedule, Named) or schedule.name != "plateau":
        return []
    return [keras.callbacks.ReduceLROnPlateau(**schedule.arguments)]
