"""The board of a study as it lies in the store, with what its analysis says in words.

The Text tab has the short form of a report: the answer, one row per variant for the headline
metric, and all that must be said.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from ablate.analysis import Analysis, Effect, MetricSummary
from ablate.analysis.formatting import amount, p_words
from ablate.analysis.sentences import conclusion, estimate
from ablate.events.board import RUNS, Board, Illustrate
from ablate.events.files import SHOWN, event_files
from ablate.events.tree import Written, rebuild_tree, refresh
from ablate.events.trials import DRAWN
from ablate.store import Store
from ablate.study.results import StudyResults


def update(
    store: Store,
    outcome: StudyResults,
    analysis: Analysis | None = None,
    *,
    points: Mapping[str, str] | None = None,
    limit: int | None = RUNS,
    illustrate: Illustrate | None = None,
    images: Mapping[str, bytes] | None = None,
    anew: bool = False,
) -> Written:
    """Write what is missing of a study's TensorBoard files, images too.

    Args:
        store: the study's folder.
        outcome: its results, in plan order.
        analysis: of them, for the Text tab; None where there are none.
        points: the search point of a trial, by trial id.
        limit: how many TensorBoard runs to write at most; None for all.
        illustrate: draws a trial's images from its probe arrays.
        images: PNGs of the whole study, by title.
        anew: write everything; the old files stay until the new ones are whole.

    Returns:
        what was written, and what was left out.
    """
    board = board_of(store, outcome, points, limit, illustrate)
    board = replace(board, images=images or {})
    if analysis is not None:
        board = with_table(board, analysis)
    return (rebuild_tree if anew else refresh)(store.tensorboard, board, outcome.results)


def behind(store: Store) -> bool:
    """Return whether a result is newer than the event files, or images are still to be drawn."""
    records = [each.stat().st_mtime for each in store.trials.glob("*.json")]
    files = [each.stat().st_mtime for each in event_files(store.tensorboard)]
    if not records or not files or max(records) > max(files):
        return bool(records)
    if any(True for _ in store.tensorboard.glob(f"*/seed*/*{SHOWN}*")):
        return True  # of a version that showed every seed
    drawn = any(True for _ in store.tensorboard.rglob(f"*.{DRAWN}"))
    return not drawn and any(each.probes for each in store.results().values())


def board_of(
    store: Store,
    outcome: StudyResults,
    points: Mapping[str, str] | None = None,
    limit: int | None = RUNS,
    illustrate: Illustrate | None = None,
) -> Board:
    """Return what the event files of a study hold besides its trials."""

    def ended(trial: str) -> float:
        try:
            return store.result_file(trial).stat().st_mtime
        except OSError:
            return time.time()

    study, resolved = outcome.study, outcome.resolved
    return Board(
        study=study.study,
        baseline=study.baseline or (resolved[0].name if resolved else ""),
        confidence=study.analysis.confidence,
        texts={"study": f"```yaml\n{store.read_study()}\n```"} if store.exists() else {},
        points=points or {},
        objective=study.search.objective if study.search is not None else "val_loss",
        limit=limit,
        arrays=store.arrays,
        illustrate=illustrate,
        ended=ended,
    )


def with_table(board: Board, analysis: Analysis) -> Board:
    """Return the board with the analysis in its texts."""
    return replace(board, texts={**board.texts, "table": table(analysis)})


def table(found: Analysis) -> str:
    """Return the answer in words and one row per variant."""
    lines = [*found.answer, "", f"`{found.metric}` of each variant.", ""]
    lines += [
        "| variant | seeds | lost | mean | minus baseline | p (corrected) | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in found.by_effect:
        each, effect = found.variant(name), found.effect(name)
        metric = each.metrics.get(found.metric, MetricSummary())
        cells = [
            f"**{name}** (baseline)" if name == found.baseline else name,
            str(each.n),
            f"{each.failures.lost.count} of {each.failures.lost.of}",
            "" if metric.mean is None else amount(found.metric, metric.mean, metric.sd),
            *(_difference(effect, found.confidence) if effect else ("", "", "")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {guard.words}" for guard in found.guards)]
    return "\n".join(lines)


def _difference(effect: Effect, confidence: float) -> tuple[str, str, str]:
    """Return a difference with its interval, its p, and what it amounts to, as the report does."""
    if effect.mean is None:
        return "", "", conclusion(effect, confidence, brief=True)
    p = "" if effect.p_holm is None else p_words(effect.p_holm).removeprefix("p = ")
    return estimate(effect, confidence, brief=True), p, conclusion(effect, confidence, brief=True)
