"""What a model that somebody hands over begins with: weights of its own, and how it was compiled.

A model or the file it came from goes in; the layers whose weights look as if nothing had ever
trained them come out, and the optimizer, loss and metrics that it was compiled with.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras

from ablate.surgery import graph
from ablate.surgery.hosts import paths as named_layers

_CONSTANT = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)


def untrained(model: keras.Model, fresh: Collection[str] = ()) -> tuple[list[str], bool]:
    """Return the layers that look untrained, and whether all do of which it can be told.

    A layer looks untrained if each of its weights that starts from a constant (a bias, what a
    normalization holds) still has it: one step of training moves them. Layers without such a
    weight tell nothing.

    Args:
        model: built.
        fresh: paths of layers that are drawn anew anyway.
    """
    names = dict(named_layers(model)) if graph.is_container(model) else {}
    looks: dict[str, bool] = {}
    for layer in model._flatten_layers(include_self=False):
        name = names.get(layer, layer.name)
        still = [
            bool(keras.ops.all(variable == initializer(variable.shape, dtype=variable.dtype)))
            for variable, initializer in _constants(layer)
        ]
        if still and name not in fresh:
            looks[name] = all(still)
    found = [name for name, each in looks.items() if each]
    return found, bool(found) and len(found) == len(looks)


def _constants(layer: keras.Layer) -> Iterator[tuple[Any, Any]]:
    """Yield the weights of a layer that start from a constant, each with its initializer."""
    for name, initializer in vars(layer).items():
        role = name.removesuffix("_initializer")
        if role == name or not isinstance(initializer, _CONSTANT):
            continue
        if role == "bias" and getattr(layer, "unit_forget_bias", False):
            continue  # an LSTM's, of zeros and ones
        variable = getattr(layer, role, None)
        if isinstance(variable, keras.Variable) and variable.dtype.startswith(("float", "bfloat")):
            yield variable, initializer


def compiled_with(model: keras.Model) -> dict[str, Any] | None:
    """Return the configuration of a model's compilation, None if it has none."""
    if not getattr(model, "compiled", False):
        return None
    try:
        return model.get_compile_config() or None
    except Exception:
        return None  # objects of anyone's own that say nothing of themselves


def compiled_in(place: Path) -> dict[str, Any] | None:
    """Return the configuration of the compilation that a file carries, None if there is none."""
    try:
        if zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                found = json.loads(archive.read("config.json")).get("compile_config")
        else:
            import h5py

            with h5py.File(place) as stored:
                found = json.loads(stored.attrs.get("training_config") or "null")
    except (OSError, KeyError, ValueError, AttributeError, TypeError, zipfile.BadZipFile):
        return None
    if not isinstance(found, dict) or not found:
        return None
    return {**found, "optimizer": found.get("optimizer") or found.get("optimizer_config")}
