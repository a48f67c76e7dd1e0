"""Guards on comparability: do the variants differ in more than was declared?

Trials that failed, and whether variants lost
equally many; parameters, epochs and data that differ without a word in the study file, trials from
different environments, and validation rows that are the test rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

from ablate.analysis.context import AnalysisContext
from ablate.analysis.descriptive import close
from ablate.analysis.effects import Guard, Severity
from ablate.analysis.formatting import (
    amount,
    counted,
    listing,
    plural,
    rows_phrase,
    seeds_phrase,
)
from ablate.reasons import sentence
from ablate.study.metrics import bare
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import RATED, Placement
from ablate.study.trial import Spec, TrialResult

#: Layers that regularize and add no weights.
REGULARIZERS = frozenset(RATED) | {"GaussianNoise"}

#: Regularizers that hold a variable: the steps they have taken.
_COUNTING = {"EarlyDropout"}

#: Reasons of failed trials that are named; more are counted.
REASONS = 4

#: Entries of `environment` that may differ between trials of one study.
_OF_A_RUN = frozenset(
    {"host", "hostname", "node", "pid", "worker", "started", "finished", "time", "cores"}
)


def failed(context: AnalysisContext) -> Iterator[Guard]:
    """Say why trials failed: each reason once, the commonest first, with its trials."""
    reasons: dict[str, dict[str, list[int]]] = {}
    for variant in context.trained:
        for each in context.table.of(variant.name):
            if each.status == "failed":
                found = reasons.setdefault(sentence(each.error or ""), {})
                found.setdefault(variant.name, []).append(each.seed)
    ordered = sorted(reasons.items(), key=lambda pair: -sum(map(len, pair[1].values())))
    for why, seeds in ordered[:REASONS]:
        trials = [f"{name} ({seeds_phrase(each)})" for name, each in seeds.items()]
        yield Guard("failed", "warning", f"{counted(trials)} failed: {why}", tuple(seeds))
    rest = [seeds for _, seeds in ordered[REASONS:]]
    if rest:
        count = sum(len(each) for seeds in rest for each in seeds.values())
        names = tuple(dict.fromkeys(name for seeds in rest for name in seeds))
        more = plural(len(rest), "more reason")
        text = f"{plural(count, 'more trial')} of {counted(names)} failed for {more}."
        yield Guard("failed", "warning", text, names)


def unequal_failures(context: AnalysisContext) -> Iterator[Guard]:
    """Warn where variants lost another share of their trials than the baseline."""
    reference = context.failures[context.baseline].lost
    unequal = [
        (variant.name, own)
        for variant in context.trained
        if (own := context.failures[variant.name].lost).of and own.rate != reference.rate
    ]
    if not unequal or not reference.of:
        return
    sure = [name for name, own in unequal if own.p is not None and own.p <= 1 - context.confidence]
    others = [
        f"{own.count} of {own.of} of {name} (Fisher's p = {1.0 if own.p is None else own.p:.2g})"
        for name, own in unequal
    ]
    gone = any(context.failures[each.name].failures.count for each in context.trained)
    compared = (
        "What completed is compared, which flatters those that lost more."
        if gone
        else "Trials at chance are compared with the others."
    )
    beyond = f"chance alone hardly explains {counted(sure)}" if sure else "chance could explain it"
    yield Guard(
        "unequal failures",
        "warning",
        f"Not all variants lost equally many trials: {reference.count} of {reference.of} of "
        f"{context.baseline} diverged, failed or ended at chance, {counted(others)}; {beyond}. "
        + compared,
        (context.baseline, *(name for name, _ in unequal)),
    )


def undeclared_parameters(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of weights that nothing declared adds; note networks of another size."""
    counts: dict[str, int] = {}
    for variant in context.trained:
        own = {each.parameters for each in context.table.of(variant.name)} - {None}
        if len(own) > 1:
            yield Guard(
                "parameters",
                "warning",
                f"Trials of {variant.name} have different numbers of parameters: "
                f"{listing([str(each) for each in sorted(filter(None, own))])}.",
                (variant.name,),
            )
        elif own:
            counts[variant.name] = next(iter(own)) or 0
    reference = counts.get(context.baseline)
    if not reference:
        return
    undeclared, other_size = [], []
    for variant in context.trained:
        share = counts.get(variant.name, reference) / reference - 1
        if share and not _weights_declared(variant, context.reference):
            undeclared.append((share, variant.name))
        elif abs(share) > 0.05:
            other_size.append((share, variant.name))
    kinds: tuple[tuple[list[tuple[float, str]], Severity, str], ...] = (
        (undeclared, "warning", "though nothing that was declared adds or takes away weights"),
        (other_size, "note", "so that networks of another size are compared, too"),
    )
    for found, severity, remark in kinds:
        if found:
            found.sort(key=lambda each: -abs(each[0]))
            alike: dict[str, list[str]] = {}
            for share, name in found:
                size = f"{counts[name]} ({100 * share:+.1f} %)".replace("-", "−")
                alike.setdefault(size, []).append(name)
            parts = [
                f"{counted(names)} {'has' if len(names) == 1 else 'have'} {size}"
                for size, names in alike.items()
            ]
            text = f"Parameters: {'; '.join(parts)}; {context.baseline} has {reference}, {remark}."
            yield Guard("parameters", severity, text, tuple(name for _, name in found))


#: What may add and take away weights, beside placements of layers that have some.
_WEIGHTY = ("model", "remove", "replace", "change")


def _weights_declared(variant: ResolvedVariant, baseline: ResolvedVariant) -> bool:
    own, reference = variant.spec, baseline.spec
    if any(getattr(own, part) != getattr(reference, part) for part in _WEIGHTY):
        return True

    def weighty(placements: list[Placement]) -> list[Placement]:
        return [each for each in placements if each.layer not in REGULARIZERS - _COUNTING]

    return weighty(own.insert) != weighty(reference.insert)


def undeclared_epochs(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of variants that were not trained equally long."""
    trained: dict[str, list[int]] = {}
    for variant in context.trained:
        epochs = [each.epochs for each in context.table.completed(variant.name)]
        if epochs:
            trained[variant.name] = epochs
    means = {name: sum(epochs) / len(epochs) for name, epochs in trained.items()}
    declared = _differing(context, lambda spec: spec.train.epochs)
    odd = [name for name in means if name not in declared]
    if context.baseline not in means or len({round(means[name], 6) for name in odd}) < 2:
        return
    stopping = any(variant.spec.train.early_stopping for variant in context.trained)
    lowest, highest = min(odd, key=means.__getitem__), max(odd, key=means.__getitem__)
    yield Guard(
        "epochs",
        "note" if stopping else "warning",
        f"The variants were not trained equally long: {lowest} {means[lowest]:.1f} epochs on "
        f"average, {highest} {means[highest]:.1f}"
        + (
            "; early stopping chose, and part of an effect may be length of training."
            if stopping
            else ", though no difference was declared."
        ),
        (lowest, highest),
    )


def _differing(context: AnalysisContext, part: Callable[[Spec], object]) -> set[str]:
    """Return the variants whose spec is declared to differ from the baseline's in a part."""
    own = part(context.reference.spec)
    return {each.name for each in context.trained if part(each.spec) != own}


def undeclared_data(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of variants that did not see the rows that the baseline saw."""
    shared = {(each.seed): each for each in context.table.of(context.baseline) if each.rows}
    declared = _differing(context, lambda spec: spec.data)
    found: dict[str, str] = {}
    for variant in context.trained:
        for each in context.table.of(variant.name):
            reference = shared.get(each.seed)
            if reference is None or not each.rows or variant.name == context.baseline:
                continue
            same = dict(each.rows) == dict(reference.rows) and each.majority == reference.majority
            if not same and variant.name not in declared:
                found[variant.name] = (
                    f"with seed {each.seed}, though no difference was declared: "
                    f"{_seen(each)} against {_seen(reference)}"
                )
                break
    if found:
        (first, what), *others = found.items()
        more = f"; nor did {counted([name for name, _ in others])}" if others else ""
        yield Guard(
            "data",
            "warning",
            f"{first} and {context.baseline} did not see the same data {what}{more}.",
            (*found, context.baseline),
        )


def _seen(result: TrialResult) -> str:
    """Return what the record says of the rows: how many, and how common the commonest class is."""
    rows = rows_phrase(dict(result.rows))
    if result.majority is None:
        return rows
    share = amount("accuracy", result.majority)
    return f"{rows} with {share} of the validation rows in the commonest class"


def validation_is_test(context: AnalysisContext) -> Iterator[Guard]:
    """Warn when validation and test rows are the same."""
    both = [each for each in context.completed if _twins(each)]
    if not both:
        return
    equal = all(close(val, test) for each in both for val, test in _twins(each))
    if equal and len(both) * len(_twins(both[0])) > 1:
        yield Guard(
            "validation equal to test",
            "warning",
            "Validation and test metrics are equal in every trial: they are the same rows. What "
            "was chosen on validation data is then no evidence on test data.",
        )


def _twins(result: TrialResult) -> list[tuple[float, float]]:
    if result.rows and result.rows.get("validation") != result.rows.get("test"):
        return []
    found = []
    for name, test in result.metrics.items():
        val = result.metrics.get(f"val_{bare(name)}")
        if name.startswith("test_") and val is not None and test is not None:
            found.append((val, test))
    return found


def unlike_rows(context: AnalysisContext) -> Iterator[Guard]:
    """Warn where trials of one seed, data and batch size saw other rows in an epoch.

    A pipeline of anyone's own is made anew for each epoch under seeds, and what an epoch saw is
    recorded: trials of one seed must have seen the same.
    """
    first: dict[tuple[object, ...], TrialResult] = {}
    differing: dict[str, list[tuple[int, int]]] = {}
    for each in context.table.trials.values():
        if not each.seen:
            continue
        data, train = each.spec.get("data", {}), each.spec.get("train", {})
        key = (each.seed, json.dumps(data, sort_keys=True), train.get("batch_size"))
        known = first.setdefault(key, each)
        for epoch, (one, other) in enumerate(zip(known.seen, each.seen, strict=False), 1):
            if one != other:
                differing.setdefault(each.variant, []).append((each.seed, epoch))
                break
    if differing:
        trials = [
            f"{name} ({', '.join(f'seed {seed} from epoch {epoch} on' for seed, epoch in each)})"
            for name, each in differing.items()
        ]
        yield Guard(
            "unlike rows",
            "warning",
            f"Trials of one seed saw other training rows: {counted(trials)}. The pairing of seeds "
            "does not hold for them: the pipeline draws from a source that no seed reaches, keeps "
            "a state from one call to the next, or reads what has changed since. Seed what it "
            "draws, or say data.load: memory.",
            tuple(differing),
        )


def environment(context: AnalysisContext) -> Iterator[Guard]:
    """Warn of trials from different versions or machines."""
    seen: dict[str, Counter[str]] = {}
    for each in context.table.trials.values():
        for key, value in each.environment.items():
            if key not in _OF_A_RUN:
                seen.setdefault(key, Counter())[str(value)] += 1
    mixed = {key: values for key, values in seen.items() if len(values) > 1}
    if mixed:
        differing = [f"{key} ({listing(sorted(values))})" for key, values in sorted(mixed.items())]
        yield Guard(
            "environment",
            "warning",
            f"The trials come from different environments: {counted(differing)}. Their numbers may "
            "differ for that reason alone.",
        )
