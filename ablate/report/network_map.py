"""The map of a network: its layers from input to output, a row each, and the tracks between them.

Branches run side by side on tracks, as versions do in the graph of a repository: a row's layer
stands on one track, other tracks pass by, and what joins or leaves is drawn to the layer. Layers
that are no host of a site and where nothing joins are folded into the row before. A site's effect
and interval stand in its row, so the map is a forest plot in the order of the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ablate.analysis.screening import Screening
from ablate.report import formatting
from ablate.study.network import LayerNode
from ablate.study.screen_design import Design
from ablate.study.screening import PICKED, Pick

#: Up to so many rows, layers that are no host have a row of their own.
SHORT = 30


@dataclass(frozen=True)
class Row:
    """A row: a layer, the track it stands in, and what happens in the tracks there.

    `joins` are the tracks that end in it, `leaves` those that begin in it, `passes` those that run
    by; its own track is `track` before and after. `factors` are the indices of its sites' factors,
    `folded` is how many layers behind it have no row of their own.
    """

    label: str
    kind: str
    track: int = 0
    joins: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()
    first: bool = False  # nothing enters
    last: bool = False  # nothing leaves
    factors: tuple[int, ...] = ()
    folded: int = 0


@dataclass(frozen=True)
class ScreenReport:
    """What the report shows of a screening; `trained` are the trainings it took, `seconds` their
    time on all workers together."""

    design: Design
    found: Screening
    network: tuple[LayerNode, ...] = ()
    pick: Pick | None = None
    trained: int = 0
    seconds: float = 0.0

    @property
    def map_rows(self) -> list[Row]:
        """The rows of the map."""
        hosts: dict[str, list[int]] = {}
        for index, site in enumerate(self.design.sites):
            hosts.setdefault(site.host, []).append(index)
        return rows(self.network, hosts)

    @property
    def scale(self) -> formatting.Scale:
        """How effects are written."""
        effects = [each.effect for each in self.found.factors if each.effect is not None]
        halves = [
            (each.high - each.low) / 4
            for each in self.found.factors
            if each.high is not None and each.low is not None
        ]
        return formatting.metric_scale(self.found.metric, effects, halves)

    def is_picked(self, index: int) -> bool:
        """Whether a site was picked."""
        return (
            self.pick is not None and index < len(self.design.sites) and self.pick.on[PICKED][index]
        )


@dataclass
class _Kept:
    node: LayerNode
    inputs: list[int] = field(default_factory=list)  # of kept nodes
    folded: int = 0  # layers behind it


def rows(network: Sequence[LayerNode], hosts: Mapping[str, Sequence[int]]) -> list[Row]:
    """Return the rows of a network's map.

    Args:
        network: the layers, each after those that feed it.
        hosts: the indices of the factors at each host, by the host's path; hosts that the network
            does not have get rows at the end.
    """
    if len(network) <= SHORT:
        kept = [_Kept(node, list(node.inputs)) for node in network]
    else:
        kept = _folded(network, hosts)
    made = _on_tracks(kept, hosts)
    known = {node.path for node in network}
    made += [
        Row(host, "", first=True, last=True, factors=tuple(factors))
        for host, factors in hosts.items()
        if host not in known
    ]
    return made


def folded_words(made: Sequence[Row]) -> str:
    """Say how many layers have no row of their own; nothing where all have one."""
    count = sum(row.folded for row in made)
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f"{formatting.counted(count, 'layer')} without a site {verb} not shown"


def _folded(network: Sequence[LayerNode], hosts: Mapping[str, Sequence[int]]) -> list[_Kept]:
    """Return the layers worth a row: hosts, ends, and where branches join."""
    place: dict[int, int] = {}  # of each layer's row
    kept: list[_Kept] = []
    for at, node in enumerate(network):
        ends = not node.inputs or node.output
        if node.path in hosts or ends or len({place[each] for each in node.inputs}) > 1:
            inputs = list(dict.fromkeys(place[each] for each in node.inputs))
            place[at] = len(kept)
            kept.append(_Kept(node, inputs))
        else:
            place[at] = place[node.inputs[0]]
            kept[place[at]].folded += 1
    return kept


def _on_tracks(kept: Sequence[_Kept], hosts: Mapping[str, Sequence[int]]) -> list[Row]:
    """Give every layer and every connection a track."""
    consumers: list[list[int]] = [[] for _ in kept]
    for at, each in enumerate(kept):
        for source in each.inputs:
            consumers[source].append(at)
    tracks: list[tuple[int, int] | None] = []  # the connection that runs in each track
    made = []
    for at, each in enumerate(kept):
        entering = [i for i, edge in enumerate(tracks) if edge is not None and edge[1] == at]
        track = entering[0] if entering else _free(tracks, [])
        joins = tuple(entering[1:])
        for each_track in entering:
            tracks[each_track] = None
        leaves: list[int] = []
        for number, target in enumerate(consumers[at]):
            own = track if number == 0 else _free(tracks, [track])
            _put(tracks, own, (at, target))
            if number:
                leaves.append(own)
        passes = tuple(
            i for i, edge in enumerate(tracks)
            if edge is not None and i != track and i not in leaves
        )  # fmt: skip
        again = f" (call {each.node.call + 1})" if each.node.call else ""
        made.append(
            Row(
                each.node.path + again,
                f"{each.node.layer} {each.node.size}".strip(),
                track,
                joins,
                tuple(leaves),
                passes,
                first=not entering,
                last=not consumers[at],
                factors=() if each.node.call else tuple(hosts.get(each.node.path, ())),
                folded=each.folded,
            )
        )
    return made


def _free(tracks: list[tuple[int, int] | None], taken: Sequence[int]) -> int:
    return next(
        (i for i, edge in enumerate(tracks) if edge is None and i not in taken), len(tracks)
    )


def _put(tracks: list[tuple[int, int] | None], at: int, edge: tuple[int, int]) -> None:
    while len(tracks) <= at:
        tracks.append(None)
    tracks[at] = edge


def drawn(row: Row, mark: str) -> str:
    """Return the tracks of a row as text, its own layer as `mark`.

    >>> drawn(Row("add", "Add", track=0, joins=(1,)), "●")
    '●─╯'
    >>> drawn(Row("relu", "ReLU", track=0, leaves=(1,), passes=(2,)), "●")
    '●─╮ │'
    """
    touched = {*row.joins, *row.leaves}
    width = max({row.track, *touched, *row.passes}) + 1
    reach = (min({row.track, *touched}), max({row.track, *touched}))
    cells = []
    for track in range(width):
        inside = reach[0] <= track <= reach[1] and touched
        if track == row.track:
            cell = mark
        elif track in row.joins and track in row.leaves:
            cell = "┤" if track == reach[1] else "┼"
        elif track in row.joins:
            cell = "╯" if track == reach[1] else ("╰" if track == reach[0] else "┴")
        elif track in row.leaves:
            cell = "╮" if track == reach[1] else ("╭" if track == reach[0] else "┬")
        elif track in row.passes:
            cell = "┼" if inside else "│"
        else:
            cell = "─" if inside else " "
        line = touched and reach[0] <= track < reach[1]
        cells.append(cell + ("─" if line else " "))
    return "".join(cells).rstrip()
