"""`ablate reproduce`: published results as studies, listed, run, and held against their claims."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import Find, document_options, json_option, quiet_option, study_options

if TYPE_CHECKING:
    from ablate.report.reproductions import Reproduction
    from ablate.study.study import Study


@click.command("reproduce")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@document_options("docs/reproductions.md", "its plots go to a folder of its name", "configs/papers")
@click.option("--write", is_flag=True, help="Write the document from what is there; train nothing.")
@study_options(execution=True)
@quiet_option
@json_option
def command(
    names: tuple[str, ...],
    output: Path,
    configs: Path | None,
    write: bool,
    logs: Path,
    find: Find,
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """List the studies of published results, or run NAME… and write docs/reproductions.md.

    A NAME is the stem of a file under configs/papers, or all. The document covers every study of
    which --logs holds trials, whenever they were trained.
    """
    from ablate.execution.reproductions import look_up, papers, select
    from ablate.report.files import write_reproductions

    files = papers(configs)
    chosen = [find(str(path)) for path in select(files, names).values()]
    failed = [study.study for study in chosen if _run(study, logs, quiet or as_json)]
    found = [look_up(name, path, logs) for name, path in files.items()]
    if names or write:
        write_reproductions(found, output)
    if as_json:
        echo_json({"studies": [_entry(each) for each in found]})
    elif names or write:
        echo(str(output))
    else:
        _list(found)
    return 1 if failed else 0


def _run(study: Study, logs: Path, quiet: bool) -> bool:
    """Train a study's trials; return whether any failed."""
    from ablate.execution.run import run
    from ablate.report.live import Display
    from ablate.report.printing import console

    screen = console(quiet=quiet)
    screen.print(f"[bold]{study.study}[/]")
    results = run(study, logs=logs, watchers=[Display(screen)])
    return bool(results.counts().get("failed"))


def _list(found: list[Reproduction]) -> None:
    for each in found:
        echo(f"{each.name}: {each.title}")
        for line in _verdicts(each):
            echo(f"    {line}")
    echo("Run one: ablate reproduce NAME --profile quick; all: ablate reproduce all")


def _verdicts(each: Reproduction) -> list[str]:
    """Return what a study claims and, where it was run, how that came out."""
    if each.report is None:
        return ["not run yet"]
    analysis = each.report.analysis
    if not analysis.expectations:
        return [f"nothing published; {analysis.answer[0]}"]
    return [claim.text for claim in analysis.expectations]


def _entry(each: Reproduction) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": each.name,
        "about": each.title,
        "profile": each.profile,
        "command": each.command,
        "trials": None,
        "claims": [],
    }
    if each.report is not None:
        analysis = each.report.analysis
        entry["trials"] = dict(analysis.trials)
        entry["claims"] = [asdict(claim) for claim in analysis.expectations]
        entry["answer"] = list(analysis.answer)
    return entry
