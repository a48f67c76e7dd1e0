"""A logdir of links: to the boards of several studies, with every seed if that is asked for.

It has `<study>/<variant>/…`, a link for each event file. The studies' own HParams columns are left
out and declared once for all of them, because TensorBoard reads a single declaration in a logdir,
whichever it happens to meet first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.plugins.hparams import api_pb2, metadata

from ablate.events import hparams
from ablate.events.files import SHOWN, Point, event_files, link, read
from ablate.events.tree import COLUMNS, replace


def share(folder: Path, boards: Mapping[str, Path], *, seeds: bool = False) -> None:
    """Link the boards of studies into one logdir; call it again for what is new.

    Args:
        folder: the logdir, which is made where it is not there.
        boards: the folder of each study's board, by the study's name.
        seeds: also link what is shown on request.
    """
    declared = []
    for study, board in boards.items():
        place = folder / study
        place.mkdir(parents=True, exist_ok=True)
        wanted = set()
        for source in board.rglob("events.out.*"):
            if not source.name.endswith(f".{COLUMNS}") and (seeds or SHOWN in source.name):
                wanted.add(link(source, place / source.parent.relative_to(board)))
        for each in set(place.rglob("events.out.*")) - wanted:
            if each.is_symlink():
                each.unlink()
        if (experiment := _declared_in(board)) is not None:
            declared.append(experiment)
    joined = hparams.join(declared)
    if declared and joined != _declared_in(folder):
        replace(folder, COLUMNS, [Point(hparams.declaration(joined), 0, time.time())])


def _declared_in(folder: Path) -> api_pb2.Experiment | None:
    """Return the HParams columns that a folder declares; None when it declares none."""
    for path in event_files(folder):
        if not path.name.endswith(f".{COLUMNS}"):
            continue
        for event in read(path):
            for value in event.summary.value:
                if value.tag == metadata.EXPERIMENT_TAG:
                    return metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
    return None
