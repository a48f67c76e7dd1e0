"""Run a study: the one function behind `ablate run` and `ablate.run`.

A study goes in, its results come out. What stands in the store is kept, the rest is trained on
the chosen executor, and results.csv and the TensorBoard files follow. Before the first trial
trains, every variant that has something to do is built once in a worker, so that a selector
that matches nothing or a loss that does not fit costs seconds and not a night.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ablate.errors import Notice, StudyError
from ablate.execution import worker
from ablate.execution.again import trained_again
from ablate.execution.devices import worker_pools
from ablate.execution.local import Inline, Processes
from ablate.execution.messages import Executor
from ablate.execution.plan import Plan, plan, resolved_before, with_searched, write_study
from ablate.execution.pretrained import with_trained_model
from ablate.execution.readings import materialised
from ablate.execution.runner import Interrupted, Run, checked, recover
from ablate.store import Store
from ablate.study.checks import check_new_names
from ablate.study.preview import VariantPlan
from ablate.study.programs import groups
from ablate.study.progress import Watcher
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.schema.execution import Execution
from ablate.study.schema.variant import Found, LeaveOneOut
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial


def run(
    study: Study,
    *,
    logs: str | Path = "logs",
    workers: int | str | None = None,
    executor: str | None = None,
    fresh: bool = False,
    watchers: Sequence[Watcher] | None = None,
) -> StudyResults:
    """Train every trial of `study` that has no outcome yet, and return all results.

    Args:
        study: the study, from `ablate.load_study` or built in Python.
        logs: the folder under which `<study>/` is written.
        workers: worker processes; default as the study says, else cores // threads.
        executor: "processes", "serial", "inline", "ray" or "slurm"; default as the study says.
        fresh: set what is there aside (renamed, not deleted) and begin anew.
        watchers: objects that are told of progress; by default a display on standard output.

    Raises:
        StudyError: the study cannot be obeyed; nothing was trained.
        StoreError: the folder cannot be written, or another run holds it.
        Interrupted: Ctrl-C; what was finished is saved.
    """
    if watchers is None:
        from ablate.report.live import Display
        from ablate.report.terminal import console

        watchers = [Display(console())]
    study = asked(study, workers, executor)
    study = with_trained_model(
        study,
        logs,
        lambda other: run(other, logs=logs, workers=workers, executor=executor, watchers=watchers),
    )
    store = Store(logs, study.study)
    if fresh or not store.exists():
        check_new_names(study)
    if fresh:
        store.set_aside()
    with store.lock():
        study = materialised(study, store.inputs)
        with Session(store, study.execution) as session:
            made = plan(
                study, store, look_inside=session.look_inside, read=session.read,
                earlier=resolved_before(store), anew=fresh,
            )  # fmt: skip
            session.carry_out(made, watchers)
            return finish(made, store)


def finish(made: Plan, store: Store) -> StudyResults:
    """Write what is derived from all results, and return them."""
    with suppress(OSError):
        store.works.rmdir()  # unless something is still under way in it
    results = store.results({trial.id for trial in made.trials})
    store.write_results(made.trials, results)
    return made.outcome(results, store)


class Session:
    """An executor, started when it is first needed, and what is done with it.

    A study without anything left to train never starts one.
    """

    def __init__(self, store: Store, execution: Execution) -> None:
        self._store = store
        self._execution = execution
        self._executors: dict[int, Executor] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for executor in self._executors.values():
            executor.close()

    def executor(self, threads: int) -> Executor:
        """Return the executor whose workers compute with `threads` threads."""
        if threads not in self._executors:
            self._executors[threads] = make_executor(self._execution, self._store, threads)
            self._executors[threads].warm()
        return self._executors[threads]

    def look_inside(self, variant: ResolvedVariant, rule: LeaveOneOut) -> Sequence[Found]:
        """Build an arm in a worker and return the sites or layers that leave-one-out wants."""
        executor = self.executor(_threads(variant.spec.train.threads))
        found: Sequence[Found] = checked(executor, worker.look_inside, variant, rule)
        return found

    def read(self, spec: Spec) -> str:
        """Read what the `call` of a spec's data returns in a worker, and return its digest."""
        digest: str = checked(self.executor(_threads(spec.train.threads)), worker.read, spec)
        return digest

    def carry_out(self, made: Plan, watchers: Sequence[Watcher] = ()) -> None:
        """Train what a plan leaves to do; previews every variant concerned first."""
        store = self._store
        write_study(made, store)
        trials = {trial.id: trial for trial in made.todo}
        recovered = recover(store, trials)
        todo = [trial for trial in made.todo if not _recovered(recovered, trial)]
        kept = made.kept + len(made.todo) - len(todo)
        if not todo:
            for watcher in watchers:
                watcher.begin(0, kept, len(made.dropped))
            return
        # Drawing boards and pools of processes take a while to import; a run with nothing to do
        # never gets here.
        from ablate.events import LiveEvents

        under_way = self._expect(todo)
        said = self._preview(made, todo)
        shown, points = with_searched(made, store)
        seen = [*watchers, LiveEvents(store, shown, points=points)]
        again = trained_again(made.lacks[trial.id] for trial in todo if trial.id in made.lacks)
        if again:
            warnings.warn(Notice(again), stacklevel=2)
        for watcher in seen:
            watcher.begin(len(todo), kept, len(made.dropped))
        try:
            self._train(todo, under_way, seen, said)
        finally:
            for watcher in seen:
                with suppress(OSError):
                    watcher.end()

    def _train(
        self,
        todo: Sequence[Trial],
        under_way: Mapping[int, list[tuple[Trial, ...]]],
        seen: Sequence[Watcher],
        said: Mapping[str, VariantPlan],
    ) -> None:
        """Train on one executor after another: one for each number of threads."""
        done = 0
        for threads in sorted({_threads(trial.spec.train.threads) for trial in todo}):
            mine = [t for t in todo if _threads(t.spec.train.threads) == threads]
            executor = self.executor(threads)
            held = {trial.id for group in under_way[threads] for trial in group}
            rest = [trial for trial in mine if trial.id not in held]
            pieces = [*under_way[threads], *(groups(rest, executor.slots) if rest else [])]
            try:
                run = Run(self._store, executor, {t.id: t for t in mine}, seen, previews=said)
                done += len(run.go(pieces))
            except Interrupted as stopped:
                done += stopped.done
                raise Interrupted(done, len(todo) - done) from None

    def _expect(self, todo: Sequence[Trial]) -> dict[int, list[tuple[Trial, ...]]]:
        """Tell each executor what is to come; return the groups under way, by threads."""
        by_threads: dict[int, list[Trial]] = {}
        for trial in todo:
            by_threads.setdefault(_threads(trial.spec.train.threads), []).append(trial)
        return {
            threads: self.executor(threads).expect(mine) for threads, mine in by_threads.items()
        }

    def _preview(self, made: Plan, todo: Sequence[Trial]) -> dict[str, VariantPlan]:
        """Build each variant that has something to do once, so that a mistake shows now."""
        concerned = {trial.variant for trial in todo}
        resolved = [variant for variant in made.resolved if variant.name in concerned]
        threads = _threads(todo[0].spec.train.threads)
        return {
            each.name: each for each in checked(self.executor(threads), worker.preview, resolved)
        }


def make_executor(execution: Execution, store: Store, threads: int) -> Executor:
    """Return the executor that an `execution` section asks for.

    Raises:
        MissingExtraError: its engine is not installed.
        StudyError: it asks for what this machine does not have.
    """

    count = execution.workers if isinstance(execution.workers, int) else None
    if execution.executor == "inline":
        return Inline(store.works, threads=threads)
    if execution.executor == "ray":
        from ablate.execution.ray import RayTasks

        return RayTasks(store.works, threads=threads, execution=execution)
    if execution.executor == "slurm":
        from ablate.execution.slurm import SlurmJobs

        return SlurmJobs(store.works, threads=threads, execution=execution)
    found = worker_pools(
        threads=threads,
        workers=1 if execution.executor == "serial" else count,
        gpus_per_trial=execution.gpus_per_trial,
        cpus_per_trial=execution.cpus_per_trial,
    )
    return Processes(store.works, threads=threads, worker_pools=found)


def asked(study: Study, workers: int | str | None, executor: str | None) -> Study:
    """Return the study with the executor and workers that this call asks for."""
    changes: dict[str, Any] = {}
    if workers is not None:
        changes["workers"] = workers
    if executor is not None:
        changes["executor"] = executor
    if not changes:
        return study
    execution = Execution.model_validate({**study.execution.model_dump(), **changes})
    return study.model_copy(update={"execution": execution})


def _threads(threads: int | str) -> int:
    if not isinstance(threads, int):
        raise StudyError("train.threads is not resolved; plan the study first.")
    return threads


def _recovered(found: dict[str, Any], trial: Trial) -> bool:
    return trial.id in found and found[trial.id].final
