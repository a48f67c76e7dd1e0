"""What commands print: text without the terminal's control sequences.

Names of files, layers and classes and the words of foreign errors come from outside; a terminal
would obey what they hide. Tables go through `ablate.report.terminal.console`, which does likewise.
"""

from __future__ import annotations

import json
from typing import Any

import click

from ablate.reasons import printable


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text, neutralised, to standard output or (`err`) standard error."""
    click.echo(printable(text), err=err, nl=nl)


def echo_json(value: Any) -> None:
    """Print a value as one JSON document."""
    echo(json.dumps(value))
