"""Networks: built by name, brought in a file, or returned by a function; plain, with a head.

`base` builds the model a study starts from, `build` a network by name with layers placed in
it; `auto_loss` and `auto_metrics` read what its output means, `origin` which weights it keeps.
"""

from ablate.models.build import base, build
from ablate.models.ends import Ends, Goal
from ablate.models.heads import auto_loss, auto_metrics, output_activations
from ablate.models.initializers import initializer
from ablate.models.origin import Origin, origin

__all__ = [
    "Ends",
    "Goal",
    "Origin",
    "auto_loss",
    "auto_metrics",
    "base",
    "build",
    "initializer",
    "origin",
    "output_activations",
]
