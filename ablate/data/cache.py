"""Remember the few large values that are asked for again and again.

A key and a way to make the value go in, the value comes out. The least recently used go first
when all together pass the limit; the newest always stays, however large.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")

#: Bytes that one memory may hold; beyond, a trial reads its data again.
LIMIT = 1 << 30


class Memory(Generic[Value]):
    """Values by key, the recently used ones, up to `limit` bytes by `size`."""

    def __init__(self, size: Callable[[Value], int], limit: int = LIMIT) -> None:
        self._size = size
        self._limit = limit
        self._values: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, made now if it is not there."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > 1 and sum(map(self._size, self._values.values())) > self._limit:
            self._values.popitem(last=False)
        return self._values[key]

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
