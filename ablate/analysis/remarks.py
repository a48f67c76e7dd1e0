"""What trials say of their networks and data, as guards; and what failed ones say of why.

In go the texts of trials, variant by variant; each text comes out once, as a sentence that ends
with the variants it holds of (none where it holds of all). The plan is told the same way, from
what each variant says before it trains, so that plan and reports have the same sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ablate.analysis.effects import Guard, Severity
from ablate.analysis.guard_context import GuardContext
from ablate.analysis.naming import counted, seeds_phrase

#: The texts of a variant's trials: (seed, texts) of each.
Said = Sequence[tuple[int, Sequence[str]]]


def remarks(severity: Severity, said: Mapping[str, Said]) -> list[Guard]:
    """Return each text once, as a guard that names its variants and, if not all, its seeds.

    Args:
        severity: "warning" for what may spoil the comparison, "note" for what is good to know.
        said: the texts by variant, in their order; a variant that says nothing is there, too.

    >>> made = remarks("note", {"a": [(0, ["limit 9"])], "b": [(0, ["limit 9", "new head"])]})
    >>> [each.words for each in made]
    ['Note: limit 9.', 'Note: new head (b).']
    """
    found: dict[str, dict[str, list[int]]] = {}
    for variant, trials in said.items():
        for seed, texts in trials:
            for text in texts:
                found.setdefault(text, {}).setdefault(variant, []).append(seed)
    return [_guard(severity, text, by_variant, said) for text, by_variant in found.items()]


def of_trials(facts: GuardContext) -> Iterator[Guard]:
    """Say what the trials recorded of their networks and data, whatever became of them."""
    for severity, name in (("warning", "cautions"), ("note", "notes")):
        said = {
            arm.name: [
                (each.seed, getattr(each, name))
                for each in facts.outcomes.of(arm.name)
                # One that ended early had no chance to say what the others say.
                if each.final or each.notes or each.cautions
            ]
            for arm in facts.resolved
        }
        yield from remarks(severity, said)  # type: ignore[arg-type]


def _guard(
    severity: Severity, text: str, by_variant: Mapping[str, list[int]], said: Mapping[str, Said]
) -> Guard:
    where = [] if set(by_variant) == set(said) else [counted(list(by_variant))]
    if any(len(set(seeds)) < len(said[name]) for name, seeds in by_variant.items()):
        where.append(seeds_phrase(sorted({seed for own in by_variant.values() for seed in own})))
    behind = f" ({', '.join(where)})" if where else ""
    return Guard("network and data", severity, f"{text.rstrip('.')}{behind}.", tuple(by_variant))
