"""Guards: what the reader must know before believing a number.

Each guard is a function of the study's context, listed in `GUARDS`; none changes a number. Those on
comparability and on training have files of their own; here are those on the statistics themselves,
and what trials recorded of their networks and data. The plan has the latter, too, from what each
variant says before it trains, in the same sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ablate.analysis import comparability, convergence
from ablate.analysis.context import AnalysisContext
from ablate.analysis.effects import Guard, Severity
from ablate.analysis.formatting import amount, counted, figure, interval, plural, seeds_phrase

#: Coverage of a nominal 95 % t interval under skew, from lognormal differences at n = 3 to skewed
#: contamination at n = 20: simulated in the tests of this package.
COVERAGE_UNDER_SKEW = (0.81, 0.93)

#: Simulated share of studies without a difference that claim one at a look after every seed to 60,
#: for skewness 1 and 2 (`benchmarks/validity.py peeking`).
FALSE_CLAIMS_UNDER_SKEW = (0.05, 0.13)

#: Seeds under which a correlation tells nothing.
PAIRING_SEEDS = 5

#: How grave a remark is, by the field of a trial's record that it comes from.
SEVERITIES: dict[Severity, str] = {"warning": "cautions", "note": "notes"}

#: The texts of a variant's trials: (seed, texts) of each.
Texts = Sequence[tuple[int, Sequence[str]]]


def guard(context: AnalysisContext) -> list[Guard]:
    """Return every guard that the study calls for: warnings first, then notes."""
    found = [each for check in GUARDS for each in check(context)]
    found += _of_trials(context)
    return sorted(found, key=lambda each: each.severity != "warning")


def _few_seeds(context: AnalysisContext) -> Iterator[Guard]:
    most = max((each.completed for each in context.failures.values()), default=0)
    if 0 < most < 3:
        yield Guard(
            "few seeds",
            "warning",
            f"With {plural(most, 'seed')} this describes what happened and infers nothing: no "
            "interval, no test. Three seeds are the least, five are better.",
        )


def _pending(context: AnalysisContext) -> Iterator[Guard]:
    pending = sum(context.failures[variant.name].pending for variant in context.trained)
    if pending:
        yield Guard(
            "unfinished",
            "warning",
            f"{plural(pending, 'trial')} of the plan {'has' if pending == 1 else 'have'} not "
            "ended: every number here may still change.",
        )


def _resolution(context: AnalysisContext) -> Iterator[Guard]:
    """Say how much of the metric is the luck of a small test set that stays the same."""
    done = context.table.completed(context.baseline)
    part = "test" if context.metric.startswith("test_") else "validation"
    drawn = next((each.drawn for each in done if each.drawn is not None), None)
    data = context.reference.spec.data
    stays = not data.redrawn or (drawn is not None and part not in drawn)
    if not stays or "accuracy" not in context.metric:
        return
    rows = next((r for each in done if (r := each.rows.get(part))), 0)
    values = context.values[:, context.table.column(context.baseline)]
    if not rows or not np.isfinite(values).any():
        return
    share = min(1.0, max(0.0, float(np.nanmean(values))))
    error = float(np.sqrt(share * (1 - share) / rows))
    if error >= 0.001:
        yield Guard(
            "one split",
            "note",
            f"{rows} {part} rows have a sampling error of their own, about "
            f"{figure(context.metric, error)} points near {amount(context.metric, share)}; seeds "
            "on these same rows do not show it, and other rows may shift every variant. "
            + (_ORDERED if data.split == "ordered" else _remedy(part, drawn)),
        )


_ORDERED = "They are cut off by the order of the rows, which no seed changes."


def _remedy(part: str, drawn: Sequence[str] | None) -> str:
    """Return what can help against the luck of one set of rows."""
    if drawn is None:
        return (
            f"To include it, set data.split to per_seed, which redraws the {part} rows unless the "
            "source brings its own."
        )
    if part in drawn:
        return "To include it, set data.split to per_seed."
    return (
        f"The source brings its own {part} part, which no split redraws: only more {part} rows "
        "make it smaller."
    )


def _other_rows(context: AnalysisContext) -> Iterator[Guard]:
    """Say which differences that are decided on these test rows other rows may not show."""
    found = [
        each
        for each in context.effects
        if each.verdict in ("better", "worse")
        and each.crossed is not None
        and each.crossed.low <= 0 <= each.crossed.high
    ]
    if found:
        parts = [
            f"{each.variant} ({interval(context.metric, low, high, difference=True)})"
            for each in found
            if each.crossed is not None
            for low, high in [(each.crossed.low, each.crossed.high)]
        ]
        yield Guard(
            "other rows",
            "warning",
            f"The verdict on {counted(parts)} is one on these test rows. The interval for other "
            "test rows, behind each name, holds 0.",
            tuple(each.variant for each in found),
        )


def _pairing(context: AnalysisContext) -> Iterator[Guard]:
    """Say where sharing seeds made no interval narrower, as far as so few seeds can tell."""
    own = [
        (each.correlation, each.n)
        for each in context.effects
        if each.correlation is not None and each.n >= PAIRING_SEEDS
    ]
    if own and (mean := float(np.mean([each for each, _ in own]))) < 0.1:
        seeds = max(n for _, n in own)
        high = np.tanh(np.arctanh(max(mean, -0.999)) + 1.96 / np.sqrt(seeds - 3))
        text = (
            f"Sharing seeds shows no gain here: between a variant and {context.baseline} with the "
            f"same seed the correlation is {mean:.2f}{' on average' if len(own) > 1 else ''}, "
            f"which from {seeds} seeds may as well be {high:.2f}."
        )
        yield Guard("pairing", "note", text.replace(" -", " −"))


def _skew(context: AnalysisContext) -> Iterator[Guard]:
    found = {
        each.variant: skewness
        for each in context.effects
        if (skewness := _marked_skewness(np.asarray(list(each.differences.values())))) is not None
    }
    if found:
        looked = any(each.interval == "always_valid" for each in context.effects)
        low, high = FALSE_CLAIMS_UNDER_SKEW if looked else COVERAGE_UNDER_SKEW
        under = (
            "the bound of intervals that hold at every look is broken: "
            f"{100 * low:.0f} % (skewness 1) to {100 * high:.0f} % (skewness 2) of studies without "
            "a difference claim one by a look after every seed to 60"
            if looked
            else f"a 95 % t interval covers the mean in {100 * low:.0f} to {100 * high:.0f} % of "
            "studies"
        )
        parts = [f"{name} ({value:.1f})".replace("-", "−") for name, value in found.items()]
        yield Guard(
            "skewed differences",
            "note",
            f"Differences are skewed, by their skewness, of {counted(parts)}: under skew {under}. "
            "Look at every seed.",
            tuple(found),
        )


def _marked_skewness(sample: np.ndarray) -> float | None:
    """Return the skewness where it is beyond what eight normal values or more would show."""
    n = len(sample)
    if n < 8 or not np.ptp(sample):
        return None
    centred = sample - sample.mean()
    moment = float((centred**3).mean() / (centred**2).mean() ** 1.5)
    skewness = moment * np.sqrt(n * (n - 1)) / (n - 2)
    error = np.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    return float(skewness) if abs(skewness) > 2.5 * error else None


def _unknown_direction(context: AnalysisContext) -> Iterator[Guard]:
    unknown = [
        name
        for name in context.table.metrics
        # What a claim takes from a probe or a curve is held against that claim alone.
        if name != context.metric and context.table.direction(name) is None and "/" not in name
    ]
    if unknown:
        yield Guard(
            "unknown direction",
            "note",
            f"Whether more is better is not known of {counted(unknown)}: summarized, not "
            "compared. To compare one, set analysis.metric and analysis.direction.",
        )


def remarks(severity: Severity, texts: Mapping[str, Texts]) -> list[Guard]:
    """Return each text once, as a guard that names its variants and, if not all, its seeds.

    Args:
        severity: "warning" for what may spoil the comparison, "note" for what is good to know.
        texts: by variant, in their order; a variant that has none is there, too.

    >>> made = remarks("note", {"a": [(0, ["limit 9"])], "b": [(0, ["limit 9", "new head"])]})
    >>> [each.words for each in made]
    ['Note: limit 9.', 'Note: new head (b).']
    """
    found: dict[str, dict[str, list[int]]] = {}
    for variant, trials in texts.items():
        for seed, own in trials:
            for text in own:
                found.setdefault(text, {}).setdefault(variant, []).append(seed)
    guards = []
    for text, seeds in found.items():
        where = [] if set(seeds) == set(texts) else [counted(list(seeds))]
        if any(len(set(own)) < len(texts[name]) for name, own in seeds.items()):
            where.append(seeds_phrase(sorted({seed for own in seeds.values() for seed in own})))
        behind = f" ({', '.join(where)})" if where else ""
        text = f"{text.rstrip('.')}{behind}."
        guards.append(Guard("network and data", severity, text, tuple(seeds)))
    return guards


def _of_trials(context: AnalysisContext) -> Iterator[Guard]:
    """Yield what the trials recorded of their networks and data, whatever became of them."""
    # One that ended early had no chance to record what the others did.
    trials = {
        variant.name: [
            each
            for each in context.table.of(variant.name)
            if each.final or each.notes or each.cautions
        ]
        for variant in context.trained
    }
    for severity, name in SEVERITIES.items():
        texts = {
            variant: [(each.seed, getattr(each, name)) for each in own]
            for variant, own in trials.items()
        }
        yield from remarks(severity, texts)


GUARDS: tuple[Callable[[AnalysisContext], Iterator[Guard]], ...] = (
    _pending,
    _few_seeds,
    comparability.failed,
    comparability.unequal_failures,
    convergence.at_chance,
    convergence.chance_not_judged,
    comparability.unlike_rows,
    comparability.undeclared_data,
    comparability.undeclared_epochs,
    comparability.undeclared_parameters,
    comparability.validation_is_test,
    convergence.early_stopping,
    convergence.still_improving,
    convergence.moving_averages,
    convergence.never_overfits,
    comparability.environment,
    _skew,
    _resolution,
    _other_rows,
    _pairing,
    _unknown_direction,
)
