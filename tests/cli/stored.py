"""A study that looks as if it had been trained: its file and its results, made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.config import load_study
from ablate.execution.plan import plan
from ablate.store import Store
from ablate.study.trial import TrialResult

STUDY = """
study: {name}
data: {{name: digits}}
model: {{name: mlp}}
seeds: {seeds}
variants:
  plain: {{}}
  fast: {{train: {{learning_rate: 0.5}}}}
"""

MISTAKES = {
    "mistakes/epochs": np.array([1]),
    "mistakes/confusion": np.eye(2)[None],
    "mistakes/class_names": np.array(["a", "b"]),
}


def stored(logs: Path, name: str, seeds: int | list[int] = 2, trials: bool | int = True) -> Store:
    """Put a study under `logs`, with the results of all its trials, of none or of the first."""
    file = logs.parent / f"{name}.yaml"
    file.write_text(STUDY.format(name=name, seeds=seeds))
    store = Store(logs, name)
    study = load_study(file)
    store.write_study(file.read_text())
    planned = plan(study, store).trials
    for trial in planned[: len(planned) if trials is True else trials]:
        store.save(
            TrialResult(
                id=trial.id, variant=trial.variant, seed=trial.seed, status="completed",
                spec=trial.spec.model_dump(mode="json", by_alias=True),
                metrics={"val_accuracy": 0.9, "test_accuracy": 0.9},
                curves={"loss": [None, 0.5], "val_accuracy": [0.1, 0.9]}, epochs=1,
                probes=("mistakes",),
            ),
            MISTAKES,
        )  # fmt: skip
    return store
