"""The runner: has trials trained on an executor, and saves their outcomes.

It is the one writer of the store. It records each outcome the moment it arrives, gives a trial
whose worker died another try, stops a trial that is stuck, and stops cleanly on Ctrl-C. It
imports no Keras.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ablate.execution.again import with_earlier
from ablate.execution.file_channel import collect
from ablate.execution.messages import ATTEMPTS, Done, Executor, Finished, Lost, Message, Task
from ablate.store import Store
from ablate.study.preview import VariantPlan
from ablate.study.progress import Event, Watcher, tell
from ablate.study.trial import Status, Trial, TrialResult

#: A trial checks its own time limit between epochs; one that is stuck is stopped from outside
#: when it is over its limit by half and this many seconds.
GRACE = 60.0


#: Given the outcomes so far, returns further groups to train.
More = Callable[[Mapping[str, TrialResult]], Iterable[tuple[Trial, ...]]]


class Interrupted(KeyboardInterrupt):
    """The run was stopped on request; what was finished is saved and a new run goes on."""

    def __init__(self, done: int, left: int) -> None:
        super().__init__(f"stopped with {done} trials done and {left} left")
        self.done = done
        self.left = left


@dataclass
class Run:
    """The state of one pass over a list of trials."""

    store: Store
    executor: Executor
    trials: Mapping[str, Trial]
    watchers: Iterable[Watcher] = ()
    starts: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    results: dict[str, TrialResult] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    previews: Mapping[str, VariantPlan] = field(default_factory=dict)  # variants as they were built
    _last: int = 0

    def go(
        self, groups: Iterable[tuple[Trial, ...]], more: More | None = None
    ) -> dict[str, TrialResult]:
        """Train all groups and return the outcomes by id.

        `more` is called with the outcomes so far whenever there are new ones; the groups that it
        returns (their trials known to `trials` by then) are trained, too.

        Raises:
            Interrupted: Ctrl-C; everything finished is saved.
        """
        try:
            for group in groups:
                self._submit(group)
            while self.tasks:
                before = len(self.results)
                for message in self.executor.poll(1.0):
                    self._hear(message)
                self._stop_stuck()
                if more is not None and (len(self.results) > before or not self.tasks):
                    for group in more(self.results):
                        self._submit(group)
        except KeyboardInterrupt:
            self._interrupt()
            raise Interrupted(len(self.results), len(self.trials) - len(self.results)) from None
        return self.results

    def _submit(self, group: tuple[Trial, ...]) -> None:
        task = Task(number=1 + max(self.tasks, default=self._last), trials=group)
        self._last = task.number
        self.tasks[task.number] = task
        self.executor.submit(task)

    def _hear(self, message: Message) -> None:
        match message:
            case Event(trial=name, kind="started", epoch=epoch):
                self.begun[name] = time.monotonic()
                self.starts[name] += 1
                tell(self.watchers, "started", self.trials[name], epoch)
            case Event(trial=name, kind=kind):
                tell(self.watchers, kind, self.trials[name], message)
            case Finished():
                self._save(message)
            case Done(task=task):
                self.tasks.pop(task.number, None)
            case Lost(task=task):
                self.tasks.pop(task.number, None)
                self._try_again(task, message)

    def _save(self, outcome: Finished) -> None:
        trial = self.trials[outcome.result.id]
        result = replace(outcome.result, attempts=max(self._tries(trial.id), 1))
        result = self._record(result, outcome.arrays, outcome.model)
        self.store.clear_work(trial.id)
        self.begun.pop(trial.id, None)
        tell(self.watchers, "finished", trial, result, outcome.arrays)

    def _try_again(self, task: Task, loss: Lost) -> None:
        """A worker was lost: the trial it was at is tried again, those behind it go on."""
        left = [trial for trial in task.trials if trial.id not in self.results]
        if not left:
            return
        at, behind = left[0], left[1:]
        self.losses[at.id] += 1
        late = at.id in self.stopped
        again = loss.again and self._tries(at.id) < ATTEMPTS and not late
        tell(self.watchers, "lost", at, loss.reason, again)
        if again:
            self._submit((at,))
        else:
            self._give_up(at, loss, late)
        if behind:
            self._submit(tuple(behind))

    def _tries(self, trial: str) -> int:
        """How often a trial was begun; a worker may be lost before it says that it began, and
        an engine may have begun it again by itself."""
        return max(self.starts[trial], self.losses[trial])

    def _give_up(self, trial: Trial, loss: Lost, late: bool) -> None:
        tries = self._tries(trial.id)
        limit = trial.spec.train.time_limit
        if late:
            text = f"The trial exceeded its time limit of {limit:g} s and was killed."
        elif not loss.again:
            text = loss.reason
        else:
            text = f"Tried {tries} times; each time {loss.reason}."
        result = replace(_without_outcome(trial, "failed"), error=text, attempts=tries)
        result = self._record(result)
        tell(self.watchers, "finished", trial, result, {})

    def _record(
        self,
        result: TrialResult,
        arrays: Mapping[str, Any] | None = None,
        model: Path | None = None,
    ) -> TrialResult:
        """Save an outcome; one that does not stand never replaces one that does."""
        seen = self.previews.get(result.variant)
        if not result.final and not (result.notes or result.cautions) and seen is not None:
            # It ended before it could say what its network and data are: the preview knows.
            result = replace(result, notes=seen.notes, cautions=seen.cautions)
        known = self.store.load(result.id)
        if result.final:
            result = with_earlier(known, result)
        self.results[result.id] = result
        if result.final or known is None or not known.final:
            self.store.save(result, arrays, model)
        return result

    def _stop_stuck(self) -> None:
        now = time.monotonic()
        for name, since in list(self.begun.items()):
            limit = self.trials[name].spec.train.time_limit
            if limit is None or now - since < 1.5 * limit + GRACE or name in self.stopped:
                continue
            self.stopped.add(name)
            for task in self.tasks.values():
                if any(trial.id == name for trial in task.trials):
                    self.executor.stop(task)

    def _interrupt(self) -> None:
        """Keep what is finished, note what was under way; its checkpoints stay."""
        for message in self.executor.poll(0.0):
            if isinstance(message, Finished):
                self._save(message)
            elif isinstance(message, Event) and message.kind == "started":
                self.begun.setdefault(message.trial, time.monotonic())
        self.executor.close()
        for name in list(self.begun):
            late = collect(self.store.works, name)
            if late is not None:
                self._save(late)
                continue
            trial = self.trials[name]
            self._record(_without_outcome(trial, "interrupted"))
            del self.results[name]


def recover(store: Store, trials: Mapping[str, Trial | None]) -> dict[str, TrialResult]:
    """Save what workers had handed in when their driver was killed, and return it by id.

    Work folders of trials that are no longer planned are removed; the others keep their
    checkpoints, from which their trials go on.
    """
    found = {}
    for name, trial in trials.items():
        if (outcome := collect(store.works, name, planned=trial)) is None:
            continue
        result = with_earlier(store.load(name), outcome.result)
        store.save(result, outcome.arrays, outcome.model)
        store.clear_work(name)
        found[name] = result
    store.tidy_works(keep=trials)
    return found


def _without_outcome(trial: Trial, status: Status) -> TrialResult:
    return TrialResult(
        id=trial.id,
        variant=trial.variant,
        seed=trial.seed,
        status=status,
        factors=trial.factors,
        spec=trial.spec.model_dump(mode="json", by_alias=True),
    )
