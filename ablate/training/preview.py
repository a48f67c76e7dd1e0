"""A study's variants before any training: what each becomes, and how long an epoch takes.

Each variant is built once and none is trained: whatever is wrong with a selector, a placement, a
loss or a callback is an error here, and not in the middle of the night.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ablate import models, surgery
from ablate.errors import AblateError, StudyError
from ablate.models import dtype_policy
from ablate.reasons import reason
from ablate.study.calls import resolve
from ablate.study.keras_objects import from_compilation
from ablate.study.network import LayerNode
from ablate.study.phases import phases_of, spec_of_phase
from ablate.study.preview import VariantPlan
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import CANONICAL
from ablate.study.schema.variant import Found, LeaveOneOut
from ablate.study.trial import Spec, Trial
from ablate.surgery.exchange import described
from ablate.surgery.graph import paths as named_layers
from ablate.training.augmentation import Augmentation
from ablate.training.callbacks import CallbackSet
from ablate.training.model_cache import compiled, prepared_model
from ablate.training.network import Network, network
from ablate.training.objectives import loss_names
from ablate.training.rehearsal import rehearse
from ablate.training.remarks import remarks
from ablate.training.rows import Rows, rows_of, weighted


def preview(resolved: Iterable[ResolvedVariant], seed: int = 0) -> list[VariantPlan]:
    """Build each variant's network and return what it became.

    Args:
        resolved: the variants.
        seed: the seed of the split, where each seed has its own.

    Raises:
        StudyError, SurgeryError, DataError: a variant cannot be trained, named in the message.
    """
    plans = []
    for variant in resolved:
        try:
            plans.append(_plan(variant, seed))
        except AblateError as error:
            raise type(error)(f"variant '{variant.name}': {error}") from error
    return plans


def found_in(variant: ResolvedVariant, rule: LeaveOneOut) -> list[Found]:
    """Return what `leave_one_out` leaves out of a variant in turn, by site or by layer.

    By layer and without `where`, it is the model's own BatchNormalizations and Dropouts.

    Raises:
        SurgeryError: a selector matches nothing.
    """
    rows = rows_of(variant.spec, 0)
    called = variant.spec.model.call is not None
    if rule.by == "layer":
        bare = variant.spec.model_copy(update={"insert": []})
        made = network(bare, rows.splits)
        stable = _stable(made, called)
        hosts = surgery.select(made.model, rule.where) if rule.where else _own(made.model)
        return [
            Found(host=stable[h.path], layer=stable[h.path].removeprefix(CANONICAL)) for h in hosts
        ]
    made = network(variant.spec, rows.splits)
    stable = _stable(made, called)
    return [
        Found(
            host=stable[each.host],
            layer=each.name
            if stable[each.host] == each.host
            else stable[str(each.path)].removeprefix(CANONICAL),
            placement=made.index_of(each),
        )
        for each in made.decisions
        if each.name is not None
    ]


def brought_by_model(spec: Spec) -> dict[str, Any]:
    """Return what the base model of `spec` brings: its own settings, whether weights are kept.

    `settings` are `train` fields, `lost` what of its compilation no text can say.
    """
    rows = rows_of(spec, 0)
    with dtype_policy(spec.train.dtype):
        base = models.base(spec.model, rows.splits.spec, dtype=spec.train.dtype)
    origin, module = models.origin(base), str(spec.model.call).partition(":")[0]

    def own(name: str) -> str | None:
        try:
            resolve(f"{module}:{name}", "model.call")
        except StudyError:
            return None
        return f"{module}:{name}"

    settings, lost = from_compilation(origin.compiled or {}, own)
    return {"kept": origin.kept, "settings": settings, "lost": lost}


def network_of(variant: ResolvedVariant) -> tuple[LayerNode, ...]:
    """Return the layers of a variant's base model, called as `found_in` calls its hosts."""
    bare = variant.spec.model_copy(update={"insert": []})
    made = network(bare, rows_of(bare, 0).splits)
    stable = _stable(made, variant.spec.model.call is not None)
    return tuple(
        replace(node, path=stable.get(node.path, node.path)) for node in surgery.outline(made.model)
    )


#: Steps that are timed.
_TIMED_STEPS = 8


def seconds_per_epoch(trial: Trial) -> float:
    """Return about how long an epoch of `trial` takes here, its evaluation included."""
    spec = trial.spec
    rows = rows_of(spec, trial.seed)
    batch_size = rows.train.batch_size or spec.train.batch_size
    with dtype_policy(spec.train.dtype):
        prepared = prepared_model(spec, rows, trial.seed, own=False)
        data = weighted(rows.train, rows.splits, spec.train.class_weight)
        count = data.steps(batch_size)
        prepared.begin(trial.seed, spec.train.learning_rate, rows)
        steps = min(count, _TIMED_STEPS)
        rates = np.full(count + 1, 0.0, dtype="float32")
        order = data.order(trial.seed, 0)
        stop = None
        if rows.splits.stream is None:
            order = order[: steps * batch_size]
        else:  # which gives no part of an epoch: it is stopped

            def stop(step: int, logs: dict[str, Any]) -> bool:
                return step + 1 >= steps

        spent = _second_time(
            lambda: prepared.program.train(data, order, rates, batch_size, after=stop)
        )
        step = spent / steps
        total = step * count
        if rows.validation is not None:
            part = rows.validation
            total += _second_time(lambda: prepared.program.evaluate(part, batch_size))
    return total


def _second_time(call: Callable[[], object]) -> float:
    """Run a call twice and time the second: the first one traces."""
    call()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _stable(made: Network, called: bool) -> dict[str, str]:
    """Return what each layer is called, by its present path: so as to be found again elsewhere.

    That is the path, but for layers that Keras named in a model made by a call.
    """
    canonical = {id(layer): path for path, layer in made.layers}
    found = {}
    for layer, path in named_layers(made.model):
        other = canonical.get(id(layer), path)
        found[path] = f"{CANONICAL}{other}" if called and other != path else path
    return found


def _own(model: keras.Model) -> list[surgery.Host]:
    """Return the BatchNormalizations and Dropouts of a model, stochastic depth left alone.

    Raises:
        StudyError: there is none.
    """
    found = [
        each
        for each in surgery.select(model, "all")
        if each.layer_class in ("BatchNormalization", "Dropout")
        and not all(size == 1 for size in (getattr(each.layer, "noise_shape", None) or (0, 0))[1:])
    ]
    if not found:
        raise StudyError(
            "leave_one_out: the model has no BatchNormalization or Dropout of its own to leave "
            "out. Name other layers by leave_one_out.where."
        )
    return found


def _plan(variant: ResolvedVariant, seed: int) -> VariantPlan:
    spec = variant.spec
    plan: VariantPlan | None = None
    for index, train in enumerate(phases_of(spec.train)):
        try:
            found = _plan_phase(variant.name, spec_of_phase(spec, train), seed)
        except StudyError as error:
            if spec.train.phases is None:
                raise
            raise StudyError(f"train.phases[{index}]: {error}") from error
        plan = found if plan is None else replace(
            plan,
            notes=tuple(dict.fromkeys((*plan.notes, *found.notes))),
            cautions=tuple(dict.fromkeys((*plan.cautions, *found.cautions))),
        )  # fmt: skip
    assert plan is not None
    return plan


def _plan_phase(name: str, spec: Spec, seed: int) -> VariantPlan:
    train, rows = spec.train, rows_of(spec, seed)
    made = network(spec, rows.splits)
    callbacks = CallbackSet.of(train, rows.validation is not None)
    examples = weighted(rows.train, rows.splits, train.class_weight)
    with dtype_policy(train.dtype):
        made, augmentation = compiled(made, spec, rows)
    try:
        names = _try(made, rows, callbacks, augmentation)
        rehearse(made, spec, examples, augmentation)
    except StudyError as error:
        raise _by_misfit(error, made) or error from error
    model, counts, found = made.model, rows.counts, remarks(made, rows, spec)
    return VariantPlan(
        name=name,
        inserted=tuple(
            f"{each.path}: {each.placement.layer} {each.stands}"
            for each in made.decisions
            if each.path
        ),
        skipped=_skipped(made),
        removed=made.removed,
        changed=tuple(described(made.edits)),
        frozen=made.frozen,
        parameters=int(model.count_params()),
        trainable=int(sum(np.prod(each.shape) for each in model.trainable_variables)),
        output=", ".join(each or "unknown" for each in models.output_activations(model)),
        loss=loss_names(model),
        rows=counts,
        steps=rows.train.steps(train.batch_size),
        notes=found.notes,
        cautions=found.cautions,
        metrics=tuple(sorted(names)),
        brings=_brings(made, spec),
        weights=made.weights,
    )


def _brings(made: Network, spec: Spec) -> str:
    """Say how many layers of BatchNormalization and Dropout a brought model has of its own."""
    if spec.model.file is None and spec.model.call is None:
        return ""
    added = {each.path for each in made.decisions if each.path}
    kinds = [
        type(layer).__name__
        for layer in made.model._flatten_layers(include_self=False)
        if layer.name not in added and layer.path not in added
    ]
    counts = {kind: kinds.count(kind) for kind in ("BatchNormalization", "Dropout")}
    return " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _skipped(made: Network) -> tuple[str, ...]:
    decisions: list[surgery.LayerDecision | surgery.SiteDecision] = [*made.edits, *made.decisions]
    return tuple(f"{each.host}: {each.skipped}" for each in decisions if each.skipped is not None)


def _by_misfit(error: StudyError, made: Network) -> StudyError | None:
    """Return an error that names the metric which one of several outputs cannot have."""
    misfit = next((each for each in made.cautions if each.startswith("train.metrics[")), None)
    if misfit is None or str(error).startswith("train.early_stopping"):
        return None
    names = ", ".join(f"{name}: […]" for name in made.model.output_names)
    return StudyError(
        f"{misfit}. A list is measured of every output. Give each output its own: train.metrics: "
        f"{{{names}}}."
    )


def _try(made: Network, rows: Rows, callbacks: CallbackSet, augmentation: Augmentation) -> set[str]:
    """Take two rows through the model and its loss: what does not fit shows now.

    Returns:
        the names that training will report.

    Raises:
        StudyError: the loss or a metric refuses, or a monitor is not reported.
    """
    two = augmentation.evaluated((rows.validation or rows.train).batch(0, 2))
    try:
        names = set(made.model.test_step(two))
    except AblateError:
        raise
    except Exception as error:
        raise StudyError(
            f"train.loss, train.metrics: the model, its loss and its metrics do not fit the "
            f"data: {reason(error)}"
        ) from error
    if rows.validation is not None:
        names |= {f"val_{name}" for name in names}
    callbacks.check(names)
    return names
