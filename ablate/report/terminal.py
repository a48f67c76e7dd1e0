"""The report on a terminal: the answer, the table, what to beware of.

A `ReportData` enters, text on a rich console leaves (`ablate.report.printing`). Failures stand
before means; every seed is shown: a narrow page moves the seeds below the table.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from ablate.report import formatting, tables
from ablate.report.document import Section, Table
from ablate.report.printing import console, print_line, show_table
from ablate.report.report_data import ReportData, report_of

if TYPE_CHECKING:
    from ablate.analysis.search import Searched
    from ablate.study.results import StudyResults


def print_closing(results: StudyResults, *, logs: str | Path, quiet: bool = False) -> None:
    """Print what a run came to: the answer, the table, the guards, where to look further."""
    print_report(report_of(results, logs=str(logs)), quiet=quiet)


def print_report(report: ReportData, *, quiet: bool = False) -> None:
    """Print a report and where to look further."""
    screen = console()
    show(report, screen, brief=quiet)
    if not quiet:
        print_line(screen, f"More: ablate report {report.name} · ablate board {report.name}")


def print_search(
    searched: Searched, confirmed: StudyResults | None, *, quiet: bool = False
) -> None:
    """Print what a search came to: the confirmed winners, then how they were found."""
    from ablate.report.search import search_tables, with_winners

    screen = console()
    report = None if confirmed is None else with_winners(report_of(confirmed), searched)
    if report is not None:
        show(report, screen, brief=True)
        screen.print()
    _show_part(screen, searched.text, search_tables(searched))
    if report is not None and not quiet:
        print_line(screen, f"More: ablate report {report.name} · ablate board {report.name}")


def show(report: ReportData, screen: Console, *, brief: bool = False) -> None:
    """Print the report on `screen`; `brief` leaves the answer, the table and the warnings."""
    analysis = report.analysis
    if not brief:
        print_line(screen, Text(f"{analysis.study}: {progress(report)}", style="bold"))
    for sentence in analysis.answer:
        print_line(screen, sentence)
    for part in report.sections:
        if part.leads:
            screen.print()
            show_section(screen, part)
    for warning in report.warnings:
        print_line(screen, Text(f"Beware: {warning}", style="yellow"))
    shown = show_table(screen, tables.headline(report))
    if not any(each.title.startswith("Seed ") for each in shown.columns):
        _show_seeds(screen, report)
    if not brief:
        for table in tables.findings(report):
            if not table.detail:
                show_table(screen, table)
        _show_variants(screen, report)
    _show_guards(screen, report)
    if not brief:
        for part in report.sections:
            if not part.leads:
                screen.print()
                show_section(screen, part)


def progress(report: ReportData) -> str:
    """Return the state of a study's trials: "20 of 20 trials completed"."""
    trials = report.analysis.trials
    planned = trials.get("planned", 0)
    parts = [f"{trials.get('completed', 0)} of {formatting.counted(planned, 'trial')} completed"]
    parts += [f"{trials[kind]} {kind}" for kind in ("diverged", "failed") if trials.get(kind)]
    if trials.get("pending"):
        parts.append(f"{trials['pending']} to come")
    return ", ".join(parts)


def show_section(screen: Console, part: Section) -> None:
    """Print a section: its sentences, its drawing in text, its tables."""
    print_line(screen, Text(part.title, style="bold"))
    if part.drawing is not None:
        for line in part.drawing(screen.width):
            print_line(screen, line)
    _show_part(screen, part.text, part.tables)


def _show_part(screen: Console, sentences: Sequence[str], shown: Sequence[Table]) -> None:
    for sentence in sentences:
        print_line(screen, sentence)
    for table in shown:
        show_table(screen, table)


def _show_seeds(screen: Console, report: ReportData) -> None:
    """Print every seed's value, a variant after the other, wrapped to the page."""
    table = tables.seeds(report, always=True)
    if table is None:
        return
    print_line(
        screen, Text(f"{table.title} ({table.columns[1].title} to {table.columns[-1].title}):")
    )
    widest = min(max(len(row[0]) for row in table.rows), screen.width // 3)
    for name, *values in table.rows:
        digits = max(map(len, values))
        body = "  ".join(f"{each:>{digits}}" for each in values)
        indent = " " * (widest + 4)
        first = f"  {name:<{widest}}  "
        if len(name) > widest:
            print_line(screen, f"  {name}")
            first = indent
        for line in textwrap.wrap(body, max(screen.width - len(indent), 12)):
            print_line(screen, first + line)
            first = indent


def _show_variants(screen: Console, report: ReportData) -> None:
    table = tables.what_variants_are(report)
    if table is None or len(table.rows) > 12:
        return
    screen.print()
    for name, words in table.rows:
        print_line(screen, Text(f"{name}: {words}", style="dim"))


def _show_guards(screen: Console, report: ReportData) -> None:
    guards = report.analysis.guards
    if not guards:
        return
    screen.print()
    for guard in guards:
        style = "yellow" if guard.severity == "warning" else "dim"
        print_line(screen, Text(guard.words, style=style))
