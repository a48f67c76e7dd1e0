"""Which parameter matters: permutation importance on a random forest of the points.

A random forest learns the
score from the parameters; a parameter's importance is how much worse the forest predicts when
that parameter is shuffled. Both are scikit-learn's.

Source: L. Breiman, Random forests, Machine Learning 45, 2001, section 10.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ablate.analysis import Direction
from ablate.analysis.search import SearchPoint

#: With fewer points nothing is said.
LEAST_POINTS = 8


def importance(
    points: Sequence[SearchPoint], direction: Direction, log: Collection[str] = ()
) -> dict[str, float]:
    """Return each parameter's share, all together 1; empty where nothing can be said.

    Args:
        points: of one variant; a lost one counts as the worst that was not lost.
        direction: of the score.
        log: parameters that are sampled on a log scale.
    """
    names = list(dict.fromkeys(name for point in points for name in point.values))
    ended = [point for point in points if point.score is not None or point.lost]
    scores = np.array([np.nan if p.score is None else p.score for p in ended], float)
    if len(ended) < LEAST_POINTS or len(names) < 2 or np.isfinite(scores).sum() < 3:
        return {}
    worst = np.nanmin(scores) if direction == "max" else np.nanmax(scores)
    scores = np.where(np.isfinite(scores), scores, worst)
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    table = np.array([[_number(p.values.get(name), name, log) for name in names] for p in ended])
    for column, name in enumerate(names):
        texts = sorted({str(p.values[name]) for p in ended if isinstance(p.values.get(name), str)})
        for row, point in enumerate(ended):
            if isinstance(point.values.get(name), str):
                table[row, column] = texts.index(point.values[name])
    # Ranks of the scores: one diverging loss must not be all that the forest sees.
    ranks = np.argsort(np.argsort(scores, kind="stable"), kind="stable").astype(float)
    forest = RandomForestRegressor(n_estimators=100, random_state=0).fit(table, ranks)
    found = permutation_importance(forest, table, ranks, n_repeats=10, random_state=0)
    shares = np.maximum(found.importances_mean, 0.0)
    total = shares.sum()
    if total <= 0:
        return {}
    return {name: float(share / total) for name, share in zip(names, shares, strict=True)}


def _number(value: Any, name: str, log: Collection[str]) -> float:
    if isinstance(value, str):
        return 0.0  # its place among the texts is set afterwards
    if value is None:
        return -1.0  # the placement it belongs to is absent
    number = float(value)
    return float(np.log10(number)) if name in log and number > 0 else number
