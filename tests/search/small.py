"""Small studies with a search, and results for their trials without any training."""

from __future__ import annotations

import math
from typing import Any

from ablate.study.study import Study
from ablate.study.trial import Trial, TrialResult

RATE = "train.learning_rate"
RATES = {RATE: {"float": [1e-3, 1.0], "sampling": "log"}}

VARIANTS: dict[str, Any] = {
    "plain": {},
    "bn": {"insert": [{"layer": "BatchNormalization", "where": "hidden"}]},
    "dropout": {"insert": [{"layer": "Dropout", "rate": 0.5, "where": "hidden"}]},
}


def study(search: dict[str, Any], *names: str, **rest: Any) -> Study:
    """A study of the named variants (all by default) on a few digits."""
    document: dict[str, Any] = {
        "study": "small",
        "data": {"name": "digits", "limit": 120},
        "model": {"name": "mlp", "units": [6]},
        "train": {"epochs": 2, "threads": 1},
        "execution": {"executor": "inline"},
        "variants": {name: VARIANTS[name] for name in names or VARIANTS},
        "search": {"space": RATES, "trials": 4, "confirm_seeds": 3} | search,
    }
    return Study.model_validate(document | rest)


def outcome(trial: Trial, **changes: Any) -> TrialResult:
    """What a trial might have given: the better the nearer its rate is to 0.1."""
    rate = trial.spec.train.learning_rate
    loss = 0.3 + 0.1 * abs(math.log10(rate) + 1) + 0.01 * (trial.seed % 10)
    kept = sum(each.layer == "Dropout" for each in trial.spec.insert)
    metrics = {"val_loss": loss + 0.05 * kept, "val_accuracy": 1 - loss / 2, "test_accuracy": 0.9}
    known: dict[str, Any] = {
        "id": trial.id,
        "variant": trial.variant,
        "seed": trial.seed,
        "status": "completed",
        "spec": trial.spec.model_dump(mode="json", by_alias=True),
        "metrics": metrics,
        "curves": {"val_loss": [2.3, loss], "val_accuracy": [0.1, 1 - loss / 2]},
        "epochs": trial.spec.train.epochs,
    }
    return TrialResult(**(known | changes))
