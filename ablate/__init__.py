"""Ablation studies of BatchNormalization and Dropout in Keras networks, with evidence.

The names below are the whole public interface. Each is imported when it is first used, so that
`import ablate` takes no time and no TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ablate._version import __version__

if TYPE_CHECKING:
    from ablate.analysis import Analysis, analyze
    from ablate.analysis.across import Across, synthesize
    from ablate.config import load_study
    from ablate.errors import (
        AblateError,
        DataError,
        MissingExtraError,
        StoreError,
        StudyError,
        SurgeryError,
    )
    from ablate.execution.run import run
    from ablate.execution.runner import Interrupted
    from ablate.execution.screen import ScreenResults, screen
    from ablate.models import build
    from ablate.search.hypermodel import hypermodel
    from ablate.study.results import StudyResults
    from ablate.study.schema.placement import Change, Placement, Removal, Replacement
    from ablate.study.schema.variant import Variant
    from ablate.study.study import Study
    from ablate.study.trial import Trial, TrialResult
    from ablate.surgery import (
        Certificate,
        Site,
        calibrate,
        certify,
        change,
        fold,
        insert,
        remove,
        replace,
        sites,
        task_around,
    )

_HOMES = {
    "ablate.analysis": ("Analysis", "analyze"),
    "ablate.analysis.across": ("Across", "synthesize"),
    "ablate.config": ("load_study",),
    "ablate.errors": (
        "AblateError",
        "DataError",
        "MissingExtraError",
        "StoreError",
        "StudyError",
        "SurgeryError",
    ),
    "ablate.execution.run": ("run",),
    "ablate.execution.runner": ("Interrupted",),
    "ablate.execution.screen": ("ScreenResults", "screen"),
    "ablate.models": ("build",),
    "ablate.search.hypermodel": ("hypermodel",),
    "ablate.study.schema.placement": ("Change", "Placement", "Removal", "Replacement"),
    "ablate.study.schema.variant": ("Variant",),
    "ablate.study.results": ("StudyResults",),
    "ablate.study.study": ("Study",),
    "ablate.study.trial": ("Trial", "TrialResult"),
    "ablate.surgery": (
        "Certificate",
        "Site",
        "calibrate",
        "certify",
        "change",
        "fold",
        "insert",
        "remove",
        "replace",
        "sites",
        "task_around",
    ),
}
#: What returns or is a value that shows itself; how it looks is `ablate.report`'s work.
_SHOWN = {"Analysis", "ScreenResults", "StudyResults", "analyze", "run", "screen"}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AblateError",
    "Across",
    "Analysis",
    "Certificate",
    "Change",
    "DataError",
    "Interrupted",
    "MissingExtraError",
    "Placement",
    "Removal",
    "Replacement",
    "ScreenResults",
    "Site",
    "StoreError",
    "Study",
    "StudyError",
    "StudyResults",
    "SurgeryError",
    "Trial",
    "TrialResult",
    "Variant",
    "__version__",
    "analyze",
    "build",
    "calibrate",
    "certify",
    "change",
    "fold",
    "hypermodel",
    "insert",
    "load_study",
    "remove",
    "replace",
    "run",
    "screen",
    "sites",
    "synthesize",
    "task_around",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from ablate.errors import nearest

        raise AttributeError(f"module 'ablate' has no attribute '{name}'.{nearest(name, _HOME)}")
    value = getattr(import_module(_HOME[name]), name)
    if name in _SHOWN:
        from ablate.report.notebook import attach

        attach()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
