"""`ablate status`: what is done, what is left, what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ablate.cli.options import json_option, logs_option


@click.command("status")
@click.argument("study", required=False)
@logs_option
@json_option
def command(study: str | None, logs: Path, as_json: bool) -> int:
    """Show how far STUDY is, or every study under --logs.

    Reads the store alone: it works while a study runs, here or on a cluster.
    """
    from ablate.cli.options import find_study
    from ablate.execution.outlook import progress
    from ablate.report.plans import print_progress
    from ablate.report.terminal import console
    from ablate.store import studies

    names = [study] if study else studies(logs)
    seen = [progress(find_study(name, logs), logs=logs) for name in names]
    if as_json:
        documents = [each.to_json() for each in seen]
        click.echo(json.dumps(documents[0] if study else documents))
    elif not seen:
        click.echo(f"No study lies under {logs}/ yet. Start one: ablate run configs/digits.yaml")
    else:
        print_progress(seen, console(quiet=False))
    return 0
