"""What must be said of a search in words: its budget, its oracle, its rules.

A `SearchResults` goes in, sentences come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ablate.search.results import SearchResults

#: How a lost seed is told to the oracle; `ablate.search.proposals` follows it.
RULE = (
    "A seed that diverged is told to the oracle as the worse of its objective before training and "
    "the worst told before; a trial that failed is told as failed."
)

_FAVOURS = (
    "Beware: hyperband drops points after few epochs, which favours networks that start fast "
    "(BatchNormalization over Dropout). Every rung is trained from its beginning; all of it is in "
    "the budget."
)


def said(found: SearchResults) -> list[str]:
    """Return the sentences that stand above the search's tables."""
    search = found.search
    sentences = [_budget(found), _oracle(found)]
    if search.oracle == "hyperband":
        sentences.append(_FAVOURS)
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
    if found.tolerated is not None:
        sentences += found.tolerated.words
    return sentences


def _budget(found: SearchResults) -> str:
    tried, confirming = {}, 0
    for variant in found.resolved:
        ids = {trial for point in found.of(variant.name) for trial in point.trials.values()}
        tried[variant.name] = sum(found.results[t].epochs for t in ids if t in found.results)
    for point in found.points:
        if point.confirms:
            confirming += sum(
                found.results[t].epochs for t in point.trials.values() if t in found.results
            )
    spent = set(tried.values())
    shares = (
        f"{spent.pop()} for each variant"
        if len(spent) == 1 and len(tried) > 1
        else ", ".join(f"{name} {epochs}" for name, epochs in tried.items())
    )
    text = f"Budget: {sum(tried.values())} epochs were trained to search ({shares})"
    if confirming:
        text += f", {confirming} to confirm the winners on fresh seeds"
    return text + "."


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
    return f"{words}, with {seeds} each; the winner has the best mean {search.objective}."
