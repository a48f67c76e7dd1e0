"""A network as a drawing needs it: its layers from input to output, and what feeds each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerNode:
    """A call of a layer.

    `path` is what selectors call it, nested models before a slash; `size` its units, filters or
    rate in words; `inputs` the indices of the calls that feed it, all before it; `call` counts the
    calls of a layer that is shared from 0; `output` says whether the model ends here.
    """

    path: str
    layer: str
    size: str = ""
    inputs: tuple[int, ...] = ()
    call: int = 0
    output: bool = False


def to_json(nodes: Sequence[LayerNode]) -> list[dict[str, Any]]:
    """Return the JSON document of a network."""
    return [asdict(node) for node in nodes]


def from_json(document: Any) -> tuple[LayerNode, ...]:
    """Read `to_json`'s document; empty where it is none.

    >>> from_json(to_json([LayerNode("input", "InputLayer")]))
    (LayerNode(path='input', layer='InputLayer', size='', inputs=(), call=0, output=False),)
    """
    try:
        nodes = tuple(LayerNode(**{**each, "inputs": tuple(each["inputs"])}) for each in document)
    except (TypeError, KeyError):
        return ()
    sound = all(0 <= i < at for at, node in enumerate(nodes) for i in node.inputs)
    return nodes if sound else ()
