"""Probes: measurements inside a network between epochs, one file each.

A probe sees a few validation rows (`probe_rows`), between epochs, and changes nothing that a trial
is judged by: all probes on gives the same bits as none. What it measures goes to the trial's
record as arrays; TensorBoard and the report draw it. `ablate.probes.context` is the agreement.
"""

from ablate.probes.activations import Activations
from ablate.probes.batchnorm import Batchnorm
from ablate.probes.context import Context, Probe
from ablate.probes.covariate_shift import CovariateShift
from ablate.probes.dropout import Dropout
from ablate.probes.fitted_curve import FittedCurve
from ablate.probes.gradients import Gradients
from ablate.probes.landscape import Landscape
from ablate.probes.mistakes import Mistakes
from ablate.probes.perturbation import Perturbation
from ablate.probes.variance_shift import VarianceShift

#: Every probe by the name that a study gives it.
PROBES: dict[str, type] = {
    "activations": Activations,
    "batchnorm": Batchnorm,
    "covariate_shift": CovariateShift,
    "dropout": Dropout,
    "fitted_curve": FittedCurve,
    "gradients": Gradients,
    "landscape": Landscape,
    "mistakes": Mistakes,
    "perturbation": Perturbation,
    "variance_shift": VarianceShift,
}

__all__ = ["PROBES", "Context", "Probe"]
