"""The base model of a variant edited: layers removed, replaced and changed, in this order.

Selectors mean layers of the base model, whatever has been done to it before. What is to be
calibrated is made like anything else: the rows depend on the trial's seed, and so come later.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from ablate import surgery
from ablate.errors import StudyError, some
from ablate.study.schema.placement import CANONICAL, Selector
from ablate.study.trial import Spec
from ablate.surgery import exchange
from ablate.surgery.calibrate import normalizations
from ablate.surgery.conversion import takes_over, variables
from ablate.surgery.graph import paths as named_layers
from ablate.surgery.remove import take_out


@dataclass(frozen=True)
class EditedBase:
    """The model that layers are inserted into, and what was done to it.

    `bare` is the base model without what was removed, `removed` names that. `decisions` say what
    became of each layer that was replaced or changed; `anew` are the paths of those that took over
    no weight, `matched` of those that are to keep the moments of what they replaced. `notes` are
    good to know.
    """

    model: keras.Model
    bare: keras.Model
    removed: tuple[str, ...]
    decisions: tuple[surgery.LayerDecision, ...] = ()
    anew: frozenset[str] = frozenset()
    matched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def edited_base(base: keras.Model, spec: Spec) -> EditedBase:
    """Return `base` as a variant's placements find it.

    Raises:
        SurgeryError: a selector matches nothing, or nothing that it matches can be edited so.
    """
    bare, removed, notes = _remove(base, spec)
    model = bare
    decisions: list[surgery.LayerDecision] = []
    anew: set[str] = set()
    matched: list[str] = []
    if spec.replace:
        asked = at_present(spec.replace, bare, base)
        made = surgery.plan_replacements(bare, asked)
        model = exchange.carry_out(bare, made)
        ours, theirs = ({path: each for each, path in named_layers(m)} for m in (bare, model))
        calibrated = [a for a, own in zip(asked, spec.replace, strict=True) if own.calibrate]
        for each in made:
            if each.skipped is None and not takes_over(ours[each.host], theirs[each.host]):
                anew.add(each.host)
            if each.skipped is None and any(each.asked is one for one in calibrated):
                matched.append(each.host)
        decisions += made
    if spec.change:
        made = surgery.plan_changes(model, at_present(spec.change, bare, base), base=bare)
        model = exchange.carry_out(model, made)
        decisions += made
    return EditedBase(
        model, bare, removed, tuple(decisions), frozenset(anew), tuple(matched), notes
    )


def kept_indices(old: keras.Layer, new: keras.Layer | None, indices: Sequence[int]) -> list[int]:
    """Return which weights of a layer keep their values, where those of `old` at `indices` do.

    What the old layer does not have starts from what its others are.
    """
    if new is None or not indices:
        return []
    ours, theirs = variables(old), variables(new)
    kept = {id(old.weights[index]) for index in indices}
    left = {id(theirs[key]) for key in ours.keys() & theirs.keys() if id(ours[key]) not in kept}
    return [index for index, weight in enumerate(new.weights) if id(weight) not in left]


def without_gradients(model: keras.Model) -> str:
    """Return what to say of a model of which no weight is trained.

    Raises:
        StudyError: nothing else of it learns, either.
    """
    moving = [each for each in normalizations(model) if each.trainable]
    moving = [each for each in moving if getattr(each, "learns", "statistics") == "statistics"]
    if not moving:
        raise StudyError(
            "change: every layer that has weights is frozen, so that nothing would be trained. "
            "Leave some out with except."
        )
    # Keras warns of it at each trace; the note says it in every format.
    warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
    return (
        "nothing is trained by gradients: only the moving statistics of "
        f"{len(moving)} BatchNormalization layers follow the batches"
    )


def at_present(given: Sequence[Any], model: keras.Model, base: keras.Model) -> list[Any]:
    """Return placements (or replacements, or changes) with present names, and uncalibrated."""
    return [
        each.model_copy(
            update={
                "where": at_hand(each.where, model, base),
                "except_": at_hand(each.except_, model, base),
                **({"calibrate": False} if getattr(each, "calibrate", False) else {}),
            }
        )
        for each in given
    ]


def at_hand(given: Selector | None, model: keras.Model, base: keras.Model) -> Selector | None:
    """Return a selector with the present names of the layers that `path:` calls canonically.

    Leave-one-out writes it for models of `model.call`: the names that Keras gives count through
    the life of a process, so that a layer has another one each time the model is built.
    """
    names = [given] if isinstance(given, str) else list(given or ())
    if not any(name.startswith(CANONICAL) for name in names):
        return given
    canonical = surgery.canonical_paths(model, base)
    present = {f"{CANONICAL}{canonical[layer]}": path for layer, path in named_layers(model)}
    return [present.get(name, name) for name in names]


def _remove(base: keras.Model, spec: Spec) -> tuple[keras.Model, tuple[str, ...], tuple[str, ...]]:
    """Return the model without what is to be removed, what is gone, and what there is to say."""
    bare = base
    given: list[str] = []
    before = {path for _, path in named_layers(base)}
    for removal in spec.remove:
        where, but = (at_hand(each, bare, base) for each in (removal.where, removal.except_))
        removed = take_out(bare, where, but, give_bias=True)
        bare = removed.model
        given += removed.given
    gone = before - {path for _, path in named_layers(bare)}
    notes = []
    if given:
        notes.append(
            f"{some(given)} had no bias, which the removed BatchNormalization made needless: given "
            "one, trained from zero"
        )
    return bare, tuple(sorted(gone)), tuple(notes)
