"""Fold batch normalization into the weights around it, wherever that is exact.

A model enters, a new one leaves that computes the same at inference without the normalization
layers that could be merged; a report tells by layer what became of it and why. A layer that is
the identity to the last bit is taken out; else its map is merged into the linear layer before
it, or into the one after it. An activation that `insert` split off is fused again, so that
folding a calibrated insertion gives back the model it was made in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import keras
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table

from ablate.surgery import affine, baked, exact, hosts, record
from ablate.surgery.affine import Weights
from ablate.surgery.calibrate import normalizations
from ablate.surgery.graph import Call, Graph
from ablate.surgery.rebuild import Edits, Rebuilt, fed, rebuild
from ablate.surgery.remove import fuse, with_bias
from ablate.surgery.sites import calls_by_layer
from ablate.surgery.ties import held_elsewhere

Calls = dict[Any, list[tuple[Graph, Call]]]

#: Layers that return their input at inference: a map may be merged through them.
_PASSING = (
    *(keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D),
    *(keras.layers.SpatialDropout3D, keras.layers.GaussianDropout, keras.layers.AlphaDropout),
    *(keras.layers.GaussianNoise, keras.layers.Identity, keras.layers.ActivityRegularization),
)


@dataclass(frozen=True)
class Folding:
    """What became of one normalization layer: `layer` and `into` are paths in the given model.

    It was `removed` (an exact identity), `merged` into the weights of `into`, or `kept` for the
    `reason`.
    """

    layer: str
    action: Literal["removed", "merged", "kept"]
    into: str | None = None
    reason: str | None = None

    @property
    def sentence(self) -> str:
        """The folding in a few words."""
        if self.action == "removed":
            return "removed, it was the identity"
        if self.action == "merged":
            return f"merged into '{self.into}'"
        return f"kept: {self.reason}"


@dataclass(frozen=True)
class FoldReport:
    """Hold what became of every BN layer of a model, in the order of the graph."""

    foldings: tuple[Folding, ...]

    def count(self, action: str) -> int:
        """Return how many layers were `removed`, `merged` or `kept`."""
        return sum(each.action == action for each in self.foldings)

    @property
    def summary(self) -> str:
        """The report in one line."""
        if not self.foldings:
            return "there is no BatchNormalization to fold"
        actions = ("merged", "removed", "kept")
        return ", ".join(f"{self.count(each)} {each}" for each in actions if self.count(each))

    def __str__(self) -> str:
        lines = [f"{each.layer}: {each.sentence}" for each in self.foldings]
        return "\n".join([*lines, self.summary])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table("BatchNormalization", "")
        for each in self.foldings:
            table.add_row(escape(each.layer), escape(each.sentence))
        yield table
        yield self.summary


def fold(model: keras.Model, *, report: list[Folding] | None = None) -> keras.Model:
    r"""Return the model with its batch normalization merged into weights, where that is exact.

    .. math:: s = \gamma / \sqrt{v + \epsilon}, \qquad W' = s W, \qquad b' = (b - \mu) s + \beta

    computed in float64. The result equals the model at inference within rounding (1e-5 of the
    largest output in float32); in training it has no batch statistics any more.

    Merged are the convolutions of any rank (grouped, dilated, transposed, depthwise, separable)
    and dense layers. A layer is kept where its neighbour is not linear, is shared, feeds
    something else as well, is an output, has a constraint or weights that another layer holds too,
    or where the layer was called with `training=True`; the report says which.

    Args:
        model: A functional or Sequential model, nested to any depth. Not changed.
        report: A list that receives a `Folding` for each BN layer, in the order of the graph.

    Returns:
        A new model, compiled as the given one; a plain copy where nothing could be folded.

    Raises:
        SurgeryError: The model is not functional or Sequential.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((8,)),
        ...     keras.layers.Dense(4, use_bias=False, name="fc"),
        ...     keras.layers.BatchNormalization(name="bn"),
        ... ])
        >>> [layer.name for layer in fold(model).layers]
        ['fc']
    """
    plan = _plan(model)
    told = {each.layer: each for each in plan.told}
    folded = plan.carry_out(model)
    # What took in one layer may take in the next one only in a round of its own.
    while plan.merged and (plan := _plan(folded)).gone:
        told |= {each.layer: each for each in plan.told}
        folded = plan.carry_out(folded)
    if report is not None:
        report += told.values()
    return folded


def fold_report(model: keras.Model) -> FoldReport:
    """Return what `fold` would do with each BN layer of a model, and why."""
    told: list[Folding] = []
    fold(model, report=told)
    return FoldReport(tuple(told))


@dataclass
class _Plan:
    """One round of folding: each linear layer takes in at most one map."""

    told: list[Folding] = field(default_factory=list)
    gone: set[keras.Layer] = field(default_factory=set)
    merged: dict[keras.Layer, Weights] = field(default_factory=dict)

    def carry_out(self, model: keras.Model) -> keras.Model:
        """Return the model without the layers that go, the merged weights in their hosts."""
        entries = record.entries(model)
        edits = Edits(leave_out=set(self.gone), fresh=set(self.merged))
        fuse(entries, edits, calls_by_layer(model))
        for host, weights in self.merged.items():
            if "bias" in weights:
                edits.configure[host] = with_bias(host, edits.configure.get(host))
        built = rebuild(model, edits)
        for host, weights in self.merged.items():
            _assign(built, host, weights)
        struck = [each for each in entries if each.layer in edits.leave_out]
        record.strike(struck, built.layers)
        return built.model


@dataclass(frozen=True)
class _Bound:
    """What a layer's weights or its mode are bound to, beyond the graph.

    `held` names another holder of a layer's weights; `training` are the layers that some call of
    the model runs as in training, whatever is said at inference.
    """

    held: dict[keras.Layer, str]
    training: set[keras.Layer]


def _passes(operation: Any, bound: _Bound) -> bool:
    """Whether an operation returns its input however the model is called outside of training."""
    return isinstance(operation, _PASSING) and operation not in bound.training


def _plan(model: keras.Model) -> _Plan:
    """Decide for every BN layer what becomes of it in this round."""
    plan = _Plan()
    calls = calls_by_layer(model)
    paths = dict(hosts.paths(model))
    training = {layer for layer, at in baked.training_values(model).items() if True in at}
    bound = _Bound(held_elsewhere(model), training)
    identities = {layer for layer in normalizations(model) if _is_identity(layer)}
    identities -= {layer for layer in training if layer.trainable}
    for layer in normalizations(model):
        path = paths[layer]
        if layer in identities:
            plan.gone.add(layer)
            plan.told.append(Folding(path, "removed"))
            continue
        found = _host_of(layer, calls, set(plan.merged), identities, bound)
        if isinstance(found, str):
            plan.told.append(Folding(path, "kept", reason=found))
            continue
        host, weights = found
        plan.gone.add(layer)
        plan.merged[host] = weights
        plan.told.append(Folding(path, "merged", into=paths[host]))
    return plan


def _is_identity(layer: keras.layers.BatchNormalization) -> bool:
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    mean, variance = (exact.value(v) for v in (layer.moving_mean, layer.moving_variance))
    gamma = exact.value(layer.gamma) if layer.scale else None
    beta = exact.value(layer.beta) if layer.center else None
    return exact.is_identity(mean, variance, gamma, beta, layer.epsilon)


def _host_of(
    layer: keras.layers.BatchNormalization,
    calls: Calls,
    busy: set[keras.Layer],
    identities: set[keras.layers.BatchNormalization],
    bound: _Bound,
) -> tuple[keras.Layer, Weights] | str:
    """Return the layer that takes in the normalization, with its weights, or why none can."""
    if type(layer) is not keras.layers.BatchNormalization:
        return f"it is a {type(layer).__name__}, a layer of its own that may compute anything"
    if len(calls[layer]) != 1:
        return f"it is shared: called {len(calls[layer])} times"
    if layer.trainable and layer in bound.training:
        return (
            "it was called with training=True, directly or by a model around it, so calling the "
            "model normalizes by the batch"
        )
    read, call = calls[layer][0]
    passed = identities | {each for each in calls if _passes(each, bound)}
    neighbours = (
        ("before", _ahead(read, call, passed)),
        ("after", _behind(read, call, passed)),
    )
    reasons = []
    found: tuple[keras.Layer, Weights] | Call | str
    for side, neighbour in neighbours:
        found = neighbour
        if isinstance(neighbour, Call):
            found = _merge(layer, neighbour, side, calls, busy, bound)
        if isinstance(found, tuple):
            return found
        reasons.append(f"{side} it, {found}")
    return "; ".join(reasons)


def _merge(
    layer: keras.layers.BatchNormalization,
    neighbour: Call,
    side: str,
    calls: Calls,
    busy: set[keras.Layer],
    bound: _Bound,
) -> tuple[keras.Layer, Weights] | str:
    host = neighbour.operation
    if not isinstance(host, keras.Layer):
        return f"'{host.name}' is an operation without weights"
    if isinstance(host, _PASSING) and host in bound.training:
        return f"'{host.name}' was called with training=True"
    if reason := affine.refusal(host):
        return reason
    if host in bound.held:
        return f"'{bound.held[host]}' holds the weights of '{host.name}' too"
    if len(calls[host]) != 1:
        return f"'{host.name}' is shared: called {len(calls[host])} times"
    if host in busy:
        return f"'{host.name}' took in another layer"
    tensor = neighbour.outputs[0] if side == "before" else fed(neighbour)[0]
    rank = len(tensor.shape)
    if layer.axis % rank != affine.channel_axis(host, rank):
        return f"'{host.name}' has its channels on another axis than the {layer.axis} normalized"
    normalization = affine.of_normalization(layer)
    merge = affine.after if side == "before" else affine.before
    weights = merge(host, normalization)
    return weights if isinstance(weights, str) else (host, weights)


def _ahead(read: Graph, call: Call, passed: set[Any]) -> Call | str:
    """Return the call whose output the normalization alone sees, or why there is none."""
    while True:
        tensor = fed(call)[0]
        if id(tensor) not in read.producer:
            return f"the input of '{read.model.name}'"
        above = read.producer[id(tensor)]
        if reason := _seen_by_others(read, above):
            return reason
        if above.operation not in passed:
            return above
        call = above


def _behind(read: Graph, call: Call, passed: set[Any]) -> Call | str:
    """Return the only call that sees the normalization's output, or why there is none."""
    while True:
        if reason := _seen_by_others(read, call):
            return reason
        consumers = read.consumers.get(id(call.outputs[0]), ())
        below = consumers[0]
        if below.operation not in passed:
            return below
        call = below


def _seen_by_others(read: Graph, call: Call) -> str | None:
    """Say so where an output is the model's own or has several consumers."""
    name = call.operation.name
    if len(call.outputs) != 1:
        return f"'{name}' returns {len(call.outputs)} tensors"
    if read.is_output(call.outputs[0]):
        return f"'{name}' is an output of '{read.model.name}'"
    consumers = read.consumers.get(id(call.outputs[0]), ())
    if len(consumers) != 1:
        return f"'{name}' feeds {len(consumers)} layers"
    return None


def _assign(built: Rebuilt, host: keras.Layer, weights: Weights) -> None:
    new = built.layers[host]
    for name, value in weights.items():
        getattr(new, name).assign(value)
