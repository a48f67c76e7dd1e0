"""Names of the layers that surgery adds: the host's name, what was added, `_2` where taken."""

from __future__ import annotations

import re
from collections.abc import Container

_SUFFIXES = {"BatchNormalization": "bn"}


def snake_case(name: str) -> str:
    """Return a class name as Keras writes it in automatic names (`Conv2D` -> `conv2d`)."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def suffix(layer_class: str) -> str:
    """Return what a layer of this class adds to its host's name: `bn`, `dropout`, …"""
    return _SUFFIXES.get(layer_class, snake_case(layer_class))


def free_name(host: str, ending: str, taken: Container[str]) -> str:
    """Return `<host>_<ending>`, with `_2`, `_3`, … where that name is taken."""
    name, count = f"{host}_{ending}", 1
    while name in taken:
        count += 1
        name = f"{host}_{ending}_{count}"
    return name
