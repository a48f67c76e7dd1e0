"""Networks deeper than Python lets functions call each other.

Keras orders the graph of a functional model by a function that calls itself once per operation
on the way to the input, so that a chain of about a thousand operations ends in a RecursionError.
EfficientNetV2-L is such a chain once BN and Dropout follow each of its convolutions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Calls in calls while Keras reads a graph: a ResNet of 1001 layers with BN and Dropout
#: everywhere takes about 6000. Beyond this, endless recursion should end, and say so.
CALLS = 20_000


@contextmanager
def deep_graphs() -> Iterator[None]:
    """Let Keras construct or load functional models of up to about `CALLS` operations in a row."""
    former = sys.getrecursionlimit()
    sys.setrecursionlimit(max(former, CALLS))
    try:
        yield
    finally:
        sys.setrecursionlimit(former)
