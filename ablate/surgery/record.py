"""The record of what was inserted, replaced and changed, kept on the model itself.

`insert`, `replace` and `change` write it, `remove` and `canonical_paths` read it. It has to
survive saving and loading under Keras's safe mode, in processes that have never heard of `ablate`,
so it is made of nothing but what Keras stores and hands back by itself: the `optional` setting of
the model's first `InputLayer`, which Keras keeps as it was given, holds it as a text of JSON. A
record is true in a boolean sense, so the one thing that changes is that Keras no longer complains
in its own words when None is passed for that input; the original setting is in the record. The
first input of a nested model that was opened says in the same way what it was before.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import keras

from ablate.surgery import graph
from ablate.surgery.clone import classes_of

_KEY = "ablate.inserted"


@dataclass(frozen=True)
class Inserted:
    """A layer that `insert` added.

    `host` and `path` are paths of names in the model that holds the record; `name` is the
    layer's own, `layer` its class. `at` and `label` come from the placement. With `role`
    "activation" it is an activation that was split off the host, not one that was asked for.
    `step` counts the operations on the model that has the record.
    """

    host: str
    layer: str
    name: str
    path: str
    at: str
    label: str
    role: str = "inserted"
    step: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Changed:
    """A layer that `replace` or `change` made anew, and what it takes to undo that.

    `layer` is its class before. `original` is the layer as it was, serialized, where its class
    changed; else `arguments` has `[place in the configuration, value before]`. `values` has the
    variables that the new layer lacks or that were moved, as they were (`conversion.Stored`).
    """

    path: str
    layer: str
    label: str
    original: dict[str, Any] | None = None
    arguments: list[list[Any]] = field(default_factory=list)
    trainable: bool | None = None
    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    step: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Entry:
    """An entry of the record with the layer it speaks of, and the input that carries it.

    `path` is the layer's path as the carrier has it, which holds in its own model. `order` is
    larger for what was done later; what was done inside a nested model, when it stood alone,
    came before.
    """

    of: Any
    layer: Any
    carrier: Any
    path: str
    order: tuple[int, int]

    @property
    def inserted(self) -> Inserted:
        """What was inserted, of an entry of `entries`."""
        assert isinstance(self.of, Inserted)
        return self.of


@dataclass(frozen=True)
class Opened:
    """What a nested functional model was before its Python code was opened.

    `layer` is the name of its class, `registered` the name under which Keras knows that. `original`
    is the layer, serialized; None of a model that had a graph, or where that cannot be. `composite`
    tells a layer from a model that had a graph.
    """

    layer: str
    registered: str
    composite: bool
    original: dict[str, Any] | None = None


#: The classes and functions that the layers need which opened models were, in this process.
_CLASSES: weakref.WeakKeyDictionary[keras.Model, dict[str, Any]] = weakref.WeakKeyDictionary()


def note_opened(new: keras.Model, old: Any, original: dict[str, Any] | None = None) -> None:
    """Let a nested model remember the class of the layer or model that it stands for."""
    if (classes := classes_of(old) if original else _CLASSES.get(old)) is not None:
        _CLASSES[new] = classes
    if type(new) is type(old):
        return
    carrier = graph.producer_of(new.inputs[0])
    stored = _unpack(carrier) or _blank(carrier)
    registered = keras.saving.get_registered_name(type(old))
    was = Opened(type(old).__name__, registered, not graph.is_container(old), original)
    stored.setdefault("opened", {}).setdefault(new.name, asdict(was))
    _pack(carrier, stored)


def opened(layer: Any) -> Opened | None:
    """Return what a nested model was before it was opened; None of every other layer."""
    if not graph.is_container(layer):
        return None
    stored = (_unpack(graph.producer_of(layer.inputs[0])) or {}).get("opened", {})
    return Opened(**stored[layer.name]) if layer.name in stored else None


def made_again(model: keras.Model, original: dict[str, Any]) -> keras.Layer:
    """Return a layer that `model` was before it was opened, from its `original`."""
    with keras.saving.custom_object_scope(_CLASSES.get(model, {})):
        return keras.saving.deserialize_keras_object(original)


def class_name(layer: Any) -> str:
    """Return the name of a layer's class; of an opened one, that of the class it had."""
    was = opened(layer)
    return type(layer).__name__ if was is None else was.layer


def inserted(model: keras.Model) -> tuple[Inserted, ...]:
    """Return what `insert` recorded on `model` (and on models nested in it) and is still there.

    Split-off activations are among them, with role "activation".
    """
    return tuple(each.inserted for each in entries(model))


def changed(model: keras.Model) -> tuple[Changed, ...]:
    """Return what `replace` and `change` recorded on `model` (and on models nested in it)."""
    return tuple(each.of for each in all_entries(model) if isinstance(each.of, Changed))


def entries(model: keras.Model) -> list[Entry]:
    """Return what was inserted, with layers and carriers, in the order of insertion."""
    return [each for each in all_entries(model) if isinstance(each.of, Inserted)]


def all_entries(model: keras.Model) -> list[Entry]:
    """Return the whole record with layers and carriers; of each model, what was inserted first."""
    found: list[Entry] = []
    carriers: set[int] = set()

    def visit(inner: keras.Model, prefix: str) -> None:
        carrier = graph.producer_of(inner.inputs[0])
        if id(carrier) not in carriers:
            carriers.add(id(carrier))
            stored = _unpack(carrier)
            if stored:
                layers = {path: layer for layer, path in graph.paths(inner)}
                for of, each in _stored(stored):
                    if layer := layers.get(of.path):
                        order = (-len(carriers), of.step)
                        here = {key: prefix + each[key] for key in ("host", "path") if key in each}
                        found.append(Entry(replace(of, **here), layer, carrier, of.path, order))
        for operation in graph.read(inner).order:
            if graph.is_container(operation):
                visit(operation, f"{prefix}{operation.name}/")

    visit(model, "")
    return found


def add(model: keras.Model, new: Iterable[Inserted | Changed]) -> None:
    """Append the entries of one operation to the record of `model` itself."""
    carrier = graph.producer_of(model.inputs[0])
    stored = _unpack(carrier) or _blank(carrier)
    step = 1 + max((of.step for of, _ in _stored(stored)), default=-1)
    for each in new:
        kind = "inserted" if isinstance(each, Inserted) else "changed"
        stored.setdefault(kind, []).append({**asdict(each), "step": step})
    _pack(carrier, stored)


def strike(old: Iterable[Entry], gone: Container[Any], layers: Mapping[Any, Any]) -> None:
    """Take the entries of layers that are `gone` off the record of the new model.

    `layers` maps layers of the old model to those of the new one, inputs among them.
    """
    strike_entries((each for each in old if each.layer in gone), layers)


def strike_entries(struck: Iterable[Entry], layers: Mapping[Any, Any]) -> None:
    """Take entries off the record of the new model (see `strike`)."""
    by_carrier: dict[Any, set[tuple[str, int]]] = {}
    for entry in struck:
        by_carrier.setdefault(layers[entry.carrier], set()).add((entry.path, entry.of.step))
    for carrier, gone in by_carrier.items():
        if stored := _unpack(carrier):
            for kind in _KINDS.keys() & stored.keys():
                stored[kind] = [
                    each for each in stored[kind] if (each["path"], each.get("step", 0)) not in gone
                ]
            _pack(carrier, stored)


#: The lists of the record, by what is in them. Records of 0.1 have the first only.
_KINDS: dict[str, type[Inserted] | type[Changed]] = {"inserted": Inserted, "changed": Changed}


def _stored(stored: dict[str, Any]) -> Iterator[tuple[Inserted | Changed, dict[str, Any]]]:
    """Yield each entry as a value and as it is stored."""
    for kind, cls in _KINDS.items():
        for each in stored.get(kind, ()):
            yield cls(**each), each


def _blank(carrier: Any) -> dict[str, Any]:
    return {"optional": bool(carrier.optional), "inserted": []}


def _pack(carrier: Any, stored: dict[str, Any]) -> None:
    if any(stored.get(kind) for kind in (*_KINDS, "opened")):
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
