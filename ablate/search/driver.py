"""Run a search: the one function behind `ablate search`.

Points are proposed per
variant (`ablate.search.proposals`), trained on the study's executors like any trial, and each
variant's winner is trained on fresh seeds as soon as its points have ended. All of it happens in
one thread that alone owns the oracles; what is finished lies in the store, and a search that was
interrupted proposes the same points again and trains what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ablate.analysis.until import replay
from ablate.errors import StudyError, nearest
from ablate.execution.again import is_complete
from ablate.execution.plan import Plan, write_study
from ablate.execution.run import Session, opened, threads_of
from ablate.execution.runner import Run, recover
from ablate.search import search_table
from ablate.search.board import SearchEvents
from ablate.search.proposals import Proposals
from ablate.search.results import CONFIRM_SEEDS, SEARCH_SEEDS, SearchResults
from ablate.search.search_table import Point, spec_at
from ablate.search.space import check_searchable
from ablate.store import Store
from ablate.study.identity import trial_ids
from ablate.study.pace import Pace
from ablate.study.progress import Watcher, tell
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Search
from ablate.study.search_points import CONFIRMED, is_edit, parameters_of
from ablate.study.study import Study
from ablate.study.trial import Trial, TrialResult


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
        watchers: objects that follow the progress (`ablate.study.progress.Watcher`); by default a
            display on standard output.

    Raises:
        StudyError: the study cannot be obeyed; nothing was trained.
        StoreError: the folder cannot be written, or another run holds it.
        Interrupted: Ctrl-C; what was finished is saved.
    """
    if watchers is None:
        from ablate.report.printing import console
        from ablate.report.search_progress import SearchDisplay

        watchers = [SearchDisplay(console())]
    if study.search is None:
        raise StudyError(
            f"Study '{study.study}' has no 'search' section. Say what to vary, as "
            "search: {space: {train.learning_rate: {float: [1.0e-4, 1.0], sampling: log}}}."
        )
    check_searchable(study.search)
    with opened(study, logs, workers, executor, fresh, watchers) as (made, store, session):
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
        self.resolved = tuple(each for each in self.made.resolved if each.alias_of is None)
        assert self.study.search is not None
        self.search: Search = self.study.search
        self.memory: dict[str, Any] = self.store.read_digests()

    def go(self) -> SearchResults:
        """Search every variant and return what was found."""
        write_study(self.made, self.store)
        before = self.store.searched()
        recover(self.store, dict.fromkeys([*before, *(t.id for t in self.made.todo)]))
        for variant in self.resolved:
            self.proposals[variant.name] = Proposals(variant, self.search, self._trials)
        todo = self._advance({})
        self._write()
        kept = len(self.asked) - len(todo)
        if todo:
            self._preview()
        elif all(each.finished for each in self.proposals.values()):
            tell(self.watchers, "begin", 0, kept)
            return self.found()
        watchers = [*self.watchers, SearchEvents(self.store, self.made, self.found)]
        tell(watchers, "begin", len(todo), kept)
        tell(watchers, "expected", todo, Pace.of(self.results.values()))
        try:
            while todo:
                todo = self._train(todo, threads_of(todo[0].spec), watchers)
        finally:
            self._write()
            tell(watchers, "end")
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

    def _train(self, todo: list[Trial], threads: int, watchers: Sequence[Any]) -> list[Trial]:
        """Train the trials that compute with `threads` threads, and those that follow from them.

        Return the trials, given or following, that compute with other threads.
        """
        trials: dict[str, Trial] = {}
        others: list[Trial] = []

        def groups(new: Sequence[Trial]) -> list[tuple[Trial, ...]]:
            own = [trial for trial in new if threads_of(trial.spec) == threads]
            others.extend(trial for trial in new if threads_of(trial.spec) != threads)
            trials.update({trial.id: trial for trial in own})
            tell(watchers, "searched", self.found().progress(), len(self.asked))
            return self.session.groups(own, threads) if own else []

        def more(outcomes: Mapping[str, TrialResult]) -> list[tuple[Trial, ...]]:
            new = self._advance(outcomes)
            self._write()
            return groups(new)

        Run(self.store, self.session.executor(threads), trials, watchers).go(groups(todo), more)
        return others

    def _advance(self, outcomes: Mapping[str, TrialResult]) -> list[Trial]:
        """Take note of outcomes; return the trials to train of the points that follow."""
        self.results.update(outcomes)
        new: dict[str, Trial] = {}
        again = True
        while again:  # a new point may have all its outcomes in the store already
            again = False
            points = [p for each in self.proposals.values() for p in each.advance(self.results)]
            for point in [*points, *self._confirmations()]:
                wanted = self._missing(point)
                again |= not wanted
                new.update({trial.id: trial for trial in wanted})
        return list(new.values())

    def _confirmations(self) -> list[Point]:
        """Return the winners whose search has ended with the fresh seeds they are to have, those
        whose seeds have grown."""
        for name, proposals in self.proposals.items():
            if not proposals.finished or name in self.confirming:
                continue
            winner = self.found().winner(name)
            if winner is not None and self.search.confirm_seeds:
                self.confirming[name] = Point(name, CONFIRMED, winner.values, {})
        asked, grown = self._asked(), []
        for name, point in self.confirming.items():
            if len(point.trials) < asked[name]:
                seeds = range(CONFIRM_SEEDS, CONFIRM_SEEDS + asked[name])
                trials = self._trials(name, point.values, seeds)
                self.confirming[name] = replace(point, trials=trials)
                grown.append(self.confirming[name])
        return grown

    def _asked(self) -> Mapping[str, int]:
        """Return how many fresh seeds each winner is to have by now."""
        until = self.search.confirm_seeds
        if isinstance(until, int):
            return dict.fromkeys(self.confirming, until)
        seeds = range(CONFIRM_SEEDS, CONFIRM_SEEDS + until.at_most)
        without = [
            name
            for name, each in self.proposals.items()
            if each.finished and name not in self.confirming
        ]
        there = [
            replace(self.results[trial], variant=name, seed=seed)
            for name, point in self.confirming.items()
            for seed, trial in point.trials.items()
            if trial in self.results
        ]
        # A variant without a winner is lost, and no other waits for it.
        there += [
            TrialResult("", name, seed, "failed")
            for name in without
            for seed in seeds[: until.at_least]
        ]
        names = [each.name for each in self.resolved if each.name not in without]
        baseline = self.study.baseline_name
        if baseline in without and names:
            baseline = names[0]
        return replay(there, self.resolved, baseline, self.study.analysis, until, seeds).asked

    def _missing(self, point: Point) -> list[Trial]:
        """Return the trials of a point that are to be trained; find the others in the store."""
        missing = []
        for trial in point.trials.values():
            if trial in self.asked:
                continue
            self.asked.add(trial)
            result = self.store.load(trial)
            if is_complete(result, self.known[trial], self.store):
                assert result is not None
                self.results[trial] = result
            else:
                missing.append(self.known[trial])
        return missing

    def _trials(
        self, variant: str, values: Mapping[str, Any], seeds: Sequence[int] | None = None
    ) -> dict[int, str]:
        """Note the trials of a point, and return their ids by seed."""
        searched = self.proposals[variant].variant
        confirming = seeds is not None
        seeds = seeds or range(SEARCH_SEEDS, SEARCH_SEEDS + self.search.seeds)
        spec = spec_at(searched, values)
        if not confirming:  # a model of every point would fill the disk
            spec = spec.model_copy(update={"train": spec.train.model_copy(update={"save": "none"})})
        ids = trial_ids(
            spec, seeds, salt=searched.salt, memory=self.memory, numerics=self.study.numerics
        )
        for trial, seed in zip(ids, seeds, strict=True):
            self.known.setdefault(
                trial,
                Trial(
                    id=trial, variant=variant, seed=seed, spec=spec, factors=searched.factors,
                    probes=tuple(self.study.probes) if confirming else (), salt=searched.salt,
                    metric=self.study.analysis.metric,
                ),
            )  # fmt: skip
        return dict(zip(seeds, ids, strict=True))

    def _preview(self) -> None:
        """Build what the search will vary once, so that a mistake shows before anything trains."""
        objective = self.search.objective
        tell(self.watchers, "preparing", "Starting workers, building what the search varies")
        for each in self.session.preview(_corners(self.resolved, self.search)):
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


def _corners(resolved: Sequence[ResolvedVariant], search: Search) -> list[ResolvedVariant]:
    """Return the variants as they are, and with each choice of each placement's field."""
    corners = []
    for each in resolved:
        corners.append(each)
        for path, dimension in parameters_of(each, search).items():
            if is_edit(path):
                specs = [spec_at(each, {path: value}) for value in dimension.samples()]
                corners += [ResolvedVariant(each.name, spec) for spec in specs if spec != each.spec]
    return [each for at, each in enumerate(corners) if each not in corners[:at]]
