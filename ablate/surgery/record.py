"""The record of what was inserted, kept on the model itself.

`insert` writes it, `remove` and `canonical_paths` read it. It has to survive saving and loading
under Keras's safe mode, in processes that have never heard of `ablate`, so it is made of
nothing but what Keras stores and hands back by itself: the `optional` setting of the model's
first `InputLayer`, which Keras keeps as it was given, holds it as a text of JSON. A record is
true in a boolean sense, so the one thing that changes is that Keras no longer complains in its
own words when None is passed for that input; the original setting is in the record.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras

from ablate.surgery import graph
from ablate.surgery.hosts import paths

_KEY = "ablate.inserted"


@dataclass(frozen=True)
class Inserted:
    """A layer that `insert` added.

    `host` and `path` are paths of names in the model that holds the record; `name` is the
    layer's own, `layer` its class. `at` and `label` come from the placement. With `role`
    "activation" it is an activation that was split off the host, not one that was asked for.
    """

    host: str
    layer: str
    name: str
    path: str
    at: str
    label: str
    role: str = "inserted"


@dataclass(frozen=True)
class Entry:
    """An entry of the record with the layer it speaks of, and the input that carries it.

    `path` is the layer's path as the carrier has it, which holds in its own model.
    """

    inserted: Inserted
    layer: Any
    carrier: Any
    path: str


def inserted(model: keras.Model) -> tuple[Inserted, ...]:
    """Return what `insert` recorded on `model` (and on models nested in it) and is still there.

    Split-off activations are among them, with role "activation".
    """
    return tuple(each.inserted for each in entries(model))


def entries(model: keras.Model) -> list[Entry]:
    """Return the record with layers and carriers, in the order of insertion."""
    found: list[Entry] = []
    carriers: set[int] = set()

    def visit(inner: keras.Model, prefix: str) -> None:
        carrier = graph.producer_of(inner.inputs[0])
        if id(carrier) not in carriers:
            carriers.add(id(carrier))
            stored = _unpack(carrier)
            if stored:
                layers = {path: layer for layer, path in paths(inner)}
                for each in stored["inserted"]:
                    if layer := layers.get(each["path"]):
                        here = {key: prefix + each[key] for key in ("host", "path")}
                        found.append(Entry(Inserted(**each | here), layer, carrier, each["path"]))
        for operation in graph.read(inner).order:
            if graph.is_container(operation):
                visit(operation, f"{prefix}{operation.name}/")

    visit(model, "")
    return found


def add(model: keras.Model, new: Iterable[Inserted]) -> None:
    """Append entries to the record of `model` itself."""
    carrier = graph.producer_of(model.inputs[0])
    stored = _unpack(carrier) or {"optional": bool(carrier.optional), "inserted": []}
    stored["inserted"] += [asdict(each) for each in new]
    _pack(carrier, stored)


def strike(old: Iterable[Entry], gone: Container[Any], layers: Mapping[Any, Any]) -> None:
    """Take the entries of layers that are `gone` off the record of the new model.

    `layers` maps layers of the old model to those of the new one, inputs among them.
    """
    struck: dict[Any, set[str]] = {}
    for entry in old:
        if entry.layer in gone:
            struck.setdefault(layers[entry.carrier], set()).add(entry.path)
    for carrier, paths_struck in struck.items():
        if stored := _unpack(carrier):
            kept = [each for each in stored["inserted"] if each["path"] not in paths_struck]
            _pack(carrier, {**stored, "inserted": kept})


def _pack(carrier: Any, stored: dict[str, Any]) -> None:
    if stored["inserted"]:
        carrier.optional = json.dumps({_KEY: stored}, separators=(",", ":"))
    else:
        carrier.optional = stored["optional"]


def _unpack(carrier: Any) -> dict[str, Any] | None:
    text = getattr(carrier, "optional", None)
    if not isinstance(text, str):
        return None
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return None
    return document.get(_KEY) if isinstance(document, dict) else None
