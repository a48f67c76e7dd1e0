"""The rows of a `fit` call, as named arrays or datasets, and where each part of them comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from ablate.data.nested import leaves


@dataclass(frozen=True)
class Rows:
    """What a call trains, validates and is scored on.

    `named` is what a `call` of a study's data may return: `x_train`, `y_train`, …, or datasets
    under `train`, `validation` and `test`. `origin` says of the parts but the first where the
    script has them from; `scored_on_validation`, that it evaluates its model on the rows that it
    validates on.
    """

    named: dict[str, Any]
    origin: dict[str, str] = field(default_factory=dict)
    scored_on_validation: bool = False

    @property
    def streamed(self) -> bool:
        """Whether some of them come in batches, one after the other."""
        return any(key in self.named for key in ("train", "validation", "test"))

    @property
    def in_one_file(self) -> bool:
        """Whether an npz file can hold them: one array of numbers under each name."""
        return all(
            isinstance(each, np.ndarray) and each.dtype.kind in "buif"
            for each in self.named.values()
        )

    def count(self, part: str) -> int | None:
        """Return how many rows a part has (train, val, test), None if there is no telling."""
        found = (leaf for _, leaf in leaves(self.named.get(f"x_{part}"), "x"))
        shape = getattr(next(found, None), "shape", None)
        return int(shape[0]) if shape else None


def rows_of(arguments: Mapping[str, Any], evaluated: tuple[str, Any, Any] | None = None) -> Rows:
    """Return the rows of a bound call.

    Args:
        arguments: of `fit`, by name.
        evaluated: (where, x, y) of what the script evaluates the model on afterwards.

    Raises:
        ValueError: with the reason, where a study cannot have such rows.
    """
    x, validation = arguments["x"], arguments.get("validation_data")
    share, origin = arguments.get("validation_split") or 0.0, {}
    if x is None:
        raise ValueError("it is given no rows")
    named = _part("train", x, arguments.get("y"), arguments.get("sample_weight"))
    if validation is not None:
        pair = (validation,) if is_stream(validation) else tuple(validation)
        named |= _part("val", *pair)
        origin["validation"] = "validation_data"
    elif share:
        named |= _last(named, share)
        origin["validation"] = f"the last {share:g} of the rows, as validation_split takes them"
    if evaluated is None:
        return Rows(named, origin)
    where, *tested = evaluated
    if validation is not None and tested[0] is pair[0]:
        return Rows(named, origin, scored_on_validation=True)
    return Rows(named | _part("test", *tested), {**origin, "test": where})


def is_stream(value: Any) -> bool:
    """Whether a value gives batches: a tf.data dataset, a PyDataset, a generator."""
    if hasattr(value, "element_spec") or isinstance(value, keras.utils.PyDataset):
        return True
    return hasattr(value, "__next__") or type(value).__name__ == "DataLoader"


def _part(name: str, x: Any, y: Any = None, weight: Any = None) -> dict[str, Any]:
    if is_stream(x):
        return {"validation" if name == "val" else name: x}
    given = {f"x_{name}": x, f"y_{name}": y, f"weight_{name}": weight}
    return {key: _tree(each) for key, each in given.items() if each is not None}


def _tree(value: Any) -> Any:
    """Return arrays for what is given; several inputs or outputs stay what they are."""
    if isinstance(value, Mapping):
        return {str(key): _tree(each) for key, each in value.items()}
    if isinstance(value, list | tuple) and value and all(_has_rows(each) for each in value):
        return [_tree(each) for each in value]
    if hasattr(value, "to_numpy"):  # pandas and polars
        array = value.to_numpy()
    elif keras.ops.is_tensor(value):
        array = keras.ops.convert_to_numpy(value)
    else:
        array = np.asarray(value)
    if array.dtype == object:
        if all(isinstance(each, str) for each in array.reshape(-1)):
            return array.astype(str)
        raise ValueError(
            f"its rows are Python objects ({type(value).__name__}), no numbers or texts"
        )
    if array.dtype.kind == "M" or array.ndim == 0:
        raise ValueError(f"its rows are no array of numbers ({type(value).__name__})")
    return array


def _has_rows(value: Any) -> bool:
    return hasattr(value, "shape") and len(value.shape) > 0


def _last(named: dict[str, Any], share: float) -> dict[str, Any]:
    """Split the last rows off, as Keras does; the training rows are cut in place."""
    at = math.floor((Rows(named).count("train") or 0) * (1.0 - share))
    found = {}
    for key in list(named):
        found[key.replace("_train", "_val")] = _cut(named[key], slice(at, None))
        named[key] = _cut(named[key], slice(None, at))
    return found


def _cut(tree: Any, rows: slice) -> Any:
    if isinstance(tree, dict):
        return {key: _cut(each, rows) for key, each in tree.items()}
    if isinstance(tree, list):
        return [_cut(each, rows) for each in tree]
    return tree[rows]
