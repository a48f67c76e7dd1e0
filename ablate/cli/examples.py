"""`ablate examples`: the studies that come with the package."""

from __future__ import annotations

import textwrap

import click

from ablate.cli.echo import echo, echo_json
from ablate.cli.options import json_option
from ablate.examples import examples, question


@click.command("examples")
@json_option
def command(*, as_json: bool) -> int:
    """List the studies that come with the package, with what each asks.

    `ablate init --example NAME` copies one, with what it needs, to where you work.
    """
    found = {name: question(path) for name, path in examples().items()}
    if as_json:
        echo_json({"examples": [{"name": name, "question": asks} for name, asks in found.items()]})
        return 0
    from ablate.report.printing import console

    width = min(console().width, 100)
    for name, asks in found.items():
        echo(name)
        echo(textwrap.fill(asks, width, initial_indent="    ", subsequent_indent="    "))
    echo(
        "\nCopy one to where you work: ablate init --example NAME\n"
        "Those under papers/ are published results: ablate reproduce NAME"
    )
    return 0
