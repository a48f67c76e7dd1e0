"""Insert layers into a model, anywhere, without touching the model that was given.

What goes where is decided first, as a value (`plan_insertions`), on the base model; then the model
is rebuilt with the new layers, its weights are copied, and the record of it is put on the new
model, for `remove`.

    new = insert(model, "BatchNormalization", at="before_activation", where="Conv2D")
    new = insert(model, [Placement(layer="Dropout", rate=0.5, where="Dense")])
    new = insert(model, "BatchNormalization", at="before_activation", calibrate=images)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ablate.errors import StudyError, SurgeryError
from ablate.study.positions import Position
from ablate.study.schema.placement import Placement, Selector
from ablate.surgery import record
from ablate.surgery.batches import Progress
from ablate.surgery.calibrate import estimate, require_images, undo
from ablate.surgery.decisions import SiteDecision, plan_insertions, sibling_path
from ablate.surgery.layer_factory import activation_of, linear, recipe_of
from ablate.surgery.rebuild import Edits, rebuild
from ablate.surgery.tracing import functional


def insert(
    model: keras.Model,
    layer: str | Placement | Sequence[Placement] | type[keras.Layer] | keras.Layer,
    *,
    at: Position = "after",
    where: Selector = "hidden",
    except_: Selector | None = None,
    name: str | None = None,
    calibrate: Any = None,
    **layer_arguments: Any,
) -> keras.Model:
    """Return a new model with layers put in; the given one is left as it is.

    Weights are copied, the new model is compiled as the old one was, and what was done is
    recorded on it. Selectors are resolved on the given model, before anything is put in.

    Args:
        model: A functional or Sequential model, nested to any depth.
        layer: A layer class by name (or the class, or a layer as a pattern to copy), with its
            arguments in `layer_arguments`; or a placement, or a list of them.
        at: The position relative to each host: `before`, `before_activation`,
            `after_activation` or `after`.
        where: Which hosts (see `ablate.surgery.hosts`).
        except_: Which of them not.
        name: A name for the placement, kept in the record.
        calibrate: Images (as the model takes them) on which each new BatchNormalization is set
            to change nothing at inference. With placements: those with `calibrate=True`.
        layer_arguments: The layer's own arguments, such as `rate` or `momentum`.

    Raises:
        SurgeryError: a selector matches nothing, a named host cannot take the position, no host
            at all can, or an argument does not fit the layer.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((8,)),
        ...     keras.layers.Dense(4, activation="relu", name="fc"),
        ...     keras.layers.Dense(2, name="logits"),
        ... ])
        >>> new = insert(model, "Dropout", rate=0.5, at="after_activation", where="fc")
        >>> [layer.name for layer in new.layers]
        ['fc', 'fc_dropout', 'logits']
    """
    placements = _placements(layer, at, where, except_, name, calibrate, layer_arguments)
    plain = isinstance(layer, str | Placement | list | tuple)
    recipes = None if plain else [recipe_of(layer, layer_arguments)]
    decisions = plan_insertions(model, placements, recipes=recipes)
    return carry_out(model, decisions, images=calibrate)


def carry_out(
    model: keras.Model,
    decisions: Sequence[SiteDecision],
    *,
    images: Any = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> keras.Model:
    """Return the new model that `decisions` describe.

    Args:
        model: The very model that the decisions were made on.
        decisions: What `plan_insertions` returned; they serve once, since they hold the layers.
        images: What to calibrate on the layers whose placement asks for it.
        batch_size: The most images run at once, by default as many as memory bears.
        progress: Called after each batch with the rows done and the rows in all, or None.

    Raises:
        SurgeryError: only one of images and placements that ask to be calibrated is there, or a
            layer cannot be rebuilt.
    """
    to_calibrate = [each for each in decisions if each.layer and each.placement.calibrate]
    require_images(
        images,
        [each.name for each in to_calibrate],
        "placement",
        " on the BatchNormalization placements that must preserve the output",
    )
    edits = Edits()
    entries: list[record.Inserted] = []
    between: dict[Any, list[keras.Layer]] = {}
    activations: dict[Any, keras.Layer] = {}
    for decision in decisions:
        if decision.site is None or decision.layer is None:
            continue
        if decision.splits:
            host = decision.site.points[0].call.operation
            activation = activation_of(host, decision.splits)
            edits.configure[host] = linear
            entries.append(_entry(decision, activation, "activation", role="activation"))
            activations |= dict.fromkeys((p.call.key for p in decision.site.points), activation)
        for point in decision.site.points:
            where = {"before": edits.before, "split": between, "after": edits.after}[point.side]
            where.setdefault(point.call.key, []).append(decision.layer)
        entries.append(_entry(decision, decision.layer, decision.placement.label))
    for key, layers in between.items():
        edits.after[key] = [*layers, activations[key], *edits.after.get(key, [])]
    new = rebuild(functional(model), edits).model
    record.add(new, entries)
    # The identities first: what the others measure is the function that remains with them.
    for measure, statistics_alone in ((undo, False), (estimate, True)):
        layers = [
            each.layer
            for each in to_calibrate
            if (each.placement.calibrate == "statistics") is statistics_alone
        ]
        if layers:
            measure(new, layers, images, batch_size=batch_size, progress=progress)
    return new


def _entry(
    decision: SiteDecision, layer: keras.Layer, label: str, role: str = "inserted"
) -> record.Inserted:
    return record.Inserted(
        host=decision.host,
        layer=type(layer).__name__,
        name=layer.name,
        path=sibling_path(decision.host, layer.name),
        at=decision.at,
        label=label,
        role=role,
    )


def _placements(
    layer: Any,
    at: Position,
    where: Selector,
    except_: Selector | None,
    name: str | None,
    calibrate: Any,
    arguments: dict[str, Any],
) -> list[Placement]:
    if isinstance(layer, Placement):
        layer = [layer]
    if isinstance(layer, list | tuple):
        if arguments:
            raise SurgeryError(
                f"Arguments of a layer belong in its placement. Received besides placements: "
                f"{', '.join(arguments)}."
            )
        if wrong := [each for each in layer if not isinstance(each, Placement)]:
            raise SurgeryError(f"Expected a list of Placement. Received in it: {wrong[0]!r}.")
        if not layer:
            raise SurgeryError("Expected at least one placement. Received an empty list.")
        return list(layer)
    fields: dict[str, Any] = {
        "at": at,
        "where": list(where) if isinstance(where, tuple) else where,
        "except": list(except_) if isinstance(except_, tuple) else except_,
        "name": name,
        "calibrate": calibrate is not None,
    }
    try:
        if isinstance(layer, str):
            return [Placement(layer=layer, **fields, **arguments)]
        recipe = recipe_of(layer, arguments)  # its arguments are Keras's own to check
        own = {"layer": recipe.layer_class, "calibrate": fields.pop("calibrate")}
        return [Placement(layer="Layer", **fields).model_copy(update=own)]
    except StudyError as trouble:
        raise SurgeryError(str(trouble).removeprefix("Placement: ")) from trouble
