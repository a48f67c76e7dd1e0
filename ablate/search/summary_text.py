"""A search as its report shows it: scores, importance, ranges of learning rates, sentences.

`summarize` makes the value that tables and plots are drawn from, `to_json` the document of
`ablate search --json`. The range of learning rates that work is, for each variant and seed, the
unbroken range within one point (0.01) of that variant's own best; the widths, in decades, are
compared with the baseline's in pairs.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ablate.analysis import Tolerance, compare_tolerance, tolerated
from ablate.analysis.formatting import interval, listing, plural, pretty
from ablate.analysis.search import Searched, Tolerated
from ablate.report.search import point_words
from ablate.search.importance import importance
from ablate.search.results import SearchResults
from ablate.search.search_table import Point
from ablate.search.selection import Selection, choose_again
from ablate.study.metrics import is_share

RATE = "train.learning_rate"

#: "Within one point of the best."
POINT = 0.01

#: How a lost seed is reported to the oracle; `ablate.search.proposals` follows it.
RULE = (
    "A diverged seed is reported to the oracle as the worse of its initial objective and the worst "
    "so far; a failed trial is reported as failed."
)

_FAVOURS = (
    "Beware: hyperband drops points after few epochs, which favours networks that start fast "
    "(BatchNormalization over Dropout). Every rung is trained from its beginning; all of it is in "
    "the budget."
)


def summarize(found: SearchResults) -> Searched:
    """Return the search as the report draws it."""
    points = {
        variant.name: [found.scored(point) for point in found.of(variant.name)]
        for variant in found.resolved
    }
    log = frozenset(p for p, each in found.search.space.items() if each.sampling != "linear")
    shares = {name: importance(each, found.direction, log) for name, each in points.items()}
    ranges = tolerances(found)
    return Searched(
        objective=found.search.objective,
        direction=found.direction,
        points=tuple(each for tried in points.values() for each in tried),
        log=log,
        confirmed=found.analysis,
        importance={name: each for name, each in shares.items() if each},
        text=(*_sentences(found), *([] if ranges is None else ranges.words)),
        tolerated=ranges,
    )


def to_json(found: SearchResults) -> dict[str, Any]:
    """Return the search as one JSON document."""
    summary = summarize(found)
    ranges, confirmed, selection = summary.tolerated, summary.confirmed, selections(found)
    return {
        "study": found.study.study,
        "objective": found.search.objective,
        "direction": found.direction,
        "oracle": found.search.oracle,
        "variants": {
            variant.name: _variant_json(found, variant.name)
            | {"selection": None if (own := selection.get(variant.name)) is None else asdict(own)}
            for variant in found.resolved
        },
        "learning_rates": None if ranges is None else ranges.to_json(),
        "importance": summary.importance,
        "text": list(summary.text),
        "confirmed": None if confirmed is None else confirmed.to_json(),
    }


def _variant_json(found: SearchResults, variant: str) -> dict[str, Any]:
    winner = found.winner(variant)
    points = []
    for point in found.of(variant):
        each = found.scored(point)
        points.append({
            "point": point.name, "values": dict(point.values), "score": each.score,
            "scores": list(each.scores), "lost": each.lost, "epochs": each.epochs,
        })  # fmt: skip
    return {
        "epochs": sum(each["epochs"] for each in points),
        "winner": None if winner is None else winner.name,
        "values": None if winner is None else dict(winner.values),
        "points": points,
    }


def tolerances(found: SearchResults) -> Tolerated | None:
    """Return the ranges and their comparison; None where nothing can be said.

    Needs a searched learning rate and a metric that is a share, so that a point means something.
    Widths are compared only where the variants saw the same rates with the same seeds. Where
    other parameters vary, too, a rate counts with the best of what was tried there.
    """
    metric = _metric(found)
    if metric is None or RATE not in found.search.space or _point_is_noise(found, metric):
        return None
    tables = _tables(found, metric)
    ranges: dict[str, Tolerance] = {}
    seeds = sorted({seed for table in tables.values() for row in table.values() for seed in row})
    for name, table in tables.items():
        rates = sorted(table)
        values = [[table[rate].get(seed, np.nan) for rate in rates] for seed in seeds]
        ranges[name] = tolerated(rates, values, tolerance=POINT, direction="max")
    if not ranges:
        return None
    baseline = tables.get(found.study.baseline_name, {}).keys()
    effects = compare_tolerance(
        {name: each for name, each in ranges.items() if tables[name].keys() == baseline},
        found.study.baseline_name,
        seeds=seeds,
        confidence=found.study.analysis.confidence,
        rng=np.random.default_rng(0),
    ) if baseline else []  # fmt: skip
    return Tolerated(
        metric=metric,
        tolerance=POINT,
        seeds=tuple(seeds),
        rates={name: tuple(sorted(table)) for name, table in tables.items()},
        ranges=ranges,
        effects=tuple(effects),
        confidence=found.study.analysis.confidence,
    )


def selections(found: SearchResults) -> dict[str, Selection]:
    """Return how each variant's choice varies with its search seeds, where it can be told."""
    chosen = {}
    for variant in found.resolved:
        points = [found.scored(point) for point in found.of(variant.name)]
        scores = np.full((len(points), found.search.seeds), np.nan)
        for row, each in enumerate(points):
            if each.eligible and each.score is not None:
                scores[row] = each.scores
        own = choose_again(scores, found.direction, np.random.default_rng(0))
        if own is not None:
            chosen[variant.name] = own
    return chosen


def _point_is_noise(found: SearchResults, metric: str) -> str:
    """Say where a point of the metric is no more than the sampling error of the validation rows.

    The standard error of a share p on N rows is √(p(1 - p)/N); "" where it is below a point.
    """
    rows = max((each.rows.get("validation", 0) for each in found.results.values()), default=0)
    best = [
        float(np.nanmax(list(values)))
        for table in _tables(found, metric).values()
        if np.isfinite(values := [v for row in table.values() for v in row.values()]).any()
    ]
    errors = [(p * (1 - p) / rows) ** 0.5 for p in best if rows and 0 <= p <= 1]
    if not errors or max(errors) < POINT:
        return ""
    share = best[int(np.argmax(errors))]
    return (
        "The learning rates within a point of the best are not given: "
        f"{rows} validation rows have a sampling error of {100 * max(errors):.1f} points near "
        f"{100 * share:.0f} %, so that a point is noise. More validation rows (data.validation) "
        "would tell."
    )


def _tables(found: SearchResults, metric: str) -> dict[str, dict[float, dict[int, float]]]:
    """Return the metric by variant, rate and seed, of variants that have some."""
    tables = {variant.name: _table(found, variant.name, metric) for variant in found.resolved}
    return {name: table for name, table in tables.items() if table}


def _metric(found: SearchResults) -> str | None:
    """Return the validation share that is read: the objective, else the study's own metric."""
    objective = found.search.objective
    if is_share(objective) and found.direction == "max":
        return objective
    names = {name for each in found.results.values() for name in each.metrics}
    asked = found.study.analysis.metric
    wanted = "val_accuracy" if asked == "auto" else f"val_{asked}"
    return wanted if wanted in names and is_share(wanted) else None


def _table(found: SearchResults, variant: str, metric: str) -> dict[float, dict[int, float]]:
    """Return the metric by rate and seed, NaN for what was lost; only points that have ended."""
    table: dict[float, dict[int, float]] = {}
    for point in found.of(variant):
        if RATE not in point.values or not all(t in found.results for t in point.trials.values()):
            continue
        row = table.setdefault(float(point.values[RATE]), {})
        for seed, trial in point.trials.items():
            result = found.results[trial]
            value = result.metrics.get(metric) if result.status == "completed" else None
            row[seed] = float(np.fmax(row.get(seed, np.nan), np.nan if value is None else value))
    return table


def _sentences(found: SearchResults) -> list[str]:
    """Return the sentences that stand above the search's tables."""
    search = found.search
    sentences = [_budget(found), _oracle(found)]
    if search.oracle == "hyperband":
        sentences.append(_FAVOURS)
    if search.seeds == 1:
        sentences.append(
            "Beware: each point was tried with one seed, so that a winner may owe its place "
            "to that seed. With search.seeds: 3 the report says how the choice varies."
        )
    sentences += _choices(found)
    if any(point.confirms for point in found.points):
        sentences.append(
            "The confirmation trains the chosen points again on fresh seeds. What it leaves out: "
            "other search seeds or other points might have chosen otherwise, which its intervals "
            "do not show."
        )
    metric = _metric(found)
    if metric is not None and RATE in search.space and (noise := _point_is_noise(found, metric)):
        sentences.append(noise)
    listens = search.oracle not in ("random", "quasirandom", "grid")
    if listens and any(result.status == "diverged" for result in found.results.values()):
        sentences.append(RULE)
    without = [
        row.variant
        for row in found.progress().rows
        if row.tried and row.tried == row.planned and found.winner(row.variant) is None
    ]
    if without:
        sentences.append(
            f"No point of {', '.join(without)} completed with every seed: it has no winner."
        )
    return sentences


def _choices(found: SearchResults) -> list[str]:
    """Say of each variant how its choice varies with the search seeds."""
    metric, sentences = found.search.objective, []
    for name, each in selections(found).items():
        ordered = [point.name for point in found.of(name)]
        winner = found.winner(name)
        if winner is None:
            continue
        share = each.shares.get(ordered.index(winner.name), 0.0)
        values = {k: winner.values[k] for k in found.search.space if k in winner.values}
        others = len(each.shares) - (share > 0)
        text = (
            f"{name}: with its {found.search.seeds} search seeds resampled, its winner "
            f"({point_words(values)}) is chosen again in "
            f"{f'{100 * share:.0f} % of resamples' if others else 'every resample'}"
        )
        if others:
            text += f", {plural(others, 'other point')} in the rest"
        if each.low is not None and each.high is not None:
            text += (
                f"; on the seeds that a resample leaves out, {pretty(metric)} of what it chose is "
                f"{interval(metric, each.low, each.high)} (95 % of resamples)"
            )
        sentences.append(f"{text}.")
    if sentences:
        sentences.append(
            "So few seeds have few different resamples: a choice that never varies may still hang "
            "on them."
        )
    return sentences


def _budget(found: SearchResults) -> str:
    def epochs_of(points: list[Point]) -> int:
        ids = {trial for point in points for trial in point.trials.values()}
        return sum(found.results[trial].epochs for trial in ids if trial in found.results)

    tried = {name: epochs_of(found.of(name)) for name in found.variants}
    confirming = sum(epochs_of([point]) for point in found.points if point.confirms)
    spent = set(tried.values())
    shares = (
        f"{spent.pop()} for each variant"
        if len(spent) == 1 and len(tried) > 1
        else ", ".join(f"{name} {epochs}" for name, epochs in tried.items())
    )
    text = f"Budget: {sum(tried.values())} epochs were trained to search ({shares})"
    if confirming:
        text += f", {confirming} to confirm the winners on fresh seeds"
    return f"{text}. {_lost(found)}".rstrip()


def _lost(found: SearchResults) -> str:
    """Say which search trials were lost, and what that means for their points."""
    parts, total, lost = [], 0, 0
    for name in found.variants:
        ids = {trial for point in found.of(name) for trial in point.trials.values()}
        statuses = [found.results[trial].status for trial in ids if trial in found.results]
        total += len(statuses)
        counts = [(statuses.count(kind), kind) for kind in ("diverged", "failed")]
        lost += sum(count for count, _ in counts)
        if own := [f"{count} {kind}" for count, kind in counts if count]:
            parts.append(f"{name} {listing(own)}")
    if not parts:
        return ""
    were = "was" if lost == 1 else "were"
    return (
        f"{lost} of {plural(total, 'search trial')} {were} lost ({'; '.join(parts)}): a point that "
        "lost a seed cannot win."
    )


def _oracle(found: SearchResults) -> str:
    search = found.search
    words = {
        "random": "Points were drawn at random",
        "quasirandom": "Points are those of a Sobol sequence, the same for every variant in the "
        "parameters they share",
        "grid": "Points are the whole grid, whose size may differ between variants",
        "bayesian": "Points were proposed by Bayesian optimization (Keras Tuner)",
        "hyperband": "Points were proposed by hyperband (Keras Tuner), whose budget may differ "
        "between variants",
    }.get(search.oracle, f"Points were proposed by {search.oracle}")
    seeds = "one seed" if search.seeds == 1 else f"{search.seeds} seeds"
    return f"{words}, with {seeds} each; the winner has the best mean {pretty(search.objective)}."
