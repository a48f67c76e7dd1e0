"""Guards: what the reader must know before believing a number.

Each guard is a function from the facts of a study to guards, listed in `GUARDS`; none changes a
number. Those on comparability and on training have files of their own; here stand those on
the statistics themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ablate.analysis import comparability, convergence, remarks
from ablate.analysis.effects import Guard
from ablate.analysis.guard_context import GuardContext
from ablate.analysis.naming import counted
from ablate.analysis.opening import TOLD
from ablate.analysis.sentences import amount, figure, plural

#: Coverage of a nominal 95 % t interval under skew, from lognormal differences at n = 3 to skewed
#: contamination at n = 20: simulated in the tests of this package.
COVERAGE_UNDER_SKEW = (0.81, 0.93)


def guard(facts: GuardContext) -> list[Guard]:
    """Return every guard that the study calls for: warnings first, then notes."""
    found = [each for check in GUARDS for each in _abridged(list(check(facts)))]
    # Every text of a trial is one of its own: none is counted among others.
    found += remarks.of_trials(facts)
    return sorted(found, key=lambda each: each.severity != "warning")


def _abridged(guards: list[Guard]) -> list[Guard]:
    """Tell the first few of a kind in full and only count the rest, in studies of many variants."""
    if len(guards) <= TOLD + 1:
        return guards
    rest = guards[TOLD:]
    names = tuple(dict.fromkeys(name for each in rest for name in each.variants))
    text = f"The same ({rest[0].kind}) holds of {counted(names)}."
    return [*guards[:TOLD], Guard(rest[0].kind, rest[0].severity, text, names)]


def _few_seeds(facts: GuardContext) -> Iterator[Guard]:
    most = max((each.completed for each in facts.failures.values()), default=0)
    if 0 < most < 3:
        yield Guard(
            "few seeds",
            "warning",
            f"With {plural(most, 'seed')} this describes what happened and infers nothing: no "
            "interval, no test. Three seeds are the least, five are better.",
        )


def _pending(facts: GuardContext) -> Iterator[Guard]:
    pending = sum(facts.failures[variant.name].pending for variant in facts.resolved)
    if pending:
        yield Guard(
            "unfinished",
            "warning",
            f"{plural(pending, 'trial')} of the plan {'has' if pending == 1 else 'have'} not "
            "ended: every number here may still change.",
        )


def _resolution(facts: GuardContext) -> Iterator[Guard]:
    """Say how much of the metric is the luck of a small test set that stays the same."""
    done = facts.outcomes.completed(facts.baseline)
    part = "test" if facts.metric.startswith("test_") else "validation"
    drawn = next((each.drawn for each in done if each.drawn is not None), None)
    stays = facts.reference.spec.data.split == "fixed" or (drawn is not None and part not in drawn)
    if not stays or "accuracy" not in facts.metric:
        return
    rows = next((r for each in done if (r := each.rows.get(part))), 0)
    values = facts.outcomes.values(facts.metric)[:, facts.outcomes.column(facts.baseline)]
    if not rows or not np.isfinite(values).any():
        return
    share = min(1.0, max(0.0, float(np.nanmean(values))))
    error = float(np.sqrt(share * (1 - share) / rows))
    if error >= 0.001:
        yield Guard(
            "one split",
            "note",
            f"{rows} {part} rows have a sampling error of their own, about "
            f"{figure(facts.metric, error)} points near {amount(facts.metric, share)}; seeds on "
            "these same rows do not show it, and other rows may shift every variant. "
            + _remedy(part, drawn),
        )


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


def _pairing(facts: GuardContext) -> Iterator[Guard]:
    own = [
        each
        for each in facts.effects
        if each.metric == facts.metric and each.correlation is not None
    ]
    if own and float(np.mean([each.correlation or 0.0 for each in own])) < 0.1:
        mean = float(np.mean([each.correlation or 0.0 for each in own]))
        yield Guard(
            "pairing",
            "note",
            f"Sharing seeds bought nothing here: the correlation between a variant and "
            f"{facts.baseline} with the same seed is {mean:.2f} on average.".replace("-", "−"),
        )


def _skew(facts: GuardContext) -> Iterator[Guard]:
    for each in facts.effects:
        sample = np.asarray(list(each.differences.values()))
        if each.metric != facts.metric or each.n < 8 or not each.sd:
            continue
        n = each.n
        centred = sample - sample.mean()
        moment = float((centred**3).mean() / (centred**2).mean() ** 1.5)
        skewness = moment * np.sqrt(n * (n - 1)) / (n - 2)
        error = np.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
        if abs(skewness) > 2.5 * error:
            yield Guard(
                "skewed differences",
                "note",
                f"The differences of {each.variant} are skewed (skewness {skewness:.1f}): under "
                f"skew a 95 % t interval covers the mean in {100 * COVERAGE_UNDER_SKEW[0]:.0f} to "
                f"{100 * COVERAGE_UNDER_SKEW[1]:.0f} % of studies. Look at every seed.",
                (each.variant,),
            )


def _unknown_direction(facts: GuardContext) -> Iterator[Guard]:
    unknown = [
        name
        for name in facts.outcomes.metrics
        # What a claim takes from a probe or a curve is held against that claim alone.
        if name != facts.metric and facts.outcomes.direction(name) is None and "/" not in name
    ]
    if unknown:
        yield Guard(
            "unknown direction",
            "note",
            f"Whether more is better is not known of {counted(unknown)}: summarized, not "
            "compared. To compare one, set analysis.metric and analysis.direction.",
        )


GUARDS: tuple[Callable[[GuardContext], Iterator[Guard]], ...] = (
    _pending,
    _few_seeds,
    comparability.failed,
    comparability.unequal_failures,
    convergence.at_chance,
    convergence.chance_not_judged,
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
    _pairing,
    _unknown_direction,
)
