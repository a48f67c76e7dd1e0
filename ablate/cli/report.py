"""`ablate report`: what a study found, in the terminal or as a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.cli.echo import echo
from ablate.cli.options import Find, json_option, logs_option, studies_argument

if TYPE_CHECKING:
    from ablate.report import ReportData
    from ablate.store import Store

FORMATS = ("terminal", "html", "markdown", "latex", "csv", "json", "parquet")


@click.command("report")
@studies_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    default="terminal",
    show_default=True,
    help="What to write: html, markdown and parquet go to the study's folder, the others to the "
    "terminal.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead.",
)
@click.option(
    "--synthesize",
    "together",
    is_flag=True,
    help="Say what all STUDY show together: one claim for each variant that they share.",
)
@logs_option
@json_option
def command(
    studies: tuple[str, ...],
    kind: str,
    output: Path | None,
    together: bool,
    logs: Path,
    as_json: bool,
) -> int:
    """Say what STUDY found, also while it still runs.

    With two studies or more, compare them: where their baselines are the same trials, all variants
    are analysed together; where not, it says what keeps them apart. With --synthesize studies on
    other data or networks make one claim: the mean effect over them, how much it varies, and what
    to expect in the next.
    """
    from ablate.disk import write_text
    from ablate.report.compare import compared
    from ablate.report.printing import console
    from ablate.report.terminal import show

    materials = [read(each, logs) for each in studies]
    if as_json:
        kind = "json"
    if together:
        _synthesize(materials, studies, kind, output, logs)
        return 0
    material = materials[0] if len(materials) == 1 else compared(materials)
    if kind in ("html", "markdown", "parquet"):
        _write(material, [each.name for each in materials], kind, logs, output)
    elif kind == "terminal" and output is None:
        show(material, console())
    elif output is None:
        text = _text(material, kind)
        echo(text, nl=not text.endswith("\n"))
    else:
        write_text(output, _text(material, kind))
        echo(str(output))
    return 0


def read(study: str, logs: Path, *, by: str = "report") -> ReportData:
    """Return the data of the report on a study: whatever of it has been trained so far.

    `by` says what shows it (`ablate.study.looks`).

    Raises:
        StudyError: there is no such study, or its file is not valid.
    """
    from ablate.execution.plan import plan
    from ablate.execution.pretrained import with_trained_model
    from ablate.execution.run import resolved_before
    from ablate.report import report_of
    from ablate.report.search import section, with_winners
    from ablate.search.results import found as found_by_search
    from ablate.search.summary_text import summarize
    from ablate.store import Store

    found = Find(logs)(study)
    store = Store(logs, found.study)
    found = with_trained_model(found, logs, recorded=True)
    # No folder of this machine: who repeats the study has one of their own.
    again = (Path(study) if Path(study).is_file() else store.study_file).name
    if found.screen is not None:
        from ablate.execution.screen import report_on, screened

        results, made, _ = screened(found, store)
        warnings = _left_out(len(made.dropped), store)
        return report_on(results, by=by, command=f"ablate screen {again}", warnings=warnings)
    made = plan(found, store, earlier=resolved_before(store), recorded=True)
    outcome, verb = made.outcome(made.results, store), "run"
    searched = found_by_search(made.study, store, made.resolved)
    if searched is not None and not outcome.results and searched.confirmed.results:
        outcome, verb = searched.confirmed, "search"  # the study itself was never run
    summary = None if searched is None else summarize(searched)
    report = report_of(
        outcome,
        by=by,
        command=f"ablate {verb} {again}",
        warnings=_left_out(len(made.dropped), store),
        sections=() if summary is None else (section(summary),),
    )
    return report if summary is None or verb == "run" else with_winners(report, summary)


def _left_out(count: int, store: Store) -> tuple[str, ...]:
    """Return what is said of finished trials that the study no longer asks for."""
    if not count:
        return ()
    return (
        f"{count} finished {'trial lies' if count == 1 else 'trials lie'} in {store.root} that the "
        "study no longer asks for; nothing here is counted from them.",
    )


def _text(material: ReportData, kind: str) -> str:
    from ablate.report import latex, tabular
    from ablate.report.printing import console
    from ablate.report.terminal import show

    if kind == "terminal":
        page = io.StringIO()
        show(material, console(file=page))
        return page.getvalue()
    write = {"json": tabular.as_json, "csv": tabular.as_csv, "latex": latex.as_latex}
    return write[kind](material)


def _synthesize(
    materials: list[ReportData],
    studies: tuple[str, ...],
    kind: str,
    output: Path | None,
    logs: Path,
) -> None:
    """Print the synthesis of studies, or write it to its file."""
    from ablate.disk import write_text
    from ablate.errors import StudyError
    from ablate.report import synthesis
    from ablate.report.files import write_sections
    from ablate.report.printing import console
    from ablate.report.terminal import show_section

    if kind in ("latex", "parquet"):
        raise StudyError(
            f"--format {kind} has the tables of one study. Expected of a synthesis: terminal, "
            "html, markdown, csv or json."
        )
    found = synthesis.synthesis_of(materials)
    if kind in ("html", "markdown"):
        from ablate.report.plots.synthesis import draw

        place = output or logs / f"synthesis.{'html' if kind == 'html' else 'md'}"
        command = f"ablate report {' '.join(studies)} --synthesize --format {kind}"
        name = f"{len(materials)} studies together"
        echo(
            str(write_sections([synthesis.section(found, list(draw(found)))], name, place, command))
        )
        return
    if kind == "terminal":
        page = io.StringIO()
        screen = console() if output is None else console(file=page)
        show_section(screen, synthesis.section(found))
        text = page.getvalue()
    else:
        text = synthesis.as_json(found) if kind == "json" else synthesis.as_csv(found)
    if output is not None:
        write_text(output, text)
        echo(str(output))
    elif text:
        echo(text, nl=False)


def _write(
    material: ReportData, names: list[str], kind: str, logs: Path, output: Path | None
) -> None:
    from ablate.disk import write_bytes
    from ablate.report.files import write_html, write_markdown
    from ablate.report.tabular import as_parquet
    from ablate.store import Store

    store = Store(logs, names[0])
    place = store.report_markdown if kind == "markdown" else store.report_html
    if kind == "parquet":
        place = place.with_suffix(".parquet")
    plots = store.plots
    if output is not None or len(names) > 1:
        place = output or place.with_stem(f"report-and-{'-'.join(names[1:])}")
        plots = place.with_name(f"{place.stem}-plots")
    if kind == "parquet":
        write_bytes(place, as_parquet(material))
        echo(str(place))
    elif kind == "html":
        own = None if output is not None else plots  # a file elsewhere holds its plots itself
        echo(str(write_html(material, place, own)))
    else:
        echo(str(write_markdown(material, place, plots)))
