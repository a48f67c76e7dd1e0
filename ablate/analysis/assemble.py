"""Assemble an analysis: results and arms in, all that may be said of them out.

The one place that knows the order of things: arrays, failures, summaries, comparisons, factors,
contributions, costs, guards, words. It works with no results at all, with everything failed, with
one seed, and while a study is still running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ablate.analysis import sentences
from ablate.analysis.contributions import contributions
from ablate.analysis.costs import costs
from ablate.analysis.descriptive import rounding, summarize
from ablate.analysis.effects import (
    Analysis,
    Contribution,
    Direction,
    Effect,
    FactorEffect,
    Failures,
    Gap,
    MetricSummary,
    VariantSummary,
)
from ablate.analysis.expectations import judge
from ablate.analysis.factorial import factor_effects, factor_levels
from ablate.analysis.failures import count_failures
from ablate.analysis.gap import gaps
from ablate.analysis.guard_context import GuardContext
from ablate.analysis.guards import guard
from ablate.analysis.naming import coverage_clause, described
from ablate.analysis.opening import opening
from ablate.analysis.paired import Family, compare, correlate, specialize
from ablate.analysis.result_table import ResultTable, collect, headline
from ablate.analysis.speed import learning_speed
from ablate.errors import StudyError, nearest
from ablate.study.metrics import is_share
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.analysis import Expect
from ablate.study.trial import TrialResult


def analyze(
    results: StudyResults | Sequence[TrialResult],
    resolved: Sequence[ResolvedVariant] = (),
    baseline: str = "",
    settings: Settings | None = None,
    *,
    study: str = "",
    planned: Mapping[str, int] | None = None,
    expect: Sequence[Expect] = (),
    measurements: Mapping[str, Mapping[tuple[str, int], float]] | None = None,
    seed: int = 0,
) -> Analysis:
    """Analyze a study: every variant described, and compared with the baseline by seed.

    Args:
        results: what `ablate.run` returned, which brings the next arguments with it (`settings`
            may still be given); or the results of a study's trials, in any order; those of other
            variants are left out.
        arms: the variants as resolved; they order everything.
        baseline: the name of the arm that the others are compared with.
        settings: the study's `analysis` section.
        study: the study's name.
        planned: trials planned, by variant; by default as many as have results.
        expect: published values that the study is held against.
        measurements: further numbers of trials, by name, then by variant and seed: metrics like
            the others (a probe's final value, say).
        seed: of the generator that resamples.

    Returns:
        The analysis. The same arguments give the same analysis, to the last bit.

    Raises:
        StudyError: there is no such baseline; no trial reports the metric; or its direction is
            neither known nor given.
    """
    if isinstance(results, StudyResults):
        return analyze(
            results.results,
            results.resolved,
            results.study.baseline_name,
            settings or results.study.analysis,
            study=results.study.study,
            planned=results.planned,
            expect=results.study.expect,
            measurements=measurements,
            seed=seed,
        )
    settings = settings or Settings()
    names = [variant.name for variant in resolved]
    if baseline not in names:
        raise StudyError(
            f"baseline: there is no variant '{baseline}'.{nearest(baseline, names)} "
            f"Expected one of: {', '.join(names)}."
        )
    outcomes = collect(results, resolved, measurements)
    metric, direction = headline(
        outcomes.metrics, settings.metric, settings.direction, outcomes.declared
    )
    confidence = settings.confidence
    rng = np.random.default_rng(seed)
    counts = dict(planned or {})
    for variant in resolved:
        if variant.alias_of is not None and variant.name not in counts:
            counts[variant.name] = counts.get(variant.alias_of, 0)
    failures = count_failures(
        outcomes,
        baseline,
        planned=counts,
        metric=metric,
        direction=direction,
        collapse=settings.collapse,
        confidence=confidence,
    )
    variants = _variants(outcomes, failures, metric, confidence)
    effects = _effects(outcomes, baseline, metric, direction, confidence, rng)
    contrasts = _factor_effects(outcomes, metric, direction, confidence, rng)
    found_gaps = _gaps(outcomes, baseline, metric, direction, confidence, rng)
    of_headline = tuple(each for each in effects if each.metric == metric)
    clause = _coverage(outcomes, baseline, metric, of_headline)
    reference = resolved[names.index(baseline)]
    facts = GuardContext(
        outcomes,
        baseline,
        metric,
        direction,
        confidence,
        failures,
        of_headline,
        found_gaps,
        settings.collapse,
    )
    return Analysis(
        study=study,
        baseline=baseline,
        metric=metric,
        direction=direction,
        confidence=confidence,
        answer=opening(
            effects=[each for each in of_headline if each.family == "variants"],
            factor_effects=contrasts,
            variants=variants,
            baseline=baseline,
            metric=metric,
            confidence=confidence,
            coverage=clause,
            names={variant.name: described(variant, reference) for variant in resolved},
        ),
        coverage=f"{clause[:1].upper()}{clause[1:]}.",
        seeds=outcomes.seeds,
        trials=_trial_counts(outcomes, failures),
        factors=factor_levels(outcomes),
        variants=variants,
        effects=effects,
        factor_effects=contrasts,
        contributions=_contributions(outcomes, metric, direction, confidence, rng),
        costs=tuple(costs(outcomes, baseline)),
        speeds=tuple(learning_speed(outcomes, baseline, metric, direction, settings.target)),
        gaps=found_gaps,
        guards=tuple(guard(facts)),
        expectations=tuple(judge(expect, outcomes, failures, confidence, {metric: direction})),
    )


def _variants(
    outcomes: ResultTable, failures: Mapping[str, Failures], metric: str, confidence: float
) -> tuple[VariantSummary, ...]:
    order = sorted(outcomes.metrics, key=lambda name: name != metric)
    summaries = {
        name: summarize(outcomes.metrics[name], outcomes.seeds, confidence, share=is_share(name))
        for name in order
    }
    found = []
    for column, variant in enumerate(outcomes.resolved):
        own = {name: by_variant[column] for name, by_variant in summaries.items()}
        trials = outcomes.of(variant.name)
        notes = (note for each in trials for note in each.notes)
        cautions = (caution for each in trials for caution in each.cautions)
        found.append(
            VariantSummary(
                name=variant.name,
                n=failures[variant.name].completed,
                failures=failures[variant.name],
                metrics={name: each for name, each in own.items() if each.n}
                or {metric: MetricSummary()},
                factors=dict(variant.factors),
                origin=variant.origin,
                alias_of=variant.alias_of,
                notes=tuple(dict.fromkeys(notes)),
                cautions=tuple(dict.fromkeys(cautions)),
            )
        )
    return tuple(found)


def _effects(
    outcomes: ResultTable,
    baseline: str,
    metric: str,
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> tuple[Effect, ...]:
    """Compare each arm with the baseline: declared ones and those left out in families apart."""
    reference = outcomes.column(baseline)
    found: list[Effect] = []
    for name in [metric, *(each for each in outcomes.metrics if each != metric)]:
        way = direction if name == metric else outcomes.direction(name)
        if way is None:
            continue  # summarized; a guard says so
        values = outcomes.values(name)
        for family, columns in outcomes.families(baseline).items():
            own, base = values[:, columns], values[:, [reference]]
            compared = compare(
                own - base,
                seeds=outcomes.seeds,
                metric=name,
                direction=way,
                confidence=confidence,
                family=Family(family, len(columns)),
                rng=rng,
                noise=rounding(base, own),
                correlations=correlate(base, own),
            )
            for column, comparison in zip(columns, compared, strict=True):
                effect = specialize(
                    comparison, Effect, variant=outcomes.names[column], baseline=baseline
                )
                found.append(replace(effect, words=sentences.effect_words(effect, confidence)))
    return tuple(found)


def _factor_effects(
    outcomes: ResultTable,
    metric: str,
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> tuple[FactorEffect, ...]:
    found = factor_effects(outcomes, metric, direction, confidence, rng)
    return tuple(replace(each, words=sentences.factor_words(each, confidence)) for each in found)


def _contributions(
    outcomes: ResultTable,
    metric: str,
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> tuple[Contribution, ...]:
    found = contributions(outcomes, metric, direction, confidence, rng)
    return tuple(
        replace(each, words=sentences.contribution_words(each, confidence)) for each in found
    )


def _gaps(
    outcomes: ResultTable,
    baseline: str,
    metric: str,
    direction: Direction,
    confidence: float,
    rng: np.random.Generator,
) -> tuple[Gap, ...]:
    found = []
    for each in gaps(outcomes, baseline, metric, direction, confidence, rng):
        against = each.against
        if against is not None:
            text = sentences.comparison_words(against, each.variant, baseline, confidence)
            against = replace(against, words=text)
        found.append(replace(each, against=against))
    return tuple(found)


def _coverage(outcomes: ResultTable, baseline: str, metric: str, effects: Sequence[Effect]) -> str:
    part = "validation" if metric.startswith("val_") else "test"
    part = "training" if metric.startswith("train_") else part
    key = {"training": "train"}.get(part, part)
    trials = outcomes.completed(baseline) or [
        each for each in outcomes.trials.values() if each.status == "completed"
    ]
    rows = next((each.rows[key] for each in trials if each.rows.get(key)), None)
    drawn = next((each.drawn for each in trials if each.drawn is not None), None)
    seeds = max((each.n for each in effects), default=len(outcomes.completed(baseline)))
    variant = outcomes.resolved[outcomes.column(baseline)]
    return coverage_clause(variant, held_out=part, rows=rows, seeds=seeds, drawn=drawn)


def _trial_counts(outcomes: ResultTable, failures: Mapping[str, Failures]) -> dict[str, int]:
    own = [failures[variant.name] for variant in outcomes.resolved if variant.alias_of is None]
    return {
        "planned": sum(each.planned for each in own),
        "completed": sum(each.completed for each in own),
        "diverged": sum(each.diverged.count for each in own),
        "failed": sum(each.failed.count for each in own),
        "collapsed": sum(each.collapsed.count for each in own),
        "pending": sum(each.pending for each in own),
    }
