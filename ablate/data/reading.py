"""What is read once: under seeds of its own, and known by its digest from then on.

A pipeline or a function of anyone's own may draw from any source of chance. It is read under
seeds that derive from its declaration, so that every process reads the same; whoever reads after
the first compares digests, and refuses what differs.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ablate.data.column import Column, chunks
from ablate.data.nested import leaves
from ablate.data.rng import number


@contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Seed Python, NumPy, TensorFlow and Keras from `parts`; afterwards all are as before.

    Operations that TensorFlow keeps compiled forget how far they have drawn: seeding does that.
    """
    import keras
    from keras.src.backend.common import global_state
    from tensorflow.python.eager.context import context

    names = ("global_random_seed", "global_seed_generator")
    kept = {name: global_state.get_global_attribute(name) for name in names}
    states, tensorflow = (random.getstate(), np.random.get_state()), context()
    before = tensorflow._seed, getattr(tensorflow, "_rng", None)
    keras.utils.set_random_seed(number("read", *parts) % 2**32)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        tensorflow._seed, tensorflow._rng = before
        for name, value in kept.items():
            global_state.set_global_attribute(name, value)


@contextmanager
def in_order() -> Iterator[None]:
    """Let TensorFlow draw and deliver in one order, however many threads work; then as before.

    Without it, layers that draw in a parallel `map` race for their state.
    """
    from tensorflow.python.util import _pywrap_determinism as determinism

    before = determinism.is_enabled()
    determinism.enable(True)
    try:
        yield
    finally:
        determinism.enable(before)


def content_digest(named: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of named arrays and facts: types, shapes and bytes."""
    whole = hashlib.sha256()
    for name in sorted(named):
        for leaf_name, leaf in leaves(named[name], name):
            if isinstance(leaf, Column):
                whole.update(f"{leaf_name} {leaf.dtype.str} {leaf.shape}\0".encode())
                if leaf.content is not None:
                    whole.update(leaf.content().encode())
                    continue
                for block in chunks(leaf):
                    whole.update(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
                continue
            array = np.asarray(leaf)
            whole.update(f"{leaf_name} {array.dtype.str} {array.shape}\0".encode())
            if array.dtype == object:  # a fact that is None, say: its bytes would be an address
                whole.update(repr(leaf).encode())
            elif array.size:
                whole.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return whole.hexdigest()
