"""The tables of a study as CSV text: a row per trial, as `results.csv` and `search.csv` have them.

Trials and their results enter, text leaves; `ablate.store` knows where it belongs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ablate.study.trial import Trial, TrialResult

_LEADING = ("variant", "seed")
#: Columns that every search.csv has.
_SEARCHED = ("variant", "point", "seed", "status", "trial")
_FACTS = ("status", "epochs", "seconds", "parameters")


def results_table(trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> str:
    """Return results.csv as text: one row per trial that has a record."""
    rows = [(trial, results[trial.id]) for trial in trials if trial.id in results]
    factors = list(dict.fromkeys(name for trial, _ in rows for name in trial.factors))
    metrics = _metric_columns(result for _, result in rows)
    lines = [
        [
            trial.variant,
            trial.seed,
            *(trial.factors.get(name, "") for name in factors),
            result.status,
            result.epochs,
            cell(result.seconds.get("total")),
            cell(result.parameters),
            *(cell(result.metrics.get(name)) for name in metrics),
        ]
        for trial, result in rows
    ]
    return csv_text([[*_LEADING, *factors, *_FACTS, *metrics], *lines])


def search_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return search.csv as text: a row per trial that a search planned, keys as columns."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return csv_text([columns, *([_plain_cell(row.get(name)) for name in columns] for row in rows)])


def read_search_table(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a search.csv.

    Raises:
        ValueError: it is none, with the reason.
    """
    if content == search_table([]).encode():
        return []
    try:
        lines = content.decode("utf-8")
        table = csv.DictReader(io.StringIO(lines, newline=""), strict=True)
        rows = list(table)
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"it is no table ({error})") from None
    missing = [each for each in _SEARCHED if each not in (table.fieldnames or ())]
    if missing:
        raise ValueError(f"it has no column '{missing[0]}'")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values() or not row["seed"].isdecimal():
            raise ValueError(f"its line {number} is not whole")
    return rows


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows, the titles of columns first, as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def cell(value: float | int | None, digits: int = 9) -> str:
    """Return a number as it stands in a table, empty for None."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, int) else format(value, f".{digits}g")


def _metric_columns(results: Iterable[TrialResult]) -> list[str]:
    names = dict.fromkeys(name for result in results for name in result.metrics)
    parts = ("train_", "val_", "test_")
    ordered = [
        name
        for part in parts
        for name in sorted(names, key=lambda each: (not each.endswith("_loss"), each))
        if name.startswith(part)
    ]
    return ordered + [name for name in names if not name.startswith(parts)]


def _plain_cell(value: Any) -> str:
    """Return a value as it can be read back: floats in full, true and false as in YAML."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)
