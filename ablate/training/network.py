"""The network of a variant: the base model with its placements, ready to be compiled.

A spec and the shapes of the data go in. Selectors of `freeze` are resolved on the base model,
then what is to be removed goes, what is to be replaced and changed is made anew, and what is to be
inserted is put in. Out comes the model with the canonical path of every layer, from which seeds
derive, and a record of what was done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from ablate import models, surgery
from ablate.data import Splits
from ablate.data.nested import leaves
from ablate.errors import StudyError, SurgeryError, some
from ablate.study.keras_names import snake
from ablate.study.phases import states_freezing
from ablate.study.schema.placement import Placement
from ablate.study.trial import Spec
from ablate.surgery import graph
from ablate.surgery.calibrate import estimate, keep_moments, named, undo
from ablate.surgery.conversion import hand_over
from ablate.surgery.graph import paths as named_layers
from ablate.surgery.insert import carry_out
from ablate.training.edits import (
    EditedBase,
    at_hand,
    at_present,
    edited_base,
    kept_indices,
    without_gradients,
)
from ablate.training.seeding import Keep


@dataclass(frozen=True)
class Network:
    """A variant's model and what is known of it.

    `layers` has (canonical path, layer) of every layer that is no container, `keep` the paths
    of those that start from weights that were there. `placements` are the spec's as they were
    carried out: with present names, uncalibrated. `decisions` says what became of each at each
    host, `edits` what became of each layer that was replaced or changed, `removed` and `frozen`
    name layers of the base model, `calibrated` the layers that are to be the identity on the
    training rows, `measured` those that are only given the statistics of the training rows.
    `matched` are those that took another's place and are to keep its moments on the training
    rows, `before` is the model that has the others. `compiled` is what the model came compiled
    with.
    """

    model: keras.Model
    layers: tuple[tuple[str, keras.Layer], ...]
    keep: Keep
    placements: tuple[Placement, ...] = ()
    decisions: tuple[surgery.SiteDecision, ...] = ()
    edits: tuple[surgery.LayerDecision, ...] = ()
    removed: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    calibrated: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
    before: keras.Model | None = None
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    compiled: Mapping[str, Any] | None = None

    def warned(self, cautions: tuple[str, ...]) -> Network:
        """Return it with further cautions, which its compilation gave."""
        return replace(self, cautions=(*self.cautions, *cautions))

    @property
    def weights(self) -> str:
        """Say which layers start from weights that were there, and which are drawn for each seed.

        What placements insert is left out of it: it is fresh in any case.
        """
        added = {each.path for each in self.decisions if each.path}
        layers = [(path, each) for path, each in self.layers if each.weights]
        layers = [each for each in layers if each[0] not in added and each[1].path not in added]
        kept, fresh = [], []
        for path, layer in layers:
            held = {index for index in range(len(layer.weights)) if (path, index) in self.keep}
            whole = path in self.keep or len(held) == len(layer.weights)
            name = path or "the whole model"
            kept += [name] if whole or held else []
            fresh += [] if whole else [name if not held else f"other weights of {name}"]
        if not kept:
            return "fresh, drawn anew for each seed"
        if not fresh:
            return "kept, every seed starts from the same"
        return (
            f"kept in {some(kept)}, every seed starts from the same; fresh in {some(fresh)}, "
            "drawn anew for each seed"
        )

    def index_of(self, decision: surgery.SiteDecision) -> int:
        """Return which of the spec's placements a decision carries out."""
        found = (i for i, each in enumerate(self.placements) if each is decision.placement)
        return next(found)

    def calibrate(self, x: Any) -> None:
        """Set the layers that placements and replacements mark by the statistics of `x`."""
        if self.before is not None:
            keep_moments(self.before, self.model, self._pairs(), x)
        if self.calibrated:
            undo(self.model, list(self.calibrated), x)
        if self.measured:
            estimate(self.model, named(self.model, self.measured), x)

    def _pairs(self) -> list[tuple[keras.Layer, keras.Layer]]:
        """The layers whose moments are to stay, with those that took their places.

        The model before gets what the trial gives the others at its start.
        """
        assert self.before is not None
        ours = {path: layer for layer, path in named_layers(self.before)}
        theirs = {path: layer for layer, path in named_layers(self.model)}
        for path, layer in ours.items():
            if type(theirs.get(path)) is type(layer) and not graph.is_container(layer):
                hand_over(theirs[path], layer)
        return [(ours[path], theirs[path]) for path in self.matched]


def network(spec: Spec, splits: Splits) -> Network:
    """Return the network of `spec` for data of the shapes of `splits`.

    Raises:
        StudyError: the model cannot be built, or freezing leaves nothing to train.
        SurgeryError: a selector matches nothing, or a placement has no place.
    """
    with models.dtype_policy(spec.train.dtype):
        base = models.base(spec.model, splits.spec, dtype=spec.train.dtype)
        _check_texts(base, splits)
        origin = models.origin(base)
        base, opened = _opened(base, spec, splits)
        if not graph.is_container(base):
            return _as_it_is(base, spec, origin, splits)
        frozen = _freeze(base, spec)
        edited = edited_base(base, spec)
        # What is calibrated is inserted like anything else: the rows depend on the trial's seed.
        placements = tuple(at_present(spec.insert, edited.bare, base))
        decisions: tuple[surgery.SiteDecision, ...] = ()
        if placements:
            found = surgery.plan_insertions(edited.model, placements, base=edited.bare)
            decisions = tuple(found)
        model = carry_out(edited.model, decisions) if decisions else edited.model
        paths = surgery.canonical_paths(model, base)
        learning = _learning(base, model, spec)
    layers = _leaves(paths)
    _bound(layers, spec.train.max_norm)
    if spec.model.call is not None:  # a file's names are the same in every process
        _settle_output_names(model)
    how = {id(each): given.calibrate for each, given in zip(placements, spec.insert, strict=True)}
    inserted = [(each.path, how[id(each.placement)]) for each in decisions if each.path]
    return Network(
        model=model,
        layers=layers,
        keep=_kept(origin, base, edited),
        placements=placements,
        decisions=decisions,
        edits=edited.decisions,
        removed=edited.removed,
        frozen=frozen,
        calibrated=tuple(path for path, asked in inserted if asked is True),
        measured=tuple(path for path, asked in inserted if asked == "statistics"),
        matched=edited.matched,
        before=edited.bare if edited.matched else None,
        notes=(*origin.notes, *opened, *edited.notes, *learning),
        cautions=origin.cautions,
        compiled=origin.compiled,
    )


def _check_texts(base: keras.Model, splits: Splits) -> None:
    """Refuse texts for an input that takes numbers, and the other way round."""
    inputs = getattr(base, "inputs", None) or ()
    for (name, leaf), each in zip(leaves(splits.x_train, "x_train"), inputs, strict=False):
        texts = leaf.dtype.kind == "U"
        if texts == (each.dtype == "string"):
            continue
        if not texts:
            raise StudyError(
                f"model: the input '{each.name}' takes strings, and {name} holds {leaf.dtype}."
            )
        raise StudyError(
            f"model: {name} holds texts ('{leaf.flat[0]}', …) and the input '{each.name}' takes "
            f"{each.dtype}. Encode them in the data, or begin the model with keras.Input((1,), "
            "dtype='string') and a StringLookup, Hashing or TextVectorization that takes them."
        )


def _opened(base: keras.Model, spec: Spec, splits: Splits) -> tuple[keras.Model, tuple[str, ...]]:
    """Return the base with what can be traced in it as functional models, and what there is to say.

    One that trains in a way of its own stays as it is: the functional model would not.
    """
    edits = (spec.insert, spec.remove, spec.replace, spec.change)
    operated = any(edits) or bool(spec.train.freeze)
    lost = surgery.lost_methods(base)
    if lost and operated:
        raise SurgeryError(
            f"'{base.name}' ({type(base).__name__}) has its own {some(lost)}, which a model "
            "rebuilt with other layers would not have. Give them to a subclass of keras.Model that "
            "is made of a graph, Own(inputs, outputs), without a constructor of its own."
        )
    if lost:
        return base, ()
    example = keras.tree.map_structure(lambda leaf: leaf[:3], splits.x_train)
    try:
        found = surgery.trace(base, None if graph.is_container(base) else example)
    except SurgeryError:
        if operated:
            raise
        return base, ()
    whole = [f"'{each.name}' ({each.layer_class}): {each.reason}" for each in found.closed]
    inside = (f"layers that are operated on as a whole: {some(whole)}",) if whole else ()
    return found.model, (*found.notes, *(inside if operated else ()))


def _kept(origin: models.Origin, base: keras.Model, edited: EditedBase) -> Keep:
    """Return the canonical paths of the layers of `base` that keep the weights they have.

    Where a layer keeps some of its weights, the indices of those stand with its path. A layer in
    the place of another keeps what it took over.
    """
    if not origin.kept:
        return frozenset()
    canonical = surgery.canonical_paths(base)
    named = [(canonical[layer], path, layer) for layer, path in named_layers(base)]
    if origin.weights is not None:
        kept = origin.weights
        now = {path: layer for layer, path in named_layers(edited.model)}
        return frozenset(
            (to, index)
            for to, path, layer in named
            if path not in edited.anew
            for index in kept_indices(layer, now.get(path), kept.get(path, ()))
        )
    gone = {*origin.fresh, *edited.anew}
    return frozenset(to for to, path, _ in named if path not in gone)


def _leaves(paths: dict[Any, str]) -> tuple[tuple[str, keras.Layer], ...]:
    return tuple((path, layer) for layer, path in paths.items() if not graph.is_container(layer))


def _as_it_is(base: keras.Model, spec: Spec, origin: models.Origin, splits: Splits) -> Network:
    """Return a model whose graph cannot be read: it can be trained, and nothing else."""
    if not base.built or not base.weights:
        base(keras.tree.map_structure(lambda leaf: leaf[:1], splits.x_train))
    layers = (("", base),)
    _bound(layers, spec.train.max_norm)
    return Network(
        model=base,
        layers=layers,
        keep=_kept_as_it_is(origin),
        notes=origin.notes,
        cautions=origin.cautions,
        compiled=origin.compiled,
    )


def _kept_as_it_is(origin: models.Origin) -> Keep:
    if origin.weights is not None:
        return frozenset(("", index) for index in origin.weights.get("", ()))
    return frozenset([""] if origin.kept else [])


def _freeze(base: keras.Model, spec: Spec) -> tuple[str, ...]:
    if states_freezing(spec.train):
        for layer, _ in [(base, ""), *named_layers(base)]:
            layer.trainable = True
    if not spec.train.freeze:
        return ()
    try:
        chosen = surgery.select(base, at_hand(spec.train.freeze, base, base) or ())
    except SurgeryError as error:
        raise StudyError(f"train.freeze: {error}") from error
    for host in chosen:
        host.layer.trainable = False
    return tuple(host.path for host in chosen)


def _learning(base: keras.Model, model: keras.Model, spec: Spec) -> tuple[str, ...]:
    """Return what to say of a model that freezing leaves nothing to train by gradients.

    What is inserted counts: a BatchNormalization may be all that learns.

    Raises:
        StudyError: nothing else of it learns, either.
    """
    if model.trainable_variables:
        return ()
    if spec.train.freeze and not base.trainable_variables:
        raise StudyError(
            f"train.freeze: {spec.train.freeze!r} freezes every layer that has weights; nothing "
            "would be trained."
        )
    return (without_gradients(model),) if base.trainable_variables else ()


def _settle_output_names(model: keras.Model) -> None:
    """Give outputs without a name of their own one that no other model has a part in.

    Keras counts the unnamed layers of a process, and metrics of several outputs begin with the
    names of the layers they come from: `dense_accuracy` in one variant, `dense_2_accuracy` in the
    next. Here the count is the model's own.
    """
    names = list(getattr(model, "output_names", None) or ())
    if len(names) < 2:
        return
    settled = dict(zip(names, names, strict=True))
    counted: dict[str, list[tuple[int, str]]] = {}
    for operation in getattr(model, "operations", model.layers):
        kind = snake(type(operation).__name__)
        match = re.fullmatch(rf"{re.escape(kind)}(?:_(\d+))?", operation.name)
        if match:
            counted.setdefault(kind, []).append((int(match.group(1) or 0), operation.name))
    for kind, found in counted.items():
        for rank, (_, name) in enumerate(sorted(found)):
            if name in settled:
                settled[name] = f"{kind}_{rank}" if rank else kind
    model.output_names = [settled[name] for name in names]


def _bound(layers: Iterable[tuple[str, keras.Layer]], max_norm: float | None) -> None:
    """Bound the norm of every unit's incoming weights: ‖w‖₂ ≤ c after each update.

    Source: Srivastava et al., *Dropout*, 2014, section 5.1. Kernels that have a constraint of
    their own keep it.
    """
    if max_norm is None:
        return
    bounded = 0
    for _, layer in layers:
        axis = _incoming(layer)
        if axis is None or getattr(layer, "kernel_constraint", None) is not None:
            continue
        layer.kernel_constraint = keras.constraints.MaxNorm(max_norm, axis=axis)
        layer.kernel.constraint = layer.kernel_constraint
        bounded += 1
    if not bounded:
        raise StudyError("train.max_norm: the model has no dense or convolution kernel to bound.")


def _incoming(layer: keras.Layer) -> list[int] | None:
    """Return the axes of a kernel over which a unit's incoming weights run."""
    layers = keras.layers
    if isinstance(layer, layers.Dense):
        return [0]
    if isinstance(layer, layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose):
        rank = len(layer.kernel.shape)
        return [*range(rank - 2), rank - 1]
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Conv3D):
        return list(range(len(layer.kernel.shape) - 1))
    return None
