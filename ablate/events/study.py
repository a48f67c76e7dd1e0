"""The board of a study as it lies in the store.

A `Store` and what is planned enter; what `ablate.events.tree` needs leaves: the board with its
texts, the results under the names their variants now have, and where probe arrays come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ablate.events.board import RUNS, Board
from ablate.events.tables import texts_of
from ablate.events.tree import Sources, Written, rebuild_tree, refresh
from ablate.events.trials import DRAWN, Illustrate
from ablate.store import Store
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.study import Study
from ablate.study.trial import Trial, TrialResult


def rebuild(
    store: Store,
    outcome: StudyResults,
    *,
    points: Mapping[str, str] | None = None,
    limit: int | None = RUNS,
    illustrate: Illustrate | None = None,
) -> Written:
    """Write the TensorBoard files of a study anew from its results.

    The old ones stay until the new ones are whole.

    Args:
        store: the study's folder.
        outcome: its results, in plan order.
        points: the search point of a trial, by trial id.
        limit: how many TensorBoard runs to write at most; None for all.
        illustrate: draws a trial's images from its probe arrays.

    Returns:
        what was written, and what was left out.
    """
    board = _with_texts(board_of(store, outcome.study, outcome.resolved, points, limit), outcome)
    return rebuild_tree(store.tensorboard, board, outcome.results, sources_of(store, illustrate))


def update(
    store: Store,
    outcome: StudyResults,
    *,
    points: Mapping[str, str] | None = None,
    limit: int | None = RUNS,
    illustrate: Illustrate | None = None,
) -> Written:
    """Write what is missing of a study's TensorBoard files, images too; as `rebuild` else."""
    board = _with_texts(board_of(store, outcome.study, outcome.resolved, points, limit), outcome)
    return refresh(store.tensorboard, board, outcome.results, sources_of(store, illustrate))


def behind(store: Store) -> bool:
    """Return whether a result is newer than the event files, or images are still to be drawn."""
    records = [each.stat().st_mtime for each in store.trials.glob("*.json")]
    files = [each.stat().st_mtime for each in store.tensorboard.glob("*tfevents*")]
    if not records or not files or max(records) > max(files):
        return bool(records)
    probed = any(True for _ in store.trials.glob("*.npz"))
    return probed and not any(True for _ in store.tensorboard.rglob(f"*.{DRAWN}"))


def _with_texts(board: Board, outcome: StudyResults) -> Board:
    return replace(board, texts={**board.texts, **texts_of(outcome)})


def board_of(
    store: Store,
    study: Study,
    resolved: Sequence[ResolvedVariant],
    points: Mapping[str, str] | None = None,
    limit: int | None = RUNS,
) -> Board:
    """Return what the event files are told of a study besides its trials."""
    texts = {}
    if store.exists():
        texts["study"] = f"```yaml\n{store.read_study()}\n```"
    return Board(
        study=study.study,
        baseline=study.baseline or (resolved[0].name if resolved else ""),
        confidence=study.analysis.confidence,
        texts=texts,
        points=points or {},
        limit=limit,
    )


def sources_of(store: Store, illustrate: Illustrate | None = None) -> Sources:
    """Return where the rest of a trial lies in the store."""

    def ended(trial: str) -> float:
        try:
            return store.result_file(trial).stat().st_mtime
        except OSError:
            return time.time()

    return Sources(arrays=store.arrays, illustrate=illustrate, ended=ended)


def named(trials: Iterable[Trial], results: Mapping[str, TrialResult]) -> list[TrialResult]:
    """Return the results in plan order, each under its variant; shared ones more than once."""
    return [
        replace(results[each.id], variant=each.variant, seed=each.seed, factors=each.factors)
        for each in trials
        if each.id in results
    ]
