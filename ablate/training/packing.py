"""Plain Python state as JSON and arrays, and back: what a checkpoint is made of.

Numbers, texts, lists, tuples, mappings, sets, arrays, and functions of `keras.ops` and NumPy by
their name go in; a tree that JSON holds and its arrays come out. Nothing that is read
can run code, as it could in a pickle. What is shared stays shared; what is of any other kind is
refused, so that nothing comes back as something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

import keras
import numpy as np

#: Where functions are looked up by name: EarlyStopping remembers `keras.ops.less`.
_FUNCTIONS = {"keras.ops": keras.ops, "numpy": np}


class CannotPackError(TypeError):
    """Say which kind of value cannot be put down."""


def pack(value: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Return `value` as what JSON can hold, and its arrays by name.

    Raises:
        CannotPackError: something in it is of a kind that is not known.
    """
    packer = _Packer()
    return packer.pack(value), packer.arrays


def unpack(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the value that `pack` put down.

    Raises:
        ValueError: `tree` is not of its making.
    """
    try:
        return _Unpacker(arrays).unpack(tree)
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


class _Packer:
    """Puts values down; what was met before is named by its number."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._met: dict[
            int, tuple[int, Any]
        ] = {}  # the object is kept, so that its id stays its own

    def pack(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind is tuple:
            return {"tuple": [self.pack(each) for each in value]}
        if isinstance(value, np.generic):
            return {"scalar": self._kept(np.asarray(value))}
        if (name := _function_name(value)) is not None:
            return {"function": name}
        if kind not in (list, dict, set, np.ndarray):
            raise CannotPackError(f"{kind.__module__}.{kind.__qualname__}")
        if id(value) in self._met:
            return {"same": self._met[id(value)][0]}
        self._met[id(value)] = (len(self._met), value)
        if kind is list:
            return [self.pack(each) for each in value]
        if kind is dict:
            return {"dict": [[self.pack(key), self.pack(each)] for key, each in value.items()]}
        if kind is set:
            return {"set": [self.pack(each) for each in value]}
        return {"array": self._kept(value)}

    def _kept(self, array: np.ndarray) -> str:
        if array.dtype.hasobject or array.dtype.kind == "V":  # bfloat16 would come back as bytes
            raise CannotPackError(f"an array of {array.dtype}")
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name


class _Unpacker:
    """Takes values up again, in the order in which they were put down."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._met: list[Any] = []

    def unpack(self, tree: Any) -> Any:
        if isinstance(tree, list):
            found: list[Any] = []
            self._met.append(found)
            found += [self.unpack(each) for each in tree]
            return found
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        match kind:
            case "tuple":
                return tuple(self.unpack(each) for each in content)
            case "scalar":
                return self._arrays[content][()]
            case "function":
                place, _, name = content.rpartition(".")
                return getattr(_FUNCTIONS[place], name)
            case "same":
                return self._met[content]
            case "dict":
                mapping: dict[Any, Any] = {}
                self._met.append(mapping)
                for key, each in content:
                    name = self.unpack(key)
                    mapping[name] = self.unpack(each)
                return mapping
            case "set":
                members: set[Any] = set()
                self._met.append(members)
                members.update(self.unpack(each) for each in content)
                return members
            case "array":
                self._met.append(self._arrays[content])
                return self._arrays[content]
        raise ValueError(f"no value is called '{kind}'")


def _function_name(value: Any) -> str | None:
    """Return where a function is found by name, None if nowhere that is known."""
    if not isinstance(value, FunctionType | np.ufunc):
        return None
    name = value.__name__
    for place, module in _FUNCTIONS.items():
        if getattr(module, name, None) is value:
            return f"{place}.{name}"
    return None
