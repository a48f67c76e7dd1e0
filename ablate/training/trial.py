"""Trials from spec to result, one after another, in one process.

Trials that share a program go in; for each a `TrialResult` comes out, with the arrays of its
probes and, if asked for, the trained model's file. A trial that raises is a result too, and the
next one goes on. A trial that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.data.written_files import Files, guarded
from ablate.disk import DamagedError
from ablate.errors import AblateError
from ablate.probes import Context
from ablate.reasons import reason
from ablate.study.metrics import SPLITS
from ablate.study.phases import phases_of, spec_of_phase
from ablate.study.progress import Event
from ablate.study.schema.train import Train
from ablate.study.trial import FILES, Trial, TrialResult, probe_key
from ablate.training import checkpoint, model_cache, rows, setup
from ablate.training.callbacks import CallbackSet, state_of
from ablate.training.feed import Feed
from ablate.training.loop import Listener, Loop
from ablate.training.probing import Probing
from ablate.training.record import Record, numbers
from ablate.training.remarks import remarks
from ablate.training.row_scores import row_scores
from ablate.training.rows import weighted
from ablate.training.schedules import Rates, rate_of, written_rate

Work = Callable[[str], Path]
Report = Callable[[Event], None]
Outcome = tuple[TrialResult, dict[str, np.ndarray], Path | None]

#: Rows of train and test are evaluated in larger batches than they are trained in: as many
#: values at once, at most.
_EVALUATED_VALUES = 2**18
_EVALUATED_ROWS = 512


class TimeUp(AblateError):
    """A trial exceeded its time limit."""


def run_group(
    trials: Sequence[Trial], *, work: Work | None = None, report: Report | None = None
) -> Iterator[Outcome]:
    """Train trials one after another; yield (result, probe arrays, model file) for each.

    Trials of one program share its trace (`ablate.study.programs.groups`). Whatever a trial
    raises is its result, with the traceback; the others go on.

    Args:
        trials: the trials, their threads resolved.
        work: gives the folder a trial may write to: its checkpoint and its model. Without it
            nothing is written and no model saved.
        report: called with each event.

    Raises:
        KeyboardInterrupt: on Ctrl-C; the trial under way goes on from its checkpoint later.
    """
    tell = report or (lambda event: None)
    for trial in trials:
        folder = work(trial.id) if work is not None else None
        with ExitStack() as stack:
            files = None
            if any(each.callbacks for each in phases_of(trial.spec.train)):
                place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
                files = Files(place / FILES, everything=True)
            running = _Running(trial, folder, tell, Record(trial), files)
            try:
                outcome = running.go()
            except Exception as error:
                model_cache.forget(trial.spec)  # whatever its state, no other trial begins in it
                outcome = (running.record.failed(error), {}, None)
        yield outcome


@dataclass
class _Running:
    """A trial under way."""

    trial: Trial
    folder: Path | None
    report: Report
    record: Record
    files: Files | None = None  # that callbacks of the user's write
    taken: int = 0  # steps of the phases before
    _saved: float = 0.0
    _cost: float = 0.0  # seconds that the last checkpoint took
    _reported: float = 0.0

    def go(self) -> Outcome:
        """Train the trial and return what came of it."""
        train = self.trial.spec.train
        if isinstance(train.threads, int):
            setup.configure(train.threads)
        setup.determine(train.deterministic)
        self.rows = rows.rows_of(self.trial.spec, self.trial.seed)
        self.seed, self.masks = self.trial.seed_of("initialization"), self.trial.seed_of("masks")
        self.sections = phases_of(train)
        if self.folder is not None and not checkpoint.is_there(self.folder):
            shutil.rmtree(self.folder / FILES, ignore_errors=True)  # of an attempt given up
        at, self.ends = self._reached()
        self._enter(at)
        done = self._resume()
        if done == 0 and at > 0:  # its checkpoint cannot be gone on from
            self.ends = []
            self._enter(0)
        self._say(Event(self.trial.id, "started", done, train.epochs))
        if done == 0:
            self._epoch_zero()
        while True:
            with self._apart():
                self.loop.go(done)
            self.taken, done = self.taken + self.loop.taken, self.record.epochs
            self.ends.append(done)
            if self.record.diverged or len(self.ends) == len(self.sections):
                return self._finish()
            self._enter(len(self.ends), [_array(each) for each in self.prepared.model.variables])

    def _apart(self) -> ExitStack:
        """Let callbacks of the user's write to the trial's own folder alone."""
        stack = ExitStack()
        if self.files is not None:
            stack.enter_context(guarded(self.files))
        return stack

    def _say(self, event: Event) -> None:
        """Report an event; who hears of it may write where it likes."""
        with ExitStack() as stack:
            if self.files is not None:
                stack.enter_context(self.files.idle())
            self.report(event)

    def _reached(self) -> tuple[int, list[int]]:
        """Return the phase that a checkpoint is of, and the last epochs of those before it."""
        if self.folder is None or len(self.sections) == 1:
            return 0, []
        ends = checkpoint.phase_ends(self.folder)
        return (len(ends), ends) if len(ends) < len(self.sections) else (0, [])

    def _enter(self, at: int, carried: Sequence[np.ndarray] | None = None) -> None:
        """Begin a phase: a network, an optimizer and callbacks of its own, the same weights.

        Args:
            at: which phase.
            carried: the variables that the phase before left; None at the beginning, and where a
                checkpoint has them.
        """
        train = self.sections[at]
        self.spec = spec_of_phase(self.trial.spec, train)
        with self._apart():
            self.callbacks = CallbackSet.of(train, self.rows.validation is not None, self.files)
        measured = self.probing.state() if at and carried is not None else None
        seen = self.loop.seen if carried is not None else []
        self._prepare(train)
        self.loop.seen = seen
        self._carry(carried)
        self.loop.begin()
        self._trace(at, measured)

    def _carry(self, values: Sequence[np.ndarray] | None) -> None:
        """Give the model the variables that a phase before left."""
        for variable, value in zip(self.prepared.model.variables, values or (), strict=False):
            variable.assign(value)

    def _prepare(self, train: Train) -> None:
        """Build or fetch the model, put it at its beginning, and make the loop around it."""
        began = time.perf_counter()
        own = self.callbacks.own_program
        self.prepared = model_cache.prepared_model(self.spec, self.rows, self.seed, own=own)
        self.record.clock.add("build", began)
        began = time.perf_counter()
        examples = weighted(self.rows.train, self.rows.splits, train.class_weight)
        steps = examples.steps(train.batch_size)
        rates = Rates(train, steps)
        self.prepared.begin(self.seed, rates.first(train.learning_rate), self.rows, self.masks)
        self.record.clock.add("seed", began)
        first = self.ends[-1] if self.ends else 0
        self.loop = Loop(
            program=self.prepared.program,
            train=examples,
            validation=self.rows.validation,
            batch_size=train.batch_size,
            epochs=first + train.epochs,
            first=first,
            order=lambda epoch: examples.order(self.trial.seed_of("order"), epoch),
            draws=lambda epoch: self.prepared.program.augmentation.seeds(self.masks, epoch),
            rates=rates,
            callbacks=self._callbacks(steps, first + train.epochs),
            listener=Listener(self._epoch, self._divergence, self._on_progress),
            clock=self.record.clock,
        )
        found = remarks(self.prepared.network, self.rows, self.spec)
        self.record.notes += found.notes
        self.record.cautions += found.cautions
        self.probing = Probing(self.trial.probes)

    def _trace(self, at: int, measured: Any) -> None:
        """Trace the program before anything is measured, so that all random state is known.

        Probes start at the initial weights, in whatever phase, and go on with what is `measured`.
        """
        program, traced = self.prepared.program, self.prepared.program.traced
        program.prepare(self.loop.train)
        self.prepared.seed_untracked_variables(f"{self.masks}/phase {at}" if at else self.masks)
        self.record.clock.add("trace", time.perf_counter() - (program.traced - traced))
        if program.unseedable:
            self.record.notes.append(
                f"draws from a state of TensorFlow's own ({', '.join(program.unseedable)}): "
                "each trial has a program of its own"
            )
        if not self.trial.probes:
            return
        now = [_array(each) for each in self.prepared.model.variables] if measured else None
        for variable, value in (
            self.prepared.initial_state.of(self.seed, self.masks) if measured else ()
        ):
            variable.value.assign(value)
        self.probing.start(self._context(), self._state)
        self._carry(now)
        if measured:
            self.probing.restore(measured)

    def _callbacks(self, steps: int, epochs: int) -> keras.callbacks.CallbackList:
        return keras.callbacks.CallbackList(
            self.callbacks.callbacks,
            add_history=True,
            add_progbar=False,
            model=self.prepared.model,
            verbose=0,
            epochs=epochs,
            steps=steps,
        )

    @property
    def _state(self) -> list[Any]:
        return [
            *self.prepared.state,
            *map(_UntrackedVariable, self.prepared.program.untracked_variables),
        ]

    def _context(self) -> Context:
        splits = self.prepared.program.augmentation.seen(self.rows.splits)
        x, y = (splits.x_val, splits.y_val) if splits.x_val is not None else (
            splits.x_train, splits.y_train,
        )  # fmt: skip
        return Context(
            model=self.prepared.model,
            splits=splits,
            x=x,
            y=y,
            paths={layer: path for path, layer in self.prepared.network.layers},
            seed=self.trial.seed,
            batch_size=self.trial.spec.train.batch_size,
            epochs=self.trial.spec.train.epochs,
        )

    # What happens between epochs.

    def _epoch_zero(self) -> None:
        """Measure before training: validation and probes; nothing of it leaves a trace."""
        generators = self.prepared.generators()
        logs: dict[str, Any] = {}
        if self.rows.validation is not None:
            found = self.loop.evaluate(self.rows.validation)
            logs = {f"val_{name}": value for name, value in found.items()}
            names = {*found, *logs}
            self.callbacks.check(names)
        self.record.append(logs, written_rate(rate_of(self.prepared.model.optimizer)))
        self._measure(0)
        for variable, value in generators:
            variable.assign(value)
        self._tell(0, logs)

    def _epoch(self, epoch: int, logs: dict[str, Any], rate: float) -> None:
        """Note an epoch that has ended, and what it takes to go on from it."""
        self.record.epochs = epoch
        self.record.append(logs, rate)
        if epoch == 1:
            self.callbacks.check(logs, epoch)
        last = epoch == self.loop.epochs or bool(self.prepared.model.stop_training)
        self._measure(epoch, last and len(self.ends) + 1 == len(self.sections))
        self._tell(epoch, logs)
        if not last:
            self._checkpoint()
            self._check_time(epoch)

    def _divergence(self, epoch: int, step: int, rate: float) -> None:
        self.record.diverged = {"epoch": epoch, "step": step}
        self.record.append({}, rate)
        self._tell(epoch, {})

    def _on_progress(self, epoch: int, step: int, steps: int) -> None:
        if step == steps:
            return
        self._check_time(epoch - 1)
        if time.perf_counter() - self._reported > 1.0:
            self._reported = time.perf_counter()
            event = Event(
                self.trial.id, "step", epoch, self.trial.spec.train.epochs, {}, step, steps
            )
            self._say(event)

    def _measure(self, epoch: int, last: bool = False) -> None:
        if self.trial.probes:
            began = time.perf_counter()
            self.probing.measure(epoch, last)
            self.record.clock.add("probes", began)

    def _tell(self, epoch: int, logs: dict[str, Any]) -> None:
        self._reported = time.perf_counter()
        found = numbers(logs)
        if len(self.sections) > 1:
            found["phase"] = len(self.ends) + 1.0
        epochs = self.trial.spec.train.epochs
        self._say(Event(self.trial.id, "epoch", epoch, epochs, found))

    def _check_time(self, epochs: int) -> None:
        limit = self.trial.spec.train.time_limit
        spent = self.record.elapsed
        if limit is not None and spent > limit:
            total = self.trial.spec.train.epochs
            raise TimeUp(
                f"Stopped after {spent:.0f} s and {epochs} of {total} epochs: "
                f"train.time_limit is {limit:g} s."
            )

    # Going on after an interruption.

    def _checkpoint(self) -> None:
        now = time.perf_counter()
        since = max(self._saved, self.record.began)
        if self.folder is None or now - since < checkpoint.pause(self._cost):
            return
        callbacks = self.loop.callbacks.callbacks
        state = {
            "record": self.record.state(),
            "taken": self.loop.taken,
            "seen": self.loop.seen,
            "taken_before": self.taken,
            "ends": self.ends,
            "callbacks": [state_of(each) for each in callbacks],
            "probes": self.probing.state(),
        }
        checkpoint.write(self.folder, self._state, state)
        self._saved = time.perf_counter()  # also if it was not possible: trying takes time
        self._cost = self._saved - now

    def _resume(self) -> int:
        """Go back to the last checkpoint if there is one; return the epochs that it has done."""
        if self.folder is None:
            return 0
        callbacks = self.loop.callbacks.callbacks
        try:
            found = checkpoint.read(self.folder, self._state)
            if found is None:
                return 0
            self._check(found.state, len(callbacks))  # before anything is moved
        except DamagedError as error:
            self.record.notes.append(
                f"its checkpoint in {self.folder} could not be used ({error}): trained from the "
                "beginning"
            )
            return 0
        for variable, value in zip(self._state, found.variables, strict=True):
            variable.assign(value)
        for callback, each in zip(callbacks, found.state["callbacks"], strict=True):
            vars(callback).update(each)
        self.record.restore(found.state["record"])
        self.probing.restore(found.state["probes"])
        self.loop.taken, self.taken = found.state["taken"], found.state["taken_before"]
        self.loop.seen = found.state["seen"]
        return self.record.epochs

    def _check(self, state: Mapping[str, Any], callbacks: int) -> None:
        """Refuse a state that is not one of this trial.

        Raises:
            DamagedError: it is not.
        """
        memories = state.get("callbacks")
        sound = (
            isinstance(state.get("taken"), int)
            and isinstance(state.get("seen"), list)
            and isinstance(state.get("taken_before"), int)
            and state.get("ends") == self.ends
            and isinstance(memories, list)
            and len(memories) == callbacks
            and all(isinstance(each, dict) for each in memories)
            and self.record.takes(state.get("record"))
            and self.probing.takes(state.get("probes"))
        )
        if not sound:
            raise DamagedError("its state is not that of this trial")

    # The result.

    def _finish(self) -> Outcome:
        metrics, status = self._final_metrics(), "diverged" if self.record.diverged else "completed"
        began = time.perf_counter()
        arrays = self.probing.arrays() if self.trial.probes else {}
        if self.trial.probes:
            self.record.clock.add("probes", began)
        model = None if self.record.diverged else self._save()
        row_metric, by_row = self._by_row(metrics)  # last: a network may draw in inference, too
        result = self.record.result(
            self.rows,
            steps=self.taken,
            phases=tuple(self.ends) if len(self.sections) > 1 else (),
            seen=tuple(self.loop.seen),
            parameters=int(self.prepared.model.count_params()),
            bn_momentum=_bn_momentum(self.prepared.model),
            status=status,
            metrics=metrics,
            best_epoch=self.callbacks.best_epoch if not self.record.diverged else None,
            saved=self.trial.spec.train.save if model is not None else None,
            probes=tuple(probe_key(each) for each in self.trial.probes),
            row_metric=row_metric,
        )
        if self.folder is not None:
            checkpoint.remove(self.folder)
        return result, arrays | by_row, model

    def _by_row(
        self, metrics: Mapping[str, float | None]
    ) -> tuple[str | None, dict[str, np.ndarray]]:
        """Score the test rows one by one; every number of the trial is there already."""
        if self.rows.test is None or self.record.diverged:
            return None, {}
        began = time.perf_counter()
        try:
            return row_scores(
                self.prepared.program, self.rows.test, self.rows.splits,
                self._evaluation_batch(self.rows.test), metrics, self.trial.metric,
            )  # fmt: skip
        except Exception as error:  # an interval less, which is no reason to lose the trial
            why = f"its test rows could not be scored one by one: {reason(error)}"
            self.record.notes.append(why)
            return None, {}
        finally:
            self.record.clock.add("rows", began)

    def _final_metrics(self) -> dict[str, float | None]:
        """Evaluate the weights training ended with, each split once, in inference mode."""
        found: dict[str, float | None] = {}
        splits = {"train": self.rows.train, "val": self.rows.validation, "test": self.rows.test}
        for split, each in splits.items():
            if each is None:
                continue
            if self.record.diverged:
                found |= {f"{split}_{name}": None for name in self.record.names}
                continue
            size = None if split == "val" else self._evaluation_batch(each)
            logs = numbers(self.loop.evaluate(each, size))
            found |= {f"{split}_{name}": value for name, value in logs.items()}
        return self._reported_by_callbacks(found) | found

    def _reported_by_callbacks(self, known: Mapping[str, Any]) -> dict[str, float | None]:
        """Return what callbacks put into the logs of the epoch whose weights stand."""
        at, found = self.callbacks.best_epoch or self.record.epochs, {}
        for name, curve in self.record.curves.items():
            split = f"train_{name}" if name.partition("_")[0] not in SPLITS else name
            if split not in known and name != "learning_rate" and not self.record.diverged:
                found[split] = curve[at]
        return found

    def _evaluation_batch(self, examples: Feed) -> int:
        """Return how many rows to evaluate at once: more than in training where they are small."""
        train = self.trial.spec.train
        if train.jit_compile:
            return train.batch_size  # XLA compiles anew for every shape
        values = sum(int(np.prod(x.shape[1:])) for x in keras.tree.flatten(examples.specs[0]))
        return max(train.batch_size, min(_EVALUATED_ROWS, _EVALUATED_VALUES // max(1, values)))

    def _save(self) -> Path | None:
        """Save the model if that is asked for; with `best`, its best weights."""
        if self.trial.spec.train.save == "none" or self.folder is None:
            return None
        model, best = self.prepared.model, self.callbacks.best_weights
        final = model.get_weights() if best is not None else None
        if best is not None:
            model.set_weights(best)
        # A file says what its model is trained with: the rate at the beginning, not what a schedule
        # left behind.
        rate = self.loop.rates.first(self.trial.spec.train.learning_rate)
        left, model.optimizer.learning_rate = rate_of(model.optimizer), rate
        self.folder.mkdir(parents=True, exist_ok=True)
        draft, path = self.folder / ".draft.keras", self.folder / "model.keras"
        model.save(draft)
        draft.replace(path)
        model.optimizer.learning_rate = left
        if final is not None:
            model.set_weights(final)
        return path


def _array(variable: Any) -> np.ndarray:
    return np.array(variable.value.numpy())


class _UntrackedVariable:
    """A TensorFlow variable that no layer owns, seen as one of Keras's."""

    def __init__(self, variable: tf.Variable) -> None:
        self.value = variable
        self.shape, self.dtype = tuple(variable.shape), variable.dtype.name
        self.assign = variable.assign


def _bn_momentum(model: keras.Model) -> float | None:
    inside = model._flatten_layers()  # of subclassed models too, which have no graph to walk
    norms = (each for each in inside if isinstance(each, keras.layers.BatchNormalization))
    return max((float(each.momentum) for each in norms if each.trainable), default=None)
