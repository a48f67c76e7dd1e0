"""What to warn about in a model: Dropout ahead of BN, a lost mask, channels made constant.

Dropout changes the variance of what follows between training and inference: for x ~ N(0, 1) and
keep probability p it is 1/p in training and 1 at inference (Li et al. 2018, "Understanding the
disharmony between dropout and batch normalization by variance shift"). A normalization that
comes after it learns the one and meets the other. A normalization that gets a mask leaves padding
out of its statistics; it counts padding where a layer before it hands no mask on.
"""

from __future__ import annotations

from typing import Any

import keras

from ablate.surgery import graph, kinds
from ablate.surgery.dataflow import Dataflow

_BN = keras.layers.BatchNormalization


def dropout_before_norm(model: keras.Model) -> list[tuple[str, str]]:
    """Return `(dropout, normalization)` paths: each Dropout with the first BNs downstream of it.

    Dropouts with rate 0 do not count. The borders of nested models are crossed.
    """
    named = dict(graph.paths(model))
    flow = Dataflow(model)
    return [
        (path, named[norm])
        for layer, path in named.items()
        if kinds.kind_of(layer) == "dropout" and getattr(layer, "rate", True)
        for norm in _first_norms(layer, flow)
    ]


def constant_means(model: keras.Model) -> list[tuple[str, str]]:
    """Return `(normalization, pooling)` paths: groups of one channel ahead of a global average.

    A GroupNormalization of one group per channel gives each channel of each example the mean beta,
    which is all that a global average takes of it, as far as nothing but activations is between.
    Where there are no positions to average over, what comes out is beta itself: the pooling is "".
    """
    named = dict(graph.paths(model))
    flow = Dataflow(model)
    found: list[tuple[str, str]] = []
    for layer, path in named.items():
        if not isinstance(layer, keras.layers.GroupNormalization) or not layer.built:
            continue
        tensor = flow.calls[layer][0][1].outputs[0]
        if layer.groups != tensor.shape[layer.axis]:
            continue
        if len(tensor.shape) == 2:
            found.append((path, ""))
            continue
        reached = flow.reached(layer, lambda each: kinds.kind_of(each) in ("activation", "dropout"))
        pools = (call.operation for call in reached if call is not None)
        averages = dict.fromkeys(p for p in pools if type(p).__name__.startswith("GlobalAverage"))
        found += [(path, named[pool]) for pool in averages]
    return found


def constant_words(norm: str, pooling: str) -> str:
    """Return what there is to say of a finding of `constant_means`."""
    if not pooling:
        return (
            f"'{norm}' has one group per channel and no positions to normalize over: its output is "
            "beta, whatever comes in"
        )
    return (
        f"'{norm}' has one group per channel, so that the mean of each channel is beta in every "
        f"example, and '{pooling}' takes the mean: fewer groups leave something to tell examples "
        "apart"
    )


def masks_lost(model: keras.Model) -> list[tuple[Any, Any]]:
    """Return `(normalization, operation)`: BN layers downstream of an operation that drops a mask.

    Where the axis of the steps is gone (pooled, or the last step taken) there is no padding left.
    """
    flow = Dataflow(model)
    found: dict[Any, Any] = {}
    for calls in flow.calls.values():
        for _, call in calls:
            if _drops_mask(call):
                for norm in _first_norms(call.operation, flow, least=3):
                    found.setdefault(norm, call.operation)
    return list(found.items())


def _drops_mask(call: Any) -> bool:
    """Whether a masked tensor goes in, and what comes out has a mask no more, unasked."""
    if graph.is_container(call.operation) or getattr(call.operation, "supports_masking", False):
        return False
    return any(graph.mask_of(each) is not None for each in call.inputs) and not any(
        graph.mask_of(each) is not None for each in call.outputs
    )


def _first_norms(layer: Any, flow: Dataflow, least: int = 0) -> list[Any]:
    """The BN layers reached without passing another one, or a tensor of fewer than `least` axes."""
    calls = flow.reached(layer, lambda operation: not isinstance(operation, _BN), least)
    reached = (call.operation for call in calls if call is not None)
    return list(dict.fromkeys(each for each in reached if isinstance(each, _BN)))
