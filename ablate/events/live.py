"""The live view: event files that grow while a study runs.

As trials start, end an epoch and finish, the files of `ablate.events.board` grow, flushed each
epoch. What a finished trial leaves is what `update` would have written. Means over seeds are
written anew as trials finish, but never so often that they take a noticeable share of the run.
Images are left to `update`: to draw them takes longer than all the rest. A watcher must not stop
what it watches: a file that cannot be written ends the live view and nothing else, and says so in
`trouble`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

from ablate.analysis import Analysis, analyze
from ablate.events import hparams
from ablate.events.board import RUNS, Arrays, Board, choose, folder_name, session
from ablate.events.files import EventFile, Point, event_files
from ablate.events.study import board_of, with_table
from ablate.events.tree import Summary, Written, refresh, write_means, write_summary
from ablate.events.trials import DRAWN, PLAIN, epoch_points, row, write_probes, write_trial
from ablate.store import Store
from ablate.study.progress import Event, Watcher
from ablate.study.results import StudyResults
from ablate.study.trial import Trial, TrialResult

#: The least time between two writings of the means, in seconds, and their largest share of it.
_PAUSE, _SHARE = 2.0, 0.05


class Planned(Protocol):
    """A study's trials, the outcomes there are already, and how outcomes become results."""

    @property
    def trials(self) -> Sequence[Trial]: ...

    @property
    def results(self) -> Mapping[str, TrialResult]: ...

    def outcome(self, results: Mapping[str, TrialResult], store: Store | None) -> StudyResults: ...


def _harmless(method: Callable[..., None]) -> Callable[..., None]:
    """Let the file system end the live view, not the run."""

    @wraps(method)
    def guarded(self: LiveEvents, *arguments: Any) -> None:
        if self.trouble:
            return
        try:
            method(self, *arguments)
        except OSError as error:
            self.trouble = f"The live TensorBoard files end here: {error}"

    return guarded


class LiveEvents(Watcher):
    """The event files of a study while it runs: a watcher of the runner.

    Attributes:
        trouble: why the live view ended early; "" while all is well.
        written: what the board holds, once it has ended.
    """

    def __init__(
        self,
        store: Store,
        plan: Planned,
        *,
        points: Mapping[str, str] | None = None,
        limit: int | None = RUNS,
        analyse: Callable[[StudyResults], Analysis] = analyze,
    ) -> None:
        """Take note of what is planned; nothing is written before `begin`.

        Args:
            store: the study's folder.
            plan: all the study's trials and the results there are.
            points: the search point of a trial, by trial id.
            limit: how many TensorBoard runs to write at most; None for all.
            analyse: gives the analysis that stands with the board once all has ended.
        """
        self._analyse = analyse
        self.trouble, self.written = "", Written(0, 0, 0)
        self._root, self._plan, self._store = store.tensorboard, plan, store
        self._trials = list(plan.trials)
        self._results = dict(plan.results)
        self._board: Board = board_of(store, self._outcome(), points, limit)
        self._columns = hparams.columns(row(self._board, each) for each in self._trials)
        # A trial that two variants share is followed under the first; both have it at the end.
        self._shown = {each.id: each for each in reversed(choose(self._board, self._trials))}
        self._open: dict[str, dict[str, EventFile]] = {}
        self._changed: set[str] = set()
        self._charts = Summary.of(self._board, self._outcome().results).charts
        self._not_before = 0.0

    @_harmless
    def begin(self, todo: int, kept: int, dropped: int = 0) -> None:
        """Bring the board up to date with the trials that have ended."""
        self._refresh()

    @_harmless
    def planned(self, plan: Planned, todo: int) -> None:
        """Follow trials that were added, too."""
        known = {each.id for each in self._trials}
        self._plan = plan
        self._trials += [each for each in plan.trials if each.id not in known]
        for each in choose(self._board, self._trials):
            self._shown.setdefault(each.id, each)

    @_harmless
    def started(self, trial: Trial, epoch: int = 0) -> None:
        """Show a trial as running, from the start or from the epoch it is taken up again."""
        if trial.id not in self._shown:
            return
        self._close(trial.id)
        folder = self._folder(trial)
        if epoch == 0:
            shutil.rmtree(folder, ignore_errors=True)
        self._open[trial.id], now = {}, time.time()
        if self._board.searched(trial):
            own = self._open[trial.id][""] = EventFile(folder, f"{trial.id[:12]}.live")
            start = hparams.session_start(row(self._board, trial), self._columns, now)
            own.add([Point(start, 0, now)])
            own.flush()

    @_harmless
    def epoch(self, trial: Trial, event: Event) -> None:
        """Add what `fit` reports after an epoch, and flush; epoch 0 is before training."""
        if trial.id not in self._shown:
            return
        if trial.id not in self._open:
            self.started(trial, event.epoch)
        files = self._open[trial.id]
        for part, points in epoch_points(event.logs, event.epoch, time.time()).items():
            if points:
                if part not in files:
                    files[part] = EventFile(
                        self._folder(trial) / part, trial.id[:12], on_request=True
                    )
                files[part].add(points)
                files[part].flush()

    @_harmless
    def finished(self, trial: Trial, result: TrialResult, arrays: Arrays | None = None) -> None:
        """Write what a trial left: its whole curves, its row in HParams, what its probes saw."""
        self._close(trial.id)
        self._results[trial.id] = result
        if (shown := self._shown.get(trial.id)) is not None:
            own = replace(result, variant=shown.variant, seed=shown.seed, factors=shown.factors)
            write_trial(self._root, self._board, own, self._columns, arrays=arrays)
            if own.probes and own.status == "completed" and not self._probed(own.variant):
                write_probes(self._root, self._board, own, arrays=arrays)
        self._changed |= {each.variant for each in self._trials if each.id == trial.id}
        if time.monotonic() >= self._not_before:
            self._write_means()

    @_harmless
    def lost(self, trial: Trial, reason: str, again: bool) -> None:
        """Close the files of a trial whose worker was lost; they go on when it starts again."""
        self._close(trial.id)

    @_harmless
    def end(self) -> None:
        """Leave the board as `rebuild` would: means, texts, columns, shared trials."""
        for trial in list(self._open):
            self._close(trial)
        outcome = self._plan.outcome(self._results, self._store)
        if outcome.results:
            self._board = with_table(self._board, self._analyse(outcome))
        self._refresh()

    def _refresh(self) -> None:
        self.written = refresh(self._root, self._board, self._outcome().results)

    def _write_means(self) -> None:
        began = time.monotonic()
        # Every difference is to the baseline, so all of them change when it does.
        every = self._board.baseline in self._changed
        results = self._outcome().results
        summary = Summary.of(self._board, results)
        if summary.charts == self._charts:
            waiting = {each.variant for each in self._trials if each.id not in self._results}
            changed = None if every else self._changed
            write_means(self._root, self._board, summary, self._columns, changed, waiting)
        else:  # the first means: without charts for them their tab would stay empty
            self._charts = summary.charts
            shown = sum(each.id in self._shown for each in results)
            self.written = write_summary(self._root, self._board, results, shown, self._columns)
        self._changed.clear()
        now = time.monotonic()
        self._not_before = now + max(_PAUSE, (now - began) / _SHARE)

    def _outcome(self) -> StudyResults:
        return self._plan.outcome(self._results, None)

    def _probed(self, variant: str) -> bool:
        """Whether something is shown already of what a variant's probes saw."""
        there = event_files(self._root / folder_name(variant))
        return any(each.suffix[1:] in (DRAWN, PLAIN) for each in there)

    def _folder(self, trial: Trial) -> Path:
        return self._root / session(self._board, self._shown[trial.id])

    def _close(self, trial: str) -> None:
        for each in self._open.pop(trial, {}).values():
            each.close()
