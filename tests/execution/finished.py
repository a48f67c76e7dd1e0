"""Studies that look as if they had been run: sound records of every trial, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablate.execution.plan import plan, write_study
from ablate.store import Store
from ablate.study.study import Study
from ablate.study.trial import Trial, TrialResult, probe_key

BN = {"insert": [{"layer": "BatchNormalization", "at": "before_activation"}]}


def small(**changes) -> Study:
    """Two variants and two seeds."""
    return Study(
        **{
            "study": "small",
            "data": {"name": "digits", "limit": 64},
            "model": {"name": "mlp", "units": [4]},
            "train": {"epochs": 1, "threads": 1},
            "seeds": 2,
            "variants": {"plain": {}, "bn": BN},
            **changes,
        }
    )


def record(trial: Trial) -> TrialResult:
    """What a trial may have come to."""
    gain = 0.05 + 0.002 * (-1) ** trial.seed  # varies between seeds
    accuracy = 0.8 + 0.01 * trial.seed + gain * bool(trial.spec.insert)
    names = ("train", "val", "test")
    return TrialResult(
        id=trial.id,
        variant=trial.variant,
        seed=trial.seed,
        status="completed",
        factors=trial.factors,
        spec=trial.spec.model_dump(mode="json", by_alias=True),
        metrics={f"{each}_loss": 1 - accuracy for each in names}
        | {f"{each}_accuracy": accuracy for each in names},
        curves={
            "loss": [None, 0.3], "accuracy": [None, accuracy],
            "val_loss": [2.3, 0.3], "val_accuracy": [0.1, accuracy], "learning_rate": [0.01, 0.01],
        },
        epochs=trial.spec.train.epochs,
        steps=2,
        parameters=310,
        rows={"train": 54, "validation": 10, "test": 360},
        majority=0.1,
        seconds={"total": 0.5, "train": 0.2},
        inference=(0.02,),
        environment={"ablate": "0.1.0"},
        probes=tuple(probe_key(each) for each in trial.probes),
    )  # fmt: skip


def arrays_of(trial: Trial) -> dict[str, np.ndarray]:
    """What the probes of a trial may have stored."""
    found: dict[str, np.ndarray] = {}
    for each in trial.probes:
        found[f"{each.name}/epochs"] = np.array([0, 1])
        found[f"{each.name}/scalar/one"] = np.array([0.5, 0.25 + trial.seed])
    return found


def finish(study: Study, logs: Path) -> Store:
    """Write down the study and an outcome of each of its trials; return its store."""
    store = Store(logs, study.study)
    made = plan(study, store)
    write_study(made, store)
    for trial in made.trials:
        store.save(record(trial), arrays_of(trial))
    store.write_results(made.trials, store.results())
    return store
