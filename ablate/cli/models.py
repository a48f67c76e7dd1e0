"""`ablate models`: the networks that `model.name` can be, with their arguments."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click

from ablate.cli.echo import echo_json
from ablate.cli.options import json_option
from ablate.errors import StudyError, nearest


@click.command("models")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> int:
    """List the factories and their arguments, or those of NAME alone.

    Networks of keras.applications and models of your own (file, call) are listed last. What
    normalizes or drops is no argument of any: it comes through placements.
    """
    found = _chosen(name)
    if as_json:
        echo_json(found)
    else:
        _print(found, alone=name is not None)
    return 0


def _chosen(name: str | None) -> list[dict[str, Any]]:
    from ablate.study.schema.factories import APPLICATIONS, MODELS

    MODELS.load_installed()
    everything = [_described(kind) for kind in MODELS.values()]
    if name is None:
        return everything
    low = name.lower()
    for each in everything:
        if low in APPLICATIONS and low in each["names"]:
            return [{**each, "name": low, "names": [low]}]
        if each["name"] == low:
            return [each]
    known = [*MODELS.names, *(each["name"] for each in everything)]
    raise StudyError(
        f"There is no factory '{name}'.{nearest(low, known)} `ablate models` lists them all."
    )


def _described(kind: Any) -> dict[str, Any]:
    """Describe a kind, as plain values."""
    arguments = []
    if kind.arguments is not None:
        schema = kind.arguments.model_json_schema()["properties"]
        for name, field in kind.arguments.model_fields.items():
            given = {k: v for k, v in schema[name].items() if k not in ("title", "description")}
            default = field.get_default(call_default_factory=True)
            about = field.description or ""
            arguments.append({"name": name, "default": default, "about": about, "schema": given})
    if "weights" in kind.shared:
        default, about = "none", "imagenet, none or the path of a file of weights."
        if kind.title == "file":
            default, about = "keep", "keep or fresh."
        arguments.insert(0, {"name": "weights", "default": default, "about": about})
    about = inspect.cleandoc(kind.arguments.__doc__ or "") if kind.arguments else kind.about
    return {
        "name": kind.title,
        "key": kind.key,
        "names": list(kind.names or ()),
        "about": about,
        "arguments": arguments,
    }


def _print(found: list[dict[str, Any]], alone: bool) -> None:
    """Print one factory after the other; what all of them take once, at the end."""
    from ablate.report.printing import console
    from ablate.study.schema.factories import Network

    screen = console()
    common = set() if alone else set(Network.model_fields)
    shared: list[dict[str, Any]] = []
    for each in found:
        arguments = each["arguments"]
        if common and common <= {argument["name"] for argument in arguments}:
            shared = [argument for argument in arguments if argument["name"] in common]
            arguments = [argument for argument in arguments if argument["name"] not in common]
        about = each["about"] if alone else each["about"].split("\n\n")[0]
        _print_one(screen, each["name"], " ".join(about.split()), each["names"], arguments)
    if shared:
        text = "What every factory above keras.applications takes besides."
        _print_one(screen, "all factories", text, [], shared)


def _print_one(
    screen: Any, name: str, about: str, names: list[str], arguments: list[dict[str, Any]]
) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    screen.print(f"[bold]{escape(name)}[/bold]  {escape(about)}", highlight=False)
    if len(names) > 1:
        screen.print(f"  name: {escape(', '.join(names))}", highlight=False)
    table = Table(
        Column(no_wrap=True), Column(no_wrap=True), Column(),
        box=None, show_header=False, padding=(0, 1), pad_edge=False,
    )  # fmt: skip
    for argument in arguments:
        default = json.dumps(argument["default"])
        table.add_row(f"  {argument['name']}", escape(default), escape(argument["about"]))
    if arguments:
        screen.print(table, highlight=False)
    screen.print()
