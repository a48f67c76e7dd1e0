"""The tables of `ablate plan` and `ablate status`.

A preview goes in (a study's rows, what is left of it, the estimate); a table goes to the
terminal. `report` draws what `execution` found and knows nothing of how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from ablate.report.document import Cells, Column, tabulated
from ablate.report.live import count, duration
from ablate.report.printing import show_table
from ablate.study.preview import weights_lines

if TYPE_CHECKING:
    from ablate.analysis import Guard

#: Inserted layers named in full; more are counted.
NAMED = 6


def print_preview(seen: Any, console: Console) -> None:
    """Print what a study would train, a row per variant."""
    built = any(row.parameters is not None for row in seen.rows)
    console.print(f"[italic]Study {escape(seen.study)}[/italic]", highlight=False)
    rows = [(row.variant, row.weights) for row in seen.rows if row.alias_of is None]
    for line in [*weights_lines(rows), *seen.offers]:
        console.print(escape(line), highlight=False)
    cells: list[Cells] = [(Column("Variant", "left"), _variant)]
    if built:
        cells += [
            (Column("Parameters", drop=2), _parameters),
            (Column("Inserted layers", "left"), _layers),
        ]
    cells += [
        (
            Column("Trials", drop=4),
            lambda row: f"= {row.alias_of}" if row.alias_of else str(row.trials),
        ),
        (Column("Done", drop=1), lambda row: str(row.done)),
        (Column("Epochs left", drop=3), lambda row: str(row.epochs)),
    ]
    _print_table(cells, seen.rows, console)
    for guard in _remarks(seen):
        console.print(escape(guard.words), highlight=False)
    for line in seen.screen:
        console.print(line, highlight=False)
    if seen.open_sites:
        console.print(
            "Which sites there are depends on the built model; plan without --quick lists the "
            "variants.",
            highlight=False,
        )
    if seen.until:
        console.print(seen.until, highlight=False)
    if seen.prospect is not None:
        console.print(escape(seen.prospect.words), highlight=False)
    console.print(_left(seen), highlight=False)


def print_progress(seen: Sequence[Any], console: Console) -> None:
    """Print how far studies are, a line for each, and what failed."""
    for each in seen:
        counts: dict[str, int] = {}
        for row in each.rows:
            if row.alias_of is None:
                for status, count in row.statuses.items():
                    counts[status] = counts.get(status, 0) + count
        text = ", ".join(f"{count} {status}" for status, count in counts.items()) or "no trials"
        console.print(f"[bold]{escape(each.study)}[/bold]: {text}. {_left(each)}", highlight=False)
        if len(seen) == 1:
            _print_rows(each, console)
        for variant, seed in each.running:
            console.print(f"  under way: {escape(variant)} seed {seed}", highlight=False)
        _print_interrupted(each, console)
        for variant, seed, reason in each.failures:
            console.print(
                f"  [red]failed[/red]: {escape(variant)} seed {seed}: {escape(reason)}",
                highlight=False,
            )


def _print_interrupted(seen: Any, console: Console) -> None:
    for variant, seed in seen.interrupted[:NAMED]:
        console.print(
            f"  [yellow]interrupted[/yellow]: {escape(variant)} seed {seed}", highlight=False
        )
    if (more := len(seen.interrupted) - NAMED) > 0:
        console.print(f"  and {more} more interrupted", highlight=False)
    if seen.interrupted:
        console.print("  They go on from their last checkpoints with the next run.")


def _print_rows(seen: Any, console: Console) -> None:
    names = list(dict.fromkeys(status for row in seen.rows for status in row.statuses))
    cells: list[Cells] = [(Column("Variant", "left"), lambda row: row.variant)]
    for name in names:
        # An outcome is told of all; what is not in it yet is told by the line above, too.
        drop = 2 if name == "to do" else 0
        cells.append((Column(name, drop=drop), _status_counter(name)))
    if seen.until:
        cells.append((Column("decided", "left"), _decided))
    _print_table(cells, seen.rows, console)


def _status_counter(name: str) -> Callable[[Any], str]:
    return lambda row: str(row.statuses.get(name, 0))


def _print_table(cells: Sequence[Cells], rows: Sequence[Any], console: Console) -> None:
    if (table := tabulated("plan", "", rows, cells)) is not None:
        show_table(console, table)


def _variant(row: Any) -> str:
    return f"{row.variant} (baseline)" if row.baseline else str(row.variant)


def _parameters(row: Any) -> str:
    return f"{row.parameters:,}" if row.parameters is not None else ""


def _decided(row: Any) -> str:
    if row.baseline or row.alias_of:
        return ""
    return f"{row.decided}, {count(row.trials, 'seed')}" if row.decided else "not yet"


def _layers(row: Any) -> str:
    shown: list[str] = []
    for names in (row.changed, row.inserted):
        shown += [str(name) for name in names[:NAMED]]
        if (more := len(names) - NAMED) > 0:
            shown.append(f"and {more} more")
    shown += [f"less {name}" for name in row.removed]
    return "\n".join(shown) or "none"


def _remarks(seen: Any) -> list[Guard]:
    """Return what the variants say of themselves, each text once, in the words of the reports."""
    from ablate.analysis.guards import remarks  # which only what was built needs

    rows = [row for row in seen.rows if row.alias_of is None]
    return [
        *remarks("warning", {row.variant: [(0, row.cautions)] for row in rows}),
        *remarks(
            "note",
            {row.variant: [(0, [f"skipped {each}" for each in row.skipped])] for row in rows},
        ),
        *remarks("note", {row.variant: [(0, row.notes)] for row in rows}),
    ]


def _left(seen: Any) -> str:
    if not seen.todo:
        text = "Nothing is left to train."
    else:
        text = (
            f"{count(seen.todo, 'trial')} left on {count(seen.workers, 'worker')} "
            f"of {count(seen.threads, 'thread')}"
        )
        text += (
            f", about {duration(seen.seconds)} (from {seen.basis})."
            if seen.seconds is not None
            else f"; no estimate of the time: {seen.basis}."
        )
    if seen.again:
        text += f" {seen.again}"
    if seen.dropped:
        text += f" {count(seen.dropped, 'trial')} on disk no longer planned (kept, not counted)."
    return text
