"""Which comparisons of several studies are one claim.

Comparisons of two studies are one claim where the variants do the same to their baselines: the
same layers at the same positions, the same settings changed. Where a study has several such
variants, names tell them apart. Classification is claimed in accuracy (or another share),
regression in the log ratio of RMSE; the two are never pooled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.analysis import Analysis
from ablate.analysis.claims import RMSE, Estimate
from ablate.analysis.descriptive import MINIMUM_SEEDS, t_quantile
from ablate.analysis.effects import Direction, Effect
from ablate.analysis.opening import described
from ablate.study.metrics import bare, is_share
from ablate.study.resolved import ResolvedVariant

#: Metrics that are the RMSE to some power, by name without split, and the power that undoes it.
_POWERS = {
    "rmse": 1.0,
    "root_mean_squared_error": 1.0,
    "mse": 0.5,
    "mean_squared_error": 0.5,
}


@dataclass(frozen=True)
class Member:
    """A study that takes part: its name, what was found, its variants, its trials' ids."""

    name: str
    analysis: Analysis
    resolved: Sequence[ResolvedVariant]
    trials: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Candidate:
    """A comparison that may be part of a claim. `scores`: by seed, the baseline's and its own."""

    role: tuple[object, ...]
    words: str
    metric: str
    direction: Direction
    estimate: Estimate
    scores: tuple[Mapping[int, float], Mapping[int, float]]


def candidates(member: Member) -> Iterator[Candidate | str]:
    """Yield a study's comparisons with its baseline, and why others are none."""
    analysis = member.analysis
    measure = _measure(member)
    if measure is None:
        yield (
            f"{member.name} is left out: its metric is {analysis.metric}. A synthesis takes "
            "accuracy or another share, and the RMSE of regression: set analysis.metric, or add "
            "mse to train.metrics."
        )
        return
    metric, key, power = measure
    variants = {each.name: each for each in member.resolved}
    base = variants.get(analysis.baseline)
    for effect in analysis.effects:
        if effect.metric != analysis.metric or base is None or effect.variant not in variants:
            continue
        compared = (analysis.baseline, effect.variant)
        base_scores, own_scores = (_scores(analysis, each, key, power) for each in compared)
        pairs = sorted(base_scores.keys() & own_scores.keys())
        if len(pairs) < MINIMUM_SEEDS:
            yield (
                f"{effect.variant} of {member.name} is left out: {len(pairs)} pairs of seeds, and "
                f"nothing is inferred from fewer than {MINIMUM_SEEDS}."
            )
            continue
        mean, sd = effect.mean or 0.0, effect.sd or 0.0
        if metric == RMSE:
            ratios = np.array([own_scores[seed] - base_scores[seed] for seed in pairs])
            mean, sd = float(ratios.mean()), float(ratios.std(ddof=1))
        error = sd / math.sqrt(len(pairs)) * _overlap(effect, analysis.confidence)
        variant = variants[effect.variant]
        estimate = Estimate(member.name, effect.variant, len(pairs), mean, error)
        yield Candidate(
            _role(variant, base),
            described(variant, base),
            metric,
            "min" if metric == RMSE else analysis.direction,
            estimate,
            (base_scores, own_scores),
        )


def by_claim(
    found: Sequence[Candidate],
) -> tuple[list[tuple[str, list[Candidate]]], list[str]]:
    """Return comparisons that are one claim under its name, and what is said of all others."""
    groups: dict[tuple[str, tuple[object, ...]], list[Candidate]] = {}
    for each in found:
        groups.setdefault((each.metric, each.role), []).append(each)
    claims: dict[tuple[str, str], list[Candidate]] = {}
    alone: list[str] = []
    for (metric, _), own in groups.items():
        studies = Counter(each.estimate.study for each in own)
        parts: Iterable[list[Candidate]] = [own]
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


def _measure(member: Member) -> tuple[str, str, float] | None:
    """Return what a study is claimed in, the metric that has it, and the power of `_scores`."""
    analysis = member.analysis
    name = bare(analysis.metric)
    if is_share(analysis.metric):
        accuracy = name.endswith("accuracy") or name == "acc"
        return "accuracy" if accuracy else name, analysis.metric, 0.0
    split = analysis.metric.removesuffix(name)
    present = {metric for each in analysis.variants for metric in each.metrics}
    loss = str(member.resolved[0].spec.train.loss).lower() if member.resolved else ""
    squared = loss.replace("_", "") in ("mse", "meansquarederror") or (
        loss in ("auto", "none") and f"{split}mae" in present
    )
    powers = {**_POWERS, "loss": 0.5} if squared else _POWERS
    known = ((split + each, power) for each, power in powers.items() if split + each in present)
    return next(((RMSE, metric, power) for metric, power in known), None)


def _scores(analysis: Analysis, variant: str, metric: str, power: float) -> Mapping[int, float]:
    """Return a variant's values by seed; of the RMSE, which `power` is not 0 for, logarithms."""
    summary = analysis.variant(variant).metrics.get(metric)
    values = {} if summary is None else summary.values
    if not power:
        return values
    return {seed: power * math.log(value) for seed, value in values.items() if value > 0}


def _overlap(effect: Effect, confidence: float) -> float:
    """Return by how much overlapping splits widen a standard error."""
    if effect.interval != "overlapping_splits" or effect.low is None or not effect.sd:
        return 1.0
    assert effect.high is not None
    t = float(t_quantile(effect.n, confidence))
    return (effect.high - effect.low) / 2 / (t * effect.sd / math.sqrt(effect.n))


def _role(variant: ResolvedVariant, baseline: ResolvedVariant) -> tuple[object, ...]:
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
