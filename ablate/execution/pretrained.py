"""Studies that start from a network which another study trained.

A study whose model says `study: other.yaml` gets the file of the network that a trial of the other
study saved. Where that trial has not been run yet it is trained first; a plan, which trains
nothing, takes the other study's untrained network instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ablate.config import load_study
from ablate.errors import StudyError, nearest
from ablate.execution.plan import plan, resolved_before
from ablate.store import Store
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.study import Study
from ablate.study.trial import Trial


def with_trained_model(
    study: Study,
    logs: str | Path,
    train: Callable[[Study], object] | None = None,
    *,
    recorded: bool = False,
) -> Study:
    """Return `study` with the network that its `model.study` leaves.

    Args:
        study: any study; one that names no other is returned as it is.
        logs: where both studies' results are.
        train: trains a study; without it nothing is trained.
        recorded: look for the trial as it was trained (`ablate.execution.plan.plan`).

    Raises:
        StudyError: the other study has no such trial, saves no model, or its trial failed.
    """
    if study.model.study is None:
        return study
    other = load_study(study.model.study)
    where = f"model.study: '{study.model.study}'"
    if other.model.study is not None:
        raise StudyError(f"{where} starts from a third study; one step back is supported.")
    store = Store(logs, other.study)
    trial = _trial(study.model, other, store, where, recorded)
    if trial.spec.train.save == "none":
        raise StudyError(f"{where} saves no model. Add train: {{save: final}} to it.")
    if train is not None:
        train(other)
        trial = _trial(study.model, other, store, where, recorded)  # what it reads is known now
    file = store.model_file(trial.id)
    if file.is_file():
        head: dict[str, Any] = {"head": study.model.own_head}
        return _with(study, Model(file=str(file), weights="keep", **head))
    if train is not None:
        result = store.load(trial.id)
        became = "left no model" if result is None else f"ended as '{result.status}'"
        raise StudyError(
            f"{where}: {trial.variant} seed {trial.seed} {became}. See: ablate status {other.study}"
        )
    return _with(study, trial.spec.model)


def _trial(model: Model, other: Study, store: Store, where: str, recorded: bool) -> Trial:
    asked = model.complete_arguments()
    variant = asked["variant"] or other.baseline_name
    seed = other.seed_list[0] if asked["seed"] is None else asked["seed"]
    trials = plan(other, store, earlier=resolved_before(store), recorded=recorded).trials
    for trial in trials:
        if (trial.variant, trial.seed) == (variant, seed):
            return trial
    names = list(dict.fromkeys(trial.variant for trial in trials))
    raise StudyError(
        f"{where} has no trial of variant '{variant}' with seed {seed}.{nearest(variant, names)} "
        f"Its variants: {', '.join(names)}; its seeds: {', '.join(map(str, other.seed_list))}."
    )


def _with(study: Study, model: Model) -> Study:
    """Return the study with a model, trained as it says and not as the other study was."""
    train = study.train
    said = train.model_dump(by_alias=True, exclude_unset=True)
    pinned = train.model_dump(
        by_alias=True, include={"optimizer", "learning_rate", "loss", "metrics"}
    )
    return study.model_copy(
        update={"model": model, "train": Train.model_validate({**pinned, **said})}
    )
