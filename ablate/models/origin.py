"""Where a base model's weights come from: kept, or drawn anew for each seed.

Builders note it, training asks for it. The note lives as long as the model and is no part of
it: surgery and saving leave it behind, so ask the base model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras


@dataclass(frozen=True)
class Origin:
    """What a base model starts from.

    With `kept`, every layer but those named in `fresh` keeps the weights it has; without, all
    layers are drawn for each seed. `notes` and `cautions` are what plan and report say of it,
    `compiled` is the configuration that it came compiled with, of which nothing is used.
    """

    kept: bool = False
    fresh: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    compiled: Mapping[str, Any] | None = None


_origins: WeakKeyDictionary[keras.Model, Origin] = WeakKeyDictionary()


def note(model: keras.Model, origin: Origin) -> keras.Model:
    """Remember the origin of `model` and return it."""
    _origins[model] = origin
    return model


def origin(model: keras.Model) -> Origin:
    """Return where the weights of a model that `base` built come from."""
    return _origins.get(model, Origin())
