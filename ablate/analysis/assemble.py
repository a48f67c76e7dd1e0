"""Assemble an analysis: all that may be said of a study's results.

The one place that knows the order of things: arrays, failures, summaries, comparisons, factors,
contributions, costs, guards, sentences. It works with no results at all, with everything failed,
with one seed, and while a study is still running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from ablate.analysis.analysis import Analysis
from ablate.analysis.best_set import compares_all, find_best
from ablate.analysis.context import AnalysisContext
from ablate.analysis.contributions import contributions
from ablate.analysis.convergence import unconverged_averages
from ablate.analysis.costs import costs
from ablate.analysis.coverage import interval_for
from ablate.analysis.descriptive import summarize
from ablate.analysis.effects import (
    Comparison,
    Contribution,
    Effect,
    FactorEffect,
    Failures,
    MetricSummary,
    VariantSummary,
)
from ablate.analysis.expectations import judge
from ablate.analysis.factorial import cells_of, factor_effects, factor_levels, simple_effects
from ablate.analysis.failures import count_failures
from ablate.analysis.gap import gaps
from ablate.analysis.guards import guard
from ablate.analysis.opening import best_words, opening
from ablate.analysis.paired import Kind, compare_sides, specialize
from ablate.analysis.result_table import collect, headline
from ablate.analysis.rows import RowArrays, with_rows
from ablate.analysis.sentences import worded
from ablate.analysis.speed import learning_speed
from ablate.errors import StudyError, nearest
from ablate.study.checks import beyond_shares
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
    order: Sequence[int] = (),
    rows: RowArrays | None = None,
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
            A study that is not finished is one of those by itself.
        order: seeds in the order in which they were first looked at; all others come after them.
        rows: gives what a trial keeps of its test rows, by trial id (`rows.RowArrays`).

    Returns:
        The analysis. The same arguments give the same analysis, to the last bit.

    Raises:
        StudyError: there is no such baseline; no trial reports the metric; its direction is
            neither known nor given; or the margin is none for a share.
    """
    if isinstance(results, StudyResults):
        settings = settings or results.study.analysis
        if results.study.until is not None:  # each variant has seeds of its own
            settings = settings.model_copy(update={"compare": "baseline"})
        return analyze(
            results.results,
            results.resolved,
            results.study.baseline_name,
            settings,
            study=results.study.study,
            planned=results.planned,
            expect=results.study.expect,
            measurements=measurements,
            seed=seed,
            looks=looks or results.why_always_valid,
            order=order or (() if results.looks is None else results.looks.order),
            rows=rows,
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
    if (text := beyond_shares(metric, settings.margin)) is not None:
        raise StudyError(f"analysis.margin: {text}")
    context = AnalysisContext(
        table, baseline, metric, direction, settings, np.random.default_rng(seed), looks=looks,
        order=tuple(order),
    )  # fmt: skip
    counts = Counter(planned)
    for variant in resolved:
        if variant.alias_of is not None:
            counts.setdefault(variant.name, counts[variant.alias_of])
    failures = count_failures(context, counts)
    if not looks and any(each.pending for each in failures.values()):
        looks = "the study is not finished"
    context = replace(context, failures=failures, looks=looks)
    # The order of what follows is that in which resampling draws.
    pairs = _finished(with_rows(_pairs(context), context, rows), context)
    effects = _finished(with_rows(_effects(context, pairs), context, rows), context)
    contrasts = _finished(factor_effects(context), context)
    simple = _finished(simple_effects(context, contrasts), context)
    context = replace(
        context,
        effects=tuple(each for each in effects if each.metric == metric),
        gaps=tuple(gaps(context)),
    )
    variants = _variants(context)
    contributed = _finished(with_rows(contributions(context), context, rows), context)
    costed = tuple(costs(context))
    guards = tuple(guard(context))
    best = find_best(context, costed)
    if best is not None:
        best = replace(best, words=best_words(best, costed, context.confidence, pairs))
    answers = opening(context, variants, [*contrasts, *simple], contributed, best)
    return Analysis(
        study=study,
        baseline=baseline,
        metric=metric,
        direction=direction,
        confidence=context.confidence,
        answer=tuple(chain.from_iterable(answers.values())),
        answers=answers,
        coverage=context.coverage,
        looks=looks,
        seeds=table.seeds,
        trials=_trial_counts(context),
        variants=variants,
        effects=effects,
        factors=factor_levels(table),
        factor_effects=contrasts,
        simple_effects=simple,
        pairs=pairs,
        best=best,
        contributions=contributed,
        costs=costed,
        speeds=tuple(learning_speed(context)),
        gaps=context.gaps,
        guards=guards,
        expectations=tuple(judge(expect, context, guards)),
    )


def _finished(found: Sequence[Kind], context: AnalysisContext) -> tuple[Kind, ...]:
    """Return comparisons with their sentences, and with what must be known of their sides."""
    chance = {name: set(each.collapsed_seeds) for name, each in context.failures.items()}
    unconverged = unconverged_averages(context).keys()

    def completed(each: Kind) -> Kind:
        sides = {context.table.source(name) for name in _sides(each, context)}
        at_chance = set(each.differences) & set().union(*(chance[name] for name in sides))
        # Losses and metrics on training rows while training do not use moving averages.
        held = not each.metric.startswith("curve/") and sides & unconverged
        caveat = "moving averages not converged" if held and each.n else ""
        return replace(each, collapsed=len(at_chance), caveat=caveat)

    return worded(map(completed, found), context.confidence)


def _sides(each: Comparison, context: AnalysisContext) -> list[str]:
    """Return the variants that a comparison is of."""
    if isinstance(each, FactorEffect):
        return cells_of(each, context.table)
    if isinstance(each, Effect):
        return [each.variant, each.baseline]
    return [each.origin, each.without] if isinstance(each, Contribution) else []


def _variants(context: AnalysisContext) -> tuple[VariantSummary, ...]:
    table = context.table
    summaries = {
        name: summarize(
            values,
            table.seeds,
            context.confidence,
            share=is_share(name),
            # Means over splits of one pool are no surer than differences over them.
            error=interval_for(table, context.reference, name).standard_error,
        )
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


def _effects(context: AnalysisContext, pairs: Sequence[Effect]) -> list[Effect]:
    """Compare each variant with the baseline: declared ones and those left out in families apart.

    Where each was compared with each, the baseline's `pairs` are the comparisons of the headline
    metric. A metric of which it is not known whether more is better is summarized; a guard says so.
    """
    table, baseline = context.table, context.baseline
    reference = [table.column(baseline)]
    own = [each for each in pairs if each.baseline == table.source(baseline)]
    found = [replace(each, baseline=baseline) for each in own]
    for name, values in {context.metric: context.values, **_headline_first(context)}.items():
        direction = context.direction_of(name)
        if direction is None or (name == context.metric and pairs):
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


def _pairs(context: AnalysisContext) -> list[Effect]:
    """Compare every variant with every other on the headline metric, where that is asked."""
    if not compares_all(context.settings, context.table.resolved):
        return []
    table, first = context.table, context.table.source(context.baseline)
    names = sorted((each.name for each in context.trained), key=lambda name: name != first)
    sides = [(variant, base) for base, variant in combinations(names, 2)]
    own, base = (context.values[:, [table.column(each[side]) for each in sides]] for side in (0, 1))
    compared = compare_sides(own, base, context.family("pairs", len(sides)))
    return [
        specialize(each, Effect, variant=variant, baseline=base)
        for each, (variant, base) in zip(compared, sides, strict=True)
    ]


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
