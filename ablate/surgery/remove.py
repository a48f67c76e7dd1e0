"""Remove layers: what `insert` recorded, or any layer that hands a tensor through.

What `replace` and `change` recorded is undone with it, the latest first. The new model has copied
weights and is compiled as before. An activation that `insert` split off is fused again once nothing
is left between it and its host, so that `remove(insert(m))` is `m` in configuration, names, weights
and outputs. A host whose bias a removed BN had made needless can be given one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.surgery import affine, conversion, graph, hosts, kinds, record
from ablate.surgery.clone import Configure, copy_of
from ablate.surgery.exchange import undo
from ablate.surgery.graph import Call, Calls, Graph, calls_by_layer
from ablate.surgery.rebuild import Edits, fed, rebuild
from ablate.surgery.tracing import functional


@dataclass(frozen=True)
class Removed:
    """A model without what was removed, and the paths of the hosts that were given a bias."""

    model: keras.Model
    given: tuple[str, ...]


def remove(
    model: keras.Model,
    where: str | Iterable[str] | None = None,
    except_: str | Iterable[str] | None = None,
    *,
    give_bias: bool = False,
) -> keras.Model:
    """Return a new model without the inserted layers, or without those that `where` selects.

    Args:
        model: A functional or Sequential model.
        where: Which layers; by default all that `insert` recorded on the model, and layers that
            `replace` or `change` made anew become what they were. A layer can go
            if it has one input and one output of equal shape. Dropouts with a `noise_shape` that
            drops whole examples (stochastic depth) go by name only.
        except_: Which of them stay.
        give_bias: Whether conv and dense layers that have no bias, since a BatchNormalization
            that goes made it needless, are given one of zeros. What `insert` put in made none
            needless: that has no effect on it.

    Raises:
        SurgeryError: nothing is recorded, a selector matches nothing, or a named layer cannot go.
    """
    return take_out(model, where, except_, give_bias=give_bias).model


def take_out(
    model: keras.Model,
    where: str | Iterable[str] | None = None,
    except_: str | Iterable[str] | None = None,
    *,
    give_bias: bool = False,
) -> Removed:
    """Do as `remove`, and return which hosts were given a bias, too."""
    model = functional(model)
    if where is None:
        return Removed(_undone(model, except_), ())
    calls = calls_by_layer(model)
    return _without(model, _selected(model, where, except_, calls), calls, give_bias)


def _undone(model: keras.Model, except_: Any) -> keras.Model:
    """Return the model without what the record says, step by step from the latest."""
    kept: set[str] = set()
    if except_ is not None:
        kept = {host.path for host in hosts.select(model, except_)}
    done = False
    while True:
        named = dict(graph.paths(model))
        recorded = [each for each in record.all_entries(model) if named[each.layer] not in kept]
        asked = [each for each in recorded if getattr(each.of, "role", "") != "activation"]
        if not asked:
            break
        done = True
        last = max(each.order for each in asked)
        changes = [each for each in asked if isinstance(each.of, record.Changed)]
        latest = [each for each in changes if each.order == last]
        if latest:
            model = _as_before(model, latest)
            continue
        since = max((each.order for each in changes), default=None)
        gone = {each.layer for each in asked if since is None or each.order > since}
        model = _without(model, gone, calls_by_layer(model)).model
    if not done:
        nothing = f"Nothing is left to remove after except: {except_!r}."
        raise SurgeryError(nothing if kept else _no_record(model))
    return model


def _as_before(model: keras.Model, changes: list[record.Entry]) -> keras.Model:
    """Return the model with the layers that one step changed as they were before it."""
    edits = Edits()
    undo(changes, edits)
    built = rebuild(model, edits)
    for entry in changes:
        if (new := edits.replace.get(entry.layer)) is not None:
            conversion.hand_over(entry.layer, new)
            conversion.give_back(entry.of.values, entry.layer, new)
    record.strike_entries(changes, built.layers)
    return built.model


def _without(model: keras.Model, gone: set[Any], calls: Calls, give_bias: bool = False) -> Removed:
    """Return the model without some layers, split-off activations fused where that leaves none."""
    entries = record.entries(model)
    edits = Edits(leave_out=set(gone))
    fuse(entries, edits, calls)
    lacking = _biasless(gone, {each.layer for each in entries}, calls) if give_bias else []
    for host in lacking:
        edits.configure[host] = with_bias(host, edits.configure.get(host))
        edits.fresh.add(host)
    built = rebuild(model, edits)
    for host in lacking:
        _copy_but_bias(host, built.layers[host])
    record.strike(record.all_entries(model), edits.leave_out, built.layers)
    names = dict(graph.paths(model))
    return Removed(built.model, tuple(names[host] for host in lacking))


def _biasless(gone: set[Any], recorded: set[Any], calls: Calls) -> list[keras.Layer]:
    """Return the layers without a bias whose output goes to a BN alone that is to be gone.

    A BN takes its mean off, so that a bias before it has no effect, and authors leave it out.
    What goes, too, and layers that hand a tensor on, may be between.
    """
    norms = {each for each in gone - recorded if isinstance(each, keras.layers.BatchNormalization)}
    found: list[keras.Layer] = []
    for host in calls:
        if type(host) in kinds.LINEAR and affine.is_linear(host) and _has_no_bias(host):
            ends = [_end(read, call, gone - norms) for read, call in calls[host]]
            if norms.issuperset(ends):
                found.append(host)
    return found


def _has_no_bias(host: keras.Layer) -> bool:
    if getattr(host, "lora_enabled", False) or getattr(host, "quantization_mode", None):
        return False  # what cannot be rebuilt with one
    if isinstance(host, keras.layers.EinsumDense):
        return host.bias_axes is None
    return not host.use_bias


def _end(read: Graph, call: Call, passing: set[Any]) -> Any:
    """Return the layer that a call's output comes to alone, None where it goes several ways."""
    while (following := read.following(call)) is not None:
        call, operation = following, following.operation
        idle = isinstance(operation, keras.layers.Activation) and affine.is_linear(operation)
        if not idle and operation not in passing:
            return operation
    return None


def with_bias(host: keras.Layer, configure: Configure | None) -> Configure:
    """Return a change of the host's configuration that gives it a bias, after `configure`."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        config = configure(config) if configure is not None else dict(config)
        if isinstance(host, keras.layers.EinsumDense):
            config["bias_axes"] = config["bias_axes"] or config["equation"][-1]
        else:
            config["use_bias"] = True
        return {**config, "bias_initializer": "zeros"}

    return change


def _copy_but_bias(old: keras.Layer, new: keras.Layer) -> None:
    ours = {variable.name: variable for variable in new.variables}
    for variable in old.variables:
        ours[variable.name].assign(variable)


def _selected(model: keras.Model, where: Any, except_: Any, calls: Calls) -> set[keras.Layer]:
    chosen = hosts.resolve(model, where, except_)
    for selected in chosen:
        if reason := _stays(selected.host.layer, calls):
            raise SurgeryError(
                f"'{selected.host.path}' cannot be removed: {reason}. Select layers with one input "
                "and one output of equal shape, or take this one out with except."
            )
    gone = {each.host.layer for each in chosen if each.named or not _drops_examples(each)}
    if not gone:
        raise SurgeryError(
            f"where={where!r} selects Dropouts that drop whole examples (stochastic depth), which "
            f"belong to the architecture: {', '.join(each.host.path for each in chosen[:5])}. "
            "Name them to remove them."
        )
    return gone


def _stays(layer: Any, calls: Calls) -> str | None:
    """Why a layer cannot be taken out, if so."""
    if isinstance(layer, keras.layers.InputLayer):
        return "it is an input of the model"
    for _, call in calls[layer]:
        if len(fed(call)) != 1 or len(call.outputs) != 1:
            return f"it has {len(fed(call))} inputs and {len(call.outputs)} outputs"
        before, after = fed(call)[0], call.outputs[0]
        if tuple(before.shape) != tuple(after.shape):
            return f"it changes the shape from {tuple(before.shape)} to {tuple(after.shape)}"
    return None


def _drops_examples(selected: hosts.Selected) -> bool:
    """Whether a Dropout's noise has one value per example: stochastic depth."""
    noise = getattr(selected.host.layer, "noise_shape", None)
    return noise is not None and all(size == 1 for size in noise[1:])


def fuse(entries: list[record.Entry], edits: Edits, calls: Calls) -> None:
    """Put split-off activations back into their hosts, where only layers that go are between."""
    split = [each for each in entries if each.inserted.role == "activation"]
    found = {each.inserted.host: host for each in split if (host := _host_of(each, calls))}
    for entry in split:
        host = found.get(entry.inserted.host)
        if entry.layer in edits.leave_out or host is None:
            continue
        if _adjacent(host, entry.layer, edits.leave_out, calls):
            edits.leave_out.add(entry.layer)
            edits.configure[host] = _fused(entry.layer)


def _host_of(entry: record.Entry, calls: Calls) -> Any:
    """Go back from a split-off activation to the layer that bears its host's name."""
    read, call = calls[entry.layer][0]
    above: Call | None = call
    while above is not None:
        above = read.producer.get(id(fed(above)[0])) if len(fed(above)) == 1 else None
        if above is not None and above.operation.name == entry.inserted.host.rpartition("/")[2]:
            return above.operation
    return None


def _adjacent(host: Any, activation: Any, leaving: set[Any], calls: Calls) -> bool:
    """Whether each call of the host leads, through leavers only, to the activation and back."""
    for read, call in calls[host]:
        following = read.following(call)
        while following is not None and following.operation in leaving:
            following = read.following(following)
        if following is None or following.operation is not activation:
            return False
    return len(calls[host]) == len(calls[activation])


def _fused(activation: keras.layers.Activation) -> Any:
    function = activation.activation
    penalty = activation.get_config().get("activity_regularizer")

    def configure(config: dict[str, Any]) -> dict[str, Any]:
        own = copy_of(function) if isinstance(function, keras.Layer) else function
        config = {**config, "activation": own}
        if penalty is not None or "activity_regularizer" in config:
            config["activity_regularizer"] = penalty
        return config

    return configure


def _no_record(model: keras.Model) -> str:
    return (
        f"'{model.name}' has no record of inserted or changed layers, so there is nothing to undo. "
        "Say which layers to remove, for example where='Dropout'. (The record survives saving to "
        ".keras, but not keras.models.clone_model.)"
    )
