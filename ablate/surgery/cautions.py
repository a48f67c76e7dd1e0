"""What to warn about in a model: a Dropout that feeds a BatchNormalization.

Dropout changes the variance of what follows between training and inference: for x ~ N(0, 1) and
keep probability p it is 1/p in training and 1 at inference (Li et al. 2018, "Understanding the
disharmony between dropout and batch normalization by variance shift"). A normalization that
comes after it learns the one and meets the other.
"""

from __future__ import annotations

from typing import Any

import keras

from ablate.surgery import hosts, kinds
from ablate.surgery.routes import Routes


def dropout_before_norm(model: keras.Model) -> list[tuple[str, str]]:
    """Return `(dropout, normalization)` paths: each Dropout with the first BNs downstream of it.

    Dropouts with rate 0 do not count. The borders of nested models are crossed.
    """
    named = dict(hosts.paths(model))
    routes = Routes(model)
    return [
        (path, named[norm])
        for layer, path in named.items()
        if kinds.kind_of(layer) == "dropout" and getattr(layer, "rate", True)
        for norm in _first_norms(layer, routes)
    ]


def _first_norms(layer: Any, routes: Routes) -> list[Any]:
    """The BN layers that are reached without passing another one."""
    found: dict[Any, None] = {}
    seen: set[tuple[int, int, int]] = set()
    wave = list(routes.calls.get(layer, ()))
    while wave:
        read, call = wave.pop(0)
        for tensor in call.outputs:
            for where, following in routes.readers(read, tensor):
                if following is None or following.key in seen:
                    continue
                seen.add(following.key)
                if isinstance(following.operation, keras.layers.BatchNormalization):
                    found[following.operation] = None
                else:
                    wave.append((where, following))
    return list(found)
