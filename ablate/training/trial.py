"""Trials from spec to result, one after another, in one process.

Trials that share a program go in; for each a `TrialResult` comes out, with the arrays of its
probes and, if asked for, the trained model's file. A trial that raises is a result too, and the
next one goes on. A trial that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.errors import AblateError
from ablate.study.progress import Event
from ablate.study.trial import Trial, TrialResult, probe_key
from ablate.training import bench, checkpoint, listening, rows, seeding, setup
from ablate.training.loop import Clock, Listener, Loop
from ablate.training.probing import Context, Probing
from ablate.training.rows import majority, weighted
from ablate.training.schedules import Rates

Work = Callable[[str], Path]
Report = Callable[[Event], None]
Outcome = tuple[TrialResult, dict[str, np.ndarray], Path | None]

#: Rows of train and test are evaluated in larger batches than they are trained in: as many
#: values at once, at most.
_EVALUATED_VALUES = 2**18
_EVALUATED_ROWS = 512

#: How many timed evaluations of the validation rows a result keeps.
_TIMED = 5


class TimeUp(AblateError):
    """A trial went over its time limit."""


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
        report: is told what happens.

    Raises:
        KeyboardInterrupt: on Ctrl-C; the trial under way goes on from its checkpoint later.
    """
    tell = report or (lambda event: None)
    for trial in trials:
        folder = work(trial.id) if work is not None else None
        running = _Running(trial, folder, tell)
        try:
            outcome = running.go()
        except Exception as error:
            bench.forget(trial.spec)  # whatever state it is in, no other trial begins in it
            outcome = (running.failed(error), {}, None)
        tell(Event(trial.id, "finished", outcome[0].epochs, trial.spec.train.epochs))
        yield outcome


@dataclass
class _Running:
    """A trial under way."""

    trial: Trial
    folder: Path | None
    report: Report
    clock: Clock = field(default_factory=Clock)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    epochs: int = 0
    diverged: dict[str, int] | None = None
    began: float = field(default_factory=time.perf_counter)
    before: float = 0.0  # seconds of earlier attempts, from the checkpoint
    notes: list[str] = field(default_factory=list)
    _saved: float = 0.0
    _told: float = 0.0

    def go(self) -> Outcome:
        """Train the trial and return what came of it."""
        train = self.trial.spec.train
        if isinstance(train.threads, int):
            setup.configure(train.threads)
        setup.determine(train.deterministic)
        self.rows = rows.rows_of(self.trial.spec, self.trial.seed)
        self.seed = f"{self.trial.seed}/{self.trial.salt}" if self.trial.salt else self.trial.seed
        self.listening = listening.Listening.of(train, self.rows.validation is not None)
        self._prepare()
        self.loop.callbacks.on_train_begin()
        self._trace()
        done = self._resume()
        self.report(Event(self.trial.id, "started", done, train.epochs))
        if done == 0:
            self._epoch_zero()
        self.loop.go(done)
        return self._finish()

    def _prepare(self) -> None:
        """Build or fetch the bench, put it at its beginning, and make the loop around it."""
        spec, train = self.trial.spec, self.trial.spec.train
        began = time.perf_counter()
        own = self.listening.own_program
        self.bench = bench.bench_for(spec, self.rows, self.seed, own=own)
        self.clock.add("build", began)
        began = time.perf_counter()
        examples = weighted(self.rows.train, self.rows.splits, train.class_weight)
        steps = -(-_count(examples) // train.batch_size)
        rates = Rates(train, steps)
        self.bench.begin(self.seed, rates.first(train.learning_rate), self.rows)
        self.clock.add("seed", began)
        self.loop = Loop(
            program=self.bench.program,
            train=examples,
            validation=self.rows.validation,
            batch_size=train.batch_size,
            epochs=train.epochs,
            order=lambda epoch: seeding.order(_count(examples), self.seed, epoch),
            rates=rates,
            callbacks=self._callbacks(steps),
            listener=Listener(self._epoch, self._divergence, self._breathe),
            clock=self.clock,
        )
        self.notes += [*self.rows.splits.notes, *self.bench.network.notes]
        self.probing = Probing(self.trial.probes)

    def _trace(self) -> None:
        """Trace the program before anything is measured, so that all random state is known."""
        program, traced = self.bench.program, self.bench.program.traced
        program.prepare(self.loop.train)
        self.bench.seed_strays(self.seed)
        self.clock.add("trace", time.perf_counter() - (program.traced - traced))
        if program.unseedable:
            self.notes.append(
                f"draws from a state of TensorFlow's own ({', '.join(program.unseedable)}): "
                "each trial has a program of its own"
            )
        if self.trial.probes:
            self.probing.start(self._context(), self._state)

    def _callbacks(self, steps: int) -> keras.callbacks.CallbackList:
        return keras.callbacks.CallbackList(
            self.listening.callbacks,
            add_history=True,
            add_progbar=False,
            model=self.bench.model,
            verbose=0,
            epochs=self.trial.spec.train.epochs,
            steps=steps,
        )

    @property
    def _state(self) -> list[Any]:
        return [*self.bench.state, *map(_Stray, self.bench.program.strays)]

    def _context(self) -> Context:
        splits = self.rows.splits
        x, y = (splits.x_val, splits.y_val) if splits.x_val is not None else (
            splits.x_train, splits.y_train,
        )  # fmt: skip
        return Context(
            model=self.bench.model,
            splits=splits,
            x=x,
            y=y,
            paths={layer: path for path, layer in self.bench.network.layers},
            seed=self.trial.seed,
            batch_size=self.trial.spec.train.batch_size,
            epochs=self.trial.spec.train.epochs,
        )

    # What happens between epochs.

    def _epoch_zero(self) -> None:
        """Measure before training: validation and probes; nothing of it leaves a trace."""
        generators = self.bench.generators()
        logs: dict[str, Any] = {}
        if self.rows.validation is not None:
            found = self.loop.evaluate(self.rows.validation)
            logs = {f"val_{name}": value for name, value in found.items()}
            names = {*found, *logs}
            self.listening.check(names)
        self._append(logs, self._first_rate())
        self._measure(0)
        for variable, value in generators:
            variable.assign(value)
        self._tell(0, logs)

    def _first_rate(self) -> float:
        rate = keras.ops.convert_to_numpy(self.bench.model.optimizer.learning_rate)
        return float(str(np.float32(rate)))

    def _epoch(self, epoch: int, logs: dict[str, Any], rate: float) -> None:
        """Note an epoch that has ended, and what it takes to go on from it."""
        self.epochs = epoch
        self._append(logs, rate)
        last = epoch == self.loop.epochs or bool(self.bench.model.stop_training)
        self._measure(epoch, last)
        self._tell(epoch, logs)
        if not last:
            self._checkpoint(epoch)
            self._check_time(epoch)

    def _divergence(self, epoch: int, step: int, rate: float) -> None:
        self.diverged = {"epoch": epoch, "step": step}
        self._append({}, rate)
        self._tell(epoch, {"loss": None})

    def _breathe(self, epoch: int, step: int, steps: int) -> None:
        if step == steps:
            return
        self._check_time(epoch - 1)
        if time.perf_counter() - self._told > 1.0:
            self._told = time.perf_counter()
            event = Event(self.trial.id, "step", epoch, self.loop.epochs, {}, step, steps)
            self.report(event)

    def _append(self, logs: dict[str, Any], rate: float) -> None:
        """Add an entry to every curve: None for what was not measured or is no number."""
        length = max((len(each) for each in self.curves.values()), default=0)
        entry = {name: _number(value) for name, value in logs.items() if np.ndim(value) == 0}
        entry["learning_rate"] = rate
        for name in entry:
            self.curves.setdefault(name, [None] * length)
        for name, curve in self.curves.items():
            curve.append(entry.get(name))

    def _measure(self, epoch: int, last: bool = False) -> None:
        if self.trial.probes:
            began = time.perf_counter()
            self.probing.measure(epoch, last)
            self.clock.add("probes", began)

    def _tell(self, epoch: int, logs: dict[str, Any]) -> None:
        self._told = time.perf_counter()
        numbers = {name: _number(each) for name, each in logs.items() if np.ndim(each) == 0}
        self.report(Event(self.trial.id, "epoch", epoch, self.loop.epochs, numbers))

    def _check_time(self, epochs: int) -> None:
        limit = self.trial.spec.train.time_limit
        spent = self._elapsed()
        if limit is not None and spent > limit:
            raise TimeUp(
                f"Stopped after {spent:.0f} s and {epochs} of {self.loop.epochs} epochs: "
                f"train.time_limit is {limit:g} s."
            )

    def _elapsed(self) -> float:
        return self.before + time.perf_counter() - self.began

    # Going on after an interruption.

    def _checkpoint(self, epoch: int) -> None:
        now = time.perf_counter()
        if self.folder is None or now - max(self._saved, self.began) < checkpoint.INTERVAL:
            return
        callbacks = self.loop.callbacks.callbacks
        state = {
            "epoch": epoch,
            "taken": self.loop.taken,
            "curves": self.curves,
            "clock": (self.clock.seconds, self.clock.inference),
            "before": self._elapsed(),
            "callbacks": [listening.state_of(each) for each in callbacks],
            "probes": self.probing.state(),
        }
        checkpoint.write(self.folder, self._state, state)
        self._saved = time.perf_counter()  # also if it was not possible: trying takes time

    def _resume(self) -> int:
        """Go back to the last checkpoint if there is one; return the epochs that it has done."""
        found = checkpoint.read(self.folder, self._state) if self.folder is not None else None
        callbacks = self.loop.callbacks.callbacks
        if found is None or len(found.state["callbacks"]) != len(callbacks):
            return 0
        for variable, value in zip(self._state, found.variables, strict=True):
            variable.assign(value)
        for callback, each in zip(callbacks, found.state["callbacks"], strict=True):
            vars(callback).update(each)
        self.curves = found.state["curves"]
        self.clock.seconds.update(found.state["clock"][0])
        self.clock.inference = found.state["clock"][1]
        self.before = found.state["before"]
        self.probing.restore(found.state["probes"])
        self.loop.taken = found.state["taken"]
        self.epochs = int(found.state["epoch"])
        return self.epochs

    # What is said at the end.

    def _finish(self) -> Outcome:
        metrics, status = self._final_metrics(), "diverged" if self.diverged else "completed"
        arrays = self.probing.arrays() if self.trial.probes else {}
        model = None if self.diverged else self._save()
        result = self._result(
            status=status,
            metrics=metrics,
            best_epoch=self.listening.best_epoch if not self.diverged else None,
            saved=self.trial.spec.train.save if model is not None else None,
            probes=tuple(probe_key(each) for each in self.trial.probes),
        )
        if self.folder is not None:
            checkpoint.remove(self.folder)
        return result, arrays, model

    def _final_metrics(self) -> dict[str, float | None]:
        """Evaluate the weights training ended with, each split once, in inference mode."""
        splits = {
            "train": self.rows.train,
            "val": self.rows.validation,
            "test": self.rows.test,
        }
        found: dict[str, float | None] = {}
        for split, each in splits.items():
            if each is None:
                continue
            if self.diverged:
                names = self._names()
                found.update({f"{split}_{name}": None for name in names})
                continue
            size = None if split == "val" else self._evaluation_batch(each)
            logs = self.loop.evaluate(each, size)
            found.update({f"{split}_{k}": _number(v) for k, v in logs.items() if np.ndim(v) == 0})
        return found

    def _names(self) -> list[str]:
        known = [name.removeprefix("val_") for name in self.curves if name != "learning_rate"]
        return list(dict.fromkeys(known)) or ["loss"]

    def _evaluation_batch(self, examples: Any) -> int:
        """Return how many rows to evaluate at once: more than in training where they are small."""
        train = self.trial.spec.train
        if train.jit_compile:
            return train.batch_size  # XLA compiles anew for every shape
        values = sum(int(np.prod(x.shape[1:])) for x in keras.tree.flatten(examples[0]))
        return max(train.batch_size, min(_EVALUATED_ROWS, _EVALUATED_VALUES // max(1, values)))

    def _save(self) -> Path | None:
        """Save the model if that is asked for; with `best`, its best weights."""
        if self.trial.spec.train.save == "none" or self.folder is None:
            return None
        model, best = self.bench.model, self.listening.best_weights
        final = model.get_weights() if best is not None else None
        if best is not None:
            model.set_weights(best)
        self.folder.mkdir(parents=True, exist_ok=True)
        draft, path = self.folder / ".draft.keras", self.folder / "model.keras"
        model.save(draft)
        draft.replace(path)
        if final is not None:
            model.set_weights(final)
        return path

    def _result(self, **fields: Any) -> TrialResult:
        trial, splits = self.trial, self.rows.splits
        seconds = {**self.clock.seconds, "total": self._elapsed()}
        return TrialResult(
            id=trial.id,
            variant=trial.variant,
            seed=trial.seed,
            factors=trial.factors,
            spec=trial.spec.model_dump(mode="json", by_alias=True),
            curves=self.curves,
            epochs=self.epochs,
            steps=self.loop.taken,
            diverged=self.diverged,
            parameters=int(self.bench.model.count_params()),
            rows=splits.rows,
            majority=majority(splits),
            seconds={name: round(value, 4) for name, value in seconds.items()},
            inference=tuple(self.clock.inference[-_TIMED:]),
            environment=setup.environment(),
            notes=tuple(self.notes),
            **fields,
        )

    def failed(self, error: Exception) -> TrialResult:
        """Return the result of a trial that raised `error`."""
        return TrialResult(
            id=self.trial.id,
            variant=self.trial.variant,
            seed=self.trial.seed,
            status="failed",
            factors=self.trial.factors,
            spec=self.trial.spec.model_dump(mode="json", by_alias=True),
            curves=self.curves,
            epochs=self.epochs,
            seconds={"total": round(self._elapsed(), 4)},
            environment=setup.environment(),
            error=_told(error),
        )


class _Stray:
    """A TensorFlow variable that no layer owns, seen as one of Keras's."""

    def __init__(self, variable: tf.Variable) -> None:
        self.value = variable
        self.shape, self.dtype = tuple(variable.shape), variable.dtype.name
        self.assign = variable.assign


def _told(error: Exception) -> str:
    """Return what a record says of an error: its own words where it was raised on purpose."""
    if isinstance(error, AblateError):
        return str(error)
    text = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return (
            "Out of memory. A smaller train.batch_size, fewer workers (--workers) or fewer rows "
            f"(data.limit) need less.\n\n{text}"
        )
    return text


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if np.isfinite(number) else None


def _count(batch: Any) -> int:
    return int(keras.tree.flatten(batch)[0].shape[0])
