"""Remarks on where layers were inserted, and on what a model came with.

They concern layers inserted inside what is frozen, normalizations inserted next to others, and an
optimizer, loss or metrics that a model was compiled with and no trial uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from ablate.errors import some
from ablate.models.origin import compiled_with
from ablate.study.keras_names import loss_name, optimizer_name, snake
from ablate.surgery import SiteDecision, graph, kinds
from ablate.surgery.dataflow import Dataflow
from ablate.surgery.graph import paths as named_layers
from ablate.training.network import Network
from ablate.training.objectives import loss_names
from ablate.training.schedules import written_rate


def remarks_on_insertions(made: Network) -> tuple[list[str], list[str]]:
    """Return notes and cautions on where layers were inserted."""
    done = [each for each in made.decisions if each.path is not None]
    if not done or not graph.is_container(made.model):
        return [], []
    layers = {path: layer for layer, path in named_layers(made.model)}
    notes: list[str] = []
    cautions = list(_doubled_norms(made, layers))
    known = {*made.calibrated, *made.measured}
    inside: dict[tuple[str, str, str], list[SiteDecision]] = {}
    for each in done:
        holder = _frozen(each.host, layers)
        if holder is not None:
            state = _state(layers[str(each.path)], each.path in known)
            inside.setdefault((holder, each.placement.layer, state), []).append(each)
    loose: dict[tuple[str, str], list[SiteDecision]] = {}
    for (holder, name, state), found in inside.items():
        if not graph.is_container(layers[holder]):
            loose.setdefault((name, state), []).extend(found)  # layers frozen one by one
            continue
        everything = sum(each.placement.layer == name for each in done)
        where = f"{len(found)} of {everything} places for {name} lie inside '{holder}', frozen"
        text = f"{where}: {_WHAT[state]}. To leave them out, set except: '{holder}/*'"
        (notes if state == "calibrated" else cautions).append(text)
    for (name, state), found in loose.items():
        hosts = some(each.host for each in found)
        count = f"{len(found)} frozen layer{'s' if len(found) > 1 else ''}"
        text = f"{name} is inserted at {count} ({hosts}): {_WHAT[state]}"
        named = all(_is_named(each) for each in found)
        (notes if named or state == "active" else cautions).append(text)
    return notes, cautions


_WHAT = {
    "idle": "what is inserted there is frozen with it, keeps a mean of 0 and a variance of 1, and "
    "never learns",
    "calibrated": "what is inserted there is frozen with it, and keeps what calibration gave it",
    "frozen": "what is inserted there is frozen with it, and never learns",
    "live": "what is inserted there trains, though what stands around it does not",
    "active": "what is inserted there acts while training",
}


def _state(layer: keras.Layer, calibrated: bool) -> str:
    if not layer.weights:
        return "active"
    if layer.trainable:
        return "live"
    if not isinstance(layer, keras.layers.BatchNormalization):
        return "frozen"
    return "calibrated" if calibrated else "idle"


def _frozen(host: str, layers: Mapping[str, keras.Layer]) -> str | None:
    """Return the path of the outermost frozen thing that holds or is the host, if any is."""
    parts = host.split("/")
    ways = ("/".join(parts[: count + 1]) for count in range(len(parts)))
    return next((way for way in ways if way in layers and not layers[way].trainable), None)


def _is_named(decision: SiteDecision) -> bool:
    where = decision.placement.where
    names = [where] if isinstance(where, str) else list(where)
    return decision.host in names or decision.host.rpartition("/")[2] in names


def _doubled_norms(made: Network, layers: Mapping[str, keras.Layer]) -> Iterator[str]:
    """Remark on BN that was inserted directly next to BN that the model brings."""
    flow = Dataflow(made.model)
    names = {layer: path for path, layer in layers.items()}
    added = {layers[each.path] for each in made.decisions if each.path}
    norm = keras.layers.BatchNormalization
    pairs: dict[Any, Any] = {}
    for layer in names:
        if not isinstance(layer, norm):
            continue
        for other in _next_norms(layer, flow):
            if (layer in added) != (other in added):
                mine, theirs = (layer, other) if layer in added else (other, layer)
                pairs.setdefault(mine, theirs)
    if pairs:
        shown = [f"'{names[a]}' beside '{names[b]}'" for a, b in list(pairs.items())[:3]]
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        yield (
            f"BatchNormalization is inserted where the model has one already: {', '.join(shown)}"
            f"{more}. What is compared is a second one, not BatchNormalization with none: remove "
            "the model's own, or leave these hosts out by except"
        )


def _next_norms(layer: Any, flow: Dataflow) -> Iterator[Any]:
    """Yield the BN layers that take a layer's output directly, or through activations alone."""
    for call in flow.reached(layer, kinds.is_activation):
        if call is not None and isinstance(call.operation, keras.layers.BatchNormalization):
            yield call.operation


def remarks_on_compilation(made: Network) -> list[str]:
    """Remark on the optimizer, loss and metrics that the model came with: used, or not.

    The network is compiled as the planned study says, which takes them where it was silent.
    """
    if not made.compiled:
        return []
    theirs = made.compiled
    parts = {
        "optimizer": _other_optimizer(theirs.get("optimizer"), made.model.optimizer),
        "loss": _other_loss(theirs.get("loss"), made.model),
        "metrics": _other_metrics(theirs.get("metrics"), made.model),
    }
    used = [key for key, other in parts.items() if other is None and theirs.get(key)]
    unused = "; ".join(filter(None, parts.values()))
    notes = []
    if used:
        ours = ", ".join(_words(key, made.model) for key in used)
        fresh = ". The state of its optimizer starts fresh" if "optimizer" in used else ""
        notes.append(f"trained as the model came compiled: {ours}{fresh}")
    if unused:
        notes.append(f"of what the model came compiled with, trials do not use {unused}")
    return notes


def _words(key: str, model: keras.Model) -> str:
    if key == "loss":
        return f"loss {loss_names(model)}"
    if key == "metrics":
        return f"metrics {', '.join(_names((compiled_with(model) or {}).get('metrics')))}"
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    config = optimizer.get_config()
    return f"{optimizer_name(type(optimizer).__name__)} at {_rate(config['learning_rate'])}"


def _other_optimizer(theirs: Any, ours: keras.Optimizer) -> str | None:
    if not isinstance(theirs, Mapping):
        return None
    ours = getattr(ours, "inner_optimizer", ours)
    settings, mine = theirs.get("config") or {}, ours.get_config()
    name, own = optimizer_name(str(theirs.get("class_name"))), optimizer_name(type(ours).__name__)
    rate, my_rate = _rate(settings.get("learning_rate")), _rate(mine["learning_rate"])
    text = f"its optimizer, {name} at {rate}, but {own} at {my_rate} (train.optimizer)"
    if name != own or rate != my_rate:
        return text
    given = ", ".join(
        f"{key}: {value}"
        for key, value in settings.items()
        if key in mine and key not in ("name", "learning_rate") and value != mine[key]
    )
    return f"its optimizer's {given} (train.optimizer)" if given else None


def _rate(given: Any) -> str:
    """Return a learning rate as people write it: a number, or the name of a schedule."""
    if isinstance(given, Mapping):
        return str(given.get("class_name"))
    return f"{written_rate(given):g}" if isinstance(given, int | float) else "no rate"


def _other_loss(theirs: Any, model: keras.Model) -> str | None:
    given = [loss_name(each) for each in _names(theirs)]
    own = [loss_name(each) for each in loss_names(model).split(", ")]
    if not given or given == own or set(given) == set(own):
        return None
    return f"its loss, {', '.join(given)}, but {', '.join(own)} (train.loss)"


def _other_metrics(theirs: Any, model: keras.Model) -> str | None:
    given = [_metric(each) for each in _names(theirs)]
    known = {_metric(each) for each in _names((compiled_with(model) or {}).get("metrics"))}
    missing = [each for each in dict.fromkeys(given) if each not in known]
    return f"its metrics, {', '.join(missing)} (train.metrics)" if missing else None


def _metric(name: str) -> str:
    """Return one name for all spellings of a metric; accuracy is Keras's to choose by shapes."""
    low = snake(name)
    kinds_of = ("acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
    return "accuracy" if low in kinds_of else loss_name(low)


def _names(given: Any) -> Iterator[str]:
    """Yield the names in a configuration of losses or metrics: texts, objects, lists, by output."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping) and "class_name" in given:
        inner = given.get("config")
        yield inner if isinstance(inner, str) else str(given["class_name"])
    elif isinstance(given, Mapping | list | tuple):
        for each in given.values() if isinstance(given, Mapping) else given:
            yield from _names(each)
