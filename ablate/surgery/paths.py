"""Canonical paths: names of layers that do not depend on what was built before or inserted.

Seeds derive from these paths, so that two variants share the initial weights of the layers they
have in common. Keras numbers unnamed layers through the life of a process (`dense`, then
`dense_2`); here such a name becomes class and ordinal within the enclosing model (`Dense[0]`).

    base = build()                                 # any time, in any process
    new = insert(base, "Dropout", rate=0.5)
    canonical_paths(new, base)                     # {layer: path}; an inserted layer's path is
                                                   # its host's plus its suffix
"""

from __future__ import annotations

import re
from typing import Any

import keras

from ablate.study.keras_names import snake
from ablate.surgery import graph, record


def canonical_paths(model: keras.Model, base: keras.Model | None = None) -> dict[Any, str]:
    """Return the canonical path of every layer of `model`, nested models and theirs included.

    Ordinals count the automatically named layers of one class within one model, in an order
    that insertion does not change. Inserted layers do not count; their path is the path of
    their host plus what their name adds to its name (`Dense[0]_dropout`).

    Args:
        model: A functional or Sequential model; what `insert` or `remove` made, too.
        base: The model before any operation. Needed where `remove` took out layers, since that
            shifts the ordinals of the rest; layers are then matched by their names' path.
    """
    inserted = {each.path: each for each in record.inserted(model)}
    by_name: dict[str, str] = {}
    if base is not None:
        of_base = canonical_paths(base)
        by_name = {path: of_base[layer] for layer, path in graph.paths(base)}
    named = graph.paths(model)
    was = {each.path: each.layer for each in record.changed(model)}
    own = _paths(model, skip=set(inserted), was=was)
    found = {layer: by_name.get(path, own[layer]) for layer, path in named if path not in inserted}
    canonical = {path: found[layer] for layer, path in named if layer in found}
    new = {
        layer: _of_inserted(inserted[path], inserted, canonical)
        for layer, path in named
        if path in inserted
    }
    return found | new


def _of_inserted(
    entry: record.Inserted, inserted: dict[str, record.Inserted], canonical: dict[str, str]
) -> str:
    """The host's canonical path plus the suffix; the host may itself have been inserted."""
    suffix = entry.name.removeprefix(entry.host.rpartition("/")[2])
    if entry.host in inserted:
        return _of_inserted(inserted[entry.host], inserted, canonical) + suffix
    return canonical.get(entry.host, entry.host) + suffix


def _paths(model: keras.Model, skip: set[str], was: dict[str, str]) -> dict[Any, str]:
    """Return the paths of all layers but `skip`; those in `was` count as what they were once."""
    found: dict[Any, str] = {}

    def visit(inner: keras.Model, prefix: str, names: str) -> None:
        counts: dict[str, int] = {}
        for operation in graph.read(inner).order:
            if not isinstance(operation, keras.Layer) or operation in found:
                continue
            if names + operation.name in skip:
                continue
            kind = was.get(names + operation.name, record.class_name(operation))
            found[operation] = prefix + _stable(operation.name, kind, counts)
            if graph.is_container(operation):
                visit(operation, found[operation] + "/", f"{names}{operation.name}/")

    visit(model, "", "")
    return found


def _stable(name: str, kind: str, counts: dict[str, int]) -> str:
    if not re.fullmatch(rf"{re.escape(snake(kind))}(_\d+)?", name):
        return name
    counts[kind] = counts.get(kind, -1) + 1
    return f"{kind}[{counts[kind]}]"
