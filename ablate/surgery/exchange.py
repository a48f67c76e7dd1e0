"""Layers made anew in a model: what becomes of each, decided first and then carried out.

There is a `LayerDecision` for each change (or replacement) and layer, skipped layers with their
reasons among them. The model is rebuilt with the new layers in the places of the old ones, each
takes over what it can (`ablate.surgery.conversion`), and the record keeps what `undo` needs.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from typing import Any

import keras

from ablate.errors import SurgeryError, nearest
from ablate.reasons import reason
from ablate.study.schema.placement import PARTLY, Change, Replacement
from ablate.surgery import conversion, graph, hosts, record
from ablate.surgery.batches import Progress
from ablate.surgery.batchnorms import PartialBatchNormalization
from ablate.surgery.calibrate import keep_moments, require_images
from ablate.surgery.clone import copy_of, hold_initializers
from ablate.surgery.graph import calls_by_layer
from ablate.surgery.layer_factory import Recipe, named_initializer, recipe_of
from ablate.surgery.rebuild import Edits, rebuild, takes
from ablate.surgery.ties import held_elsewhere
from ablate.surgery.tracing import functional, opened_alike

#: Where layers hold the configurations of those that do their work: wrappers, recurrent layers.
_INNER = ("layer", "backward_layer", "cell", "cells")

#: A place in a layer's configuration: the keys on the way there.
Place = tuple[Any, ...]


@dataclass(frozen=True)
class LayerDecision:
    """What becomes of one layer by one change or replacement.

    `layer_class` is its class from then on; `before` and `after` have the arguments that were
    asked for, as they were and as they will be. A layer that is skipped has the reason instead.
    `places` are where in its configuration the arguments are; `recipe` makes another class.
    """

    asked: Change | Replacement
    host: str
    kind: str
    layer_class: str
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    places: tuple[tuple[Place, Any], ...] = field(default=(), repr=False, compare=False)
    recipe: Recipe | None = field(default=None, repr=False, compare=False)

    @property
    def words(self) -> str:
        """What becomes of the layer: `BatchNormalization → GroupNormalization (groups 8)`."""
        if isinstance(self.asked, Replacement):
            given = ", ".join(f"{k} {v}" for k, v in self.after.items() if k != "layer")
            return f"{self.before['layer']} → {self.layer_class}{f' ({given})' if given else ''}"
        return ", ".join(f"{key} {self.before[key]} → {new}" for key, new in self.after.items())


#: Layers of which the same becomes that are named; the others are counted.
NAMED = 6

#: Why a layer without weights is passed over by a change of `trainable`, without a word.
_NOTHING_LEARNS = "it has no weights"


def described(decisions: Iterable[LayerDecision]) -> list[str]:
    """Return a line for all layers of which the same becomes, what is skipped left out."""
    alike: dict[str, list[str]] = {}
    for each in decisions:
        if each.skipped is None:
            alike.setdefault(each.words, []).append(each.host)
    shown = {words: ", ".join(hosts[:NAMED]) for words, hosts in alike.items()}
    more = {words: len(hosts) - NAMED for words, hosts in alike.items()}
    return [
        f"{names}{f' and {more[words]} more' if more[words] > 0 else ''}: {words}"
        for words, names in shown.items()
    ]


def plan_changes(
    model: keras.Model, changes: Sequence[Change], *, base: keras.Model | None = None
) -> list[LayerDecision]:
    """Decide what `change` would do, change by change and layer by layer, and do nothing.

    Layers that a pattern matched and that cannot be changed so are listed with a reason.

    Args:
        model: The model to be changed.
        changes: What to change.
        base: The model that selectors are resolved on, where other layers have taken the places
            of its own since.

    Raises:
        SurgeryError: as `change`; or two changes set one argument of one layer.
    """
    model = functional(model)
    return _planned(model, changes, _Planner(model).changed, base)


def plan_replacements(
    model: keras.Model,
    replacements: Sequence[Replacement],
    *,
    recipes: Sequence[Recipe] | None = None,
) -> list[LayerDecision]:
    """Decide what `replace` would do, and do nothing (see `plan_changes`).

    Args:
        model: The base model.
        replacements: What takes the place of what.
        recipes: How to make the layers, one per replacement, where not by the class's name.

    Raises:
        SurgeryError: as `replace`; or two replacements concern one layer.
    """
    model = functional(model)
    planner = _Planner(model)
    made = recipes or [recipe_of(each) for each in replacements]
    by_asked = {id(asked): recipe for asked, recipe in zip(replacements, made, strict=True)}
    return _planned(
        model, replacements, lambda host, asked: planner.replaced(host, asked, by_asked[id(asked)])
    )


def carry_out(
    model: keras.Model,
    decisions: Sequence[LayerDecision],
    *,
    images: Any = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> keras.Model:
    """Return the new model that `decisions` describe.

    Args:
        model: The very model that the decisions were made on.
        decisions: What `plan_changes` or `plan_replacements` returned.
        images: What to choose gamma and beta on, of replacements that ask for it.
        batch_size: The most images run at once, by default as many as memory bears.
        progress: Called after each batch with the rows done and the rows in all, or None.

    Raises:
        SurgeryError: only one of images and replacements that ask for them is there, or a layer
            cannot be rebuilt.
    """
    done = [each for each in decisions if each.skipped is None]
    measured = [each.host for each in done if getattr(each.asked, "calibrate", False)]
    require_images(images, measured, "replacement")
    model = functional(model)
    by_path = {path: layer for layer, path in graph.paths(model)}
    by_layer: dict[Any, list[LayerDecision]] = {}
    for each in done:
        by_layer.setdefault(by_path[each.host], []).append(each)
    edits = Edits()
    for old, own in by_layer.items():
        if any(each.places or each.recipe for each in own):
            edits.replace[old] = _anew(old, own)
        if (how := _trainable(own)) is not None:
            edits.trainable[old] = how is not False
    built = rebuild(model, edits)
    moved = {old: conversion.hand_over(old, new) for old, new in edits.replace.items()}
    pairs = [(by_path[path], built.layers[by_path[path]]) for path in measured]
    if pairs:
        keep_moments(model, built.model, pairs, images, batch_size=batch_size, progress=progress)
        for old, new in pairs:
            moved[old] |= conversion.variables(new).keys()
    record.add(
        built.model,
        [
            _entry(own, old, edits.replace.get(old), moved.get(old, ()))
            for old, own in by_layer.items()
        ],
    )
    return built.model


def undo(entries: Sequence[record.Entry], edits: Edits) -> None:
    """Add to `edits` what brings layers back as they were before; their values follow.

    Raises:
        SurgeryError: a layer's class is not known here.
    """
    for entry in entries:
        was: record.Changed = entry.of
        if was.trainable is not None:
            edits.trainable[entry.layer] = was.trainable
        if was.original is not None:
            edits.replace[entry.layer] = _deserialized(was)
        elif was.arguments:
            back = [(tuple(place), value) for place, value in was.arguments]
            edits.replace[entry.layer] = _configured(entry.layer, back)


def _planned(
    model: keras.Model,
    asked: Sequence[Any],
    decide: Callable[[hosts.Host, Any], LayerDecision],
    base: keras.Model | None = None,
) -> list[LayerDecision]:
    decisions: list[LayerDecision] = []
    set_by: dict[tuple[str, str], Any] = {}
    for each in asked:
        own: list[LayerDecision] = []
        for selected in hosts.resolve(model, each.where, each.except_, base=base):
            decision = decide(selected.host, each)
            if decision.skipped == _NOTHING_LEARNS and not selected.named:
                continue
            if decision.skipped and selected.named:
                raise SurgeryError(f"'{decision.host}' stays as it is: {decision.skipped}.")
            own.append(decision)
        if all(decision.skipped for decision in own):
            reasons = "; ".join(f"{one.host}: {one.skipped}" for one in own[:5])
            raise SurgeryError(
                f"None of the {len(own)} layers that where={each.where!r} selects can be "
                f"{'replaced' if isinstance(each, Replacement) else 'changed'} so. {reasons}."
            )
        for decision in own:
            _claim(decision, set_by)
        decisions += own
    return decisions


def _claim(decision: LayerDecision, set_by: dict[tuple[str, str], Any]) -> None:
    """Refuse a second change of one argument of one layer: one would hide the other."""
    if decision.skipped is not None:
        return
    for key in decision.after if isinstance(decision.asked, Change) else ["the layer"]:
        first = set_by.setdefault((decision.host, key), decision.asked)
        if first is not decision.asked:
            raise SurgeryError(
                f"'{first.label}' and '{decision.asked.label}' both set {key} of "
                f"'{decision.host}', so that one would hide the other. Take the layer out of one "
                "of them with except."
            )


class _Planner:
    """What is known of the model: its calls, what other layers hold, what was split off."""

    def __init__(self, model: keras.Model) -> None:
        self.calls = calls_by_layer(model)
        self.held = held_elsewhere(model)
        self.split = {
            each.inserted.host: each.inserted.path
            for each in record.entries(model)
            if each.inserted.role == "activation"
        }
        self.tried: dict[str, str | None] = {}

    def changed(self, host: hosts.Host, asked: Change) -> LayerDecision:
        """Decide what becomes of one layer by one change."""
        layer = host.layer
        plain = LayerDecision(asked, host.path, host.kind, host.layer_class)
        after = {key: named_initializer(key, each) for key, each in asked.arguments.items()}
        how = after.get("trainable")
        skipped = self._immovable(host, after.keys() != {"trainable"} or how in PARTLY)
        if after.keys() == {"trainable"} and not layer.weights and how not in PARTLY:
            skipped = _NOTHING_LEARNS
        if "activation" in after and host.path in self.split:
            skipped = (
                f"its activation was split off when a layer was inserted; change "
                f"'{self.split[host.path]}' instead"
            )
        if skipped:
            return with_fields(plain, skipped=skipped)
        config = _config(layer)
        places: list[tuple[Place, Any]] = []
        before: dict[str, Any] = {}
        for key, value in after.items():
            if key == "trainable":
                before[key] = _learns(layer)
                continue
            cls = None if host.composite else type(layer)
            found = list(_places(cls, config, key))
            if not found:
                near = nearest(key, sorted(_taken(cls, config))).strip()
                hint = f" (d{near[1:]})" if near else ""
                return with_fields(plain, skipped=f"{host.layer_class} takes no '{key}'{hint}")
            before[key] = _at(config, found[0])
            places += [(place, value) for place in found]
        if how is not None and (skipped := _partly(layer, how)):
            return with_fields(plain, skipped=skipped)
        decision = with_fields(plain, before=before, after=after, places=tuple(places))
        if how in PARTLY or (how is True and isinstance(layer, PartialBatchNormalization)):
            cls = PartialBatchNormalization if how in PARTLY else keras.layers.BatchNormalization
            learns = {"learns": how} if how in PARTLY else {}
            own = {key: value for key, value in config.items() if key not in ("name", "learns")}
            decision = with_fields(
                decision, layer_class=cls.__name__, recipe=Recipe(cls, {**own, **learns})
            )
        if not places and decision.recipe is None:
            return decision
        misfit = self._misfit(layer, lambda: _anew(layer, [decision]), same=True)
        return with_fields(plain, skipped=misfit) if misfit else decision

    def replaced(self, host: hosts.Host, asked: Replacement, recipe: Recipe) -> LayerDecision:
        """Decide what becomes of one layer by one replacement."""
        layer = host.layer
        plain = LayerDecision(asked, host.path, host.kind, recipe.layer_class)
        if skipped := self._immovable(host, True):
            return with_fields(plain, skipped=skipped)
        known = _parameters(recipe.cls)
        kept = {
            key: value
            for key, value in _config(layer).items()
            if key in {*known, "dtype"} and key not in ("name", "trainable")
        }
        if isinstance(kept.get("axis"), list) and len(kept["axis"]) == 1:
            kept["axis"] = kept["axis"][0]  # of a LayerNormalization that was built
        own = Recipe(recipe.cls, {**kept, **recipe.arguments})
        decision = with_fields(
            plain,
            before={"layer": host.layer_class},
            after={"layer": recipe.layer_class, **recipe.arguments},
            recipe=own,
        )
        misfit = self._misfit(layer, lambda: _anew(layer, [decision]), same=False)
        return with_fields(plain, skipped=misfit) if misfit else decision

    def _immovable(self, host: hosts.Host, anew: bool) -> str | None:
        """Say why a layer cannot be made anew, or have its flag set."""
        if host.kind == "input":
            return "it is an input of the model"
        if anew and host.kind == "model" and not host.composite:
            return "it is a model; only its 'trainable' can be changed"
        if anew and host.layer in self.held:
            return f"'{self.held[host.layer]}' holds it too, and would miss what is done to it"
        return None

    def _misfit(self, old: Any, make: Callable[[], Any], *, same: bool) -> str | None:
        """Try the new layer on tensors like those of the old one; say why it does not fit."""
        for _, call in self.calls[old]:
            try:
                new = make()
                hold_initializers(new)
                args, kwargs = keras.tree.map_structure(_like, (call.args, call.kwargs))
                kwargs = {key: kwargs[key] for key in takes(new, kwargs)}
                results = keras.tree.flatten(new(*args, **kwargs))
            except SurgeryError as trouble:
                return str(trouble).rstrip(".")
            except Exception as trouble:
                shapes = ", ".join(str(tuple(each.shape)) for each in call.inputs)
                return f"it would not take a tensor of shape {shapes}: {reason(trouble)}".rstrip(
                    "."
                )
            now, then = ([tuple(each.shape) for each in many] for many in (call.outputs, results))
            if now != then:
                return f"its output would change from {now} to {then}"
            ours, theirs = conversion.variables(old), conversion.variables(new)
            for key in ours.keys() & theirs.keys() if same else ():
                if ours[key].shape != theirs[key].shape:
                    return (
                        f"its {key} would change from {tuple(ours[key].shape)} to "
                        f"{tuple(theirs[key].shape)}, so its weights would be lost"
                    )
        return None


def _like(each: Any) -> Any:
    if not isinstance(each, keras.KerasTensor):
        return each
    return keras.KerasTensor(each.shape, dtype=each.dtype)


def _anew(old: Any, decisions: Sequence[LayerDecision]) -> keras.Layer:
    """Return the new layer that all decisions on one layer make together."""
    places = [each for decision in decisions for each in decision.places]
    recipe = next((each.recipe for each in decisions if each.recipe is not None), None)
    if recipe is None:
        return _configured(old, places)
    arguments = _with(recipe.arguments, places)
    return Recipe(recipe.cls, arguments).make(name=old.name)


def _config(layer: Any) -> dict[str, Any]:
    """Return a layer's configuration; of an opened one, that of the layer it was."""
    if not graph.is_container(layer):
        return dict(layer.get_config())
    was = record.opened(layer)
    return was.original["config"] if was is not None and was.original else {}


def _configured(layer: Any, places: Sequence[tuple[Place, Any]]) -> Any:
    """Return a new layer with other values in its configuration; an opened one is opened again."""
    was = record.opened(layer)
    if was is None or was.original is None:
        return copy_of(layer, lambda config: _with(config, places))
    original = {**was.original, "config": _with(was.original["config"], places)}
    try:
        made = record.made_again(layer, original)
    except Exception as trouble:
        raise _unknown(layer.name, was.layer, trouble) from trouble
    return opened_alike(layer, made)


def _trainable(decisions: Sequence[LayerDecision]) -> Any:
    """Return what the decisions on one layer say of `trainable`, None where nothing."""
    asked = (each.after.get("trainable") for each in decisions)
    return next((how for how in asked if how is not None), None)


def _learns(layer: Any) -> Any:
    """Return what `trainable` says of a layer: a flag, or the part that learns."""
    partly = isinstance(layer, PartialBatchNormalization) and layer.trainable
    return layer.learns if partly else bool(layer.trainable)


def _partly(layer: Any, how: Any) -> str | None:
    """Say why `trainable` cannot be so."""
    allowed = (keras.layers.BatchNormalization, PartialBatchNormalization)
    if how in PARTLY and type(layer) not in allowed:
        return f"only a BatchNormalization learns its {how} alone, it is a {type(layer).__name__}"
    return None


def _places(cls: type | None, config: dict[str, Any], key: str) -> Iterator[Place]:
    """Find where an argument is: in a layer's own configuration, else in those it holds."""
    if key in _taken(cls, config):
        yield (key,)
        return
    for place, inner in _inner(config):
        for rest in _places(None, inner, key):
            yield (*place, *rest)


def _inner(config: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    for name in _INNER:
        held = config.get(name)
        for index, each in enumerate(held if isinstance(held, list) else [held]):
            if isinstance(each, dict) and isinstance(each.get("config"), dict):
                where = (name, index) if isinstance(held, list) else (name,)
                yield (*where, "config"), each["config"]


def _taken(cls: type | None, config: dict[str, Any]) -> set[str]:
    """The arguments that a layer takes; of a layer inside, those that its configuration has."""
    own = set(_parameters(cls)) if cls is not None else set()
    return {*own, *config} - {"name", "trainable", "build_config", *_INNER}


def _parameters(cls: type) -> list[str]:
    parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [each.name for each in parameters if each.name != "self" and each.kind not in kinds]


def _at(config: Any, place: Place) -> Any:
    for key in place:
        config = config.get(key) if isinstance(config, dict) else config[key]
    return config


def _with(config: dict[str, Any], places: Sequence[tuple[Place, Any]]) -> dict[str, Any]:
    """Return a configuration with other values at some places."""
    config = copy.deepcopy(config)
    for place, value in places:
        inner = _at(config, place[:-1])
        inner[place[-1]] = value
    return config


def _entry(decisions: Sequence[LayerDecision], old: Any, new: Any, moved: Any) -> record.Changed:
    """Return what the record says of one layer."""
    recipe = any(each.recipe is not None for each in decisions)
    places: dict[Place, Any] = {}
    if new is not None and not recipe:
        config, now = _config(old), _config(new)
        # One argument may settle another: BatchNormalization's renorm_clipping goes with renorm.
        settled = [(key,) for key in config if config[key] != now.get(key) and key not in _INNER]
        asked = [place for each in decisions for place, _ in each.places]
        places = {place: _plain(_at(config, place)) for place in [*asked, *settled]}
    how = _trainable(decisions)
    return record.Changed(
        path=decisions[0].host,
        layer=record.class_name(old),
        label=", ".join(dict.fromkeys(each.asked.label for each in decisions)),
        original=keras.saving.serialize_keras_object(old) if recipe else None,
        arguments=[] if recipe else [[list(place), value] for place, value in places.items()],
        trainable=None if how is None else bool(old.trainable),
        values={} if new is None else conversion.lost(old, new, moved),
    )


def _plain(value: Any) -> Any:
    """Return a value of a configuration as JSON has it."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return keras.saving.serialize_keras_object(value)
    return value


def _deserialized(was: record.Changed) -> keras.Layer:
    original = dict(was.original or {})
    original.pop("build_config", None)  # built by its call, so that its variables have their paths
    try:
        return keras.saving.deserialize_keras_object(original)
    except Exception as trouble:
        raise _unknown(was.path, was.layer, trouble) from trouble


def _unknown(path: str, layer_class: str, trouble: Exception) -> SurgeryError:
    return SurgeryError(
        f"'{path}' was a {layer_class}, which cannot be made again here: {reason(trouble)} Import "
        "the module that registers the class (keras.saving.register_keras_serializable), and try "
        "again."
    )
