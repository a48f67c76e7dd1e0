"""Where a model was built with `training=True` or `False` in a call.

In `model(x)` no one says whether it trains; each layer then runs at the values its calls have. The
outermost value wins: that of an enclosing model's call over those inside. `predict`, `evaluate` and
`fit` always say, and override what is baked.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

from ablate.surgery import graph
from ablate.surgery.graph import Call


def training_values(model: keras.Model) -> dict[Any, set[bool | None]]:
    """Return the values of `training` at which each layer runs in `model(x)`; None: not given."""
    found: dict[Any, set[bool | None]] = {}
    done: set[tuple[int, bool | None]] = set()

    def visit(inner: keras.Model, outer: bool | None) -> None:
        if (id(inner), outer) in done:
            return
        done.add((id(inner), outer))
        for call in graph.read(inner).calls:
            value = _baked(call) if outer is None else outer
            found.setdefault(call.operation, set()).add(value)
            if graph.is_container(call.operation):
                visit(call.operation, value)

    visit(model, None)
    return found


def anywhere(model: keras.Model) -> bool:
    """Whether any call of a model, nested ones included, was built with a value of `training`."""
    return graph.is_container(model) and any(
        values - {None} for values in training_values(model).values()
    )


def _baked(call: Call) -> bool | None:
    signature = inspect.signature(call.operation.call)
    if "training" not in signature.parameters:
        return None
    try:
        value = signature.bind(*call.args, **call.kwargs).arguments.get("training")
    except TypeError:
        value = call.kwargs.get("training")
    # Keras records the default of recurrent layers as if it had been given.
    if value is None or value is signature.parameters["training"].default:
        return None
    return bool(value)
