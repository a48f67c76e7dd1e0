"""Rows of a table: CSV by itself, Parquet where pyarrow is installed (the extra `tables`).

Columns become arrays by name: the label, the weight and the groups go where they belong, the
others are features. A column of numbers is numbers, one of anything else is text. Text beside
numbers cannot be one array: it is refused by its name, with the way to give it as an input of its
own to a model that takes strings.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablate.data.check import source
from ablate.data.source import Source, listed
from ablate.errors import DataError, nearest
from ablate.reasons import sentence
from ablate.study.schema.data import Data

#: What stands in a cell of numbers where there is no value.
_MISSING = ("", "na", "n/a", "nan", "null", "none", "?")

_WAY_OUT = (
    "Encode it as numbers (pandas: get_dummies, or .cat.codes), leave it out by data.features, or "
    "give it to the model as an input of its own, features: {%s: %s, numbers: [...]}, where a "
    "StringLookup, Hashing or TextVectorization inside the model takes it."
)


def table(data: Data, labels: bool = True) -> Source:
    """Return the rows of `data.table`.

    Raises:
        DataError: no such file or column, text or gaps where numbers are expected.
    """
    given = data.complete_arguments()
    place = Path(str(data.table)).expanduser()
    where = f"data.table: '{data.table}'"
    if not place.is_file():
        what = "is a folder" if place.is_dir() else f"is not there (looked at {place.absolute()})"
        raise DataError(f"{where} {what}. Expected: a CSV or Parquet file.")
    if place.suffix.lower() in (".parquet", ".pq"):
        columns = _parquet(place, where)
    else:
        columns = _csv(place, where, given["delimiter"])
    label = [given["label"]] if isinstance(given["label"], str) else given["label"] or []
    others = [*label, given["weight"], data.groups]
    features = given["features"]
    if features is None:
        features = [name for name in columns if name not in others]
    grouped = features if isinstance(features, dict) else {"": features}
    for field, names in (
        ("label", label),
        ("weight", [given["weight"]]),
        ("groups", [data.groups]),
        *(("features", each if isinstance(each, list) else [each]) for each in grouped.values()),
    ):
        for name in names:
            if name is not None and name not in columns:
                raise DataError(
                    f"{where}: data.{field}: there is no column '{name}'."
                    f"{nearest(name, columns)} The columns are: {listed([*columns], 20)}."
                )
            if field == "features" and name in others:
                raise DataError(
                    f"{where}: data.features: '{name}' is named as something else, too."
                )
    x = {
        name: _stacked(columns, each if isinstance(each, list) else [each], where)
        for name, each in grouped.items()
    }
    arrays: dict[str, Any] = {"x_train": x if isinstance(features, dict) else x[""]}
    if label:
        values = [columns[name] for name in label]
        for name, column in zip(label, values, strict=True):
            _check_gaps(where, name, column)
        arrays["y_train"] = values[0] if len(label) == 1 else _stacked(columns, label, where)
    if given["weight"] is not None:
        arrays["weight_train"] = _numbers(where, given["weight"], columns[given["weight"]])
    if data.groups is not None:
        arrays["groups_train"] = columns[data.groups]
    return source(
        str(data.table), arrays, labels=labels, task=given["task"], classes=given["classes"]
    )


def _stacked(columns: Mapping[str, np.ndarray], names: Sequence[str], where: str) -> np.ndarray:
    """Return columns side by side: numbers as float32, or texts alone."""
    if not names:
        raise DataError(f"{where}: no column is left for the features.")
    texts = [name for name in names if columns[name].dtype.kind == "U"]
    for name in texts:
        _check_gaps(where, name, columns[name], empty_texts=True)
    if texts and len(texts) == len(names):
        return np.stack([columns[name] for name in names], axis=1)
    if texts:
        name, seen = texts[0], listed([f"'{each}'" for each in np.unique(columns[texts[0]])[:4]])
        more = f" (so do {listed(texts[1:], 5)})" if texts[1:] else ""
        raise DataError(
            f"{where}: the column '{name}' holds text ({seen}){more}, which numbers beside it "
            f"cannot be one input with. {_WAY_OUT % (name, name)}"
        )
    return np.stack([_numbers(where, name, columns[name]) for name in names], axis=1)


def _numbers(where: str, name: str, column: np.ndarray) -> np.ndarray:
    _check_gaps(where, name, column)
    if column.dtype.kind not in "biuf":
        seen = listed([f"'{each}'" for each in np.unique(column)[:4]])
        raise DataError(f"{where}: the column '{name}' holds text ({seen}). Expected: numbers.")
    return column.astype(np.float32)


def _check_gaps(where: str, name: str, column: np.ndarray, empty_texts: bool = False) -> None:
    """Refuse cells without a value; texts may be empty where that is said."""
    if column.dtype.kind == "U":
        empty = np.isin(np.char.lower(np.char.strip(column)), _MISSING)
        rest = column[~empty]
        if len(rest) and _as_numbers(rest) is None:
            empty = (column == "") & (not empty_texts)
        empty_rows = np.flatnonzero(empty)
    elif column.dtype.kind == "f":
        empty_rows = np.flatnonzero(np.isnan(column))
    else:
        return
    if len(empty_rows):
        raise DataError(
            f"{where}: the column '{name}' has no value in {len(empty_rows)} of {len(column)} "
            f"rows, the first at row {empty_rows[0]}. Fill them (a mean, a number of "
            "its own), drop the rows, or leave the column out by data.features."
        )


def _csv(place: Path, where: str, delimiter: str | None) -> dict[str, np.ndarray]:
    """Return the columns of a CSV file, whose first line names them."""
    try:
        with place.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            stream.seek(0)
            if place.suffix.lower() in (".tsv", ".tab"):
                delimiter = delimiter or "\t"
            sign = delimiter or max(",;\t|", key=first.count)
            lines = [line for line in csv.reader(stream, delimiter=sign, strict=True) if line]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where} is no text in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    except csv.Error as error:
        raise DataError(f"{where} cannot be read as CSV: {error}.") from None
    if len(lines) < 2:
        raise DataError(f"{where} has no rows. Expected: a line of column names, and rows below.")
    names = [name.strip() for name in lines[0]]
    if all(_as_numbers(np.array([name])) is not None for name in names):
        raise DataError(
            f"{where}: the first line holds numbers ({listed(names)}). Expected: the names of the "
            "columns."
        )
    doubled = {name for name in names if names.count(name) > 1}
    if doubled or "" in names:
        what = f"'{sorted(doubled)[0]}' twice" if doubled - {""} else "a column without a name"
        raise DataError(f"{where}: the first line has {what}. Expected: a name for each column.")
    for number, line in enumerate(lines[1:], start=1):
        if len(line) != len(names):
            raise DataError(
                f"{where}: row {number - 1} (line {number + 1}) has {len(line)} cells, the first "
                f"line names {len(names)} columns. Cells that hold '{sign}' need quotes."
            )
    columns = zip(*lines[1:], strict=True)
    return {name: _typed(np.array(cells)) for name, cells in zip(names, columns, strict=True)}


def _typed(cells: np.ndarray) -> np.ndarray:
    """Return cells as whole numbers, numbers or truth values where all of them are, else text."""
    found = _as_numbers(cells)
    return cells if found is None else found


def _as_numbers(cells: np.ndarray) -> np.ndarray | None:
    for kind in (np.int64, np.float64):
        try:
            found = cells.astype(kind)
        except (ValueError, OverflowError):
            continue
        return None if kind is np.float64 and np.isnan(found).any() else found
    lower = np.char.lower(np.char.strip(cells))
    return lower == "true" if np.isin(lower, ("true", "false")).all() else None


def _parquet(place: Path, where: str) -> dict[str, np.ndarray]:
    """Return the columns of a Parquet file."""
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise DataError(
            f"{where}: a Parquet file is read by pyarrow, which is not installed. "
            "`pip install keras-ablate[tables]`, or save the table as CSV."
        ) from None
    try:
        read = parquet.read_table(place)
    except Exception as error:  # whatever its bytes lead to
        raise DataError(f"{where} cannot be read as Parquet: {sentence(error)}") from None
    columns: dict[str, np.ndarray] = {}
    for name, column in zip(read.column_names, read.columns, strict=True):
        kind = column.type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        text = types.is_string(kind) or types.is_large_string(kind)
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
        if not text and not number:
            raise DataError(
                f"{where}: the column '{name}' holds {column.type}. Expected: numbers or text; "
                "make numbers of dates and lists."
            )
        values = column.to_pylist() if text else column.to_numpy()
        if column.null_count and not text and values.dtype.kind != "f":
            values = np.array(column.to_pylist(), dtype=np.float64)  # None becomes NaN
        columns[name] = (
            np.array(["" if each is None else each for each in values]) if text else values
        )
    return columns
