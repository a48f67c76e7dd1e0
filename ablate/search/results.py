"""What a search found: its points with their scores, each variant's winner, what confirms it.

The confirmed winners are a study of their own, analysed like any other. Reads search.csv and the
trials' records; needs no Keras and no oracle. `summary_text` turns it into what a report shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ablate.analysis import Analysis
from ablate.analysis.search import SearchPoint
from ablate.execution.plan import looks_at
from ablate.report.report_data import analysis_of
from ablate.report.search_progress import SearchProgress, VariantProgress
from ablate.search import search_table
from ablate.search.search_table import Point, spec_at
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

    @cached_property
    def variants(self) -> dict[str, ResolvedVariant]:
        """The searched variants by name."""
        return {variant.name: variant for variant in self.resolved}

    def of(self, variant: str) -> list[Point]:
        """Return the points tried for a variant, in the order of proposal."""
        return [p for p in self.points if p.variant == variant and not p.confirms]

    def winner(self, variant: str) -> Point | None:
        """Return the best point of a variant, None if none completed with every seed.

        The best mean of the objective over the seeds. Where an oracle trains some points for
        fewer epochs than others, only those trained longest can win.
        """
        tried = [(self.scored(point), point) for point in self.of(variant)]
        able = [(s.score, point) for s, point in tried if s.score is not None and s.eligible]
        best = max if self.direction == "max" else min
        return best(able, key=lambda pair: pair[0])[1] if able else None

    def scored(self, point: Point) -> SearchPoint:
        """Return a point with what its seeds scored; seeds without an outcome yet are left out."""
        there = [self.results[trial] for trial in point.trials.values() if trial in self.results]
        ended = [each for each in there if each.status != "interrupted"]
        values = [
            each.metrics.get(self.search.objective) for each in ended if each.status == "completed"
        ]
        scores = tuple(each for each in values if each is not None)
        # Of hyperband's points only those of a full training can win.
        full = self.variants[point.variant].spec.train.epochs
        short = self.search.oracle == "hyperband" and point.values.get("train.epochs", full) < full
        return SearchPoint(
            variant=point.variant,
            values=point.values,
            scores=scores,
            lost=len(ended) - len(scores),
            epochs=sum(each.epochs for each in there),
            eligible=len(ended) == len(point.trials) and not short,
        )

    @property
    def direction(self) -> Any:
        """Whether more of the objective is better: "max" or "min"."""
        return direction_of(self.search.objective, self.search.direction)

    @cached_property
    def confirmed(self) -> StudyResults:
        """The winners on fresh seeds, as a study of their own: only this is reported."""
        chosen = {point.variant: point for point in self.points if point.confirms}
        resolved = tuple(
            replace(variant, spec=spec_at(variant, chosen[variant.name].values))
            for variant in self.resolved
            if variant.name in chosen
        )
        results = tuple(
            replace(self.results[trial], variant=variant.name, seed=seed, factors=variant.factors)
            for variant in resolved
            for seed, trial in chosen[variant.name].trials.items()
            if trial in self.results
        )
        names = [variant.name for variant in resolved]
        wanted = self.study.baseline_name
        baseline = wanted if wanted in names or not names else names[0]
        seeds = {name: tuple(chosen[name].trials) for name in names}
        study = self.study.model_copy(
            update={"baseline": baseline, "seeds": self.search.confirm_seeds}
        )
        looks = None
        if self.folder is not None:
            store = Store(self.folder.parent, self.folder.name)
            looks = looks_at(store, resolved, seeds, self.study.numerics)
        return StudyResults(
            study=study,
            resolved=resolved,
            results=results,
            planned={name: len(own) for name, own in seeds.items()},
            folder=self.folder,
            looks=looks,
        )

    @cached_property
    def analysis(self) -> Analysis | None:
        """The analysis of the confirmed winners, None where there is none."""
        return analysis_of(self.confirmed) if self.confirmed.results else None

    def counts(self) -> dict[str, int]:
        """Return how many trials, tried or confirming, have each status."""
        ids = dict.fromkeys(trial for point in self.points for trial in point.trials.values())
        statuses = [self.results[t].status if t in self.results else "missing" for t in ids]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}

    def progress(self) -> SearchProgress:
        """Return how far the search is."""
        return SearchProgress(
            self.study.study,
            self.search.objective,
            self.direction,
            tuple(_progress_of(self, variant) for variant in self.resolved),
        )


def found(
    study: Study, store: Store, resolved: Sequence[ResolvedVariant] | None = None
) -> SearchResults | None:
    """Return what a search of `study` has found so far, None if there was none."""
    if study.search is None or not (points := search_table.read(store, study.search)):
        return None
    names = {point.variant for point in points}
    searched = tuple(variant for variant in resolved or study.resolved if variant.name in names)
    known = {variant.name for variant in searched}
    kept = tuple(point for point in points if point.variant in known)
    results = store.results({trial for point in kept for trial in point.trials.values()})
    return SearchResults(study, searched, kept, results, store.root)


def _progress_of(found: SearchResults, variant: ResolvedVariant) -> VariantProgress:
    search, points, results = found.search, found.of(variant.name), found.results
    planned = search.trials if search.oracle not in ("grid", "hyperband") else None
    winner = found.winner(variant.name)
    confirm = next((p for p in found.points if p.variant == variant.name and p.confirms), None)
    epochs = variant.spec.train.epochs
    spent = left = 0
    for point in [*points, *([confirm] if confirm else [])]:
        there = [results[trial] for trial in point.trials.values() if trial in results]
        spent += sum(each.epochs for each in there)
        missing = len(point.trials) - sum(each.final for each in there)
        left += missing * spec_at(variant, point.values).train.epochs
    if planned is not None:
        left += max(planned - len(points), 0) * search.seeds * epochs
    wanted = search.confirm_seeds
    wanted = wanted if isinstance(wanted, int) else wanted.at_least
    if confirm is None:
        left += wanted * epochs
    else:
        wanted = len(confirm.trials)
    return VariantProgress(
        variant=variant.name,
        tried=sum(
            all(t in results and results[t].final for t in p.trials.values()) for p in points
        ),
        planned=planned,
        lost=sum(bool(found.scored(point).lost) for point in points),
        best=None if winner is None else found.scored(winner).score,
        values={} if winner is None else dict(winner.values),
        spent=spent,
        left=left,
        confirmed=0 if confirm is None else sum(t in results for t in confirm.trials.values()),
        confirm=wanted,
    )
