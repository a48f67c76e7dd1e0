"""What a search found: its points with their scores, each variant's winner, what confirms it.

Points and trial results go in; the values that the report draws come out: scores, budget,
responses, importance, the range of learning rates that work, and the study of the confirmed
winners, which is analysed like any other study. Light: no Keras, no oracle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ablate.analysis import Analysis, analyze
from ablate.analysis.search import Searched, SearchPoint, Tolerated
from ablate.report.search_progress import SearchProgress, VariantProgress
from ablate.search import search_table
from ablate.search.importance import importance
from ablate.search.search_table import Point, spec_at
from ablate.search.tolerance import tolerances
from ablate.store import Store
from ablate.study.metrics import direction_of
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.schema.search import Search
from ablate.study.study import Study
from ablate.study.trial import TrialResult

#: The first seed that points are tried with, and the first that winners are confirmed with.
SEARCH_SEEDS, CONFIRM_SEEDS = 10_000, 20_000


@dataclass(frozen=True)
class SearchResults:
    """A search as far as it is: `points` in the order of proposal, `results` by trial id."""

    study: Study
    resolved: tuple[ResolvedVariant, ...]
    points: tuple[Point, ...]
    results: Mapping[str, TrialResult]
    folder: Path | None = None

    @property
    def search(self) -> Search:
        """The study's search section."""
        assert self.study.search is not None
        return self.study.search

    @property
    def arm(self) -> dict[str, ResolvedVariant]:
        """The searched arms by name."""
        return {arm.name: arm for arm in self.resolved}

    def of(self, variant: str) -> list[Point]:
        """Return the points tried for a variant, in the order of proposal."""
        return [p for p in self.points if p.variant == variant and not p.confirms]

    def winner(self, variant: str) -> Point | None:
        """Return the best point of a variant, None if none completed with every seed.

        The best mean of the objective over the seeds. Where an oracle trains some points for
        fewer epochs than others, only those trained longest can win.
        """
        tried = [(scored(point, self.results, self.search, self._full(point)), point)
                 for point in self.of(variant)]  # fmt: skip
        told = [(s.score, point) for s, point in tried if s.score is not None and s.eligible]
        if not told:
            return None
        sign = 1.0 if self.direction == "max" else -1.0
        return max(told, key=lambda pair: sign * pair[0])[1]

    @property
    def direction(self) -> Any:
        """Whether more of the objective is better: "max" or "min"."""
        return direction_of(self.search.objective, self.search.direction)

    @cached_property
    def confirmed(self) -> StudyResults:
        """The winners on fresh seeds, as a study of their own: only this is reported."""
        chosen = {point.variant: point for point in self.points if point.confirms}
        resolved = tuple(
            replace(arm, spec=spec_at(arm, chosen[arm.name].values))
            for arm in self.resolved
            if arm.name in chosen
        )
        results = tuple(
            replace(self.results[trial], variant=arm.name, seed=seed, factors=arm.factors)
            for arm in resolved
            for seed, trial in chosen[arm.name].trials.items()
            if trial in self.results
        )
        baseline = self._baseline([arm.name for arm in resolved])
        return StudyResults(
            study=self.study.model_copy(update={"baseline": baseline}),
            resolved=resolved,
            results=results,
            planned={arm.name: len(chosen[arm.name].trials) for arm in resolved},
            folder=self.folder,
        )

    @cached_property
    def analysis(self) -> Analysis | None:
        """The analysis of the confirmed winners, None where there is none."""
        confirmed = self.confirmed
        if not confirmed.results:
            return None
        return analyze(
            confirmed.results,
            confirmed.resolved,
            confirmed.study.baseline_name,
            self.study.analysis,
            study=self.study.study,
            planned=confirmed.planned,
        )

    @cached_property
    def tolerated(self) -> Tolerated | None:
        """The range of learning rates that work, per variant and seed; None if not searched."""
        return tolerances(self)

    @cached_property
    def searched(self) -> Searched:
        """The search as the report draws it."""
        scores = {
            arm.name: [
                scored(point, self.results, self.search, self._full(point))
                for point in self.of(arm.name)
            ]
            for arm in self.resolved
        }
        log = {p for p, each in self.search.space.items() if each.sampling != "linear"}
        return Searched(
            objective=self.search.objective,
            direction=self.direction,
            points=tuple(each for found in scores.values() for each in found),
            log=frozenset(log),
            confirmed=self.analysis,
            importance={
                name: shares
                for name, found in scores.items()
                if (shares := importance(found, self.direction, log))
            },
            text=tuple(self._said()),
            tolerated=self.tolerated,
        )

    def counts(self) -> dict[str, int]:
        """Return how many trials, tried or confirming, have each status."""
        ids = dict.fromkeys(trial for point in self.points for trial in point.trials.values())
        statuses = [self.results[t].status if t in self.results else "missing" for t in ids]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def to_json(self) -> dict[str, Any]:
        """Return the search as one JSON document."""
        return {
            "study": self.study.study,
            "objective": self.search.objective,
            "direction": self.direction,
            "oracle": self.search.oracle,
            "variants": {arm.name: self._variant_json(arm.name) for arm in self.resolved},
            "learning_rates": None if self.tolerated is None else self.tolerated.to_json(),
            "importance": self.searched.importance,
            "text": list(self.searched.text),
            "confirmed": None if self.analysis is None else self.analysis.to_json(),
        }

    def progress(self) -> SearchProgress:
        """Return how far the search is."""
        return progress_of(self.study, self.resolved, self.points, self.results)

    def _variant_json(self, variant: str) -> dict[str, Any]:
        winner = self.winner(variant)
        points = []
        for point in self.of(variant):
            each = scored(point, self.results, self.search, self._full(point))
            points.append({
                "point": point.name, "values": dict(point.values), "score": each.score,
                "scores": list(each.scores), "lost": each.lost, "epochs": each.epochs,
            })  # fmt: skip
        return {
            "epochs": sum(each["epochs"] for each in points),
            "winner": None if winner is None else winner.name,
            "values": None if winner is None else dict(winner.values),
            "points": points,
        }

    def _full(self, point: Point) -> int | None:
        return full_epochs(self.arm[point.variant], self.search)

    def _baseline(self, names: Sequence[str]) -> str | None:
        wanted = self.study.baseline_name
        return wanted if wanted in names or not names else names[0]

    def _said(self) -> list[str]:
        from ablate.search.summary_text import said

        return said(self)


def found(
    study: Study, store: Store, resolved: Sequence[ResolvedVariant] | None = None
) -> SearchResults | None:
    """Return what a search of `study` has found so far, None if there was none."""
    if study.search is None or not (points := search_table.read(store, study.search)):
        return None
    names = {point.variant for point in points}
    searched = tuple(arm for arm in resolved or study.resolved if arm.name in names)
    known = {arm.name for arm in searched}
    kept = tuple(point for point in points if point.variant in known)
    results = store.results({trial for point in kept for trial in point.trials.values()})
    return SearchResults(study, searched, kept, results, store.root)


def scored(
    point: Point, results: Mapping[str, TrialResult], search: Search, full: int | None = None
) -> SearchPoint:
    """Return a point with what its seeds scored; seeds without an outcome yet are left out.

    Args:
        point: the point.
        results: trial results by id.
        search: the section, for the objective.
        full: epochs of a full training: a point with fewer cannot win.
    """
    there = [results[trial] for trial in point.trials.values() if trial in results]
    ended = [each for each in there if each.status != "interrupted"]
    values = [each.metrics.get(search.objective) for each in ended if each.status == "completed"]
    scores = tuple(each for each in values if each is not None)
    open_ = len(point.trials) - len(ended)
    epochs = point.values.get("train.epochs")
    return SearchPoint(
        variant=point.variant,
        values=point.values,
        scores=scores,
        lost=len(ended) - len(scores),
        epochs=sum(each.epochs for each in there),
        eligible=not open_ and (full is None or epochs is None or epochs >= full),
    )


def full_epochs(arm: ResolvedVariant, search: Search) -> int | None:
    """Return the epochs that a point needs to be able to win, None if all have what they ask."""
    return arm.spec.train.epochs if search.oracle == "hyperband" else None


def progress_of(
    study: Study,
    resolved: Sequence[ResolvedVariant],
    points: Sequence[Point],
    results: Mapping[str, TrialResult],
) -> SearchProgress:
    """Return how far a search is, from what is there."""
    search = study.search
    assert search is not None
    view = SearchResults(study, tuple(resolved), tuple(points), results)
    return SearchProgress(
        study.study,
        search.objective,
        view.direction,
        tuple(_progress_of(view, arm) for arm in resolved),
    )


def _progress_of(view: SearchResults, arm: ResolvedVariant) -> VariantProgress:
    search, points = view.search, view.of(arm.name)
    planned = search.trials if search.oracle not in ("grid", "hyperband") else None
    done = [p for p in points if all(t in view.results and view.results[t].final
                                     for t in p.trials.values())]  # fmt: skip
    winner = view.winner(arm.name)
    best = None if winner is None else scored(winner, view.results, search).score
    confirm = next((p for p in view.points if p.variant == arm.name and p.confirms), None)
    mine = [*points, *([confirm] if confirm else [])]
    spent = sum(
        view.results[trial].epochs
        for point in mine
        for trial in point.trials.values()
        if trial in view.results
    )
    left = sum(
        spec_at(arm, point.values).train.epochs
        for point in mine
        for trial in point.trials.values()
        if trial not in view.results or not view.results[trial].final
    )
    epochs = arm.spec.train.epochs
    if planned is not None:
        left += max(planned - len(points), 0) * search.seeds * epochs
    if confirm is None:
        left += search.confirm_seeds * epochs
    return VariantProgress(
        variant=arm.name,
        tried=len(done),
        planned=planned,
        lost=sum(bool(scored(point, view.results, search).lost) for point in points),
        best=best,
        values={} if winner is None else dict(winner.values),
        spent=spent,
        left=left,
        confirmed=0 if confirm is None else sum(t in view.results for t in confirm.trials.values()),
        confirm=search.confirm_seeds,
    )
