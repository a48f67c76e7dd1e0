"""Networks: built by name, brought in a file, or returned by a function; plain, with a head.

`base` builds the model a study starts from, `build` a network by name with layers placed in
it; `auto_loss` and `auto_metrics` read what its output means, `origin` which weights it keeps.
"""

from ablate.models.build import base, build, dtype_policy
from ablate.models.fitting import Judged
from ablate.models.initializers import initializer
from ablate.models.loss_mismatches import loss_mismatch, takes_scores
from ablate.models.losses import auto_loss, auto_metrics, outputs_with_targets
from ablate.models.metric_mismatches import metric_mismatch
from ablate.models.origin import Origin, origin
from ablate.models.outputs import Output, output_activations
from ablate.study.specs import InputOutputSpec, Target

__all__ = [
    "InputOutputSpec",
    "Judged",
    "Origin",
    "Output",
    "Target",
    "auto_loss",
    "auto_metrics",
    "base",
    "build",
    "dtype_policy",
    "initializer",
    "loss_mismatch",
    "metric_mismatch",
    "origin",
    "output_activations",
    "outputs_with_targets",
    "takes_scores",
]
