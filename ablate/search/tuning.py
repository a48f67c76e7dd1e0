"""A variant as a `keras_tuner.HyperModel`, for any stock tuner.

A study with a `search` section and the name of a variant go in. `build` declares the space,
takes the point that a tuner chose, and returns the compiled network as a trial of `ablate` would
begin it: same graph, same initial weights, same optimizer; `fit` adds the point's batch size,
callbacks and class weights. The tuner clears the session before each build, which wipes seeds
and the dtype policy: both are set again there.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np

from ablate.config import load_study
from ablate.errors import StudyError, nearest
from ablate.search.findings import SEARCH_SEEDS
from ablate.search.space import check_searchable, declare
from ablate.study.arm import Arm
from ablate.study.search_space import apply_point, parameters_of
from ablate.study.study import Study
from ablate.study.trial import Spec
from ablate.training import derive
from ablate.training.listening import Listening
from ablate.training.network import dtype_policy, network
from ablate.training.objectives import compile_for
from ablate.training.rows import labels_of, rows_of
from ablate.training.schedules import keras_schedule
from ablate.training.seeding import Beginnings, seeded


def hypermodel(
    study: Study | str | Path, variant: str | None = None, *, seed: int = SEARCH_SEEDS
) -> VariantHyperModel:
    """Return a variant as a `keras_tuner.HyperModel`.

    Args:
        study: a study with a `search` section, or its file.
        variant: its name; the baseline by default.
        seed: of the first execution of each point; further executions count on from it, so that
            `executions_per_trial` gives repetitions and not copies.

    Raises:
        StudyError: there is no such variant, or no `search` section.

    Example:

        tuner = kt.RandomSearch(ablate.hypermodel(study, variant="bn"), objective="val_loss")
        tuner.search(x, y, validation_data=(x_val, y_val))
    """
    found = study if isinstance(study, Study) else load_study(study)
    if found.search is None:
        raise StudyError(
            f"Study '{found.study}' has no 'search' section: there is nothing to vary."
        )
    check_searchable(found.search)
    if found.live:
        found = found.materialised(tempfile.mkdtemp(prefix="ablate-"))
    arms = {arm.name: arm for arm in found.arms}
    name = found.baseline_name if variant is None else variant
    if name not in arms:
        raise StudyError(
            f"Study '{found.study}' has no variant '{name}'.{nearest(name, arms)} "
            f"It has: {', '.join(arms)}."
        )
    return VariantHyperModel(found, arms[name], seed)


class VariantHyperModel(kt.HyperModel):
    """The networks of a variant over the study's search space."""

    def __init__(self, study: Study, arm: Arm, seed: int) -> None:
        super().__init__(name=arm.name)
        assert study.search is not None
        self.study, self.arm, self.seed = study, arm, seed
        self._parameters = parameters_of(arm, study.search)
        self._policy = keras.config.dtype_policy()
        self._fitted: Counter[str] = Counter()
        self._beginnings: tuple[keras.Model, Beginnings] | None = None

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        """Return the compiled network at the point that `hp` holds."""
        keras.config.set_dtype_policy(self._policy)
        spec = self.spec(hp)
        rows = rows_of(spec, self.seed)
        with seeded(derive(self.seed, "", "model")):
            made = network(spec, rows.splits)
        with dtype_policy(spec.train.dtype):
            compile_for(made.model, spec.train, rows.splits)
        steps = -(-rows.splits.rows["train"] // spec.train.batch_size)
        if (schedule := keras_schedule(spec.train, steps)) is not None:
            made.model.optimizer.learning_rate = schedule

        def again() -> Any:
            return network(spec, rows.splits).layers

        beginnings = Beginnings(made.layers, made.keep, again)
        self._beginnings = made.model, beginnings
        _begin(beginnings, self.seed)
        made.calibrate(rows.splits.x_train)
        return made.model

    def fit(self, hp: kt.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train the network as the point says, where `tuner.search` did not say otherwise."""
        train = self.spec(hp).train
        x = args[0] if args else kwargs.get("x")
        if _is_array(x) and len(args) < 3:
            kwargs.setdefault("batch_size", train.batch_size)
            if (weights := self._class_weight(train, args, kwargs)) is not None:
                kwargs.setdefault("class_weight", weights)
        kwargs.setdefault("epochs", train.epochs)
        validated = bool(kwargs.get("validation_data") or kwargs.get("validation_split"))
        own = Listening.of(train, validated).callbacks
        kwargs["callbacks"] = [*(kwargs.get("callbacks") or []), *own]
        self._repeat(hp, model, kwargs)
        return model.fit(*args, **kwargs)

    def spec(self, hp: kt.HyperParameters) -> Spec:
        """Return what the variant is at the point that `hp` holds."""
        assert self.study.search is not None
        values = declare(hp, self._parameters, self.study.search)
        return apply_point(self.arm.spec, values) if values else self.arm.spec

    @property
    def data(self) -> dict[str, Any]:
        """The study's own rows, scaled as its trials see them: `tuner.search(**hyper.data)`."""
        splits = rows_of(self.arm.spec, self.seed).splits
        rows: dict[str, Any] = {"x": splits.x_train, "y": splits.y_train}
        if splits.x_val is not None:
            rows["validation_data"] = (splits.x_val, splits.y_val)
        return rows

    def _repeat(self, hp: kt.HyperParameters, model: keras.Model, kwargs: dict[str, Any]) -> None:
        """Give each further execution of a point a seed of its own."""
        point = {key: hp.values[key] for key in sorted(hp.values) if not key.startswith("tuner/")}
        key = json.dumps(point, sort_keys=True, default=str)
        ordinal = 0 if kwargs.get("initial_epoch") else self._fitted[key]
        self._fitted[key] += not kwargs.get("initial_epoch")
        if ordinal and self._beginnings is not None and self._beginnings[0] is model:
            _begin(self._beginnings[1], self.seed + ordinal)
        keras.utils.set_random_seed(derive(self.seed + ordinal, "", "fit"))

    def _class_weight(self, train: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if train.class_weight != "balanced":
            return train.class_weight
        labels = labels_of(args[1] if len(args) > 1 else kwargs.get("y"))
        classes, counts = np.unique(labels, return_counts=True)
        weights = len(labels) / (len(classes) * counts)
        return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def _begin(beginnings: Beginnings, seed: int) -> None:
    for variable, value in beginnings.of(seed):
        variable.assign(value)


def _is_array(x: Any) -> bool:
    """Whether `x` takes a batch size: arrays and tensors, not what brings batches itself."""
    return all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x))
