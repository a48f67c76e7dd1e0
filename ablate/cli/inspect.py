"""`ablate inspect`: what a model is made of, and where surgery could put something."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo
from ablate.cli.options import json_option
from ablate.cli.source import open_model, weights_option
from ablate.cli.surgical import some
from ablate.study.positions import POSITIONS

if TYPE_CHECKING:
    import keras
    from rich.console import Console
    from rich.table import Table


_SHORT = {"BatchNormalization": "BN", "LayerNormalization": "LN", "GroupNormalization": "GN"}


@dataclass(frozen=True)
class Row:
    """One layer as the table shows it.

    `activation` is the fused one, or that of the layer `activation_layer` which follows;
    `normalized` and `dropped` hold the normalization and dropout layers that follow before the
    next host, by path, with class and rate. `positions` are those it can take; `inserted` tells
    what `ablate insert` put in.
    """

    path: str
    layer: str
    kind: str
    output: str
    parameters: int
    trainable: bool
    activation: str | None
    activation_layer: str | None
    normalized: dict[str, str]
    dropped: dict[str, str]
    positions: list[str]
    output_layer: bool
    inserted: bool


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
    from ablate.study.schema.factories import APPLICATIONS

    if weights is None and source.lower() in APPLICATIONS:
        weights = "none"
    opened = open_model(source, weights)
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
            "layers": [asdict(row) for row in rows],
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
    _print_meanings(page, meanings)
    if planned is not None:
        _print_planned(page, str(layer), at, planned)
    return 0


def _rows(model: keras.Model, where: Any, except_: Any) -> list[Row]:
    from ablate.surgery import hosts, kinds, record
    from ablate.surgery.graph import calls_by_layer
    from ablate.surgery.sites import Site, site_at

    calls = calls_by_layer(model)
    inserted = {each.path for each in record.inserted(model)}
    wanted = None
    if where or except_:
        wanted = {host.path for host in hosts.select(model, where or "all", except_)}
    named = dict(hosts.paths(model))
    rows = []
    for host in hosts.all_hosts(model):
        if wanted is not None and host.path not in wanted:
            continue
        followers = _followers(host.layer, calls)
        own = None
        if host.activation is None:
            own = next((f for f in followers if kinds.is_activation(f)), None)
        rows.append(
            Row(
                path=host.path,
                layer=host.layer_class,
                kind=host.kind,
                output=_shape(calls[host.layer][0][1]),
                parameters=host.layer.count_params(),
                trainable=bool(host.layer.trainable),
                activation=host.activation if own is None else kinds.activation_name(own),
                activation_layer=None if own is None else own.name,
                normalized={
                    named[each]: type(each).__name__
                    for each in followers
                    if kinds.kind_of(each) == "norm"
                },
                dropped={
                    named[each]: f"{getattr(each, 'rate', 0):g}"
                    for each in followers
                    if kinds.kind_of(each) == "dropout"
                },
                positions=[at for at in POSITIONS if isinstance(site_at(host, at, calls), Site)],
                output_layer=host.output,
                inserted=host.path in inserted,
            )
        )
    return rows


def _followers(layer: Any, calls: dict[Any, list[Any]]) -> list[Any]:
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
    from ablate.study.schema.placement import LAYER_ARGUMENTS, RATED, Placement
    from ablate.surgery.insert import plan_insertions

    rate: dict[str, Any] = {"rate": 0.5} if layer in RATED and layer in LAYER_ARGUMENTS else {}
    fields: dict[str, Any] = {"where": list(where) or "hidden", "except": list(except_) or None}
    placement = Placement(layer=layer, at=at, **fields, **rate)
    return [
        {"host": each.host, "path": each.path, "stands": each.stands, "skipped": each.skipped}
        for each in plan_insertions(model, [placement])
    ]


def _table(rows: list[Row]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("layer", overflow="fold")
    table.add_column("class", overflow="fold")
    for name in ("kind", "output"):
        table.add_column(name, no_wrap=True)
    table.add_column("params", justify="right", no_wrap=True)
    for name in ("activation", "norm", "drop", "sites"):
        table.add_column(name, no_wrap=True)
    letters: dict[str, str] = dict(zip(POSITIONS, "bBAa", strict=True))
    for row in rows:
        marks = [
            "output" if row.output_layer else "",
            "frozen" if not row.trainable else "",
            "inserted" if row.inserted else "",
        ]
        table.add_row(
            escape(row.path),
            escape(row.layer),
            row.kind,
            row.output,
            f"{row.parameters:,}" if row.parameters else "",
            escape(("→ " if row.activation_layer else "") + (row.activation or "")),
            escape(", ".join(_SHORT.get(each, each) for each in row.normalized.values())),
            escape(", ".join(row.dropped.values())),
            " ".join(["".join(letters[at] for at in row.positions), *filter(None, marks)]),
        )
    return table


def _print_meanings(page: Console, meanings: dict[str, list[str]]) -> None:
    page.print("What selectors mean here (output layers only by their exact name):")
    width = max(len(each) for each in meanings)
    for selector, paths in meanings.items():
        page.print(f"  {selector:<{width}}  {len(paths):>4}: {some(paths, 4)}", markup=False)


def _print_planned(page: Console, layer: str, at: str, planned: list[dict[str, Any]]) -> None:
    page.print(f"\n{layer} at {at} would go:")
    for each in planned:
        if each["skipped"]:
            page.print(f"  not at {each['host']}: {each['skipped']}", markup=False)
        else:
            page.print(f"  {each['stands']}, as {each['path']}", markup=False)
