"""Surgery on Keras models: inspect, insert, remove, and prove that nothing broke.

Each operation takes a functional or Sequential model and returns a new one; the given one is never
changed. `hosts` says which layers a selector means, `sites` where a layer can be inserted, `insert`
and `remove` carry it out through `rebuild`, `InstrumentedModel` watches layers at work. `calibrate`
brings normalization to the statistics of images, `certify` measures that two models compute the
same function, `fold` merges normalization into weights. `kinds` is the one table of layer classes.
"""

from ablate.surgery.calibrate import calibrate
from ablate.surgery.certificate import Certificate, Difference, Drift, LayerDifference
from ablate.surgery.certify import certify
from ablate.surgery.classic_dropout import ClassicDropout
from ablate.surgery.decisions import SiteDecision, plan_insertions
from ablate.surgery.diagnostics import dropout_before_norm
from ablate.surgery.fold import Folding, FoldReport, fold, fold_report
from ablate.surgery.hosts import Host, select
from ablate.surgery.insert import insert
from ablate.surgery.instrumented_model import InstrumentedModel, Watch
from ablate.surgery.paths import canonical_paths
from ablate.surgery.rebuild import Edits, RebuiltModel, rebuild
from ablate.surgery.record import Inserted, inserted
from ablate.surgery.remove import remove
from ablate.surgery.sites import Site, sites

__all__ = [
    "Certificate",
    "ClassicDropout",
    "Difference",
    "Drift",
    "Edits",
    "FoldReport",
    "Folding",
    "Host",
    "Inserted",
    "InstrumentedModel",
    "LayerDifference",
    "RebuiltModel",
    "Site",
    "SiteDecision",
    "Watch",
    "calibrate",
    "canonical_paths",
    "certify",
    "dropout_before_norm",
    "fold",
    "fold_report",
    "insert",
    "inserted",
    "plan_insertions",
    "rebuild",
    "remove",
    "select",
    "sites",
]
