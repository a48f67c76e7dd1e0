"""Assemble an analysis: all that may be said of a study's results.

The one place that knows the order of things: arrays, failures, summaries, comparisons, factors,
contributions, costs, guards, sentences. It works with no results at all, with everything failed,
with one seed, and while a study is still running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.contributions import contributions
from ablate.analysis.costs import costs
from ablate.analysis.descriptive import summarize
from ablate.analysis.effects import (
    Analysis,
    Contribution,
    Effect,
    Failures,
    MetricSummary,
    VariantSummary,
)
from ablate.analysis.expectations import judge
from ablate.analysis.factorial import factor_effects, factor_levels, simple_effects
from ablate.analysis.failures import count_failures
from ablate.analysis.gap import gaps
from ablate.analysis.guards import guard
from ablate.analysis.opening import opening
from ablate.analysis.paired import Kind, compare_sides, specialize
from ablate.analysis.result_table import collect, headline
from ablate.analysis.sentences import worded
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
    looks: str = "",
) -> Analysis:
    """Analyze a study: every variant described, and compared with the baseline by seed.

    Args:
        results: what `ablate.run` returned, which brings the next arguments with it (`settings`
            may still be given); or the results of a study's trials, in any order; those of other
            variants are left out.
        resolved: the variants; they order everything.
        baseline: the name of the variant that the others are compared with.
        settings: the study's `analysis` section.
        study: the study's name.
        planned: trials planned, by variant; by default as many as have results.
        expect: published values that the study is held against.
        measurements: further numbers of trials, by name, then by variant and seed: metrics like
            the others (a probe's final value, say).
        seed: of the generator that resamples.
        looks: why the intervals have to hold however often one looks at the differences while
            seeds are added, as a clause; empty where the number of seeds was chosen beforehand.

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
            looks=looks,
        )
    settings = settings or Settings()
    names = [variant.name for variant in resolved]
    if baseline not in names:
        raise StudyError(
            f"baseline: there is no variant '{baseline}'.{nearest(baseline, names)} "
            f"Expected one of: {', '.join(names)}."
        )
    table = collect(results, resolved, measurements)
    metric, direction = headline(table.metrics, settings.metric, settings.direction, table.declared)
    context = AnalysisContext(
        table, baseline, metric, direction, settings, np.random.default_rng(seed), looks=looks
    )
    counts = Counter(planned)
    for variant in resolved:
        if variant.alias_of is not None:
            counts.setdefault(variant.name, counts[variant.alias_of])
    context = replace(context, failures=count_failures(context, counts))
    # The order of what follows is that in which resampling draws.
    effects = _finished(_effects(context), context)
    contrasts = _finished(factor_effects(context), context)
    simple = _finished(simple_effects(context, contrasts), context)
    context = replace(
        context,
        effects=tuple(each for each in effects if each.metric == metric),
        gaps=tuple(gaps(context)),
    )
    variants = _variants(context)
    contributed = _finished(contributions(context), context)
    return Analysis(
        study=study,
        baseline=baseline,
        metric=metric,
        direction=direction,
        confidence=context.confidence,
        answer=opening(context, variants, [*contrasts, *simple], contributed),
        coverage=context.coverage,
        seeds=table.seeds,
        trials=_trial_counts(context),
        variants=variants,
        effects=effects,
        factors=factor_levels(table),
        factor_effects=contrasts,
        simple_effects=simple,
        contributions=contributed,
        costs=tuple(costs(context)),
        speeds=tuple(learning_speed(context)),
        gaps=context.gaps,
        guards=tuple(guard(context)),
        expectations=tuple(judge(expect, context)),
    )


def _finished(found: Sequence[Kind], context: AnalysisContext) -> tuple[Kind, ...]:
    """Return comparisons with their sentences, and with how many pairs have a side at chance."""
    chance = {name: set(each.collapsed_seeds) for name, each in context.failures.items()}

    def at_chance(each: Kind) -> int:
        sides = list(chance)
        if isinstance(each, Effect):
            sides = [each.variant, each.baseline]
        if isinstance(each, Contribution):
            sides = [each.origin, each.without]
        return len(set(each.differences) & set().union(*(chance[name] for name in sides)))

    counted = (replace(each, collapsed=at_chance(each)) for each in found)
    return worded(counted, context.confidence)


def _variants(context: AnalysisContext) -> tuple[VariantSummary, ...]:
    table = context.table
    summaries = {
        name: summarize(values, table.seeds, context.confidence, share=is_share(name))
        for name, values in _headline_first(context).items()
    }
    found = []
    for column, variant in enumerate(table.resolved):
        own = {name: each[column] for name, each in summaries.items() if each[column].n}
        trials = table.of(variant.name)
        failures = context.failures[variant.name]
        found.append(
            VariantSummary(
                name=variant.name,
                n=failures.completed,
                failures=failures,
                metrics=own or {context.metric: MetricSummary()},
                factors=dict(variant.factors),
                origin=variant.origin,
                alias_of=variant.alias_of,
                notes=tuple(dict.fromkeys(note for each in trials for note in each.notes)),
                cautions=tuple(dict.fromkeys(text for each in trials for text in each.cautions)),
            )
        )
    return tuple(found)


def _headline_first(context: AnalysisContext) -> dict[str, np.ndarray]:
    metrics = context.table.metrics
    return {name: metrics[name] for name in sorted(metrics, key=lambda n: n != context.metric)}


def _effects(context: AnalysisContext) -> list[Effect]:
    """Compare each variant with the baseline: declared ones and those left out in families apart.

    A metric of which it is not known whether more is better is summarized; a guard says so.
    """
    table, baseline = context.table, context.baseline
    reference = [table.column(baseline)]
    found: list[Effect] = []
    for name, values in {context.metric: context.values, **_headline_first(context)}.items():
        direction = context.direction_of(name)
        if direction is None:
            continue
        for family, columns in table.families(baseline).items():
            compared = compare_sides(
                values[:, columns],
                values[:, reference],
                context.family(family, len(columns), name, direction),
            )
            found += [
                specialize(each, Effect, variant=table.names[column], baseline=baseline)
                for column, each in zip(columns, compared, strict=True)
            ]
    return found


def _trial_counts(context: AnalysisContext) -> dict[str, int]:
    own: list[Failures] = [context.failures[variant.name] for variant in context.trained]
    return {
        "planned": sum(each.planned for each in own),
        "completed": sum(each.completed for each in own),
        "diverged": sum(each.diverged.count for each in own),
        "failed": sum(each.failed.count for each in own),
        "collapsed": sum(each.collapsed.count for each in own),
        "pending": sum(each.pending for each in own),
    }
