"""Fold batch normalization into the weights around it, wherever that is exact.

The new model computes the same at inference without the normalization layers that could be
merged; a report says of each layer what became of it and why. A layer that is
the identity to the last bit is taken out; else its map is merged into the linear layer before
it, or into the one after it. An activation that `insert` split off is fused again, so that
folding a calibrated insertion gives back the model it was made in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table

from ablate.surgery import affine, baked, exact, graph, kinds, record
from ablate.surgery.affine import Weights
from ablate.surgery.calibrate import normalizations
from ablate.surgery.graph import Call, Graph, calls_by_layer
from ablate.surgery.rebuild import Edits, fed, rebuild
from ablate.surgery.remove import fuse, with_bias
from ablate.surgery.ties import held_elsewhere
from ablate.surgery.tracing import functional


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
        SurgeryError: The model is not functional or Sequential, and cannot be traced.

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
    plan = _Round(functional(model))
    foldings = {each.layer: each for each in plan.foldings}
    folded = plan.carry_out()
    # What took in one layer may take in the next one only in a round of its own.
    while plan.merged and (plan := _Round(folded)).gone:
        foldings |= {each.layer: each for each in plan.foldings}
        folded = plan.carry_out()
    if report is not None:
        report += foldings.values()
    return folded


def fold_report(model: keras.Model) -> FoldReport:
    """Return what `fold` would do with each BN layer of a model, and why."""
    foldings: list[Folding] = []
    fold(model, report=foldings)
    return FoldReport(tuple(foldings))


class _Round:
    """One round of folding: what becomes of every BN layer; each host takes in at most one map.

    `held` names another holder of a layer's weights; `training` are the layers that some call of
    the model runs as in training, even at inference.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.calls = calls_by_layer(model)
        self.held = held_elsewhere(model)
        baked_in = baked.training_values(model)
        self.training = {layer for layer, values in baked_in.items() if True in values}
        norms = normalizations(model)
        identities = {each for each in norms if _is_identity(each)}
        identities -= {layer for layer in self.training if layer.trainable}
        idle = {each for each in self.calls if isinstance(each, kinds.IDLE)}
        self.passed = identities | (idle - self.training)
        self.gone: set[keras.Layer] = set(identities)
        self.merged: dict[keras.Layer, Weights] = {}
        self.foldings: list[Folding] = []
        paths = dict(graph.paths(model))
        for layer in norms:
            found = None if layer in identities else self.host_of(layer)
            if found is None:
                self.foldings.append(Folding(paths[layer], "removed"))
            elif isinstance(found, str):
                self.foldings.append(Folding(paths[layer], "kept", reason=found))
            else:
                host, self.merged[host] = found
                self.gone.add(layer)
                self.foldings.append(Folding(paths[layer], "merged", into=paths[host]))

    def carry_out(self) -> keras.Model:
        """Return the model without the layers that go, the merged weights in their hosts."""
        entries = record.entries(self.model)
        edits = Edits(leave_out=set(self.gone), fresh=set(self.merged))
        fuse(entries, edits, self.calls)
        for host, weights in self.merged.items():
            if "bias" in weights:
                edits.configure[host] = with_bias(host, edits.configure.get(host))
        built = rebuild(self.model, edits)
        for host, weights in self.merged.items():
            for name, value in weights.items():
                getattr(built.layers[host], name).assign(value)
        record.strike(record.all_entries(self.model), edits.leave_out, built.layers)
        return built.model

    def host_of(self, layer: keras.layers.BatchNormalization) -> tuple[keras.Layer, Weights] | str:
        """Return the layer that takes in the normalization, with its weights, or why none can."""
        if type(layer) is not keras.layers.BatchNormalization:
            return f"it is a {type(layer).__name__}, a layer of its own that may compute anything"
        if len(self.calls[layer]) != 1:
            return f"it is shared: called {len(self.calls[layer])} times"
        if layer.trainable and layer in self.training:
            return (
                "it was called with training=True, directly or by a model around it, so calling "
                "the model normalizes by the batch"
            )
        read, call = self.calls[layer][0]
        reasons = []
        for side, neighbour_of in (("before", _call_before), ("after", _call_after)):
            neighbour = neighbour_of(read, call, self.passed)
            if isinstance(neighbour, str):
                reasons.append(f"{side} it, {neighbour}")
                continue
            found = self.merge(layer, neighbour, side)
            if not isinstance(found, str):
                return neighbour.operation, found
            reasons.append(f"{side} it, {found}")
        return "; ".join(reasons)

    def merge(
        self, layer: keras.layers.BatchNormalization, neighbour: Call, side: str
    ) -> Weights | str:
        """Return the neighbour's weights with the normalization merged, or why there are none."""
        host = neighbour.operation
        if not isinstance(host, keras.Layer):
            return f"'{host.name}' is an operation without weights"
        if isinstance(host, kinds.IDLE) and host in self.training:
            return f"'{host.name}' was called with training=True"
        if reason := affine.refusal(host):
            return reason
        if host in self.held:
            return f"'{self.held[host]}' holds the weights of '{host.name}' too"
        if len(self.calls[host]) != 1:
            return f"'{host.name}' is shared: called {len(self.calls[host])} times"
        if host in self.merged:
            return f"'{host.name}' took in another layer"
        tensor = neighbour.outputs[0] if side == "before" else fed(neighbour)[0]
        rank = len(tensor.shape)
        if layer.axis % rank != affine.channel_axis(host, rank):
            return (
                f"'{host.name}' has its channels on another axis than the {layer.axis} normalized"
            )
        merge = affine.after if side == "before" else affine.before
        return merge(host, affine.of_normalization(layer))


def _is_identity(layer: keras.layers.BatchNormalization) -> bool:
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    mean, variance = exact.value(layer.moving_mean), exact.value(layer.moving_variance)
    gamma = exact.value(layer.gamma) if layer.scale else None
    beta = exact.value(layer.beta) if layer.center else None
    return exact.is_identity(mean, variance, gamma, beta, layer.epsilon)


def _call_before(read: Graph, call: Call, passed: set[Any]) -> Call | str:
    """Return the call whose output the normalization alone sees, or why there is none."""
    while True:
        tensor = fed(call)[0]
        if id(tensor) not in read.producer:
            return f"the input of '{read.model.name}'"
        call = read.producer[id(tensor)]
        if read.following(call) is None:
            return _seen_by_others(read, call)
        if call.operation not in passed:
            return call


def _call_after(read: Graph, call: Call, passed: set[Any]) -> Call | str:
    """Return the only call that sees the normalization's output, or why there is none."""
    while (following := read.following(call)) is not None:
        if following.operation not in passed:
            return following
        call = following
    return _seen_by_others(read, call)


def _seen_by_others(read: Graph, call: Call) -> str:
    """Say why no single call follows this one."""
    name = call.operation.name
    if len(call.outputs) != 1:
        return f"'{name}' returns {len(call.outputs)} tensors"
    if read.is_output(call.outputs[0]):
        return f"'{name}' is an output of '{read.model.name}'"
    return f"'{name}' feeds {len(read.consumers.get(id(call.outputs[0]), ()))} layers"
