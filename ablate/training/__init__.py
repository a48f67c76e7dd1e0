"""Training: trials in, results out.

`configure` fixes the threads of a process, `run_group` trains trials that share a program,
`preview` builds variants without training them, `found_in` finds what leave-one-out leaves out,
`brought_by_model` what a base model was compiled with and which weights it keeps.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # whatever ~/.keras/keras.json says

from ablate.training.preview import (
    brought_by_model,
    found_in,
    network_of,
    preview,
    seconds_per_epoch,
)
from ablate.training.seeding import derive, order
from ablate.training.setup import configure
from ablate.training.trial import run_group

__all__ = [
    "brought_by_model",
    "configure",
    "derive",
    "found_in",
    "network_of",
    "order",
    "preview",
    "run_group",
    "seconds_per_epoch",
]
