"""`ablate run`: train what a study asks for and say what came of it."""

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


@click.command("run")
@click.argument("study")
@logs_option
@study_options
@execution_options
@click.option("--fresh", is_flag=True, help="Set earlier results aside and begin anew.")
@quiet_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
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
    """Train every trial of STUDY that has no outcome yet.

    STUDY is a study file, or the name of a study under --logs. Final trials are kept and never
    trained again; Ctrl-C stops, and the same command goes on.
    """
    from ablate.execution.run import run
    from ablate.report.live import Display
    from ablate.report.terminal import console, print_closing

    found = find_study(study, logs, settings=settings, profile=profile, seeds=seeds, **execution)
    screen = console(quiet=quiet or as_json)
    results = run(found, logs=logs, fresh=fresh, watchers=[Display(screen)])
    if as_json:
        from ablate.report.tabular import as_document

        echo(json.dumps(as_document(results)))
    else:
        print_closing(results, logs=logs, quiet=quiet)
    return 1 if results.counts().get("failed") else 0
