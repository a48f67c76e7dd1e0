"""`ablate plan`: what a study would train, without training it."""

from __future__ import annotations

from pathlib import Path

import click

from ablate.cli.echo import echo_json
from ablate.cli.options import (
    Find,
    arguments_argument,
    json_option,
    quiet_option,
    rehearse_option,
    study_options,
)


@click.command("plan")
@click.argument("study")
@arguments_argument
@study_options(execution=True)
@rehearse_option
@click.option("--quick", is_flag=True, help="Build no model: no layer names, no parameters.")
@quiet_option
@json_option
def command(study: str, logs: Path, find: Find, *, quick: bool, quiet: bool, as_json: bool) -> int:
    """Show what STUDY would train: variants, inserted layers, parameters, trials, time.

    Nothing is trained. With --quick no model is built either, which takes no TensorFlow.
    """
    from ablate.execution.status import preview
    from ablate.report.plans import print_preview
    from ablate.report.terminal import console

    seen = preview(find(study), logs=logs, build=not quick)
    if as_json:
        echo_json(seen.to_json())
    else:
        print_preview(seen, console(quiet=False))
    return 0
