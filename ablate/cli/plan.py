"""`ablate plan`: what a study would train, without training it."""

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


@click.command("plan")
@click.argument("study")
@logs_option
@study_options
@execution_options
@click.option("--quick", is_flag=True, help="Build no model: no layer names, no parameters.")
@quiet_option
@json_option
def command(
    study: str,
    logs: Path,
    settings: tuple[str, ...],
    profile: str | None,
    seeds: str | None,
    quick: bool,
    quiet: bool,
    as_json: bool,
    **execution: Any,
) -> int:
    """Show what STUDY would train: variants, inserted layers, parameters, trials, time.

    Nothing is trained. With --quick no model is built either, which takes no TensorFlow.
    """
    from ablate.execution.status import outlook
    from ablate.report.plans import print_outlook
    from ablate.report.terminal import console

    found = find_study(study, logs, settings=settings, profile=profile, seeds=seeds, **execution)
    seen = outlook(found, logs=logs, build=not quick)
    if as_json:
        echo(json.dumps(seen.to_json()))
    else:
        print_outlook(seen, console(quiet=False))
    return 0
