"""What a model brings along: the settings it was compiled with, and weights that are kept.

Where a study is silent on optimizer, loss or metrics, those of its model are taken, and stated
in the study that is planned and written: the ids of trials say which. A file tells its settings
without Keras. What a `call` returns, a worker tells once; it is remembered in `.digests.json`
under the function, the digest of its source and its arguments, as the digest of rows is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from ablate.disk import notice
from ablate.study.archives import compiled_in
from ablate.study.digests import source_digest
from ablate.study.inherit import VariantResolver
from ablate.study.keras_objects import from_compilation
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.study import Study
from ablate.study.trial import Spec

Look = Callable[[Spec], dict[str, Any]]


def with_model(study: Study, memory: MutableMapping[str, Any], look: Look | None = None) -> Study:
    """Return the study with what its model brings stated, where the study is silent.

    Args:
        study: its numerics are settled; under those of 0.1 nothing is taken from a model.
        memory: what calls returned, by declaration; takes up what is looked at now.
        look: builds the model of a spec in a worker and returns `kept` (whether weights are) and
            `settings` (the `train` fields); without it, what is not known stays open.
    """
    if study.numerics == 1:
        return study
    found = _found(study, memory, look)
    if not found:
        return study
    update: dict[str, Any] = {}
    if found.get("kept") and study.model.kept is None and study.model.weights is None:
        update["model"] = study.model.model_copy(update={"kept": True})
    settings = silent_on(study.train, found.get("settings") or {})
    if settings:
        given = study.train.model_dump(by_alias=True, exclude_unset=True)
        update["train"] = Train.model_validate({**given, **settings})
    return study.model_copy(update=update) if update else study


def silent_on(train: Train, settings: dict[str, Any]) -> dict[str, Any]:
    """Return those of a model's settings that a `train` section says nothing of.

    An optimizer brings its rate and its schedule, unless the section states a rate or a schedule.
    """
    said = train.model_fields_set
    taken = {key: each for key, each in settings.items() if key not in said}
    rates = ("learning_rate", "schedule")
    if "optimizer" in said or said.intersection(rates):
        taken = {key: each for key, each in taken.items() if key not in rates}
    if "loss" in said:
        taken.pop("loss_weights", None)
    return taken


def _found(study: Study, memory: MutableMapping[str, Any], look: Look | None) -> dict[str, Any]:
    model = study.model
    if model.file is not None:
        config = compiled_in(Path(model.file).expanduser())
        if config is None:
            return {}
        settings, lost = from_compilation(config)
        _tell(lost)
        return {"settings": settings}
    if model.call is None:
        return {}
    key = _declaration(model, memory)
    if not isinstance(memory.get(key), dict) and look is not None:
        memory[key] = look(VariantResolver(study).spec([]))
        _tell(memory[key].get("lost") or [])
    known = memory.get(key)
    return known if isinstance(known, dict) else {}


def _declaration(model: Model, memory: MutableMapping[str, Any]) -> str:
    arguments = json.dumps(model.complete_arguments(), sort_keys=True, default=str)
    return f"model of {model.call} {source_digest(str(model.call), memory)} {arguments}"


def _tell(lost: list[str]) -> None:
    if lost:
        notice(
            f"Of what the model came compiled with, {', '.join(lost)} is known by its name alone "
            "and not taken: name it in the train section."
        )
