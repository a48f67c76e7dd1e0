"""`ablate schema`: the JSON Schema of study files, so that editors complete them."""

from __future__ import annotations

import json

import click

from ablate.cli.echo import echo


@click.command("schema")
def command() -> int:
    """Print the JSON Schema of study files.

    Editors complete and check study files with it: write it to a file (ablate schema >
    ablate.schema.json) and begin a study with
    "# yaml-language-server: $schema=ablate.schema.json".
    """
    from ablate.config import schema

    echo(json.dumps(schema(), indent=2))
    return 0
