"""What a board holds, and where under its folder each thing is.

`Board` is the value that everything here is given; `session`, `spread` and `choose` decide which
folders (TensorBoard calls each a run) there are. Below `logs/<study>/tensorboard/`:

    .                                texts, the Custom Scalars layout, the columns of HParams
    <variant>/                       the variant: its mean curves and differences, with intervals,
                                     its row in HParams, what its first seed's probes saw
    <variant>/seed<k>/               a trial: final metrics, probes       (on request)
    <variant>/seed<k>/train/         its curves on the training rows      (on request)
    <variant>/seed<k>/validation/    and on the validation rows           (on request)
    search/<variant>/                the score of each point against each searched value
    search/<variant>/<point>/seed<k>/…   a point: its row in HParams; its curves on request

Whoever opens TensorBoard on the folder sees variants; `ablate board --seeds` adds what is there on
request (`ablate.events.files`).
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np

from ablate.study.trial import Trial, TrialResult

#: Runs of seeds that the page shows without trouble; it slows beyond.
RUNS = 250

#: With a search, whose every point is to be a row of the HParams tab.
SEARCH_RUNS = 750

#: A trial, its training curves, its validation curves.
RUNS_PER_TRIAL = 3

_LONGEST = 64

Planned = TypeVar("Planned", Trial, TrialResult)

Arrays = Mapping[str, np.ndarray]

#: Draws the images of a trial: (result, probe arrays) to PNG bytes by tag and epoch.
Illustrate = Callable[[TrialResult, Arrays], Mapping[tuple[str, int], bytes]]


@dataclass(frozen=True)
class Board:
    """What the event files of a study hold besides its trials, and where the rest of a trial is.

    `texts` are Markdown by title, for the Text tab (the study file, the table, the certificate).
    `images` are PNGs by title, for the Images tab (the map of a screening).
    `points` names the search point of a trial, by trial id; a trial without one is the study's.
    `objective` is what the points are scored by.
    `limit` is how many runs to write at most, None for all. By trial id, `arrays` gives what its
    probes stored and `ended` when it ended, in seconds since 1970; `illustrate` draws its images.
    """

    study: str
    baseline: str
    confidence: float = 0.95
    texts: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, bytes] = field(default_factory=dict)
    points: Mapping[str, str] = field(default_factory=dict)
    objective: str = "val_loss"
    limit: int | None = RUNS
    arrays: Callable[[str], Arrays] = lambda trial: {}
    illustrate: Illustrate | None = None
    ended: Callable[[str], float] = lambda trial: time.time()

    def searched(self, trial: Trial | TrialResult) -> bool:
        """Whether a trial is a point of the search and not the study's own."""
        return trial.id in self.points

    def own(self, trials: Iterable[Planned]) -> list[Planned]:
        """Return the study's own trials; a search's are no part of a variant's mean."""
        return [each for each in trials if not self.searched(each)]


def folder_name(name: str) -> str:
    """Return `name` as a folder name; a long one is cut and made unique by a hash."""
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def session(board: Board, trial: Trial | TrialResult) -> PurePosixPath:
    """Return the folder of a trial, relative to the board's."""
    point = board.points.get(trial.id)
    variant = folder_name(trial.variant)
    place = PurePosixPath("search", variant, point) if point else PurePosixPath(variant)
    return place / f"seed{trial.seed}"


def choose(board: Board, trials: Sequence[Planned]) -> list[Planned]:
    """Return the trials that are written one by one, at most `board.limit` runs of them.

    The study's own come before a search's, and every variant has its first seed in before any
    has its second. The means are over all trials, whichever are chosen.
    """
    seen: Counter[tuple[str, bool]] = Counter()
    places = []
    for each in trials:
        key = (each.variant, board.searched(each))
        places.append((key[1], seen[key]))
        seen[key] += 1
    ranked = [each for _, each in sorted(zip(places, trials, strict=True), key=itemgetter(0))]
    if board.limit is None:
        return ranked
    variants = {each.variant for each in board.own(trials)}
    room = board.limit - 1 - len(variants)  # the root and the variants' own
    return ranked[: max(room // RUNS_PER_TRIAL, 0)]


def first_seeds(board: Board, results: Iterable[TrialResult]) -> list[TrialResult]:
    """Return each variant's first completed seed with probes, which are shown as the variant's."""
    found: dict[str, TrialResult] = {}
    for each in sorted(board.own(results), key=lambda each: each.seed):
        if each.status == "completed" and each.probes:
            found.setdefault(each.variant, each)
    return list(found.values())
