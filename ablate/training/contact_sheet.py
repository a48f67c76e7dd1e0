"""Rows as augmentation makes them, for a look before anything trains."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ablate.errors import StudyError
from ablate.study.preview import AugmentedRows
from ablate.study.trial import Trial
from ablate.training import model_cache
from ablate.training.feed import ready
from ablate.training.rows import rows_of

#: Rows that are shown, and draws of each.
ROWS = 8
DRAWS = 5


def augmented_rows(trial: Trial) -> AugmentedRows:
    """Return rows of a trial's first batch as they are and as the first step of epochs sees them.

    The first draw is what the first step of the first epoch trains on, to the bit.

    Raises:
        StudyError: the rows are no images, or the augmentation is not as it should be.
    """
    spec, seed = trial.spec, trial.seed
    rows = rows_of(spec, seed)
    augmentation = model_cache.make(spec, rows, seed).program.augmentation
    size = spec.train.batch_size
    with closing(rows.train.start(rows.train.order(seed, 0), size)) as taken:
        piece = taken.piece(0)
        chosen = np.asarray(piece.indices)[:size]
        batch = keras.tree.map_structure(lambda leaf: tf.gather(leaf, chosen), piece.data)
    batch = ready(batch, rows.train.scales)
    if keras.tree.is_nested(batch[0]) or len(batch[0].shape) != 4:
        raise StudyError("--images shows images, and the rows of this study are none.")
    drawn = [
        augmentation.trained(batch, augmentation.seeds(seed, epoch), 0) for epoch in range(DRAWS)
    ]
    names = rows.splits.class_names
    return AugmentedRows(
        variant=trial.variant,
        seed=seed,
        pixels=tuple(np.asarray(each[0], np.float32)[:ROWS] for each in (batch, *drawn)),
        labels=tuple(
            tuple(_label(y, names) for y in np.asarray(each[1])[:ROWS]) for each in (batch, *drawn)
        ),
    )


def _label(y: Any, names: tuple[str, ...] | None) -> str:
    """Return a label, or the two largest shares of one that is mixed."""

    def name(index: int) -> str:
        return names[index] if names is not None and index < len(names) else str(index)

    y = np.asarray(y)
    if y.ndim == 0 and y.dtype.kind in "iu":
        return name(int(y))
    if y.ndim == 1 and len(y) > 1 and abs(float(y.sum()) - 1) < 1e-3:
        first, second = np.argsort(-y, kind="stable")[:2]
        mixed = f", {name(int(second))} {y[second]:.2f}" if y[second] >= 0.005 else ""
        return f"{name(int(first))} {y[first]:.2f}{mixed}" if mixed else name(int(first))
    return f"{float(y.ravel()[0]):.2f}" if y.size == 1 else ""
