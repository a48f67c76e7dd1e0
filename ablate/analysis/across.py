"""Several studies together: what their claims come to, and accuracy over all of them.

`matching` says which comparisons are one claim, `claims` what that comes to; here they are made of
studies, corrected for each other, and what is left out is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.aggregates import (
    bootstrap,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from ablate.analysis.assemble import analyze
from ablate.analysis.claims import RMSE, Claim, claim_of, corrected
from ablate.analysis.formatting import plural
from ablate.analysis.matching import Candidate, Member, by_claim, candidates
from ablate.errors import StudyError
from ablate.study.results import StudyResults


@dataclass(frozen=True)
class Aggregate:
    """The scores of a variant over data sets, and how often it improves on the baseline's."""

    name: str
    mean: float  # interquartile
    low: float
    high: float
    profile: tuple[float, ...]  # share of runs above each of `Across.levels`
    improvement: float | None = None  # None: the baseline itself
    improvement_low: float | None = None
    improvement_high: float | None = None


@dataclass(frozen=True)
class Across:
    """What several studies say together.

    `notes` say what was left out and why; `aggregates` are over `data_sets`, the studies that have
    every claim on accuracy, the baseline's first.
    """

    studies: tuple[str, ...]
    confidence: float
    claims: tuple[Claim, ...]
    notes: tuple[str, ...] = ()
    data_sets: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()


def synthesize(studies: Sequence[StudyResults | Member], confidence: float | None = None) -> Across:
    """Return what several studies say together.

    Args:
        studies: what `ablate.run` returned, of each.
        confidence: of every interval; the first study's `analysis.confidence` by default.

    Raises:
        StudyError: there are fewer than two, two share trials, or no comparison of one is matched
            in another.
    """
    members = [
        each
        if isinstance(each, Member)
        else Member(
            each.study.study, analyze(each), each.resolved, frozenset(r.id for r in each.results)
        )
        for each in studies
    ]
    _check(members)
    level = confidence or members[0].analysis.confidence
    read = [each for member in members for each in candidates(member)]
    found = [each for each in read if isinstance(each, Candidate)]
    notes = [each for each in read if isinstance(each, str)]
    matched, alone = by_claim(found)
    if not matched:
        raise StudyError(_nothing_matches(members, found, notes))
    claims = corrected([_claim(name, own, level) for name, own in matched], level)
    notes += alone
    if any(each.analysis.looks for each in members):
        notes.append(
            "Seeds were added or looked at on the way in a study; the intervals of a synthesis "
            "take every number of seeds as chosen beforehand."
        )
    if any(each.borrowed_error for claim in claims for each in claim.estimates):
        notes.append(
            "A study whose seeds all gave one difference has no spread of its own; it weighs as "
            "the most precise of the others."
        )
    sets, levels, aggregates = _aggregates(matched, level)
    names = tuple(each.name for each in members)
    return Across(names, level, claims, tuple(notes), sets, levels, aggregates)


def _check(members: Sequence[Member]) -> None:
    if len(members) < 2:
        raise StudyError(
            "A synthesis is of two studies or more. Received one: name those that ask the same "
            "question on other data or networks."
        )
    for index, one in enumerate(members):
        for other in members[index + 1 :]:
            shared = len(one.trials & other.trials)
            if shared:
                raise StudyError(
                    f"{one.name} and {other.name} share {plural(shared, 'trial')}, and a synthesis "
                    "takes studies for independent. Leave one out, or compare them: "
                    f"ablate report {one.name} {other.name}"
                )


def _nothing_matches(
    members: Sequence[Member], found: Sequence[Candidate], notes: Sequence[str]
) -> str:
    lines = []
    for member in members:
        own = [each for each in found if each.estimate.study == member.name]
        if own:
            what = "accuracy" if own[0].metric != RMSE else "RMSE"
            lines.append(f"{member.name} (in {what}): " + "; ".join(each.words for each in own))
    return (
        "No comparison of one study is matched in another: a claim needs variants that do the "
        "same to their baselines (the same layers at the same positions, the same settings "
        "changed), in accuracy or in RMSE. " + ". ".join([*lines, *notes])
    )


def _claim(name: str, own: Sequence[Candidate], confidence: float) -> Claim:
    first = own[0]
    words = Counter(each.words for each in own).most_common(1)[0][0]
    return claim_of(
        name, words, first.metric, first.direction, [each.estimate for each in own], confidence
    )


def _aggregates(
    matched: Sequence[tuple[str, Sequence[Candidate]]], confidence: float
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[Aggregate, ...]]:
    """Return the data sets that have every claim on accuracy, levels, and scores over them."""
    claims = [(name, own) for name, own in matched if own[0].metric == "accuracy"]
    by_study = [{each.estimate.study: each for each in own} for _, own in claims]
    shared = [] if not by_study else [
        study for study in by_study[0] if all(study in each for each in by_study)
    ]  # fmt: skip
    if len(shared) < 2:
        return (), (), ()
    base = _stacked([by_study[0][study].scores[0] for study in shared])
    own = {
        name: _stacked([each[study].scores[1] for study in shared])
        for (name, _), each in zip(claims, by_study, strict=True)
    }
    every = {"": base, **own}
    pooled = np.concatenate([each.ravel() for each in every.values()])
    levels = np.linspace(pooled.min(), 1.0, 101)
    found = []
    for name, scores in every.items():
        low, high = bootstrap(interquartile_mean, scores, confidence=confidence)
        improved: list[float | None] = [None, None, None]
        if name:
            ends = bootstrap(probability_of_improvement, scores, base, confidence=confidence)
            improved = [float(probability_of_improvement(scores, base)), *map(float, ends)]
        profile = performance_profile(scores, levels)
        found.append(
            Aggregate(
                name or "baseline", float(interquartile_mean(scores)), float(low), float(high),
                tuple(map(float, profile)), *improved,
            )
        )  # fmt: skip
    return tuple(shared), tuple(map(float, levels)), tuple(found)


def _stacked(scores: Sequence[Mapping[int, float]]) -> np.ndarray:
    """Return (runs, data sets), with as many runs as every data set has, lowest seeds first."""
    runs = min(map(len, scores))
    return np.array([[each[seed] for seed in sorted(each)[:runs]] for each in scores]).T
