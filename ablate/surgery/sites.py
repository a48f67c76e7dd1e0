"""Sites: where in a model a layer can be inserted, relative to a host.

A `Site` names the calls, and the side of them, where an inserted layer would go. Nothing is
changed here: `insert` acts on what this module decides.

The host's activation is the fused one, else the first activation reached through normalization
and dropout layers that feed nothing else. Where there is none, both activation positions are
directly after the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import keras

from ablate.errors import SurgeryError
from ablate.study.positions import POSITIONS, Position
from ablate.surgery import hosts, kinds
from ablate.surgery.graph import Call, Calls, Graph, calls_by_layer
from ablate.surgery.hosts import Host
from ablate.surgery.rebuild import fed
from ablate.surgery.tracing import functional

Side = Literal["before", "split", "after"]

_SPLITTABLE = {cls.call for cls in kinds.LINEAR}


@dataclass(frozen=True)
class Point:
    """One call of the graph and the side of it where a layer goes.

    `split` is between a host and its fused activation, which is split off for it.
    """

    call: Call
    side: Side

    @property
    def tensor(self) -> Any:
        """The symbolic tensor that the layer would take."""
        return fed(self.call)[0] if self.side == "before" else self.call.outputs[0]


@dataclass(frozen=True)
class Site:
    """A place for a layer: `host` (a path), its `kind`, a `position`.

    `stands` describes where that is; `points` are the calls concerned (several for a shared
    host).
    """

    host: str
    kind: str
    position: Position
    stands: str
    points: tuple[Point, ...] = field(repr=False, compare=False)


class Sites(list[Site]):
    """Sites in topological order: a list, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(each.host)}</td><td>{escape(each.kind)}</td>"
            f"<td>{escape(each.position)}</td><td>{escape(each.stands)}</td></tr>"
            for each in self
        )
        head = "<tr><th>host</th><th>kind</th><th>position</th><th>where that is</th></tr>"
        return f"<table>{head}{rows}</table>"


def sites(
    model: keras.Model,
    where: str | Iterable[str] = "all",
    except_: str | Iterable[str] | None = None,
    at: Position | None = None,
) -> Sites:
    """Return the sites at the hosts that `where` selects, in topological order.

    Args:
        model: A functional or Sequential model.
        where: A selector of hosts (see `ablate.surgery.hosts`).
        except_: What to subtract.
        at: The position; by default every position that a host can take.

    Raises:
        SurgeryError: a selector matches nothing, or a named host cannot take the position `at`.
    """
    if at is not None and at not in POSITIONS:
        raise SurgeryError(f"at: expected one of {', '.join(POSITIONS)}. Received: {at!r}.")
    model = functional(model)
    calls = calls_by_layer(model)
    found = Sites()
    for selected in hosts.resolve(model, where, except_):
        for position in POSITIONS if at is None else (at,):
            decided = site_at(selected.host, position, calls)
            if isinstance(decided, Site):
                found.append(decided)
            elif selected.named and at is not None:
                raise SurgeryError(f"'{selected.host.path}' cannot take '{at}': {decided}.")
    return found


def site_at(host: Host, position: Position, calls: Calls) -> Site | str:
    """Return the site of one position at one host, or why there is none."""
    points: list[Point] = []
    words: list[str] = []
    for read, call in calls[host.layer]:
        decided = _point(read, call, host, position)
        if isinstance(decided, str):
            return decided
        points.append(decided[0])
        words.append(decided[1])
    return Site(host.path, host.kind, position, words[0], tuple(points))


def _point(read: Graph, call: Call, host: Host, position: Position) -> tuple[Point, str] | str:
    if position == "before":
        if not call.inputs:
            return "a model input has nothing before it; use 'after'"
        if len(fed(call)) != 1:
            return f"it has {len(fed(call))} inputs, and 'before' needs exactly one"
        return Point(call, "before"), f"before {host.name}"
    if len(call.outputs) != 1:
        return f"it returns {len(call.outputs)} tensors, and '{position}' needs exactly one"
    directly = (Point(call, "after"), f"directly after {host.name}")
    if position == "after" or host.kind == "activation":
        if position == "before_activation":
            if len(fed(call)) != 1:
                return "it has several inputs"
            return Point(call, "before"), f"before {host.name}"
        return directly
    if host.activation is not None and host.kind != "recurrent":
        if position == "after_activation":
            return Point(call, "after"), f"after {host.name} ({host.activation} inside)"
        if reason := whole(host.layer):
            return reason
        return Point(call, "split"), f"between {host.name} and its {host.activation}, split off"
    found = _activation_after(read, call)
    if found is None:
        return directly[0], f"{directly[1]}, which no activation follows"
    if position == "before_activation":
        return Point(found, "before"), f"before {found.operation.name}"
    return Point(found, "after"), f"after {found.operation.name}"


def whole(layer: Any) -> str | None:
    """Say why a layer's fused activation cannot be split off; None where it can.

    It can where the layer is known to apply it last: Keras's own conv and dense layers, not
    subclasses with a `call` of their own, not wrappers, nor an activation that has weights.
    """
    if type(layer).call not in _SPLITTABLE:
        return (
            f"its activation is applied inside {type(layer).__name__}, in a way that is not known "
            "to be last, so it cannot be split off"
        )
    activation = layer.activation
    if isinstance(activation, keras.Layer) and (activation.weights or not activation.built):
        return (
            f"its activation is a layer with weights ({type(activation).__name__}), which cannot "
            "be split off; make it a layer of its own in the model"
        )
    return None


def _activation_after(read: Graph, call: Call) -> Call | None:
    """The call of the first activation, through norm and dropout that feed nothing else."""
    following = read.following(call)
    while following is not None and len(fed(following)) == len(following.outputs) == 1:
        if kinds.is_activation(following.operation):
            return following
        if kinds.kind_of(following.operation) not in ("norm", "dropout"):
            return None
        following = read.following(following)
    return None
