"""What to warn about in a model: a Dropout that feeds a BatchNormalization.

Dropout changes the variance of what follows between training and inference: for x ~ N(0, 1) and
keep probability p it is 1/p in training and 1 at inference (Li et al. 2018, "Understanding the
disharmony between dropout and batch normalization by variance shift"). A normalization that
comes after it learns the one and meets the other.
"""

from __future__ import annotations

from typing import Any

import keras

from ablate.surgery import hosts
from ablate.surgery.sites import calls_by_layer


def dropout_before_norm(model: keras.Model) -> list[tuple[str, str]]:
    """Return `(dropout, normalization)` paths: each Dropout with the first BNs downstream of it.

    Dropouts with rate 0 do not count. Within one model of a nested one; what passes on to an
    outer model is not followed.
    """
    named = dict(hosts.paths(model))
    calls = calls_by_layer(model)
    found: list[tuple[str, str]] = []
    for layer, path in named.items():
        if hosts.kind_of(layer) != "dropout" or not getattr(layer, "rate", 1.0):
            continue
        for norm in _first_norms(layer, calls):
            if (path, named[norm]) not in found:
                found.append((path, named[norm]))
    return found


def _first_norms(layer: Any, calls: dict[Any, list[Any]]) -> list[Any]:
    found: list[Any] = []
    seen: set[tuple[int, int, int]] = set()
    wave = list(calls.get(layer, ()))
    while wave:
        read, call = wave.pop(0)
        for tensor in call.outputs:
            for following in read.consumers.get(id(tensor), ()):
                if following.key in seen:
                    continue
                seen.add(following.key)
                if isinstance(following.operation, keras.layers.BatchNormalization):
                    found.append(following.operation)
                else:
                    wave.append((read, following))
    return found
