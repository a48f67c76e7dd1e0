"""Chance in the data: orders and noise, each from a seed and a role.

A seed and a role go in, an order of rows or a generator comes out. Orders are sorted raw output
of PCG64, whose stream NumPy guarantees for all versions, so a split is the same everywhere.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np


def number(*parts: object) -> int:
    """Return a number of 64 bits that depends on every part and on their order."""
    text = json.dumps(parts, default=str).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def order(rows: int, *parts: object) -> np.ndarray:
    """Return a random order of `rows` rows: a permutation of 0 … rows − 1."""
    return np.argsort(np.random.PCG64(number(*parts)).random_raw(rows), kind="stable")


def generator(*parts: object) -> np.random.Generator:
    """Return a random generator of its own for these parts."""
    return np.random.Generator(np.random.PCG64(number(*parts)))
