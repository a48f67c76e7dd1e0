"""Surgery on Keras models: inspect, insert, remove, replace, change, and prove what that did.

Each operation takes a functional or Sequential model, or one that `functional` can make into that,
and returns a new one; the given one is never changed. `hosts` says which layers a selector means,
`sites` where a layer can be inserted, `insert` and `remove` carry it out through `rebuild`;
`replace` and `change` make layers anew in their places. `InstrumentedModel` watches layers at work.
`calibrate` brings normalization to the statistics of images, `certify` measures that two models
compute the same function, `fold` merges normalization into weights. `kinds` is the one table of
layer classes.
"""

from ablate.surgery.batchnorms import (
    FrozenAffine,
    GhostBatchNormalization,
    PartialBatchNormalization,
)
from ablate.surgery.calibrate import calibrate
from ablate.surgery.certificate import Certificate, Difference, Drift, LayerDifference
from ablate.surgery.certify import certify
from ablate.surgery.change import change, replace
from ablate.surgery.classic_dropout import ClassicDropout
from ablate.surgery.decisions import SiteDecision, plan_insertions
from ablate.surgery.diagnostics import dropout_before_norm
from ablate.surgery.exchange import LayerDecision, plan_changes, plan_replacements
from ablate.surgery.fold import Folding, FoldReport, fold, fold_report
from ablate.surgery.hosts import Host, select
from ablate.surgery.insert import insert
from ablate.surgery.instrumented_model import InstrumentedModel, Watch
from ablate.surgery.outline import outline
from ablate.surgery.paths import canonical_paths
from ablate.surgery.rebuild import Edits, RebuiltModel, rebuild
from ablate.surgery.record import Changed, Inserted, changed, inserted
from ablate.surgery.remove import remove
from ablate.surgery.sites import Site, sites
from ablate.surgery.task_around import task_around
from ablate.surgery.tracing import Traced, functional, lost_methods, trace
from ablate.surgery.training_noise import DriftingNoise, EarlyDropout

__all__ = [
    "Certificate",
    "Changed",
    "ClassicDropout",
    "Difference",
    "Drift",
    "DriftingNoise",
    "EarlyDropout",
    "Edits",
    "FoldReport",
    "Folding",
    "FrozenAffine",
    "GhostBatchNormalization",
    "Host",
    "Inserted",
    "InstrumentedModel",
    "LayerDecision",
    "LayerDifference",
    "PartialBatchNormalization",
    "RebuiltModel",
    "Site",
    "SiteDecision",
    "Traced",
    "Watch",
    "calibrate",
    "canonical_paths",
    "certify",
    "change",
    "changed",
    "dropout_before_norm",
    "fold",
    "fold_report",
    "functional",
    "insert",
    "inserted",
    "lost_methods",
    "outline",
    "plan_changes",
    "plan_insertions",
    "plan_replacements",
    "rebuild",
    "remove",
    "replace",
    "select",
    "sites",
    "task_around",
    "trace",
]
