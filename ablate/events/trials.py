"""One trial as event files: its curves, its final metrics, what its probes saw.

Each trial has files in three folders. Its own file is named after the trial and written last, so
its presence says that the trial is all there. All are shown on request, but for the row in HParams
of a search's point; the rows of variants are written by `ablate.events.tree`.

Probe arrays are read by their names alone: with `<probe>/epochs` (T,), TensorBoard is shown
`<probe>/scalar/<series>` (T,) and the pair `<probe>/counts/<series>` (T, bins) and
`<probe>/edges/<series>` (T, bins + 1). Everything else a probe stores is for the report.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorboard.plugins.hparams import api_pb2

from ablate.events import hparams
from ablate.events.board import Arrays, Board, folder_name, session
from ablate.events.files import ON_REQUEST, Point, event_files, write
from ablate.events.summaries import histogram, image, scalar
from ablate.study.trial import Trial, TrialResult

Columns = Mapping[str, api_pb2.HParamInfo]

#: How the name of a file with what probes saw ends: with the trial's images, or without.
DRAWN, PLAIN = "drawn", "plain"

_TRIAL = "trial"


def write_trial(
    root: Path,
    board: Board,
    result: TrialResult,
    columns: Columns,
    *,
    arrays: Arrays | None = None,
) -> None:
    """Write all event files of one trial anew.

    Args:
        root: the board's folder.
        board: what else belongs to the trial.
        result: the trial, final or not.
        columns: the HParams columns, of `hparams.columns`.
        arrays: what its probes stored; by default, the board gives them.
    """
    arrays = board.arrays(result.id) if arrays is None else arrays
    folder, ended = root / session(board, result), board.ended(result.id)
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("train", "validation"):
        write(folder / part, result.id[:12], _curves(result, part, ended), on_request=True)
    points = [*_session(board, result, columns, ended), *_probes(arrays, ended)]
    label = f"{_label(board, result, columns)}.{_TRIAL}"
    write(folder, label, points, on_request=not board.searched(result))


def written(root: Path, board: Board, result: TrialResult, columns: Columns) -> bool:
    """Return whether the trial is all there, shown or on request as it now is."""
    label = f"{_label(board, result, columns)}.{_TRIAL}"
    names = [each.name for each in event_files(root / session(board, result))]
    return any(
        name.endswith(label) and (ON_REQUEST in name) is not board.searched(result)
        for name in names
    )


def write_probes(
    root: Path,
    board: Board,
    result: TrialResult,
    *,
    arrays: Arrays | None = None,
    draw: bool = False,
) -> None:
    """Show what the probes of a variant's first seed saw as the variant's, if it is not yet.

    Args:
        root: the board's folder.
        board: what else belongs to the trial.
        result: the trial.
        arrays: what its probes stored; by default, the board gives them.
        draw: whether its images are drawn, which takes longer than all the rest.
    """
    folder, ended = root / folder_name(result.variant), board.ended(result.id)
    wanted = {f"{result.id[:12]}.{kind}" for kind in ((DRAWN,) if draw else (DRAWN, PLAIN))}
    old = [each for each in event_files(folder) if each.suffix[1:] in (DRAWN, PLAIN)]
    if any(".".join(each.name.split(".")[-2:]) in wanted for each in old):
        return
    arrays = board.arrays(result.id) if arrays is None else arrays
    points = list(_probes(arrays, ended, ending=f", seed {result.seed}"))
    if draw and board.illustrate is not None and arrays:
        points += [
            Point(image(f"{tag}, seed {result.seed}", png), epoch, ended)
            for (tag, epoch), png in board.illustrate(result, arrays).items()
        ]
    write(folder, f"{result.id[:12]}.{DRAWN if draw else PLAIN}", points)
    for each in old:
        each.unlink(missing_ok=True)


def _label(board: Board, result: TrialResult, columns: Columns) -> str:
    """Name the trial's own file by all that it depends on but the texts."""
    declared = "".join(f"{name}:{info.type};" for name, info in columns.items())
    content = f"{declared * board.searched(result)}{result.status}{sorted(result.probes)}"
    return f"{result.id[:12]}.{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def row(board: Board, trial: Trial | TrialResult) -> hparams.Configuration:
    """Return what decides the row of a trial in the HParams tab."""
    return hparams.Configuration.of(board.study, trial, searched=board.searched(trial))


def epoch_points(
    logs: Mapping[str, float | None], epoch: int, seconds: float
) -> dict[str, list[Point]]:
    """Return one epoch of a history as points by part, `train` and `validation`.

    Tags are Keras's own: `epoch_loss`, `epoch_accuracy`, `epoch_learning_rate`.
    """
    parts: dict[str, list[Point]] = {"train": [], "validation": []}
    for name, value in logs.items():
        if value is not None and math.isfinite(value):
            part = "validation" if name.startswith("val_") else "train"
            tag = f"epoch_{name.removeprefix('val_')}"
            parts[part].append(Point(scalar(tag, value), epoch, seconds))
    return parts


def _curves(result: TrialResult, part: str, ended: float) -> Iterator[Point]:
    length = max((len(each) for each in result.curves.values()), default=0)
    seconds = result.seconds.get("total", 0.0)
    for epoch in range(length):
        logs = {name: each[epoch] for name, each in result.curves.items() if epoch < len(each)}
        if result.phases:
            logs["phase"] = float(phase_at(epoch, result.phases))
        at = ended - seconds * (1 - epoch / max(length - 1, 1))
        yield from epoch_points(logs, epoch, at)[part]


def phase_at(epoch: int, ends: Sequence[int]) -> int:
    """Return the phase, from 1, that an epoch belongs to; `ends` are their last epochs.

    >>> [phase_at(epoch, (2, 5)) for epoch in range(6)]
    [1, 1, 1, 2, 2, 2]
    """
    return 1 + sum(epoch > end for end in ends[:-1])


def _session(board: Board, result: TrialResult, columns: Columns, ended: float) -> Iterator[Point]:
    began = ended - result.seconds.get("total", 0.0)
    if board.searched(result):
        yield Point(hparams.session_start(row(board, result), columns, began), 0, began)
    for tag, value in hparams.final_metrics([result]).items():
        yield Point(scalar(tag, value), result.epochs, ended)
    if board.searched(result):
        yield Point(hparams.session_end(result.status, ended), 0, ended)


def _probes(arrays: Arrays, ended: float, ending: str = "") -> Iterator[Point]:
    for name, array in sorted(arrays.items()):
        probe, kind, series = [*name.split("/", 2), "", ""][:3]
        epochs = arrays.get(f"{probe}/epochs")
        if epochs is None or kind not in ("scalar", "counts"):
            continue
        edges, tag = arrays.get(f"{probe}/edges/{series}"), f"{probe}/{series}{ending}"
        for at, epoch in enumerate(epochs):
            if kind == "scalar":
                if np.isfinite(array[at]):
                    yield Point(scalar(tag, array[at]), int(epoch), ended)
            elif edges is not None and np.isfinite(edges[at]).all():
                yield Point(histogram(tag, edges[at], array[at]), int(epoch), ended)
