"""`ablate search`: find each variant's best point, and confirm it on fresh seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ablate.cli.echo import echo
from ablate.cli.options import (
    execution_options,
    find_study,
    json_option,
    logs_option,
    quiet_option,
    study_options,
)


@click.command("search")
@click.argument("study")
@logs_option
@study_options
@execution_options
@click.option("--fresh", is_flag=True, help="Set earlier results aside and begin anew.")
@quiet_option
@json_option
def command(
    study: str,
    logs: Path,
    settings: tuple[str, ...],
    profile: str | None,
    seeds: str | None,
    fresh: bool,
    quiet: bool,
    as_json: bool,
    **execution: Any,
) -> int:
    """Search the space of STUDY for each variant's best point.

    Every variant gets the same budget; its winner is trained on fresh seeds, and only those are
    reported. Ctrl-C stops, and the same command goes on.
    """
    from ablate.report.search_progress import SearchDisplay
    from ablate.report.terminal import console, print_search
    from ablate.suppress_stderr import quiet_start

    found = find_study(study, logs, settings=settings, profile=profile, seeds=seeds, **execution)
    screen = console(quiet=quiet or as_json)
    with quiet_start():
        from ablate.search.driver import search
        from ablate.search.summary_text import summarize, to_json
    results = search(found, logs=logs, fresh=fresh, watchers=[SearchDisplay(screen)])
    if as_json:
        echo(json.dumps(to_json(results)))
    else:
        confirmed = results.confirmed if results.analysis is not None else None
        print_search(summarize(results), confirmed, quiet=quiet)
    return 1 if results.counts().get("failed") else 0
