"""What a model contains that a study could leave out, change or add to: a plain description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.surgery import Host, canonical_paths, graph, kinds
from ablate.surgery.dataflow import Dataflow
from ablate.surgery.hosts import all_hosts
from ablate.surgery.tracing import functional

_DROPOUTS = (
    *(keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.AlphaDropout),
    *(keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D),
    keras.layers.SpatialDropout3D,
)


def describe(model: keras.Model, example: Any = None) -> dict[str, Any]:
    """Return name, class, parameters and, where the graph can be read, what is in it.

    A subclassed model is opened, where that is true to it; `example` is what it takes.

    `norms` and `dropouts` have a mapping for each BatchNormalization and each layer that drops:
    its path, class, whether it acts on the `input`, and `inside`, the outermost model nested in
    this one that holds it, with whether that is frozen. `hosts` counts hidden layers by kind,
    `recurrent` has the recurrent layers that drop by an argument of their own, `frozen` what does
    not train.
    """
    found: dict[str, Any] = {
        "name": model.name,
        "class": type(model).__name__,
        "parameters": int(model.count_params()),
        "trainable": sum(int(keras.ops.size(each)) for each in model.trainable_variables),
        "readable": True,
        "norms": [],
        "dropouts": [],
        "recurrent": [],
        "hosts": {},
        "frozen": [],
    }
    try:
        model = functional(model, example)
    except SurgeryError as error:
        found |= {"readable": False, "why": str(error)}
        layers = list(model._flatten_layers(include_self=False))
        found["norms"] = [_plain(each) for each in layers if _is_norm(each)]
        found["dropouts"] = [_plain(each) for each in layers if is_dropout(each)]
        return found
    hosts = all_hosts(model)
    canonical = canonical_paths(model)
    found["frozen"] = [f"path:{canonical[each]}" for each in _frozen(model)]
    on_input = set(_on_input(model))
    nested = {host.path: host.layer for host in hosts if host.kind == "model"}
    for host in hosts:
        outer = host.path.split("/")[0] if "/" in host.path else None
        entry = {
            **_plain(host.layer),
            "path": host.path,
            "canonical": canonical[host.layer],
            "input": host.layer in on_input,
            "inside": outer,
            "frozen": not host.layer.trainable or (outer in nested and not nested[outer].trainable),
        }
        if _is_norm(host.layer):
            found["norms"].append(entry)
        elif is_dropout(host.layer):
            found["dropouts"].append({**entry, "rate": getattr(host.layer, "rate", None)})
        elif not host.output and outer is None and host.kind in ("conv", "dense", "recurrent"):
            found["hosts"][host.kind] = found["hosts"].get(host.kind, 0) + 1
        if drops := _own_dropout(host):
            found["recurrent"].append({**entry, **drops})
    return found


def _frozen(model: keras.Model) -> Iterator[Any]:
    """Yield what does not train: a nested model where nothing in it does."""
    for layer in model.layers:
        if layer.weights and not layer.trainable_weights and not _only_states(layer):
            yield layer
        elif graph.is_container(layer):
            yield from _frozen(layer)


def _only_states(layer: Any) -> bool:
    """Whether a layer has nothing to train by its nature, as a Normalization."""
    return layer.trainable and not any(each.trainable for each in layer.weights)


def is_dropout(layer: Any) -> bool:
    """Whether a layer drops in training: Keras's, or anyone's own by its name."""
    return isinstance(layer, _DROPOUTS) or (
        "dropout" in type(layer).__name__.lower() and not layer.weights
    )


def _is_norm(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _plain(layer: Any) -> dict[str, Any]:
    return {"path": layer.name, "class": type(layer).__name__, "frozen": not layer.trainable}


def _own_dropout(host: Host) -> dict[str, float]:
    """Return the rates at which a recurrent layer drops by arguments of its own."""
    if host.kind != "recurrent":
        return {}
    layer = getattr(host.layer, "forward_layer", host.layer)
    rates = {key: getattr(layer, key, 0) or 0 for key in ("dropout", "recurrent_dropout")}
    return {key: float(value) for key, value in rates.items() if value}


def _on_input(model: keras.Model) -> Iterator[Any]:
    """Yield the normalizations that inputs reach through preprocessing alone."""

    def passes(operation: Any) -> bool:
        return (
            kinds.is_reshape(operation)
            or isinstance(operation, kinds.IDLE)
            or "preprocessing" in type(operation).__module__
        )

    flow = Dataflow(model)
    for host in all_hosts(model):
        if isinstance(host.layer, keras.layers.InputLayer):
            for call in flow.reached(host.layer, passes):
                if call is not None and _is_norm(call.operation):
                    yield call.operation
