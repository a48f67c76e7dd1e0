"""TensorBoard event files of a study, written without TensorFlow.

Trial results enter, and what their probes stored; a folder that `tensorboard --logdir` opens
leaves. It holds nothing of its own: `rebuild` makes it again from the results at any time, and
`LiveEvents` makes it grow while a study runs. `ablate.events.board` says where each thing stands.
"""

from ablate.events.board import RUNS, SEARCH_RUNS, Board, folder_name
from ablate.events.live import LiveEvents
from ablate.events.shared import share
from ablate.events.study import behind, rebuild, update
from ablate.events.tree import Written
from ablate.events.trials import Illustrate

__all__ = [
    "RUNS",
    "SEARCH_RUNS",
    "Board",
    "Illustrate",
    "LiveEvents",
    "Written",
    "behind",
    "folder_name",
    "rebuild",
    "share",
    "update",
]
