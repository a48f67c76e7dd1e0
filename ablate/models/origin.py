"""Where a base model's weights come from: kept, or drawn anew for each seed.

Builders note it, training asks for it. The note lives as long as the model and is no part of
it: surgery and saving leave it behind, so ask the base model. Here, too, is what a model that
somebody hands over shows of its past: layers that look untrained, and how it was compiled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras

from ablate.models.creation import initializers
from ablate.surgery import graph
from ablate.surgery.graph import paths as named_layers

_CONSTANT = (keras.initializers.Zeros, keras.initializers.Ones, keras.initializers.Constant)


@dataclass(frozen=True)
class Origin:
    """What a base model starts from.

    With `kept`, every layer but those named in `fresh` keeps the weights it has; without, all
    layers are drawn for each seed. `weights` says it one by one, where only some of a model's
    are kept: by the path of a layer, the indices among its weights. `notes` and `cautions` are
    what plan and report say of it, `compiled` is the configuration that it came compiled with.
    """

    kept: bool = False
    fresh: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    compiled: Mapping[str, Any] | None = None
    weights: Mapping[str, tuple[int, ...]] | None = None


_origins: WeakKeyDictionary[keras.Model, Origin] = WeakKeyDictionary()


def note(model: keras.Model, origin: Origin) -> keras.Model:
    """Remember the origin of `model` and return it."""
    _origins[model] = origin
    return model


def origin(model: keras.Model) -> Origin:
    """Return where the weights of a model that `base` built come from."""
    return _origins.get(model, Origin())


def untrained(model: keras.Model, fresh: Collection[str] = ()) -> tuple[list[str], bool]:
    """Return the layers that look untrained, and whether all layers that can show it do.

    A layer looks untrained if each of its weights that starts from a constant (a bias, what a
    normalization holds) still has it: one step of training moves them. Layers without such a
    weight show nothing.

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
    for variable, initializer in initializers(layer):
        if not isinstance(initializer, _CONSTANT):
            continue
        if variable is getattr(layer, "bias", None) and getattr(layer, "unit_forget_bias", False):
            continue  # an LSTM's, of zeros and ones
        if variable.dtype.startswith(("float", "bfloat")):
            yield variable, initializer


def compiled_with(model: keras.Model) -> dict[str, Any] | None:
    """Return the configuration of a model's compilation, None if it has none."""
    if not getattr(model, "compiled", False):
        return None
    try:
        return model.get_compile_config() or None
    except Exception:
        return None  # objects of anyone's own that say nothing of themselves
