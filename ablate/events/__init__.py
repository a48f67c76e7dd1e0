"""TensorBoard event files of a study, written without TensorFlow.

The folder that `tensorboard --logdir` opens holds nothing of its own: `update` makes it from the
results and what their probes stored, at any time again, and `LiveEvents` makes it grow while a
study runs. `ablate.events.board` says where each thing is.
"""

from ablate.events.board import RUNS, SEARCH_RUNS, Board, Illustrate, folder_name
from ablate.events.live import LiveEvents
from ablate.events.shared import share
from ablate.events.study import behind, update
from ablate.events.tree import Written

__all__ = [
    "RUNS",
    "SEARCH_RUNS",
    "Board",
    "Illustrate",
    "LiveEvents",
    "Written",
    "behind",
    "folder_name",
    "share",
    "update",
]
