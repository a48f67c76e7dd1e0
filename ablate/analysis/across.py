"""Several studies together: which of their comparisons are one claim, and what it comes to.

Comparisons of two studies are one claim where the variants do the same to their baselines: the
same layers at the same positions, the same settings changed. Where a study has several such
variants, names tell them apart. Classification is claimed in accuracy (or another share),
regression in the log ratio of RMSE; the two are never pooled. Each study gives its mean difference
and its standard error, and `synthesis.random_effects` the rest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ablate.analysis.aggregates import (
    bootstrap,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from ablate.analysis.analysis import Analysis
from ablate.analysis.assemble import analyze
from ablate.analysis.descriptive import MINIMUM_SEEDS, t_quantile
from ablate.analysis.effects import Direction, Effect, Verdict
from ablate.analysis.formatting import plural
from ablate.analysis.opening import described
from ablate.analysis.paired import holm
from ablate.analysis.synthesis import Synthesis, random_effects
from ablate.errors import StudyError
from ablate.study.metrics import bare, is_share
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults

#: The metric of claims on regression: log of the variant's RMSE over the baseline's.
RMSE = "log_ratio_of_rmse"

#: Metrics whose square root is the RMSE, or that are it, by name without split.
_SQUARES = ("mse", "mean_squared_error")
_ROOTS = ("rmse", "root_mean_squared_error")


@dataclass(frozen=True)
class Estimate:
    """What one study says of a claim: a mean difference over `n` seeds, and its standard error.

    Without spread between seeds `error` is that of the most precise other study
    (`borrowed_error`).
    """

    study: str
    variant: str
    n: int
    mean: float
    error: float
    borrowed_error: bool = False

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the t interval of the study alone."""
        half = float(t_quantile(self.n, confidence)) * self.error
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Claim:
    """One claim over studies, in `metric`: "accuracy" (or another share), or `RMSE`.

    `p_holm` is corrected for all claims of the synthesis; `verdict` follows it.
    """

    name: str
    role: str  # in words
    metric: str
    direction: Direction
    estimates: tuple[Estimate, ...]
    synthesis: Synthesis
    p_holm: float = 1.0
    verdict: Verdict = "inconclusive"


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


@dataclass(frozen=True)
class Member:
    """A study that takes part: its name, what was found, its variants, its trials' ids."""

    name: str
    analysis: Analysis
    resolved: Sequence[ResolvedVariant]
    trials: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Comparison:
    """A comparison that may be part of a claim. `scores`: by seed, the baseline's and its own."""

    role: tuple[object, ...]
    words: str
    metric: str
    direction: Direction
    estimate: Estimate
    scores: tuple[Mapping[int, float], Mapping[int, float]]


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
    found: list[_Comparison] = []
    notes: list[str] = []
    for member in members:
        for each in _comparisons(member):
            if isinstance(each, str):
                notes.append(each)
            else:
                found.append(each)
    matched, alone = _matched(found)
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


# Comparisons -------------------------------------------------------------------------------------


def _comparisons(member: Member) -> Iterator[_Comparison | str]:
    """Yield a study's comparisons with its baseline, and why others are none."""
    analysis = member.analysis
    metric, read = _measure(member)
    if metric is None or read is None:
        yield (
            f"{member.name} is left out: its metric is {analysis.metric}. A synthesis takes "
            "accuracy or another share, and the RMSE of regression: set analysis.metric, or add "
            "mse to train.metrics."
        )
        return
    variants = {each.name: each for each in member.resolved}
    base = variants.get(analysis.baseline)
    for effect in analysis.effects:
        if effect.metric != analysis.metric or base is None or effect.variant not in variants:
            continue
        scores = read(analysis.baseline), read(effect.variant)
        pairs = sorted(scores[0].keys() & scores[1].keys())
        if len(pairs) < MINIMUM_SEEDS:
            yield (
                f"{effect.variant} of {member.name} is left out: {len(pairs)} pairs of seeds, and "
                f"nothing is inferred from fewer than {MINIMUM_SEEDS}."
            )
            continue
        mean, sd = effect.mean or 0.0, effect.sd or 0.0
        if metric == RMSE:
            ratios = np.array([scores[1][seed] - scores[0][seed] for seed in pairs])
            mean, sd = float(ratios.mean()), float(ratios.std(ddof=1))
        error = sd / math.sqrt(len(pairs)) * _overlap(effect, analysis.confidence)
        variant = variants[effect.variant]
        estimate = Estimate(member.name, effect.variant, len(pairs), mean, error)
        yield _Comparison(
            role_of(variant, base),
            described(variant, base),
            metric,
            "min" if metric == RMSE else analysis.direction,
            estimate,
            scores,
        )


#: Gives the values of a variant by seed.
_Read = Callable[[str], Mapping[int, float]]


def _measure(member: Member) -> tuple[str, _Read] | tuple[None, None]:
    """Return what a study is claimed in, and what reads a variant's values of it by seed."""
    analysis = member.analysis
    name = bare(analysis.metric)
    if is_share(analysis.metric):
        metric = "accuracy" if name.endswith("accuracy") or name == "acc" else name
        return metric, lambda variant: _values(analysis, variant, analysis.metric)
    split = analysis.metric.removesuffix(name)
    present = {metric for each in analysis.variants for metric in each.metrics}
    loss = str(member.resolved[0].spec.train.loss).lower() if member.resolved else ""
    squared = loss.replace("_", "") in ("mse", "meansquarederror") or (
        loss in ("auto", "none") and f"{split}mae" in present
    )
    for wanted, power in (
        *((each, 1.0) for each in _ROOTS),
        *((each, 0.5) for each in _SQUARES),
        *((("loss", 0.5),) if squared else ()),
    ):
        key = split + wanted
        if key in present:
            return RMSE, partial(_logarithms, analysis, key, power)
    return None, None


def _logarithms(analysis: Analysis, metric: str, power: float, variant: str) -> dict[int, float]:
    values = _values(analysis, variant, metric)
    return {seed: power * math.log(value) for seed, value in values.items() if value > 0}


def _values(analysis: Analysis, variant: str, metric: str) -> Mapping[int, float]:
    summary = analysis.variant(variant).metrics.get(metric)
    return {} if summary is None else summary.values


def _overlap(effect: Effect, confidence: float) -> float:
    """Return by how much overlapping splits widen a standard error."""
    if effect.interval != "overlapping_splits" or effect.low is None or not effect.sd:
        return 1.0
    assert effect.high is not None
    t = float(t_quantile(effect.n, confidence))
    return (effect.high - effect.low) / 2 / (t * effect.sd / math.sqrt(effect.n))


# Matching ----------------------------------------------------------------------------------------


def role_of(variant: ResolvedVariant, baseline: ResolvedVariant) -> tuple[object, ...]:
    """Return what a variant does to its baseline, whatever the network: layers, positions, keys.

    What the baseline has itself is part of it: Dropout added to a network with BatchNormalization
    is another claim than Dropout alone.
    """
    own, base = Counter(_placed(variant)), Counter(_placed(baseline))
    keys = []
    for section in ("train", "model", "data"):
        one, other = (
            getattr(each.spec, section).model_dump(mode="json", by_alias=True)
            for each in (variant, baseline)
        )
        keys += [f"{section}.{k}" for k in {*one, *other} if one.get(k) != other.get(k)]
    return (
        tuple(sorted((own - base).elements())),
        tuple(sorted((base - own).elements())),
        tuple(sorted((own & base).elements())),
        tuple(sorted(keys)),
    )


def _placed(variant: ResolvedVariant) -> Iterator[tuple[str, str]]:
    spec = variant.spec
    yield from ((each.layer, each.at) for each in spec.insert)
    yield from (("remove", str(each.where)) for each in spec.remove)
    yield from ((each.layer, f"in place of {each.where}") for each in spec.replace or ())
    yield from (("change", ",".join(sorted(each.arguments))) for each in spec.change or ())


def _matched(
    found: Sequence[_Comparison],
) -> tuple[list[tuple[str, list[_Comparison]]], list[str]]:
    """Return comparisons that are one claim under its name, and what is said of all others."""
    groups: dict[tuple[str, tuple[object, ...]], list[_Comparison]] = {}
    for each in found:
        groups.setdefault((each.metric, each.role), []).append(each)
    claims: dict[tuple[str, str], list[_Comparison]] = {}
    alone: list[str] = []
    for (metric, _), own in groups.items():
        studies = Counter(each.estimate.study for each in own)
        parts: Iterable[list[_Comparison]] = [own]
        if max(studies.values()) > 1:
            names = dict.fromkeys(each.estimate.variant for each in own)
            parts = [[each for each in own if each.estimate.variant == name] for name in names]
        for part in parts:
            names_of = Counter(each.estimate.variant for each in part)
            name = names_of.most_common(1)[0][0]
            if len(part) < 2:
                only = part[0].estimate
                alone.append(
                    f"{part[0].words} of {only.study} has no counterpart in another study."
                )
                continue
            key = (name, metric)
            while key in claims:  # one name for two roles
                key = (f"{key[0]}'", metric)
            claims[key] = part
    return [(key[0], part) for key, part in claims.items()], alone


def _nothing_matches(
    members: Sequence[Member], found: Sequence[_Comparison], notes: Sequence[str]
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


# Claims ------------------------------------------------------------------------------------------


def _claim(name: str, own: Sequence[_Comparison], confidence: float) -> Claim:
    first = own[0]
    words = Counter(each.words for each in own).most_common(1)[0][0]
    return claim_of(
        name, words, first.metric, first.direction, [each.estimate for each in own], confidence
    )


def claim_of(
    name: str,
    role: str,
    metric: str,
    direction: Direction,
    estimates: Sequence[Estimate],
    confidence: float,
    next_error: float = 0.0,
) -> Claim:
    """Return the claim that two estimates or more make together, uncorrected."""
    known = [each.error for each in estimates if each.error > 0]
    least = min(known, default=0.0)
    if least == 0.0:
        least = 1e-9  # nothing varies anywhere: equal weights
    own = tuple(
        each if each.error > 0 else replace(each, error=least, borrowed_error=True)
        for each in estimates
    )
    found = random_effects(
        np.array([each.mean for each in own]),
        np.array([each.error for each in own]),
        confidence,
        next_error,
    )
    assert found is not None
    return Claim(name, role, metric, direction, own, found, found.p)


def corrected(claims: Sequence[Claim], confidence: float) -> tuple[Claim, ...]:
    """Return claims with p corrected for all of them, and their verdicts."""
    adjusted = holm(np.array([each.synthesis.p for each in claims]))
    return tuple(
        replace(each, p_holm=float(p), verdict=_verdict(each, float(p), 1 - confidence))
        for each, p in zip(claims, adjusted, strict=True)
    )


def _verdict(claim: Claim, p: float, alpha: float) -> Verdict:
    if p > alpha or claim.synthesis.mean == 0:
        return "inconclusive"
    return "better" if (claim.synthesis.mean > 0) == (claim.direction == "max") else "worse"


def _aggregates(
    matched: Sequence[tuple[str, Sequence[_Comparison]]], confidence: float
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
