"""`ablate inspect`: what a model is made of, where surgery could put something, what differs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.echo import echo
from ablate.cli.options import json_option
from ablate.cli.source import open_model, source_options
from ablate.cli.surgical import some
from ablate.study.positions import POSITIONS

if TYPE_CHECKING:
    import keras
    from rich.console import Console
    from rich.table import Table

    from ablate.surgery.compare import Comparison, LayerChange
    from ablate.surgery.graph import Calls
    from ablate.surgery.hosts import Host

_SHORT = {"BatchNormalization": "BN", "LayerNormalization": "LN", "GroupNormalization": "GN"}

#: Layers that differ and are told one by one; all are in the JSON.
_LISTED = 20

#: What is shown of layers of these kinds always, and else where it is not the default.
_TOLD: dict[str, dict[str, Any]] = {
    "norm": {"momentum": None, "epsilon": None, "groups": None, "parts": None, "learns": None,
             "renorm": False, "scale": True, "center": True},
    "dropout": {"rate": None, "stddev": None, "noise_shape": None},
    "recurrent": {"dropout": 0.0, "recurrent_dropout": 0.0},
}  # fmt: skip


@click.command("inspect")
@click.argument("source")
@click.argument("other", required=False)
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
@source_options
@json_option
def command(
    source: str,
    other: str | None,
    layer: str | None,
    at: Any,
    where: tuple[str, ...],
    except_: tuple[str, ...],
    weights: str | None,
    as_json: bool,
) -> int:
    """Show the layers of SOURCE: activations, BN and Dropout, and what selectors mean.

    SOURCE is a .keras or .h5 file, or a name of keras.applications (whose weights are not
    fetched unless --weights says so). With OTHER, a second model, show what differs between the
    two: layers, connections, arguments, weights.
    """
    opened = open_model(source, weights, usual="none")
    if other is not None:
        if layer or where or except_:
            raise click.UsageError("--layer, --where and --except belong to a single model.")
        second = open_model(other, weights, usual="none")
        return _compared(opened.model, second.model, (opened.words, second.words), as_json)
    from ablate.surgery.tracing import functional

    model = functional(opened.model)
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
    from ablate.report.printing import console

    page = console()
    page.print(f"{model.name}: {opened.words}, {model.count_params():,} parameters", markup=False)
    page.print(_table(rows))
    page.print("at: b before, B before_activation, A after_activation, a after\n")
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
    from ablate.surgery.graph import calls_by_layer, paths
    from ablate.surgery.ties import held_elsewhere

    calls = calls_by_layer(model)
    notes: dict[str, dict[str, Any]] = {}
    for each in record.inserted(model):
        notes[each.path] = {"inserted": True}
    for was in record.changed(model):
        notes.setdefault(was.path, {})["before"] = was.layer if was.original else {
            ".".join(map(str, place)): value for place, value in was.arguments
        } | ({} if was.trainable is None else {"trainable": was.trainable})  # fmt: skip
    held = held_elsewhere(model)
    named = dict(paths(model))
    chosen = hosts.all_hosts(model)
    if where or except_:
        wanted = {host.path for host in hosts.select(model, where or "all", except_)}
        chosen = [host for host in chosen if host.path in wanted]
    plain = {"inserted": False, "before": None}
    return [
        _row(host, calls, named)
        | plain
        | {"shared": len(calls[host.layer]), "tied": held.get(host.layer)}
        | notes.get(host.path, {})
        for host in chosen
    ]


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
        "followed_by": [named.get(each, each.name) for each in followers],
        "arguments": _told(host),
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
    classes = {
        host.layer_class
        for host in hosts.all_hosts(model)
        if host.kind != "model" or host.composite
    }
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


def _told(host: Host) -> dict[str, Any]:
    """Return the arguments that matter of a normalization, dropout or recurrent layer."""
    told = _TOLD.get(host.kind, {})
    layer: Any = host.layer
    # Of a wrapper what it wraps, of both directions the first.
    while inner := getattr(layer, "forward_layer", None) or getattr(layer, "layer", None):
        layer = inner
    cell = getattr(layer, "cell", layer)
    for each in getattr(cell, "cells", [cell]):
        found = {key: getattr(each, key) for key in told if getattr(each, key, None) is not None}
        if found:
            return {key: value for key, value in found.items() if value != told[key]}
    return {}


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("layer", overflow="fold", min_width=12)
    table.add_column("class", overflow="fold", min_width=9)
    table.add_column("output", overflow="fold")
    table.add_column("params", no_wrap=True, justify="right")
    table.add_column("at", no_wrap=True)
    table.add_column("arguments and what follows", overflow="fold", min_width=20)
    letters: dict[str, str] = dict(zip(POSITIONS, "bBAa", strict=True))
    by_path = {row["path"]: row for row in rows}
    for row in rows:
        table.add_row(
            escape(row["path"]),
            escape(_SHORT.get(row["layer"], row["layer"])),
            row["output"],
            f"{row['parameters']:,}" if row["parameters"] else "",
            "".join(letters[at] for at in row["positions"]),
            escape(_remarks(row, by_path)),
        )
    return table


def _remarks(row: dict[str, Any], by_path: dict[str, dict[str, Any]]) -> str:
    """Return a layer's arguments, what follows it, and what is special about it."""
    parts = [f"{key.replace('_', ' ')} {_value(value)}" for key, value in row["arguments"].items()]
    if row["activation"] and not row["activation_layer"] and row["kind"] != "activation":
        parts.append(f"{row['activation']} inside")
    if row["kind"] == "activation" and row["activation"] != row["layer"]:
        parts.append(row["activation"])
    if row["kind"] not in ("norm", "dropout", "activation", "input") and row["followed_by"]:
        chain = (_follower(path, row, by_path) for path in row["followed_by"])
        parts.append("→ " + " → ".join(chain))
    if row["shared"] > 1:
        parts.append(f"shared by {row['shared']} calls")
    if row["tied"]:
        parts.append(f"weights also in '{row['tied']}'")
    if isinstance(row["before"], str):
        parts.append(f"was {_SHORT.get(row['before'], row['before'])}")
    elif row["before"]:
        was = ", ".join(f"{key} {_value(value)}" for key, value in row["before"].items())
        parts.append(f"was {was}")
    marks = {
        "output": row["output_layer"],
        "frozen": not row["trainable"] and row["kind"] != "input",
        "inserted": row["inserted"],
        "model": row["kind"] == "model",
    }
    return ", ".join([*parts, *(mark for mark, holds in marks.items() if holds)])


def _follower(path: str, row: dict[str, Any], by_path: dict[str, dict[str, Any]]) -> str:
    """Name a layer that follows by what it does: BN, ReLU, Dropout 0.5."""
    if path in row["normalized"]:
        return _SHORT.get(row["normalized"][path], row["normalized"][path])
    if path in row["dropped"]:
        return f"Dropout {row['dropped'][path]}"
    return str(row["activation"] if path.endswith(str(row["activation_layer"])) else path)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _compared(
    first: keras.Model, second: keras.Model, words: tuple[str, str], as_json: bool
) -> int:
    """Print what differs between two models."""
    from dataclasses import asdict

    from ablate.surgery.compare import compare

    found = compare(first, second)
    if as_json:
        echo(json.dumps({"first": words[0], "second": words[1], **asdict(found)}, default=str))
        return 0
    from ablate.report.printing import console

    page = console()
    sizes = [f"{model.count_params():,} parameters" for model in (first, second)]
    page.print(f"A: {first.name}: {words[0]}, {sizes[0]}", markup=False)
    page.print(f"B: {second.name}: {words[1]}, {sizes[1]}", markup=False)
    _print_comparison(found, page)
    return 0


def _print_comparison(found: Comparison, page: Console) -> None:
    for side, layers in (("A", found.first_only), ("B", found.second_only)):
        if layers:
            counts = Counter(cls for _, cls in layers)
            what = ", ".join(f"{count} {cls}" for cls, count in counts.items())
            names = some([path for path, _ in layers])
            page.print(f"Only in {side} ({what}): {names}", markup=False)
    for each in found.changed[:_LISTED]:
        page.print(f"  {each.path}: {'; '.join(_differences(each))}", markup=False)
    if (more := len(found.changed) - _LISTED) > 0:
        page.print(f"  … and {more} more that differ; --json lists them all.")
    same = "layer is" if found.alike == 1 else "layers are"
    page.print(f"{found.alike} {same} the same in both, weights included.")


def _differences(change: LayerChange) -> list[str]:
    parts = []
    if change.layer_class:
        parts.append(" → ".join(change.layer_class))
    for key, (ours, theirs) in change.arguments.items() if not change.layer_class else ():
        parts.append(f"{key} {_value(ours)} → {_value(theirs)}")
    if change.trainable:
        parts.append("frozen in " + ("B" if change.trainable[0] else "A"))
    for key, gap in change.weights.items():
        if isinstance(gap, float):
            parts.append(f"{key} differs by up to {gap:.2g}")
        elif None in gap:
            parts.append(f"{key} only in {'A' if gap[1] is None else 'B'}")
        else:
            shapes = ("×".join(map(str, each)) for each in gap if each is not None)
            parts.append(f"{key} {' → '.join(shapes)}")
    if change.inputs:
        ours, theirs = (some(list(each), 3) or "nothing" for each in change.inputs)
        parts.append(f"reads {theirs} instead of {ours}")
    return parts
