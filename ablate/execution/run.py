"""Run a study: the one function behind `ablate run` and `ablate.run`.

Outcomes in the store are kept, the rest is trained on the chosen executor, and results.csv and the
TensorBoard files are brought up to date. Before the first trial trains, every variant that has
something to do is built once in a worker, so that a selector that matches nothing or a loss that
does not fit costs seconds and not a night.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.disk import notice
from ablate.errors import AblateError, StudyError, nearest
from ablate.execution import worker
from ablate.execution.again import trained_again
from ablate.execution.devices import worker_pools
from ablate.execution.local import Inline, Processes
from ablate.execution.messages import Executor
from ablate.execution.plan import Plan, plan, resolved_before, with_searched, write_study
from ablate.execution.pretrained import with_trained_model
from ablate.execution.readings import materialised
from ablate.execution.runner import Interrupted, More, Run, recover
from ablate.reasons import reason
from ablate.report.report_data import analysis_of
from ablate.store import Store
from ablate.study.checks import beyond_shares, check_new_names
from ablate.study.metrics import bare
from ablate.study.pace import Pace
from ablate.study.preview import VariantPlan, offer_lines, weights_lines
from ablate.study.programs import groups
from ablate.study.progress import Watcher, tell
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.schema.execution import Execution
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial, TrialResult


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
        watchers: objects that follow the progress (`ablate.study.progress.Watcher`); by default a
            display on standard output.

    Raises:
        StudyError: the study cannot be obeyed; nothing was trained.
        StoreError: the folder cannot be written, or another run holds it.
        Interrupted: Ctrl-C; what was finished is saved.
    """
    if watchers is None:
        from ablate.report.live import Display
        from ablate.report.printing import console

        watchers = [Display(console())]
    if study.screen is not None:
        raise StudyError(
            f"Study '{study.study}' screens sites. Run it as `ablate screen`, or"
            " as ablate.screen(study)."
        )
    with opened(study, logs, workers, executor, fresh, watchers) as (made, store, session):
        write_study(made, store)
        made, results = carry_out(made, store, session, watchers)
        store.write_results(made.trials, results)
        outcome = made.outcome(results, store)
        assert outcome.looks is not None  # they lie in a folder
        store.add_look(outcome.looks, outcome.results, "run")
        return outcome


def carry_out(
    made: Plan, store: Store, session: Session, watchers: Sequence[Watcher]
) -> tuple[Plan, dict[str, TrialResult]]:
    """Train what a plan lacks; return the plan after it and the results of its trials by id."""
    recovered = recover(store, {trial.id: trial for trial in made.todo})
    made = made.after(recovered)
    todo = [t for t in made.todo if t.id not in recovered or not recovered[t.id].final]
    kept = made.kept + len(made.todo) - len(todo)
    if not todo:
        tell(watchers, "begin", 0, kept, len(made.dropped))
    else:
        _train(made, todo, kept, store, session, watchers)
    with suppress(OSError):
        store.works.rmdir()  # unless something is still under way in it
    made = made.after(store.results({trial.id for trial in made.possible}))
    return made, store.results({trial.id for trial in made.trials})


@contextmanager
def opened(
    study: Study,
    logs: str | Path,
    workers: int | str | None,
    executor: str | None,
    fresh: bool,
    watchers: Sequence[Watcher],
) -> Iterator[tuple[Plan, Store, Session]]:
    """Plan a study in its folder, which stays locked within the context; arguments as for `run`.

    A study that starts from another study's network has that one run first.
    """
    if workers is not None or executor is not None:
        changes = {"workers": workers, "executor": executor}
        changes = {key: each for key, each in changes.items() if each is not None}
        execution = Execution.model_validate({**study.execution.model_dump(), **changes})
        study = study.model_copy(update={"execution": execution})
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
    tell(watchers, "preparing", f"Study {study.study}: planning")
    with store.lock():
        study = materialised(study, store.inputs)
        with Session(store, study.execution) as session:
            yield session.plan(study, anew=fresh), store, session


class Session:
    """The executors of a study, each started when it is first needed.

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

    def plan(self, study: Study, *, anew: bool = False) -> Plan:
        """Plan a study; what only a built model or rows that are read can tell, a worker tells."""
        return plan(
            study,
            self._store,
            look_inside=lambda variant, rule: self.call(
                variant.spec, worker.look_inside, variant, rule
            ),
            read=lambda spec: self.call(spec, worker.read, spec),
            look=lambda spec: self.call(spec, worker.look_at_model, spec),
            earlier=resolved_before(self._store),
            anew=anew,
        )

    def call(self, spec: Spec, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a worker that computes with the threads of `spec`.

        Raises:
            AblateError: whatever it raised.
        """
        try:
            return self.executor(threads_of(spec)).call(function, *arguments)
        except AblateError:
            raise
        except Exception as error:
            raise AblateError(f"The study could not be planned: {reason(error)}") from error

    def preview(self, resolved: Sequence[ResolvedVariant]) -> list[VariantPlan]:
        """Build each variant once, so that a mistake shows before anything trains."""
        built: list[VariantPlan] = self.call(resolved[0].spec, worker.preview, list(resolved))
        return built

    def groups(self, trials: Sequence[Trial], threads: int) -> list[tuple[Trial, ...]]:
        """Return trials in the groups to hand out; those under way already as they are."""
        executor = self.executor(threads)
        under_way = executor.expect(trials)
        held = {trial.id for group in under_way for trial in group}
        rest = [trial for trial in trials if trial.id not in held]
        return [*under_way, *groups(rest, executor.slots)]


def _train(
    made: Plan,
    todo: Sequence[Trial],
    kept: int,
    store: Store,
    session: Session,
    watchers: Sequence[Watcher],
) -> None:
    """Train what is left of a plan; builds every variant concerned first."""
    # The drawing of boards takes a while to import; a run with nothing to do never gets here.
    from ablate.events import LiveEvents

    # With seeds until decided, variants with nothing to do now may have something to do later.
    concerned = {trial.variant for trial in made.possible or todo}
    tell(watchers, "preparing", f"Starting workers, building {len(concerned)} variants")
    todo = sorted(todo, key=lambda trial: threads_of(trial.spec))
    first = {
        threads: session.groups(list(mine), threads)
        for threads, mine in itertools.groupby(todo, lambda trial: threads_of(trial.spec))
    }
    built = session.preview(
        [each for each in made.samples if each.name in concerned] or made.samples
    )
    _check_metric(made.study, built)
    shown, points = with_searched(made, store)
    watchers = [*watchers, LiveEvents(store, shown, points=points, analyse=analysis_of)]
    again = trained_again(made.lacks[trial.id] for trial in todo if trial.id in made.lacks)
    if again:
        notice(again)
    tell(watchers, "begin", len(todo), kept, len(made.dropped))
    tell(watchers, "expected", todo, Pace.of(made.results.values()))
    lines = weights_lines((each.name, each.weights) for each in built)
    tell(watchers, "built", [*lines, *offer_lines(made.study, built)])
    grown = _Grown(made, store, {trial.id for trial in todo}, watchers)
    outcomes: dict[str, TrialResult] = {}
    try:
        while first or grown.waiting:
            threads = next(iter(first), None) or threads_of(grown.waiting[0].spec)
            tasks = first.pop(threads, [])
            trials = {trial.id: trial for group in tasks for trial in group}
            more = grown.following(session, threads, trials)
            running = Run(
                store, session.executor(threads), trials, watchers,
                previews={each.name: each for each in built},
            )  # fmt: skip
            tasks += more(outcomes)
            outcomes |= running.go(tasks, more if made.possible else None)
    except Interrupted as stopped:
        done = len(outcomes) + stopped.done
        raise Interrupted(done, len(grown.known) - done) from None
    finally:
        for watcher in watchers:
            with suppress(OSError):
                tell([watcher], "end")


@dataclass
class _Grown:
    """A plan that grows with its outcomes, where seeds are added until variants are decided."""

    made: Plan
    store: Store
    known: set[str]  # handed out, or about to be
    watchers: Sequence[Watcher]
    waiting: list[Trial] = field(default_factory=list)  # asked for, not handed out yet

    def following(self, session: Session, threads: int, trials: dict[str, Trial]) -> More:
        """Return what asks for further groups that compute with `threads`, added to `trials`."""

        def more(outcomes: Mapping[str, TrialResult]) -> list[tuple[Trial, ...]]:
            self._take(outcomes)
            own = [trial for trial in self.waiting if threads_of(trial.spec) == threads]
            self.waiting = [trial for trial in self.waiting if trial not in own]
            trials.update({trial.id: trial for trial in own})
            return session.groups(own, threads) if own else []

        return more

    def _take(self, outcomes: Mapping[str, TrialResult]) -> None:
        self.made = self.made.after(outcomes)
        new = [trial for trial in self.made.todo if trial.id not in self.known]
        if new:
            self.known |= {trial.id for trial in new}
            self.waiting += new
            shown, _ = with_searched(self.made, self.store)
            tell(self.watchers, "planned", shown, len(self.known))


def _check_metric(study: Study, built: Sequence[VariantPlan]) -> None:
    """Refuse a margin that the metric cannot have, and seeds added by one that no trial reports.

    Raises:
        StudyError: the margin is none; or there is no such metric: those there are are named.
    """
    wanted = study.analysis.metric
    names = list(dict.fromkeys(name for each in built for name in each.metrics))
    # By itself accuracy is the metric, where there is one.
    own = "accuracy" if wanted == "auto" and "accuracy" in map(bare, names) else wanted
    if (text := beyond_shares(own, study.analysis.margin)) is not None:
        raise StudyError(f"analysis.margin: {text}")
    if study.until is None or wanted == "auto":
        return
    if names and all(bare(name) != bare(wanted) for name in names):
        raise StudyError(
            f"analysis.metric: no trial reports '{wanted}', and seeds are added until it decides."
            f"{nearest(wanted, names)} Expected one of: {', '.join(names)}."
        )


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


def threads_of(spec: Spec) -> int:
    """Return the threads that a planned spec is trained with."""
    threads = spec.train.threads
    if not isinstance(threads, int):
        raise StudyError("train.threads is not resolved; plan the study first.")
    return threads
