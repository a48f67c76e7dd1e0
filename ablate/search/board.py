"""TensorBoard while a search runs: a row of the HParams tab per point.

As trials finish, their event files and the root's are brought up to date, never so often that it
takes a noticeable share of the search. A file that cannot be written ends this view and nothing
else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ablate.analysis import analyze
from ablate.events import SEARCH_RUNS, update
from ablate.execution.plan import Plan
from ablate.search.results import SearchResults
from ablate.store import Store
from ablate.study.progress import Watcher
from ablate.study.trial import Trial, TrialResult

#: The least time between two writings, in seconds, and their largest share of the search.
_PAUSE, _SHARE = 5.0, 0.05


class SearchEvents(Watcher):
    """The event files of a search while it runs."""

    def __init__(self, store: Store, made: Plan, found: Callable[[], SearchResults]) -> None:
        self.trouble = ""
        self._store, self._made, self._found = store, made, found
        self._not_before = time.monotonic() + _PAUSE

    def finished(self, trial: Trial, result: TrialResult, arrays: Mapping[str, Any]) -> None:
        """Bring the files up to date if it is time."""
        began = time.monotonic()
        if began >= self._not_before:
            self._write()
            now = time.monotonic()
            self._not_before = now + max(_PAUSE, (now - began) / _SHARE)

    def end(self) -> None:
        """Bring the files up to date."""
        self._write()

    def _write(self) -> None:
        if self.trouble:
            return
        found = self._found()
        points = {trial: p.name for p in found.points for trial in p.trials.values()}
        own = self._made.outcome(self._made.results, self._store)
        results = [*own.results, *_of_points(found)]
        analysis = analyze(own) if own.results else None
        shown = replace(own, results=tuple(results))
        try:
            update(self._store, shown, analysis, points=points, limit=SEARCH_RUNS)
        except OSError as error:
            self.trouble = f"The TensorBoard files of the search end here: {error}"


def _of_points(found: SearchResults) -> list[TrialResult]:
    """Return each trial's result once, the first seed of every point before any second."""
    ranked: dict[str, tuple[int, TrialResult]] = {}
    for point in found.points:
        for rank, trial in enumerate(point.trials.values()):
            result = found.results.get(trial)
            if result is not None and result.final:
                ranked.setdefault(trial, (rank, result))
    return [each for _, each in sorted(ranked.values(), key=lambda pair: pair[0])]
