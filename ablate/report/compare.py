"""Two or more studies side by side: `ablate report A B`.

Studies whose baselines are the same trials (equal ids on equal seeds) are one experiment run in
parts: their variants are analysed together, against that baseline, with Holm over all of them.
Otherwise nothing may be paired across them: each variant keeps the comparison of its own study,
and what keeps the studies apart (data, training, model, versions, seeds) is said first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from ablate.analysis import Analysis, FactorEffect, analyze
from ablate.errors import StudyError
from ablate.report import formatting
from ablate.report.report_data import ReportData
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.trial import TrialResult

#: Facts of the machine that can change a trial's numbers.
_VERSIONS = ("ablate", "keras", "tensorflow", "numpy", "python", "platform", "device", "threads")

#: The rows of an analysis, and which of their fields name variants.
_NAMES = {
    "variants": ("name", "alias_of"),
    "effects": ("variant", "baseline"),
    "pairs": ("variant", "baseline"),
    "contributions": ("origin", "without"),
    "costs": ("variant",),
    "speeds": ("variant",),
    "gaps": ("variant",),
    "expectations": ("variant", "than"),
}


def compared(reports: Sequence[ReportData]) -> ReportData:
    """Return one report on several studies, the first one's baseline leading.

    Raises:
        StudyError: a study does not report the first one's headline metric.
    """
    first = reports[0]
    labels = _labels(reports)
    same = all(_same_trials(first, other) for other in reports[1:])
    warnings = tuple(
        text
        for other, label in zip(reports[1:], labels[1:], strict=True)
        for text in _apart(first, other, labels[0], label)
    )
    name = " and ".join(labels)
    return (_together if same else _side_by_side)(reports, labels, name, warnings)


def _together(
    reports: Sequence[ReportData], labels: Sequence[str], name: str, warnings: tuple[str, ...]
) -> ReportData:
    """Analyse all variants against the baseline that the studies share."""
    first = reports[0]
    resolved: dict[str, ResolvedVariant] = {}
    results: dict[tuple[str, int], TrialResult] = {}
    planned: dict[str, int] = {}
    for report, label in zip(reports, labels, strict=True):
        new = _new_names(report, resolved, label, first)
        for variant in report.resolved:
            alias = variant.alias_of and new[variant.alias_of]
            resolved.setdefault(
                new[variant.name], replace(variant, name=new[variant.name], alias_of=alias)
            )
            count = report.analysis.variant(variant.name).failures.planned
            planned[new[variant.name]] = max(planned.get(new[variant.name], 0), count)
        for each in report.results:
            if each.variant in new:
                key = (new[each.variant], each.seed)
                results.setdefault(key, replace(each, variant=key[0]))
    lone = {key: replace(variant, factors={}) for key, variant in resolved.items()}
    settings = _settings(first.analysis)
    chosen = list(results.values())
    everything = list((lone if len(reports) > 1 else resolved).values())
    analysis = analyze(
        chosen, everything, first.analysis.baseline, settings, study=name, planned=planned,
        looks=next((each.analysis.looks for each in reports if each.analysis.looks), ""),
        rows=lambda trial: next((own for each in reports if (own := each.rows(trial))), {}),
    )  # fmt: skip
    return _gathered(analysis, chosen, everything, reports, warnings)


def _side_by_side(
    reports: Sequence[ReportData], labels: Sequence[str], name: str, warnings: tuple[str, ...]
) -> ReportData:
    """Keep each study's own comparisons, its variants under the study's name."""
    first = reports[0].analysis
    parts, results, resolved = [], [], []
    for report, label in zip(reports, labels, strict=True):
        part = _reanalysed(report, first, label)
        parts.append(_renamed(part, label))
        results += [replace(each, variant=f"{label}:{each.variant}") for each in report.results]
        resolved += [
            replace(
                each,
                name=f"{label}:{each.name}",
                alias_of=each.alias_of and f"{label}:{each.alias_of}",
            )
            for each in report.resolved
        ]
    fields: dict[str, Any] = {
        field: tuple(chain.from_iterable(getattr(part, field) for part in parts))
        for field in (*_NAMES, "factor_effects", "simple_effects", "guards")
    }
    merged = replace(
        parts[0],
        study=name,
        answer=tuple(
            f"{label}: {' '.join(part.answer)}" for part, label in zip(parts, labels, strict=True)
        ),
        seeds=tuple(sorted({seed for part in parts for seed in part.seeds})),
        trials={key: sum(part.trials.get(key, 0) for part in parts) for key in parts[0].trials},
        factors={},
        best=None,
        **fields
        | {"guards": tuple(sorted(fields["guards"], key=lambda g: g.severity != "warning"))},
    )
    return _gathered(merged, results, resolved, reports, warnings)


def _gathered(
    analysis: Analysis,
    results: Sequence[TrialResult],
    resolved: Sequence[ResolvedVariant],
    reports: Sequence[ReportData],
    warnings: tuple[str, ...],
) -> ReportData:
    return ReportData(
        analysis,
        results,
        resolved,
        study_text="\n---\n".join(each.study_text.rstrip() for each in reports) + "\n",
        command="\n".join(each.command for each in reports if each.command),
        warnings=(*chain.from_iterable(each.warnings for each in reports), *warnings),
    )


def _labels(reports: Sequence[ReportData]) -> list[str]:
    """Return the studies' names, told apart where two are equal."""
    labels: list[str] = []
    for each in reports:
        count = sum(label == each.name or label.startswith(f"{each.name}#") for label in labels)
        labels.append(f"{each.name}#{count + 1}" if count else each.name)
    return labels


def _new_names(
    report: ReportData, taken: Mapping[str, ResolvedVariant], label: str, first: ReportData
) -> dict[str, str]:
    """Return each variant's name in the joint report.

    The same variant (equal spec) keeps one name; another one of that name gets the study's before.
    """
    base = first.variant.get(first.analysis.baseline)
    names = {}
    for variant in report.resolved:
        if variant.name == report.analysis.baseline and base is not None:
            names[variant.name] = base.name
        elif variant.name not in taken or taken[variant.name].spec == variant.spec:
            names[variant.name] = variant.name
        else:
            names[variant.name] = f"{label}:{variant.name}"
    return names


def _baseline_ids(report: ReportData) -> dict[int, str]:
    trials = report.by_variant.get(report.analysis.baseline, ())
    return {each.seed: each.id for each in trials}


def _same_trials(one: ReportData, other: ReportData) -> bool:
    """Tell whether two baselines are the same trials on the seeds that both have."""
    mine, theirs = _baseline_ids(one), _baseline_ids(other)
    shared = mine.keys() & theirs.keys()
    return bool(shared) and all(mine[seed] == theirs[seed] for seed in shared)


def _apart(one: ReportData, other: ReportData, label: str, other_label: str) -> Iterator[str]:
    """Say what makes two studies not comparable, or less so."""
    mine, theirs = _baseline_ids(one), _baseline_ids(other)
    shared = mine.keys() & theirs.keys()
    names = f"{label} and {other_label}"
    if not _same_trials(one, other):
        differences = list(_differences(one, other))
        if differences:
            yield (
                f"The baselines of {names} are not the same, so no variant is compared across "
                f"them. They differ in {formatting.listed(differences, most=8)}."
            )
        elif not shared:
            yield (
                f"The baselines of {names} share no seed, so no variant is compared across them."
            )
        else:
            yield (
                f"The baselines of {names} have equal settings but are not the same trials: the "
                "content of a data or model file, the threads, or the numerics of ablate differ. "
                "No variant is compared across them."
            )
    elif mine.keys() != theirs.keys():
        yield f"{names} share {formatting.counted(len(shared), 'seed')} of the baseline, not all."
    for key in _VERSIONS:
        here, there = one.environment.get(key, ()), other.environment.get(key, ())
        if here and there and set(here) != set(there):
            yield (
                f"{names} ran with different {key}: {formatting.listed(here)} and "
                f"{formatting.listed(there)}; the last digits may differ for that alone."
            )


def _differences(one: ReportData, other: ReportData) -> Iterator[str]:
    """Yield the settings in which two baselines differ, with both values."""
    mine, theirs = (
        one.variant.get(one.analysis.baseline),
        other.variant.get(other.analysis.baseline),
    )
    if mine is None or theirs is None:
        return
    here = dict(_flat(mine.spec.model_dump(mode="json", by_alias=True)))
    there = dict(_flat(theirs.spec.model_dump(mode="json", by_alias=True)))
    for key in [*here, *(each for each in there if each not in here)]:
        if here.get(key) != there.get(key):
            yield f"{key} ({here.get(key)} and {there.get(key)})"
    rows = [next((dict(each.rows) for each in part.results if each.rows), None) for part in
            (one, other)]  # fmt: skip
    if None not in rows and rows[0] != rows[1]:
        yield f"rows ({_rows(rows[0])} and {_rows(rows[1])})"


def _rows(rows: Any) -> str:
    return ", ".join(f"{count} {part}" for part, count in rows.items())


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _settings(analysis: Analysis) -> Settings:
    margin = next(
        (each.margin for each in analysis.effects if each.metric == analysis.metric), None
    )
    return Settings(
        metric=analysis.metric,
        direction=analysis.direction,
        confidence=analysis.confidence,
        margin=margin,
        compare="all" if analysis.pairs else "baseline",
    )


def _reanalysed(report: ReportData, first: Analysis, label: str) -> Analysis:
    """Return the study's analysis on the first study's metric and level."""
    own = report.analysis
    if (own.metric, own.confidence) == (first.metric, first.confidence):
        return own
    planned = {each.name: each.failures.planned for each in own.variants}
    try:
        return analyze(
            report.results, report.resolved, own.baseline, _settings(first),
            study=own.study, planned=planned,
        )  # fmt: skip
    except StudyError as error:
        raise StudyError(
            f"{label} cannot be compared on {first.metric}, the headline metric of {first.study}: "
            f"{error}"
        ) from error


def _renamed(analysis: Analysis, label: str) -> Analysis:
    """Return the analysis with the study's name before every variant's."""

    def own(name: str) -> str:
        return f"{label}:{name}"

    fields: dict[str, Any] = {
        field: tuple(
            replace(each, **{name: own(old) for name in names if (old := getattr(each, name))})
            for each in getattr(analysis, field)
        )
        for field, names in _NAMES.items()
    }
    return replace(
        analysis,
        baseline=own(analysis.baseline),
        factor_effects=_labelled(analysis.factor_effects, label),
        simple_effects=_labelled(analysis.simple_effects, label),
        guards=tuple(
            replace(each, text=f"{label}: {each.text}", variants=tuple(map(own, each.variants)))
            for each in analysis.guards
        ),
        **fields,
    )


def _labelled(effects: Sequence[FactorEffect], label: str) -> tuple[FactorEffect, ...]:
    return tuple(replace(each, name=f"{label}: {each.name}") for each in effects)
