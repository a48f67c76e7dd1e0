"""Run a search: the one function behind `ablate search`.

A study with a `search` section goes in, `SearchResults` come out. Points are proposed per
variant (`ablate.search.proposals`), trained on the study's executors like any trial, and each
variant's winner is trained on fresh seeds as soon as its points have ended. All of it happens in
one thread that alone owns the oracles; what is finished lies in the store, and a search that was
interrupted proposes the same points again and trains what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.errors import StudyError, nearest
from ablate.execution import worker
from ablate.execution.again import stands
from ablate.execution.messages import Executor
from ablate.execution.plan import Plan, plan, resolved_before, write_study
from ablate.execution.pretrained import with_trained_model
from ablate.execution.readings import materialised
from ablate.execution.run import Session, asked, run
from ablate.execution.runner import Run, checked, recover
from ablate.search import search_table
from ablate.search.board import SearchEvents
from ablate.search.proposals import Proposals
from ablate.search.results import CONFIRM_SEEDS, SEARCH_SEEDS, SearchResults
from ablate.search.search_table import CONFIRMED, Point, spec_at
from ablate.search.space import check_searchable
from ablate.store import Store
from ablate.study.checks import check_new_names
from ablate.study.identity import trial_ids
from ablate.study.programs import groups
from ablate.study.progress import Watcher
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Search
from ablate.study.search_points import parameters_of
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial, TrialResult


def search(
    study: Study,
    *,
    logs: str | Path = "logs",
    workers: int | str | None = None,
    executor: str | None = None,
    fresh: bool = False,
    watchers: Sequence[Watcher] | None = None,
) -> SearchResults:
    """Search each variant's best point and confirm it on fresh seeds.

    Args:
        study: a study with a `search` section.
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
        from ablate.report.search_progress import SearchDisplay
        from ablate.report.terminal import console

        watchers = [SearchDisplay(console())]
    if study.search is None:
        raise StudyError(
            f"Study '{study.study}' has no 'search' section. Say what to vary, as "
            "search: {space: {train.learning_rate: {float: [1.0e-4, 1.0], sampling: log}}}."
        )
    check_searchable(study.search)
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
            return _Search(made, store, session, watchers).go()


@dataclass
class _Search:
    """A search under way."""

    made: Plan
    store: Store
    session: Session
    watchers: Sequence[Any]
    results: dict[str, TrialResult] = field(default_factory=dict)
    known: dict[str, Trial] = field(default_factory=dict)  # every trial asked for, by id
    asked: set[str] = field(default_factory=set)  # handed out, or found final
    proposals: dict[str, Proposals] = field(default_factory=dict)
    confirming: dict[str, Point] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.study = self.made.study
        self.resolved = tuple(arm for arm in self.made.resolved if arm.alias_of is None)
        assert self.study.search is not None
        self.search: Search = self.study.search
        self.memory: dict[str, Any] = self.store.read_digests()

    def go(self) -> SearchResults:
        """Search every variant and return what was found."""
        write_study(self.made, self.store)
        before = self.store.searched()
        recover(self.store, dict.fromkeys([*before, *(t.id for t in self.made.todo)]))  # type: ignore[arg-type]
        for arm in self.resolved:
            self.proposals[arm.name] = Proposals(arm, self.search, self._trials)
        todo = self._advance({})
        self._write()
        kept = len(self.asked) - len(todo)
        if todo:
            self._preview()
        elif not self._open():
            for watcher in self.watchers:
                watcher.begin(0, kept)
            return self.found()
        seen = [*self.watchers, SearchEvents(self.store, self.made, self.found)]
        for watcher in seen:
            watcher.begin(len(todo), kept)
        try:
            self._train(todo, seen)
        finally:
            self._write()
            for watcher in seen:
                watcher.end()
            self.store.tidy_works(keep=self.asked - self.results.keys())
        return self.found()

    def found(self) -> SearchResults:
        """Return what was found so far."""
        points = [point for each in self.proposals.values() for point in each.points]
        return SearchResults(
            self.study,
            self.resolved,
            # In the order of the variants, whichever was the first to end.
            (
                *points,
                *(self.confirming[a.name] for a in self.resolved if a.name in self.confirming),
            ),
            dict(self.results),
            self.store.root,
        )

    def _train(self, todo: list[Trial], seen: Sequence[Any]) -> None:
        """Train trials, and those that follow from them, on the executor of their threads."""
        while todo:
            threads = _threads(todo[0])
            mine = [trial for trial in todo if _threads(trial) == threads]
            later = [trial for trial in todo if _threads(trial) != threads]
            executor = self.session.executor(threads)
            trials = {trial.id: trial for trial in mine}
            running = Run(self.store, executor, trials, seen)

            def more(
                outcomes: Mapping[str, TrialResult],
                trials: dict[str, Trial] = trials,
                later: list[Trial] = later,
                threads: int = threads,
                executor: Executor = executor,
            ) -> list[tuple[Trial, ...]]:
                new = self._advance(outcomes)
                self._write()
                self._tell(seen)
                now = [trial for trial in new if _threads(trial) == threads]
                later += [trial for trial in new if _threads(trial) != threads]
                trials.update({trial.id: trial for trial in now})
                return _pieces(now, executor)

            self._tell(seen)
            running.go(_pieces(mine, executor), more)
            todo = later

    def _advance(self, outcomes: Mapping[str, TrialResult]) -> list[Trial]:
        """Take note of outcomes; return the trials to train of the points that follow."""
        self.results.update(outcomes)
        new: dict[str, Trial] = {}
        again = True
        while again:  # a new point may have all its outcomes in the store already
            again = False
            for name, proposals in self.proposals.items():
                points = proposals.advance(self.results)
                if proposals.finished and name not in self.confirming:
                    points += self._confirm(name)
                for point in points:
                    wanted = self._missing(point)
                    again |= not wanted and not point.confirms
                    new.update({trial.id: trial for trial in wanted})
        return list(new.values())

    def _confirm(self, variant: str) -> list[Point]:
        """Return the winner of a variant with its fresh seeds, nothing if there is none."""
        winner = self.found().winner(variant)
        if winner is None or not self.search.confirm_seeds:
            return []
        seeds = range(CONFIRM_SEEDS, CONFIRM_SEEDS + self.search.confirm_seeds)
        trials = self._trials(variant, winner.values, seeds)
        point = Point(variant, CONFIRMED, winner.values, trials)
        self.confirming[variant] = point
        return [point]

    def _missing(self, point: Point) -> list[Trial]:
        """Return the trials of a point that are to be trained; find the others in the store."""
        missing = []
        for trial in point.trials.values():
            if trial in self.asked:
                continue
            self.asked.add(trial)
            result = self.store.load(trial)
            if stands(result, self.known[trial], self.store):
                assert result is not None
                self.results[trial] = result
            else:
                missing.append(self.known[trial])
        return missing

    def _trials(
        self, variant: str, values: Mapping[str, Any], seeds: Sequence[int] | None = None
    ) -> dict[int, str]:
        """Note the trials of a point, and return their ids by seed."""
        arm = next(arm for arm in self.resolved if arm.name == variant)
        confirming = seeds is not None
        seeds = seeds or range(SEARCH_SEEDS, SEARCH_SEEDS + self.search.seeds)
        spec = spec_at(arm, values)
        if not confirming:  # a model of every point would fill the disk
            spec = spec.model_copy(update={"train": spec.train.model_copy(update={"save": "none"})})
        ids = trial_ids(
            spec, seeds, salt=arm.salt, memory=self.memory, numerics=self.study.numerics
        )
        for trial, seed in zip(ids, seeds, strict=True):
            self.known.setdefault(
                trial,
                Trial(
                    id=trial, variant=variant, seed=seed, spec=spec, factors=arm.factors,
                    probes=tuple(self.study.probes) if confirming else (), salt=arm.salt,
                ),
            )  # fmt: skip
        return dict(zip(seeds, ids, strict=True))

    def _open(self) -> bool:
        return any(not each.finished for each in self.proposals.values())

    def _preview(self) -> None:
        """Build what the search will vary once, so that a mistake shows before anything trains."""
        resolved = _corners(self.resolved, self.search)
        threads = resolved[0].spec.train.threads
        assert isinstance(threads, int)
        plans = checked(self.session.executor(threads), worker.preview, resolved)
        objective = self.search.objective
        for each in plans:
            if objective not in each.metrics:
                there = [name for name in each.metrics if name.startswith("val_")]
                why = (
                    f"The metrics are: {', '.join(there)}."
                    if there
                    else "There are no validation rows: set data.validation above 0."
                )
                raise StudyError(
                    f"search.objective: no trial of '{each.name}' reports '{objective}'."
                    f"{nearest(objective, there)} {why}"
                )

    def _write(self) -> None:
        found = self.found()
        search_table.write(self.store, found.points, found.results)

    def _tell(self, seen: Sequence[Any]) -> None:
        progress = self.found().progress()
        for watcher in seen:
            if hasattr(watcher, "searched"):
                watcher.searched(progress, len(self.asked))


def _corners(resolved: Sequence[ResolvedVariant], search: Search) -> list[ResolvedVariant]:
    """Return the arms as they are, and with each choice of each placement's field."""
    corners = []
    for arm in resolved:
        corners.append(arm)
        for path, dimension in parameters_of(arm, search).items():
            if path.startswith("insert."):
                specs: list[Spec] = [spec_at(arm, {path: each}) for each in dimension.samples()]
                corners += [ResolvedVariant(arm.name, spec) for spec in specs if spec != arm.spec]
    return [arm for at, arm in enumerate(corners) if arm not in corners[:at]]


def _pieces(trials: Sequence[Trial], executor: Executor) -> list[tuple[Trial, ...]]:
    """Return the trials in the groups to hand out; those under way already as they are."""
    if not trials:
        return []
    under_way = executor.expect(trials)
    held = {trial.id for group in under_way for trial in group}
    rest = [trial for trial in trials if trial.id not in held]
    return [*under_way, *(groups(rest, executor.slots) if rest else [])]


def _threads(trial: Trial) -> int:
    threads = trial.spec.train.threads
    assert isinstance(threads, int)
    return threads
