"""Networks: built by name, brought in a file, or returned by a function; plain, with a head.

`base` builds the model a study starts from, `build` a network by name with layers placed in
it; `auto_loss` and `auto_metrics` read what its output means, `origin` which weights it keeps.
"""

from ablate.models.build import base, build
from ablate.models.ends import Ends, Goal
from ablate.models.heads import auto_loss, auto_metrics, outputs_with_targets
from ablate.models.initializers import initializer
from ablate.models.loss_mismatches import Judged, loss_mismatch, takes_scores
from ablate.models.metric_mismatches import metric_mismatch
from ablate.models.origin import Origin, origin
from ablate.models.outputs import Output, output_activations

__all__ = [
    "Ends",
    "Goal",
    "Judged",
    "Origin",
    "Output",
    "auto_loss",
    "auto_metrics",
    "base",
    "build",
    "initializer",
    "loss_mismatch",
    "metric_mismatch",
    "origin",
    "output_activations",
    "outputs_with_targets",
    "takes_scores",
]
