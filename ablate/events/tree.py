"""The whole board of a study from its results, at any time again.

`rebuild_tree` makes a new tree next to the old one and swaps them, so a reader sees one or the
other. `refresh` brings a tree up to date in place: it adds the trials that are missing, drops those
no longer in the study, and writes the means and the texts anew. Nothing is known here that the
results and the probe arrays do not say.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.events import hparams, layout
from ablate.events.board import (
    Board,
    choose,
    first_seeds,
    folder_name,
    session,
)
from ablate.events.files import Point, event_files, write
from ablate.events.means import Band, bands, differences
from ablate.events.summaries import image, scalar, text
from ablate.events.trials import Columns, row, write_probes, write_trial, written
from ablate.study.search_points import CONFIRMED
from ablate.study.trial import TrialResult

#: Label of the file that declares the HParams columns: a board of many studies leaves it out.
COLUMNS = "columns"


@dataclass(frozen=True)
class Written:
    """What a board holds: trials in it one by one, trials left out of that, runs that are shown."""

    shown: int
    left_out: int
    runs: int

    def __str__(self) -> str:
        total = self.shown + self.left_out
        text = f"{total} trials in {self.runs} TensorBoard runs; each seed by itself: --seeds"
        if not self.left_out:
            return f"{text}."
        return f"{text}, of {self.shown} trials; of the other {self.left_out} too: --all-runs."


@dataclass(frozen=True)
class Summary:
    """The bands of a study by variant and curve, of the means and of the paired differences, and
    the results behind them by variant."""

    means: dict[str, dict[str, Band]]
    paired: dict[str, dict[str, Band]]
    results: dict[str, list[TrialResult]]

    @property
    def charts(self) -> tuple[list[str], list[str]]:
        """The curves that are drawn: as means, and as differences to the baseline."""
        return _names(self.means), _names(self.paired)

    @classmethod
    def of(cls, board: Board, results: Sequence[TrialResult]) -> Summary:
        """Summarise the study's own trials."""
        own = board.own(results)
        by_variant: dict[str, list[TrialResult]] = {}
        for each in own:
            by_variant.setdefault(each.variant, []).append(each)
        return cls(
            bands(own, board.confidence),
            differences(own, board.baseline, board.confidence),
            by_variant,
        )


def rebuild_tree(root: Path, board: Board, results: Sequence[TrialResult]) -> Written:
    """Write the board of a study anew and put it in the place of what was there.

    Args:
        root: the board's folder.
        board: the study's name, its baseline, what else the board shows.
        results: the trials of the study as it now is, in the order of their variants.

    Returns:
        what was written.
    """
    fresh = root.with_name(f".{root.name}.{time.time_ns()}.new")
    try:
        done = refresh(fresh, board, results)
        if root.exists():
            old = fresh.with_suffix(".old")
            root.rename(old)
            fresh.rename(root)
            shutil.rmtree(old, ignore_errors=True)
        else:
            fresh.rename(root)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return done


def refresh(root: Path, board: Board, results: Sequence[TrialResult]) -> Written:
    """Bring a board up to date in place; arguments and returns of `rebuild_tree`."""
    root.mkdir(parents=True, exist_ok=True)
    shown = choose(board, results)
    columns = hparams.columns(row(board, each) for each in results)
    drop_strangers(root, board, results, shown)
    for each in shown:
        if not written(root, board, each, columns):
            write_trial(root, board, each, columns)
    for each in first_seeds(board, results):
        write_probes(root, board, each, draw=board.illustrate is not None)
    return write_summary(root, board, results, len(shown), columns)


def write_summary(
    root: Path, board: Board, results: Sequence[TrialResult], shown: int, columns: Columns
) -> Written:
    """Write all that is over several trials anew: the means, their charts, texts and columns.

    Args:
        root: the board's folder.
        board: as `rebuild_tree` has it.
        results: the trials that have an outcome.
        shown: how many of them are written one by one.
        columns: those of the HParams tab.

    Returns:
        what the board holds.
    """
    summary, now = Summary.of(board, results), time.time()
    write_means(root, board, summary, columns)
    searched = write_scores(root, board, results)
    points = {session(board, each) for each in results if board.searched(each)}
    runs = 1 + len(summary.results) + len(searched) + len(points)
    done = Written(shown, len(results) - shown, runs)
    texts = {**board.texts, "about": _about(board, str(done))}
    written_texts = [
        Point(text(f"{board.study}/{title}", markdown.encode()), 0, now)
        for title, markdown in texts.items()
    ]
    written_texts += [
        Point(image(f"{board.study}/{each}", png), 0, now) for each, png in board.images.items()
    ]
    curves, paired = summary.charts
    if curves or searched:
        titles = list(dict.fromkeys(title for each in searched.values() for title in each))
        charts = layout.layout(board.study, board.baseline, curves, paired, titles)
        written_texts.append(Point(charts, 0, now))
    replace(root, "texts", written_texts)
    if columns:
        metrics = hparams.final_metrics(results)
        declared = hparams.declaration(hparams.experiment(columns, metrics))
        replace(root, COLUMNS, [Point(declared, 0, now)])
    return done


def write_means(
    root: Path,
    board: Board,
    summary: Summary,
    columns: Columns,
    only: Collection[str] | None = None,
    under_way: Collection[str] = (),
) -> None:
    """Write each variant anew, or those in `only`: its row in HParams and its bands.

    The row of a variant that is `under_way` has no end yet.
    """
    now = time.time()
    for variant, results in summary.results.items():
        if only is not None and variant not in only:
            continue
        points = [
            *_row(board, results, columns, ends=variant not in under_way),
            *layout.points(board.study, layout.MEAN, summary.means.get(variant, {}), now),
            *layout.points(board.study, layout.DIFFERENCE, summary.paired.get(variant, {}), now),
        ]
        replace(root / folder_name(variant), "means", points)


def _row(
    board: Board, results: Sequence[TrialResult], columns: Columns, *, ends: bool
) -> Iterator[Point]:
    """Yield a variant's session: what it is, its means, and how it ended."""
    ended = max(board.ended(each.id) for each in results)
    began = min(board.ended(each.id) - each.seconds.get("total", 0.0) for each in results)
    yield Point(hparams.session_start(row(board, results[0]), columns, began), 0, began)
    for tag, value in hparams.final_metrics(results).items():
        yield Point(scalar(tag, value), max(each.epochs for each in results), ended)
    if ends:
        completed = any(each.status == "completed" for each in results)
        status = "completed" if completed else results[0].status
        yield Point(hparams.session_end(status, ended), 0, ended)


def write_scores(
    root: Path, board: Board, results: Sequence[TrialResult]
) -> dict[str, layout.Scores]:
    """Write each searched variant's scores anew, and return them by variant.

    What was searched is what differs among the points of a variant.
    """
    found: dict[str, list[TrialResult]] = {}
    for each in results:
        # Fresh seeds confirm a winner; they are no part of the score it was chosen by.
        chosen_by = board.searched(each) and board.points[each.id] != CONFIRMED
        if chosen_by and each.status == "completed":
            found.setdefault(each.variant, []).append(each)
    charts = {}
    for variant, trials in found.items():
        scored = [
            (hparams.flatten(each.spec), score)
            for each in trials
            if (score := each.metrics.get(board.objective)) is not None
        ]
        names = dict.fromkeys(name for values, _ in scored for name in values)
        pairs = {
            name: [
                (v, score) for values, score in scored if (v := _number(values, name)) is not None
            ]
            for name in names
            if len({json.dumps(values.get(name)) for values, _ in scored}) > 1
        }
        charts[variant] = layout.scores(
            board.objective, {name: each for name, each in pairs.items() if len(each) > 1}
        )
        points = list(layout.score_points(board.study, charts[variant], time.time()))
        replace(root / "search" / folder_name(variant), "scores", points)
    return {variant: each for variant, each in charts.items() if each}


def _number(values: Mapping[str, hparams.Value], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def drop_strangers(
    root: Path, board: Board, results: Sequence[TrialResult], shown: Sequence[TrialResult]
) -> None:
    """Remove the folders of variants, seeds and points that are not shown any more."""
    kept = {root / session(board, each) for each in shown}
    kept |= {root / folder_name(each.variant) for each in results}
    parents = {parent for each in kept for parent in each.parents}
    for folder in list(_folders(root)):
        if folder.is_dir() and folder not in kept and folder not in parents:
            shutil.rmtree(folder, ignore_errors=True)


def replace(folder: Path, label: str, points: Sequence[Point]) -> None:
    """Write an event file and then remove the older ones of its label."""
    old = [each for each in event_files(folder) if each.name.endswith(f".{label}")]
    write(folder, label, points)
    for each in old:
        each.unlink(missing_ok=True)


def _folders(root: Path, depth: int = 0) -> Iterator[Path]:
    """Yield every folder down to the sessions, which are left whole."""
    for folder in sorted(each for each in root.iterdir() if each.is_dir()):
        yield folder
        if folder.is_dir() and not (depth and re.fullmatch(r"seed\d+", folder.name)):
            yield from _folders(folder, depth + 1)


def _names(found: Mapping[str, Mapping[str, Band]]) -> list[str]:
    return list(dict.fromkeys(curve for curves in found.values() for curve in curves))


def _about(board: Board, holds: str) -> str:
    return "\n".join(
        [
            f"# {board.study}",
            "",
            holds,
            "",
            "- **Custom Scalars**: each variant's mean over its seeds with its"
            f" {board.confidence:.0%} t interval, epoch by epoch, and the same for the difference"
            f" to `{board.baseline}`, paired by seed. A line without a band is over fewer than"
            " three seeds. These are intervals of single epochs, not of the whole curve.",
            "- **Ablation**: the report on the study as it now is.",
            "- **HParams**: a row per variant, averaged over its seeds; `lost` is the share of"
            " its seeds that diverged or failed, and the other metrics are of the rest.",
            "- **Time Series** and **Scalars**: the same means; step 0 is before training. Every"
            f" seed by itself: `ablate board {board.study} --seeds`.",
            "- What **probes** saw (images, distributions) is of each variant's first seed.",
        ]
    )
