"""The whole board of a study from its results, at any time again.

`rebuild_tree` makes a new tree next to the old one and swaps them, so a reader sees one or the
other. `refresh` brings a tree up to date in place: it adds the trials that are missing, drops those
no longer in the study, and writes the means and the texts anew. Nothing is known here that the
results and the probe arrays do not say.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablate.events import hparams, layout
from ablate.events.board import (
    ILLUSTRATED,
    RUNS_PER_TRIAL,
    Board,
    choose,
    folder_name,
    illustrated,
    session,
)
from ablate.events.files import Point, event_files, write
from ablate.events.means import Band, bands, differences
from ablate.events.summaries import image, text
from ablate.events.trials import Columns, row, write_trial, written
from ablate.study.trial import TrialResult

#: Label of the file that declares the HParams columns: a board of many studies leaves it out.
COLUMNS = "columns"


@dataclass(frozen=True)
class Written:
    """What a board holds: trials shown one by one, trials left out of that, runs in all."""

    shown: int
    left_out: int
    runs: int

    def __str__(self) -> str:
        if not self.left_out:
            return f"{self.shown} trials in {self.runs} TensorBoard runs."
        return (
            f"{self.shown} of {self.shown + self.left_out} trials in {self.runs} TensorBoard runs;"
            f" the means are over all of them. The other {self.left_out}: ablate board --all-runs."
        )


@dataclass(frozen=True)
class Summary:
    """The bands of a study by variant and curve: of the means, and of the paired differences."""

    means: dict[str, dict[str, Band]]
    paired: dict[str, dict[str, Band]]

    @property
    def charts(self) -> tuple[list[str], list[str]]:
        """The curves that are drawn: as means, and as differences to the baseline."""
        return _names(self.means), _names(self.paired)

    @classmethod
    def of(cls, board: Board, results: Sequence[TrialResult]) -> Summary:
        """Summarise the study's own trials."""
        own = board.own(results)
        return cls(bands(own, board.confidence), differences(own, board.baseline, board.confidence))


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
    images = illustrated(board, results) if board.illustrate is not None else set()
    for each in shown:
        drawn = each.id in images
        if not written(root / session(board, each), each, columns, drawn=drawn):
            write_trial(root, board, each, columns, drawn=drawn)
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
    summary = Summary.of(board, results)
    write_means(root, board, summary)
    runs = 1 + len(summary.means) + RUNS_PER_TRIAL * shown
    done, now = Written(shown, len(results) - shown, runs), time.time()
    texts = {**board.texts, "about": _about(board, str(done))}
    points = [
        Point(text(f"{board.study}/{title}", markdown.encode()), 0, now)
        for title, markdown in texts.items()
    ]
    points += [
        Point(image(f"{board.study}/{each}", png), 0, now) for each, png in board.images.items()
    ]
    curves, paired = summary.charts
    if curves:
        charts = layout.layout(board.study, board.baseline, curves, paired)
        points.append(Point(charts, 0, now))
    replace(root, "texts", points)
    if columns:
        metrics = [tag for each in results for tag in hparams.final_metrics(each)]
        declared = hparams.declaration(hparams.experiment(columns, metrics))
        replace(root, COLUMNS, [Point(declared, 0, now)])
    return done


def write_means(
    root: Path, board: Board, summary: Summary, only: Collection[str] | None = None
) -> None:
    """Write the bands of each variant anew, or of those in `only`."""
    now = time.time()
    for variant, curves in summary.means.items():
        if only is None or variant in only:
            paired = summary.paired.get(variant, {})
            points = [
                *layout.points(board.study, layout.MEAN, curves, now),
                *layout.points(board.study, layout.DIFFERENCE, paired, now),
            ]
            replace(root / folder_name(variant), "means", points)


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
            "- **HParams**: a row per variant, averaged over its seeds; `lost` is the share of"
            " its seeds that diverged or failed, and the other metrics are of the rest.",
            "- **Scalars**: every seed by itself; step 0 is before training.",
            f"- **Images** of probes are of each variant's first {ILLUSTRATED} seeds; scalars and"
            " histograms are of all.",
        ]
    )
