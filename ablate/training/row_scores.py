"""The analysed metric row by row, on the test rows: what an interval for new rows is made of.

After the last evaluation the outputs are computed once more and scored without averaging. What is
kept is checked against the metric as Keras reported it: where the two differ the metric is no mean
over rows (AUC, a loss with a penalty, rows with weights), and nothing is kept. Shares of rows that
are right take a bit a row, other values a float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from ablate.analysis.result_table import headline
from ablate.data import Splits
from ablate.errors import StudyError
from ablate.study.keras_names import snake
from ablate.training.feed import Feed
from ablate.training.program import Program

#: How far the mean over rows may be from what Keras reported, relatively: sums of single precision.
_TOLERANCE = 1e-4

_PREFIX = "test_"


def row_scores(
    program: Program,
    rows: Feed,
    splits: Splits,
    batch_size: int,
    metrics: Mapping[str, float | None],
    wanted: str,
) -> tuple[str | None, dict[str, np.ndarray]]:
    """Return the metric that was scored by row, and the arrays to keep.

    Args:
        program: of the trained model.
        rows: the test rows.
        splits: the data, which know the groups of the rows.
        batch_size: rows at once.
        metrics: the trial's, as reported.
        wanted: the study's `analysis.metric`.

    Returns:
        "test_accuracy" with `rows/test` (rows,), packed bits or float32, and `rows/groups`, the
        number of each row's group, where rows have groups; None without arrays where there is no
        such metric or it is no mean over rows.
    """
    own = {name: value for name, value in metrics.items() if name.startswith(_PREFIX)}
    try:
        name, _ = headline(own, wanted, "max")
    except StudyError:
        return None, {}
    reported, score = own.get(name), _scorer(program.model, name.removeprefix(_PREFIX))
    if reported is None or score is None:
        return None, {}
    values = _values(program, rows, batch_size, score)
    near = _TOLERANCE * max(abs(reported), _TOLERANCE)
    if values is None or not abs(float(values.mean(dtype=float)) - reported) <= near:
        return None, {}
    shares = bool(np.isin(values, (0, 1)).all())
    arrays = {"rows/test": np.packbits(values.astype(bool)) if shares else values}
    if splits.groups_test is not None:
        _, numbers = np.unique(splits.groups_test, return_inverse=True)
        arrays["rows/groups"] = numbers.astype(np.int32)
    return name, arrays


def _scorer(model: keras.Model, name: str) -> Callable[[Any, Any], Any] | None:
    """Return what scores (targets, outputs) row by row as the metric `name` does, if it is known.

    Keras has a public function for each class of metrics that are means.
    """
    if name == "loss":
        return _loss(model.loss)
    for each in (own for owner in model.metrics for own in getattr(owner, "metrics", [owner])):
        function = getattr(keras.metrics, snake(type(each).__name__), None)
        if each.name == name and function is not None and not isinstance(function, type):
            config = each.get_config()
            arguments = {key: config[key] for key in config if key not in ("name", "dtype")}
            return lambda y, outputs: function(y, outputs, **arguments)
    return None


def _loss(given: Any) -> Callable[[Any, Any], Any] | None:
    if isinstance(given, keras.Loss):
        return type(given).from_config({**given.get_config(), "reduction": "none"})
    return keras.losses.get(given) if isinstance(given, str) else None


def _values(
    program: Program, rows: Feed, batch_size: int, score: Callable[[Any, Any], Any]
) -> np.ndarray | None:
    """Return (rows,) float32; None where a metric does not take the outputs row by row."""
    found = []
    for start in range(0, rows.rows, batch_size):
        batch = rows.batch(start, min(start + batch_size, rows.rows))
        x, y, *_ = program.augmentation.evaluated(batch)
        outputs = program.outputs(x)
        if keras.tree.is_nested(outputs) or keras.tree.is_nested(y):
            return None
        try:
            values = keras.ops.convert_to_numpy(score(y, outputs))
        except (TypeError, ValueError):
            return None
        if not values.ndim or len(values) != len(y):
            return None
        # Of targets with further axes (a class per pixel) a row's score is their mean.
        found.append(values.reshape(len(values), -1).mean(axis=1, dtype=np.float32))
    return np.concatenate(found) if found else None
