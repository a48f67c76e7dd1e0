"""Small studies made of nothing: arms and results as the analysis receives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ablate.analysis.context import AnalysisContext
from ablate.analysis.effects import Direction
from ablate.analysis.result_table import collect
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.placement import Placement, Removal
from ablate.study.schema.train import Train
from ablate.study.trial import Spec, TrialResult

BN = Placement(layer="BatchNormalization", at="before_activation")
DROPOUT = Placement(layer="Dropout", rate=0.5, at="after_activation", where="Dense")


def arm(
    name: str,
    *,
    insert: Sequence[Placement] = (),
    remove: Sequence[Removal] = (),
    train: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    **more: Any,
) -> ResolvedVariant:
    """Return an arm whose spec is small and, unless told otherwise, that of the baseline."""
    spec = Spec(
        data=Data(**({"name": "digits"} | dict(data or {}))),
        model=Model(**({"name": "cnn"} | dict(model or {}))),
        train=Train(**({"epochs": 10} | dict(train or {}))),
        insert=list(insert),
        remove=list(remove),
    )
    return ResolvedVariant(name, spec, **more)


def result(variant: str, seed: int, value: float | None = 0.9, **more: Any) -> TrialResult:
    """Return a completed trial with test accuracy `value`; `more` replaces any field.

    Curves: ten epochs whose validation accuracy rises and then stays, whose validation loss
    falls and then rises (it overfits).
    """
    accuracy = 0.9 if value is None else value
    rise = [0.1, *(accuracy * share for share in (0.6, 0.8, 0.9, 0.95, 0.98, 1, 1, 1, 1, 1))]
    fall = [2.3, 1.0, 0.8, 0.6, 0.5, 0.45, 0.46, 0.5, 0.55, 0.6, 0.65]
    fields: dict[str, Any] = {
        "id": f"{variant}-{seed}",
        "variant": variant,
        "seed": seed,
        "status": "completed",
        "metrics": {
            "train_accuracy": accuracy + 0.05,
            "train_loss": 0.1,
            "val_accuracy": accuracy - 0.001,
            "val_loss": 0.4,
            "test_accuracy": value,
            "test_loss": 0.41,
        },
        "curves": {"val_accuracy": rise, "val_loss": fall},
        "epochs": 10,
        "steps": 400,
        "parameters": 1000,
        "rows": {"train": 1200, "validation": 200, "test": 360},
        "majority": 0.1,
        "seconds": {"total": 2.0, "train": 1.0},
        "inference": (0.010, 0.011, 0.012),
    }
    if more.get("status", "completed") != "completed":
        fields |= {"metrics": {}, "curves": {}}
    return TrialResult(**(fields | more))


def study(values: Mapping[str, Sequence[float | None]], **more: Any) -> list[TrialResult]:
    """Return one result per variant and seed; None is a trial that diverged."""
    return [
        result(name, seed, value, **more)
        if value is not None
        else result(name, seed, status="diverged", diverged={"epoch": 1, "step": 7})
        for name, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


def context(
    results: Sequence[TrialResult],
    resolved: Sequence[ResolvedVariant],
    *,
    baseline: str = "plain",
    metric: str = "test_accuracy",
    direction: Direction = "max",
    **settings: Any,
) -> AnalysisContext:
    """Return what a statistic is given; `settings` are those of the study's `analysis` section."""
    table = collect(results, resolved)
    return AnalysisContext(table, baseline, metric, direction, Settings(**settings))


def noisy(mean: float, sd: float, n: int, seed: int) -> list[float]:
    """Return n accuracies around `mean`, the same for the same `seed`."""
    return list(np.random.default_rng(seed).normal(mean, sd, n))
