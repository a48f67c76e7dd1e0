"""What a search has tried: its points, and the trials behind them, as search.csv keeps them.

This is all that a report, a progress table or a board needs to know, without an oracle and without
Keras. The rows say what belongs
together; the numbers themselves are the trials' own records in the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ablate.store import Store
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Search
from ablate.study.search_points import CONFIRMED, apply_point
from ablate.study.trial import Spec, TrialResult

#: Columns of search.csv that are no parameter: those before the parameters, those behind.
_BEFORE = ("variant", "point", "seed")
_BEHIND = ("status", "epochs", "seconds", "parameters")


@dataclass(frozen=True)
class Point:
    """A point of a variant's space, and its trials: id by seed.

    `name` is its number in the order of proposal, `CONFIRMED` for a winner's fresh seeds.
    """

    variant: str
    name: str
    values: Mapping[str, Any]
    trials: Mapping[int, str] = field(default_factory=dict)

    @property
    def confirms(self) -> bool:
        """Whether these are a winner's fresh seeds."""
        return self.name == CONFIRMED


def spec_at(variant: ResolvedVariant, values: Mapping[str, Any]) -> Spec:
    """Return what `variant` is at a point."""
    return apply_point(variant.spec, values) if values else variant.spec


def write(store: Store, points: Iterable[Point], results: Mapping[str, TrialResult]) -> None:
    """Write search.csv: a row per trial of every point, finished or not."""
    points = list(points)
    paths = dict.fromkeys(path for point in points for path in point.values)
    metrics = sorted({name for each in results.values() for name in each.metrics})
    rows = []
    for point in points:
        for seed, trial in point.trials.items():
            result = results.get(trial)
            row: dict[str, Any] = {"variant": point.variant, "point": point.name, "seed": seed}
            row |= {path: point.values.get(path) for path in paths}
            row |= dict.fromkeys((*_BEHIND, *metrics))
            if result is not None:
                row |= {
                    "status": result.status,
                    "epochs": result.epochs,
                    "seconds": _rounded(result.seconds.get("total")),
                    "parameters": result.parameters,
                    **{name: result.metrics.get(name) for name in metrics},
                }
            rows.append({**row, "trial": trial})
    store.write_search(rows)


def read(store: Store, search: Search) -> list[Point]:
    """Return the points of search.csv in its order; empty if there was no search."""
    found: dict[tuple[str, str], Point] = {}
    trials: dict[tuple[str, str], dict[int, str]] = {}
    for row in store.read_search():
        columns = list(row)
        paths = columns[len(_BEFORE) : columns.index(_BEHIND[0])]
        key = row["variant"], row["point"]
        if key not in found:
            values = {path: _typed(path, row[path], search) for path in paths if row[path]}
            trials[key] = {}
            found[key] = Point(*key, values=values, trials=trials[key])
        trials[key][int(row["seed"])] = row["trial"]
    return list(found.values())


def _typed(path: str, text: str, search: Search) -> Any:
    """Return a cell as the value it was written from."""
    dimension = search.space.get(path)
    if dimension is not None and dimension.choice is not None:
        for choice in dimension.choice:
            written = "true" if choice is True else "false" if choice is False else str(choice)
            if text == written:
                return choice
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
