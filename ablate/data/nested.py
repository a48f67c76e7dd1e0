"""One array or several: inputs and targets of models with one or many ends.

A tree is an array, a dict of arrays or a list of arrays, as Keras takes them. Everything in
`ablate.data` is written for one array and carried over to trees by `over`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray
Tree = Any  # np.ndarray | dict[str, np.ndarray] | list[np.ndarray], or Targets in that shape


def over(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return the tree of `function(leaf, …)` over trees of one structure."""
    if isinstance(tree, dict):
        return {key: function(leaf, *(o[key] for o in others)) for key, leaf in tree.items()}
    if isinstance(tree, list):
        return [function(leaf, *(o[i] for o in others)) for i, leaf in enumerate(tree)]
    return function(tree, *others)


def leaves(tree: Tree, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf with what messages call it: `x_train`, `x_train['left']`, `x_train[0]`."""
    return zip(_flat(names_of(tree, name)), _flat(tree), strict=True)


def names_of(tree: Tree, name: str) -> Tree:
    """Return the tree of what messages call the leaves of `tree`."""
    if isinstance(tree, dict):
        return {key: f"{name}['{key}']" for key in tree}
    return [f"{name}[{index}]" for index in range(len(tree))] if isinstance(tree, list) else name


def _flat(tree: Tree) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree.values())
    return tree if isinstance(tree, list) else [tree]


def rows(tree: Tree) -> int:
    """Return the number of rows of a tree whose leaves agree."""
    return len(next(leaf for _, leaf in leaves(tree)))


def take(tree: Tree, index: Array) -> Tree:
    """Return the rows `index` of every leaf; what is read when it is asked for stays so."""
    return over(lambda leaf: leaf.take(index) if _is_column(leaf) else leaf[index], tree)


def _is_column(leaf: Any) -> bool:
    return not isinstance(leaf, np.ndarray)


def nbytes(tree: Tree) -> int:
    """Return the memory a tree holds, in bytes."""
    return 0 if tree is None else sum(leaf.nbytes for _, leaf in leaves(tree))


def freeze(tree: Tree) -> Tree:
    """Make every leaf read-only and return the tree."""
    if tree is not None:
        for _, leaf in leaves(tree):
            leaf.setflags(write=False)
    return tree
