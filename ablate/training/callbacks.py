"""Callbacks of a trial: the user's, early stopping, the plateau, the keeper of the best weights.

The `train` section goes in; Keras callbacks come out, in the order in which `fit` would have
them, with what follows from them: whether the trial needs a program of its own, which epoch was
best. Their state can be taken out and put back, for a checkpoint.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ablate.data.written_files import Files
from ablate.errors import StudyError, nearest
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.metrics import direction_of
from ablate.study.schema.optimizing import Called, EarlyStopping
from ablate.study.schema.train import Train
from ablate.training.loop import listens, listens_to_batches
from ablate.training.schedules import plateau

#: Callbacks of Keras's that write, and the attributes that say where.
WRITERS = (
    *(keras.callbacks.ModelCheckpoint, keras.callbacks.CSVLogger),
    keras.callbacks.TensorBoard,
)
PATHS = ("filepath", "filename", "log_dir")


class BestWeights(keras.callbacks.EarlyStopping):
    """Keeps the weights of the best epoch, and neither stops nor restores."""

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the model as it is."""


class Untouched(keras.callbacks.Callback):
    """Sees to it that early stopping restores over no weights that a callback has set.

    It is in the list twice, before and after those that may set weights at the end.
    """

    _held: list[Any] | None = None

    def on_train_end(self, logs: Any = None) -> None:
        """Compare the weights with those of the first call."""
        if self._held is None:
            self._held = self.model.get_weights()
            return
        same = zip(self._held, self.model.get_weights(), strict=True)
        if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in same):
            raise StudyError(
                "train.callbacks: a callback set weights in on_train_end, and "
                "train.early_stopping restores those of its best epoch over them. Leave out the "
                "one or the other."
            )


@dataclass
class CallbackSet:
    """The callbacks of a trial."""

    callbacks: list[keras.callbacks.Callback]
    own_program: bool
    own_values: bool = False
    stopping: keras.callbacks.EarlyStopping | None = None
    keeper: BestWeights | None = None
    plateau: keras.callbacks.ReduceLROnPlateau | None = None

    @classmethod
    def of(cls, train: Train, validated: bool, files: Files | None = None) -> CallbackSet:
        """Make the callbacks that the `train` section asks for.

        Args:
            train: the section.
            validated: whether there are validation rows.
            files: where callbacks write instead of where they are told to.

        Raises:
            StudyError: a callback cannot be made, or has nothing to go by.
        """
        own = [_called(each) for each in train.callbacks]
        for index, each in enumerate(own):
            _refuse_overridden(each, train, f"train.callbacks[{index}]")
            _write_to(files, each, f"train.callbacks[{index}]")
        slope = plateau(train.schedule)
        stopping = None if train.early_stopping is None else _stopping(train.early_stopping, train)
        keeper = None
        if train.save == "best" and stopping is None:
            keeper = BestWeights("val_loss", patience=train.epochs + 1, restore_best_weights=True)
        found = [*own, *slope, *(each for each in (stopping, keeper) if each is not None)]
        if stopping is not None and any(_acts_at_the_end(each) for each in own):
            untouched = Untouched()
            found = [untouched, *own, untouched, *slope, stopping]
        if not validated:
            _refuse_unvalidated(train, found)
        return cls(
            callbacks=found,
            own_program=any(_may_touch(each) for each in own),
            own_values=any(_may_report(each) for each in own),
            stopping=stopping,
            keeper=keeper,
            plateau=slope[0] if slope else None,
        )

    def check(self, names: Collection[str], epochs: int = 0) -> None:
        """Refuse a monitor that training will not report.

        Args:
            names: what training reports, as far as that is known.
            epochs: trained so far; before the first nobody knows what callbacks of anyone's own
                put into its logs.

        Raises:
            StudyError: with the names there are.
        """
        if self.own_values and epochs == 0:
            return
        monitored = {
            "train.early_stopping.monitor": self.stopping,
            "train.schedule.monitor": self.plateau,
        }
        for field, callback in monitored.items():
            if callback is not None and callback.monitor not in names:
                raise StudyError(
                    f"{field}: training reports no '{callback.monitor}'."
                    f"{nearest(callback.monitor, names)} It reports: {', '.join(sorted(names))}."
                )

    @property
    def best_epoch(self) -> int | None:
        """The epoch (from 1) whose weights early stopping restored, None without it."""
        if self.stopping is None or self.stopping.best_weights is None:
            return None
        return int(self.stopping.best_epoch) + 1

    @property
    def best_weights(self) -> list[Any] | None:
        """The weights to save as the best where the model does not have them already."""
        return None if self.keeper is None else self.keeper.best_weights


def state_of(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Return what a callback remembers, without the model and what was set for this run."""
    apart = ("_model", "params", "model", *(PATHS if isinstance(callback, WRITERS) else ()))
    return {key: value for key, value in vars(callback).items() if key not in apart}


def _called(called: Called) -> keras.callbacks.Callback:
    kind = resolve(called.call, "train.callbacks")
    try:
        made = kind(**called.arguments)
    except TypeError as error:
        raise StudyError(f"train.callbacks: '{called.call}' refused: {reason(error)}") from error
    if not isinstance(made, keras.callbacks.Callback):
        raise StudyError(
            f"train.callbacks: expected a keras.callbacks.Callback from '{called.call}'. "
            f"Received: {type(made).__name__}."
        )
    return made


def _stopping(wanted: EarlyStopping, train: Train) -> keras.callbacks.EarlyStopping:
    mode = wanted.mode
    if mode == "auto":
        direction = direction_of(wanted.monitor, metrics=train.metrics)
        if direction is None:
            raise StudyError(
                f"train.early_stopping: whether less or more of '{wanted.monitor}' is better "
                "cannot be told by its name. Set mode: min or mode: max."
            )
        mode = direction
    return keras.callbacks.EarlyStopping(
        monitor=wanted.monitor,
        patience=wanted.patience,
        min_delta=wanted.min_delta,
        mode=mode,
        restore_best_weights=True,
    )


def _refuse_overridden(callback: keras.callbacks.Callback, train: Train, field: str) -> None:
    """Refuse a callback of Keras's whose doing the loop, or another callback, would undo."""
    name, callbacks = type(callback).__name__, keras.callbacks
    rate_setters = (callbacks.ReduceLROnPlateau, callbacks.LearningRateScheduler)
    schedule = getattr(train.schedule, "name", None) or getattr(train.schedule, "call", "plateau")
    if schedule != "plateau" and isinstance(callback, rate_setters):
        raise StudyError(
            f"{field}: '{name}' sets the learning rate, and train.schedule ('{schedule}'"
            ") sets it anew for every step. Leave out the one or the other; a plateau is also "
            "train.schedule: {name: plateau}."
        )
    if train.schedule is not None and _sets_absolute_rates(callback):
        raise StudyError(
            f"{field}: '{name}' sets the learning rate of every epoch from its number alone, over "
            "what train.schedule (plateau) has lowered. Leave out the one or the other, or let its "
            "function take the present rate, too: function(epoch, rate)."
        )
    stops = isinstance(callback, callbacks.EarlyStopping) and callback.restore_best_weights
    if stops and train.early_stopping is not None:
        raise StudyError(
            f"{field}: '{name}' restores its best weights, and train.early_stopping restores its "
            "own over them. Leave out the one or the other."
        )
    if isinstance(callback, callbacks.BackupAndRestore):
        raise StudyError(
            f"{field}: '{name}' goes on from epochs that the trial did not train. Leave it out: a "
            "trial that is interrupted goes on from its last checkpoint anyway."
        )


def _write_to(files: Files | None, callback: keras.callbacks.Callback, field: str) -> None:
    """Let a callback of Keras's write where this trial's files are kept.

    Anyone's own writes there, too, by `ablate.data.written_files.guarded`; TensorBoard's files are
    opened where no Python sees it.

    Raises:
        StudyError: it writes, and there is no such place.
    """
    for name in PATHS:
        path = getattr(callback, name, None)
        if not isinstance(callback, WRITERS) or not isinstance(path, str):
            continue
        if files is None:
            raise StudyError(
                f"{field}: '{type(callback).__name__}' writes to '{path}', where every training "
                "would write over the one before. Leave it out, or give it to the tuner."
            )
        setattr(callback, name, files.place(path, "w"))


def _sets_absolute_rates(callback: keras.callbacks.Callback) -> bool:
    """Whether a `LearningRateScheduler` has a function of the epoch alone."""
    if not isinstance(callback, keras.callbacks.LearningRateScheduler):
        return False
    try:
        inspect.signature(callback.schedule).bind(0, 0.1)
    except TypeError:
        return True
    except ValueError:
        pass  # a builtin: Keras finds out by calling it
    return False


def _acts_at_the_end(callback: keras.callbacks.Callback) -> bool:
    own = not type(callback).__module__.startswith("keras.")
    return own and listens(callback, ("on_train_end",))


def _may_touch(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback may change the model in ways that a next trial would inherit.

    Keras's own callbacks act on weights and rates alone, which every trial begins anew; what
    anyone's own does cannot be known. Batches are heard one at a time, which a shared program
    could do, but what listens there is mostly there to act.
    """
    return not type(callback).__module__.startswith("keras.") or listens_to_batches(callback)


def _may_report(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback may put values of its own into the logs of an epoch."""
    own = not type(callback).__module__.startswith("keras.")
    return (own or isinstance(callback, keras.callbacks.LambdaCallback)) and listens(
        callback, ("on_epoch_end",)
    )


def _refuse_unvalidated(train: Train, callbacks: list[keras.callbacks.Callback]) -> None:
    for callback in callbacks:
        monitor = str(getattr(callback, "monitor", ""))
        if monitor.startswith("val_"):
            raise StudyError(
                f"train: '{monitor}' is to be watched, and there are no validation rows. Set "
                "data.validation above 0, or watch a training value."
            )
