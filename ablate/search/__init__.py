"""Search: Keras Tuner's oracles propose points, the study's executors train them.

`search` runs a study's `search` section to its confirmed winners; `hypermodel` is a variant as a
`keras_tuner.HyperModel` for any stock tuner; `searched` reads what a search found from its store.
Names are imported when they are first used, so that reading needs no Keras.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablate.search.driver import search
    from ablate.search.hypermodel import hypermodel
    from ablate.search.results import SearchResults, found

_HOME = {
    "SearchResults": "ablate.search.results",
    "found": "ablate.search.results",
    "hypermodel": "ablate.search.hypermodel",
    "search": "ablate.search.driver",
}

__all__ = ["SearchResults", "found", "hypermodel", "search"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ablate.search' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
