"""Watches over what callbacks set while the loop trains: it is obeyed, or refused with an error.

Each call of the callbacks goes through here. The loop sets the rate
of every step where there is a schedule, and it runs a step that was compiled before the first
epoch; what a callback sets there would be overridden, or never be looked at, without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ablate.errors import StudyError, some
from ablate.training.schedules import rate_of


class Watch:
    """What the loop relies on, and whose doing it is if it changes.

    Args:
        model: the model that is trained, compiled.
        callbacks: everyone that is called.
        scheduled: whether a schedule sets the rate of every step.
    """

    def __init__(
        self, model: keras.Model, callbacks: keras.callbacks.CallbackList, scheduled: bool
    ) -> None:
        self._model, self._scheduled = model, scheduled
        own = (type(each) for each in callbacks.callbacks)
        self._names = [f"'{k.__name__}'" for k in own if not k.__module__.startswith(_NOT_OWN)]
        self._compiled: tuple[Any, ...] = ()

    def call(self, hook: Callable[..., Any], *arguments: Any) -> None:
        """Call a hook of the callbacks.

        Raises:
            StudyError: it set the learning rate, which a schedule sets anew before each step.
        """
        if not self._scheduled:
            hook(*arguments)
            return
        before = rate_of(self._model.optimizer)
        hook(*arguments)
        after = rate_of(self._model.optimizer)
        if after != before:
            raise StudyError(
                f"train.callbacks: {self._who} set the learning rate to {after:.6g}, and "
                f"train.schedule sets it anew for every step (it was {before:.6g}). Leave out the "
                "one or the other."
            )

    def begin(self, hook: Callable[..., Any]) -> None:
        """Call the hook that says that training begins; the step will be traced after it.

        Raises:
            StudyError: a frozen layer was thawed, whose weights the optimizer does not have.
        """
        self.traced()
        self.call(hook)
        if self._compiled:
            before, now = self._compiled[2], self._now()[2]
            thawed = [name for name, flag in now.items() if flag and not before.get(name, True)]
            if thawed:
                raise StudyError(
                    f"train.callbacks: {self._who} thawed {some(thawed)} in on_train_begin, after "
                    "the optimizer was made for the layers that train. Leave the layers out of "
                    "train.freeze, or make the model with them trainable."
                )

    def traced(self) -> None:
        """Remember what was compiled; called when the steps have been traced."""
        if self._names:
            self._compiled = self._now()

    def check(self, epoch: int, steps: int) -> None:
        """See to it that the compiled step is still the one that is wanted.

        Args:
            epoch: the epoch under way, from 1.
            steps: steps taken so far, which is what a schedule counts.

        Raises:
            StudyError: the model was compiled anew, a layer was frozen or thawed, or the
                optimizer's steps were counted anew.
        """
        if self._scheduled:
            self._check_iterations(steps)
        if not self._compiled:
            return
        (optimizer, loss, flags), now = self._compiled, self._now()
        if now[0] is not optimizer or now[1] is not loss:
            raise StudyError(
                f"train.callbacks: {self._who} compiled the model anew or exchanged its optimizer "
                f"in epoch {epoch}. A trial's step is compiled once, before its first epoch, so "
                "this would change nothing. Say in the train section what to compile with."
            )
        changed = [name for name, flag in now[2].items() if flag != flags.get(name, flag)]
        if changed:
            raise StudyError(
                f"train.callbacks: {self._who} set `trainable` of {some(changed)} in epoch "
                f"{epoch}. A trial's step is compiled once, before its first epoch, so this would "
                "change nothing (nor does it in fit, without compiling anew). Freeze layers by "
                "train.freeze."
            )

    def _check_iterations(self, steps: int) -> None:
        optimizer = self._model.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return  # steps whose gradients overflow are not applied, nor counted
        every = optimizer.gradient_accumulation_steps or 1
        counted = int(keras.ops.convert_to_numpy(optimizer.iterations))
        if counted != steps // every:
            who = self._who if self._names else "the model's own train_step"
            raise StudyError(
                f"train.schedule: it goes by the steps that are taken, {steps // every} updates so "
                f"far, and the optimizer counts {counted}: {who} moved its iterations. Leave out "
                "train.schedule and set the rates in a callback, or leave the count alone."
            )

    def _now(self) -> tuple[Any, Any, dict[str, bool]]:
        layers = self._model._flatten_layers()
        flags = {each.path or each.name: each.trainable for each in layers}
        return self._model.optimizer, self._model.loss, flags

    @property
    def _who(self) -> str:
        if len(self._names) > 1:
            return f"one of {', '.join(self._names)}"
        return self._names[0] if self._names else "a callback"


#: Modules whose callbacks leave the rate and the compiled step alone, or are refused beforehand.
_NOT_OWN = ("keras.", "ablate.")
