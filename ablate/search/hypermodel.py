"""A variant as a `keras_tuner.HyperModel`, for any stock tuner.

`build` declares the space of the study's `search` section, takes the point that a tuner chose, and
returns the compiled network as a trial of `ablate` would begin it: same graph, same initial
weights, same optimizer; `fit` adds the point's batch size, callbacks and class weights. Where a
tuner chooses nothing the study's own values are used. The tuner clears the session before each
build, which wipes seeds and the dtype policy: both are set again there. What a point gives depends
on the point alone, and on which execution of it this is.
"""

from __future__ import annotations

import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import keras
import keras_tuner as kt
import numpy as np
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch

from ablate.config import load_study
from ablate.errors import StudyError, nearest
from ablate.execution.model_readings import with_model
from ablate.models import dtype_policy
from ablate.search.results import SEARCH_SEEDS
from ablate.search.space import check_searchable, declare, nearest_in
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.search import Dimension
from ablate.study.search_points import apply_point, parameters_of, values_at
from ablate.study.study import Study
from ablate.study.trial import Spec
from ablate.surgery.layer_factory import recipe_of
from ablate.training import brought_by_model, derive
from ablate.training.callbacks import CallbackSet
from ablate.training.network import network
from ablate.training.objectives import compile_for, optimizer_of
from ablate.training.rows import labels_of, rows_of
from ablate.training.schedules import keras_schedule, plateau
from ablate.training.seeding import InitialState, seeded


def hypermodel(
    study: Study | str | Path, variant: str | None = None, *, seed: int = SEARCH_SEEDS
) -> VariantHyperModel:
    """Return a variant as a `keras_tuner.HyperModel`.

    The default of each hyperparameter is the study's own value, so that a tuner with
    `tune_new_entries=False` trains the study's network. Where the space does not hold that value
    the default is the nearest that it holds, and a warning says so.

    Args:
        study: a study with a `search` section, or its file.
        variant: its name; the baseline by default.
        seed: of the first execution of each point; further executions count on from it, so that
            `executions_per_trial` gives repetitions and not copies. The tuner's own seed decides
            which points it tries; Keras Tuner takes 0 for none there.

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
    if found.in_memory:
        found = found.materialised(tempfile.mkdtemp(prefix="ablate-"))
    found = with_model(found, {}, brought_by_model)  # what it came compiled with
    resolved = {each.name: each for each in found.resolved}
    name = found.baseline_name if variant is None else variant
    if name not in resolved:
        raise StudyError(
            f"Study '{found.study}' has no variant '{name}'.{nearest(name, resolved)} "
            f"It has: {', '.join(resolved)}."
        )
    return VariantHyperModel(found, resolved[name], seed)


class VariantHyperModel(kt.HyperModel):
    """The networks of a variant over the study's search space."""

    def __init__(self, study: Study, variant: ResolvedVariant, seed: int) -> None:
        super().__init__(name=variant.name)
        assert study.search is not None
        self.study, self.variant, self.seed = study, variant, seed
        self._parameters = parameters_of(variant, study.search)
        self._defaults = _defaults(variant, self._parameters)
        self._policy = keras.config.dtype_policy()
        self._built: tuple[keras.Model, Callable[[int], None]] | None = None
        self._executions: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(str(self._defaults[name]))}</td></tr>"
            for name in self._parameters
        )
        return (
            f"<p>Networks of variant {escape(self.variant.name)} of study "
            f"{escape(self.study.study)}, for a tuner of Keras's own</p>"
            f"<table><tr><th>searched</th><th>where nothing is searched</th></tr>{rows}</table>"
        )

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        """Return the compiled network at the point that `hp` holds."""
        keras.config.set_dtype_policy(self._policy)
        spec = self.spec(hp)
        if spec.train.augment is not None:
            raise StudyError(
                "train.augment: a tuner of Keras's own calls `fit`, which cannot seed augmentation "
                "for each step. `ablate search` can; here put the layers into the model."
            )
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

        beginnings = InitialState(made.layers, made.keep, again)

        def begin(seed: int) -> None:
            for variable, value in beginnings.of(seed):
                variable.assign(value)
            made.calibrate(rows_of(spec, seed).splits.x_train)

        begin(self.seed)
        self._built = made.model, begin
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
        own = CallbackSet.of(train, validated).callbacks
        kwargs["callbacks"] = [*(kwargs.get("callbacks") or []), *own]
        with seeded(self._begin(model, kwargs)):
            return model.fit(*args, **kwargs)

    def spec(self, hp: kt.HyperParameters) -> Spec:
        """Return what the variant is at the point that `hp` holds."""
        assert self.study.search is not None
        values = declare(hp, self._parameters, self.study.search, self._defaults)
        return apply_point(self.variant.spec, values) if values else self.variant.spec

    @property
    def data(self) -> dict[str, Any]:
        """The study's own rows, scaled as its trials see them: `tuner.search(**hyper.data)`."""
        splits = rows_of(self.variant.spec, self.seed).splits
        rows: dict[str, Any] = {"x": splits.x_train, "y": splits.y_train}
        if splits.x_val is not None:
            rows["validation_data"] = (splits.x_val, splits.y_val)
        return rows

    def _begin(self, model: keras.Model, kwargs: Mapping[str, Any]) -> int:
        """Give each further execution of a trial weights of its own; return the seed to fit by."""
        seed, epoch = self.seed + self._execution(kwargs["callbacks"]), kwargs.get("initial_epoch")
        if epoch:  # weights of an earlier rung are loaded already
            return derive(seed, "", f"fit/{epoch}")
        if seed != self.seed and self._built is not None and self._built[0] is model:
            self._built[1](seed)
        return derive(seed, "", "fit")

    def _execution(self, callbacks: list[Any]) -> int:
        """Return which execution of a tuner's trial this is, from 0.

        A tuner tells neither `build` nor `fit`, but one checkpoint serves all executions of a
        trial and no other trial. What has none is no repetition.
        """
        for each in callbacks:
            if isinstance(each, SaveBestEpoch):
                found = self._executions.get(each, 0)
                self._executions[each] = found + 1
                return found
        return 0

    def _class_weight(self, train: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if train.class_weight != "balanced":
            return train.class_weight
        labels = labels_of(args[1] if len(args) > 1 else kwargs.get("y"))
        classes, counts = np.unique(labels, return_counts=True)
        weights = len(labels) / (len(classes) * counts)
        return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def _defaults(variant: ResolvedVariant, parameters: Mapping[str, Dimension]) -> dict[str, Any]:
    """Return the variant's own value of each parameter, or the nearest in the space, said so."""
    found = {}
    for path, dimension in parameters.items():
        own = values_at(variant.spec, path) or _left_to_keras(variant.spec, path)
        found[path] = nearest_in(dimension, own[0] if own else None)
        if own != (found[path],):
            there = " and ".join(map(repr, own)) if own else "nothing"
            warnings.warn(
                f"search.space.{path}: variant '{variant.name}' has {there} here, which the space "
                f"does not hold. The default of this hyperparameter is {found[path]!r} instead.",
                stacklevel=4,
            )
    return found


def _left_to_keras(spec: Spec, path: str) -> tuple[Any, ...]:
    """Return the value that Keras gives an argument which the study does not state."""
    owner, _, field = path.rpartition(".")
    settings: Mapping[str, Any] = {}
    if owner == "train.optimizer":
        settings = optimizer_of(spec.train).get_config()
    elif owner == "train.schedule" and spec.train.schedule is not None:
        schedule = keras_schedule(spec.train, 1)
        settings = (
            vars(plateau(spec.train.schedule)[0]) if schedule is None else schedule.get_config()
        )
    elif owner.startswith("insert."):
        label = owner.removeprefix("insert.")
        recipe = next(recipe_of(each) for each in spec.insert if each.label == label)
        settings = recipe.cls(**recipe.arguments).get_config()
    return (settings[field],) if field in settings else ()


def _is_array(x: Any) -> bool:
    """Whether `x` takes a batch size: arrays and tensors, not what brings batches itself."""
    return all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x))
