"""`ablate inspect`: what a model is made of, and where surgery could put something."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo
from ablate.cli.options import json_option
from ablate.cli.source import open_model, weights_option
from ablate.cli.surgical import some
from ablate.study.positions import POSITIONS

if TYPE_CHECKING:
    import keras
    from rich.table import Table

    from ablate.surgery.graph import Calls
    from ablate.surgery.hosts import Host

_SHORT = {"BatchNormalization": "BN", "LayerNormalization": "LN", "GroupNormalization": "GN"}


@click.command("inspect")
@click.argument("source")
@click.option("--layer", help="Show where a layer of this class would go, as `insert` takes it.")
@click.option(
    "--at",
    type=click.Choice(POSITIONS),
    default="after",
    show_default=True,
    help="With --layer: the position.",
)
@click.option("--where", multiple=True, metavar="SELECTOR", help="Show only these. Repeatable.")
@click.option("--except", "except_", multiple=True, metavar="SELECTOR", help="But not these.")
@weights_option
@json_option
def command(
    source: str,
    layer: str | None,
    at: Any,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    weights: str | None,
    as_json: bool,
) -> int:
    """Show the layers of SOURCE: kinds, activations, BN and Dropout, and what selectors mean.

    SOURCE is a .keras or .h5 file, or a name of keras.applications (whose weights are not
    fetched unless --weights says so). Positions: b before, B before_activation,
    A after_activation, a after.
    """
    opened = open_model(source, weights, usual="none")
    model = opened.model
    rows = _rows(model, list(where) or None, list(except_) or None)
    meanings = _meanings(model)
    planned = _planned(model, layer, at, where, except_) if layer else None
    if as_json:
        document: dict[str, Any] = {
            "model": model.name,
            "source": opened.words,
            "parameters": model.count_params(),
            "compiled": bool(model.compiled),
            "layers": rows,
            "selectors": meanings,
        }
        if planned is not None:
            document["placement"] = planned
        echo(json.dumps(document, ensure_ascii=False))
        return 0
    from ablate.report.terminal import console

    page = console()
    page.print(f"{model.name}: {opened.words}, {model.count_params():,} parameters", markup=False)
    page.print(_table(rows))
    page.print("What selectors mean here (output layers only by their exact name):")
    width = max(len(each) for each in meanings)
    for selector, paths in meanings.items():
        page.print(f"  {selector:<{width}}  {len(paths):>4}: {some(paths, 4)}", markup=False)
    if planned is not None:
        page.print(f"\n{layer} at {at} would go:")
        for each in planned:
            line = f"{each['stands']}, as {each['path']}"
            if each["skipped"]:
                line = f"not at {each['host']}: {each['skipped']}"
            page.print(f"  {line}", markup=False)
    return 0


def _rows(model: keras.Model, where: Any, except_: Any) -> list[dict[str, Any]]:
    from ablate.surgery import hosts, record
    from ablate.surgery.graph import calls_by_layer

    calls = calls_by_layer(model)
    inserted = {each.path for each in record.inserted(model)}
    named = dict(hosts.paths(model))
    chosen = hosts.all_hosts(model)
    if where or except_:
        wanted = {host.path for host in hosts.select(model, where or "all", except_)}
        chosen = [host for host in chosen if host.path in wanted]
    return [_row(host, calls, named) | {"inserted": host.path in inserted} for host in chosen]


def _row(host: Host, calls: Calls, named: dict[Any, str]) -> dict[str, Any]:
    """Describe one layer: what it is, what follows before the next host, what it can take."""
    from ablate.surgery import kinds
    from ablate.surgery.sites import Site, site_at

    followers = _followers(host.layer, calls)
    own = None
    if host.activation is None:
        own = next((each for each in followers if kinds.is_activation(each)), None)
    norms, dropouts = (
        [each for each in followers if kinds.kind_of(each) == kind] for kind in ("norm", "dropout")
    )
    return {
        "path": host.path,
        "layer": host.layer_class,
        "kind": host.kind,
        "output": _shape(calls[host.layer][0][1]),
        "parameters": host.layer.count_params(),
        "trainable": bool(host.layer.trainable),
        "activation": host.activation if own is None else kinds.activation_name(own),
        "activation_layer": None if own is None else own.name,
        "normalized": {named[each]: type(each).__name__ for each in norms},
        "dropped": {named[each]: f"{getattr(each, 'rate', 0):g}" for each in dropouts},
        "positions": [at for at in POSITIONS if isinstance(site_at(host, at, calls), Site)],
        "output_layer": host.output,
    }


def _followers(layer: Any, calls: Calls) -> list[Any]:
    """Normalization, dropout and activation that follow a layer, one after another."""
    from ablate.surgery import kinds

    found: list[Any] = []
    read, call = calls[layer][0]
    while len(call.outputs) == 1:
        consumers = read.consumers.get(id(call.outputs[0]), ())
        if len(consumers) != 1:
            break
        call = consumers[0]
        kind = kinds.kind_of(call.operation)
        if kind not in ("norm", "dropout") and not kinds.is_activation(call.operation):
            break
        found.append(call.operation)
    return found


def _shape(call: Any) -> str:
    shapes = [tuple(each.shape)[1:] for each in call.outputs]
    return ", ".join("×".join("?" if size is None else str(size) for size in s) for s in shapes)


def _meanings(model: keras.Model) -> dict[str, list[str]]:
    """What the kinds and classes select in this model."""
    from ablate.errors import SurgeryError
    from ablate.surgery import hosts, kinds

    found: dict[str, list[str]] = {}
    classes = {host.layer_class for host in hosts.all_hosts(model) if host.kind != "model"}
    for selector in (*kinds.KINDS, *sorted(classes)):
        try:
            found[selector] = [host.path for host in hosts.select(model, selector)]
        except SurgeryError:
            continue  # none of this kind here
    return found


def _planned(
    model: keras.Model, layer: str, at: Any, where: tuple[str, ...], except_: tuple[str, ...]
) -> list[dict[str, Any]]:
    from ablate.study.keras_names import LAYER_ARGUMENTS
    from ablate.study.schema.placement import RATED, Placement
    from ablate.surgery.decisions import plan_insertions

    rate: dict[str, Any] = {"rate": 0.5} if layer in RATED and layer in LAYER_ARGUMENTS else {}
    fields: dict[str, Any] = {"where": list(where) or "hidden", "except": list(except_) or None}
    placement = Placement(layer=layer, at=at, **fields, **rate)
    return [
        {"host": each.host, "path": each.path, "stands": each.stands, "skipped": each.skipped}
        for each in plan_insertions(model, [placement])
    ]


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("layer", "class"):
        table.add_column(name, overflow="fold")
    for name in ("kind", "output", "params", "activation", "norm", "drop", "sites"):
        table.add_column(name, no_wrap=True, justify="right" if name == "params" else "left")
    letters: dict[str, str] = dict(zip(POSITIONS, "bBAa", strict=True))
    for row in rows:
        marks = {
            "output": row["output_layer"],
            "frozen": not row["trainable"],
            "inserted": row["inserted"],
        }
        positions = "".join(letters[at] for at in row["positions"])
        table.add_row(
            escape(row["path"]),
            escape(row["layer"]),
            row["kind"],
            row["output"],
            f"{row['parameters']:,}" if row["parameters"] else "",
            escape(("→ " if row["activation_layer"] else "") + (row["activation"] or "")),
            escape(", ".join(_SHORT.get(each, each) for each in row["normalized"].values())),
            escape(", ".join(row["dropped"].values())),
            " ".join([positions, *(mark for mark, holds in marks.items() if holds)]),
        )
    return table
