"""Weights that several layers of a model hold, and how a copy of the model keeps them tied.

A layer may hold another one that is also in the graph, or in a third layer (a head that
multiplies by the table of an embedding). Each copy made from a configuration brings a layer of
its own, so copies come apart; `retie` puts them together again, and refuses where it cannot.

A tie is one variable with several holders. Holders are put together as layers where one is an
attribute of another, so that saving and loading keep the tie, too; else (inside a functional
model that is a leaf for surgery, or where a layer holds another's variable) as variables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.surgery import graph


def retie(made: dict[Any, Any], fresh: Collection[Any] = ()) -> None:
    """Tie in the new layers what is tied in the old ones, in place.

    Args:
        made: The new layer (or nested model) of each old one in the graph; all are built.
        fresh: Old layers whose copies may have other weights of their own, such as a bias.

    Raises:
        SurgeryError: A tie cannot be made again; the text names the layers and the reason.
    """
    leaves = _leaves(made)
    if not _tied(leaves):
        return
    twins: dict[int, Any] = {id(old): new for old, new in made.items()}
    pairs: list[tuple[Any, Any]] = []
    for old in leaves:
        pairs += _pair(old, made[old], twins)
    first: dict[int, Any] = {}
    for old, new in pairs:
        ours, theirs = graph.own_weights(old), graph.own_weights(new)
        for our_weight, their_weight in zip(ours, theirs, strict=False):
            known = first.setdefault(id(our_weight), their_weight)
            if known is not their_weight and known.shape == their_weight.shape:
                graph.exchange(new, their_weight, known)
    _assert_tied(leaves, made, fresh)


def held_elsewhere(model: keras.Model) -> dict[Any, str]:
    """Return the layers of the graph whose weights another layer holds too, with its name.

    What is done to such a layer is done inside the other, where no edit can be seen.
    """
    leaves = _leaves({operation: None for _, operation in graph.every(model)})
    holders = _holders(leaves)
    found: dict[Any, str] = {}
    inside: dict[int, str] = {}
    for leaf in leaves:
        for inner in graph.flat_layers(leaf)[1:]:
            inside.setdefault(id(inner), leaf.name)
    for leaf in leaves:
        if id(leaf) in inside:
            found[leaf] = inside[id(leaf)]
        for weight in leaf.weights:
            others = [each.name for each in holders[id(weight)] if each is not leaf]
            if others:
                found.setdefault(leaf, others[0])
    return found


def _leaves(operations: Iterable[Any]) -> list[keras.Layer]:
    return [
        each
        for each in operations
        if isinstance(each, keras.Layer) and not graph.is_container(each)
    ]


def _holders(leaves: list[keras.Layer]) -> dict[int, list[keras.Layer]]:
    """The layers of the graph that hold each weight."""
    holders: dict[int, list[keras.Layer]] = {}
    for leaf in leaves:
        for weight in leaf.weights:
            holders.setdefault(id(weight), []).append(leaf)
    return holders


def _tied(leaves: list[keras.Layer]) -> bool:
    """Whether any weight has two holders, inside one layer of the graph or among them."""
    seen: set[int] = set()
    for leaf in leaves:
        for layer in graph.flat_layers(leaf):
            own = {id(weight) for weight in graph.own_weights(layer)}
            if own & seen:
                return True
            seen |= own
    return False


def _pair(old: Any, new: Any, twins: dict[int, Any]) -> Iterator[tuple[Any, Any]]:
    """Pair a layer and those inside of it with the new ones; put known twins in their places."""
    yield old, new
    ours, theirs = graph.sublayers(old), graph.sublayers(new)
    if [type(each) for each in ours] != [type(each) for each in theirs]:
        return
    for our_layer, their_layer in zip(ours, theirs, strict=True):
        known = twins.setdefault(id(our_layer), their_layer)
        if known is their_layer or isinstance(new, keras.Function | keras.Sequential):
            # The calls inside a model go to its own layers: their variables are tied.
            yield from _pair(our_layer, their_layer, twins)
        else:
            graph.exchange(new, their_layer, known)


def _assert_tied(leaves: list[keras.Layer], made: dict[Any, Any], fresh: Collection[Any]) -> None:
    """Refuse where the copies hold more distinct weights than the originals."""
    for weight, holders in _holders(leaves).items():
        copies = {
            id(theirs): holder
            for holder in holders
            for ours, theirs in zip(holder.weights, made[holder].weights, strict=False)
            if id(ours) == weight
        }
        if len(copies) > 1:
            first, second = list(copies.values())[:2]
            raise _apart(first, second)
    leaves = [leaf for leaf in leaves if leaf not in fresh]
    ours = {id(weight) for leaf in leaves for weight in leaf.weights}
    theirs = {id(weight) for leaf in leaves for weight in made[leaf].weights}
    if len(ours) < len(theirs):
        leaf = max(leaves, key=lambda each: len(made[each].weights) - len(each.weights))
        raise _apart(leaf, leaf)


def _apart(first: keras.Layer, second: keras.Layer) -> SurgeryError:
    shares = (
        f"'{first.name}' and '{second.name}' share weights"
        if first is not second
        else f"'{first.name}' holds the same weights several times"
    )
    return SurgeryError(
        f"{shares}, and the copies that their configurations give cannot be tied again, so they "
        f"would come apart. Let '{second.name}' ({type(second).__name__}) hold the other layer as "
        "an attribute and return it in get_config() (keras.saving.serialize_keras_object), or "
        "call that layer in the graph."
    )
