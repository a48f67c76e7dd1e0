"""Placements (a layer to insert and the sites it goes to), removals, replacements and changes.

They are pure data. Which hosts a selector means, and whether a layer takes an argument,
is settled against a real model in `ablate.surgery`; what can be checked without Keras is
checked here, so that a misspelt `rate` is found before TensorFlow is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import Field, model_validator

from ablate.errors import nearest
from ablate.study.keras_names import LAYER_ARGUMENTS
from ablate.study.positions import Position
from ablate.study.schema.strict import Name, OpenModel, Strict
from ablate.study.validation import InvalidFields, Problem

Selector = (
    Annotated[str, Field(min_length=1)]
    | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
)

#: What stands before a canonical path in the selectors that leave-one-out writes: a layer that
#: Keras named by class and number has another name each time its model is built.
CANONICAL = "path:"

#: Layers whose `rate` must be given and lie in [0, 1).
RATED = {name for name, arguments in LAYER_ARGUMENTS.items() if "rate" in arguments}


class Placement(OpenModel):
    """A layer to insert and the sites it goes to.

    The layer's own arguments (`rate`, `momentum`, …) stand beside these fields and are found in
    `arguments`.

    >>> Placement(layer="Dropout", rate=0.5, at="after_activation", where="Dense").arguments
    {'rate': 0.5}

    Raises:
        StudyError: an argument that the layer does not take, or a value it cannot have.
    """

    layer: str = Field(
        min_length=1,
        description="Class name of a Keras layer (BatchNormalization, Dropout, any registered "
        "one); its own arguments stand beside it.",
    )
    at: Position = Field(default="after", description="The position relative to each host.")
    where: Selector = Field(
        default="hidden",
        description="Which hosts, on the base model: an exact name, a class, a kind (conv, dense, "
        "recurrent, embedding, norm, pool, activation, input, hidden, all), a kind or class with "
        "an index or slice (conv[0]), re:…, a glob (block3_*), or a list of these.",
    )
    except_: Selector | None = Field(
        default=None, alias="except", description="Hosts to leave out, by the same selectors."
    )
    name: Name | None = Field(
        default=None,
        description="What search paths and leave-one-out call this placement; not the layer.",
    )
    calibrate: bool | Literal["statistics"] = Field(
        default=False,
        description="true: give a BatchNormalization the statistics and parameters that make it "
        "the identity on the training rows; statistics: their statistics alone, gamma and beta as "
        "they are.",
    )

    @property
    def label(self) -> str:
        """What search paths and leave-one-out call this placement: its name, else its layer."""
        return self.name or self.layer

    @model_validator(mode="after")
    def _check_arguments(self) -> Placement:
        problems = [*_check_known(self), *self._check_rate(), *_check_values(self)]
        if self.calibrate and self.layer not in BATCH_NORMS:
            text = (
                f"'calibrate' is for a BatchNormalization; {self.layer} has no statistics to set."
            )
            problems.append(Problem(("calibrate",), text))
        if problems:
            raise InvalidFields(*problems)
        return self

    def _check_rate(self) -> Iterator[Problem]:
        arguments = self.arguments
        misspelt = not set(arguments) <= LAYER_ARGUMENTS.get(self.layer, set(arguments))
        if self.layer in RATED and "rate" not in arguments and not misspelt:
            text = (
                f"{self.layer} needs a 'rate' (share dropped) of at least 0 and below 1. "
                "Received: none."
            )
            yield Problem((), text)


class Replacement(OpenModel):
    """Layers of the base model that another layer takes the place of, by name and site.

    The new layer's own arguments stand beside these fields; what is not given, and the old layer
    has, is the old layer's (a Dropout's rate, a normalization's axis and epsilon).

    >>> Replacement(where="BatchNormalization", layer="GroupNormalization", groups=8).arguments
    {'groups': 8}

    Raises:
        StudyError: an argument that the layer does not take, or a value it cannot have.
    """

    layer: str = Field(
        min_length=1,
        description="Class name of the layer that takes the place (GroupNormalization, "
        "SpatialDropout2D, FrozenAffine, any registered one); its own arguments stand beside it.",
    )
    where: Selector = Field(description="Which layers, by the selectors of a placement.")
    except_: Selector | None = Field(
        default=None, alias="except", description="Layers that stay, by the same selectors."
    )
    name: Name | None = Field(default=None, description="What plans call it; not the layer.")
    calibrate: bool = Field(
        default=False,
        description="true: choose gamma and beta on the training rows, layer by layer, so that the "
        "mean and deviation of each channel stay what the old layer gave at inference.",
    )

    @property
    def label(self) -> str:
        """What plans call it: its name, else the selector."""
        return self.name or shown(self.where)

    @model_validator(mode="after")
    def _check_arguments(self) -> Replacement:
        problems = [*_check_known(self), *_check_values(self)]
        if self.calibrate and self.layer not in _WITH_GAMMA and self.layer in LAYER_ARGUMENTS:
            text = f"'calibrate' chooses gamma and beta, which {self.layer} does not have."
            problems.append(Problem(("calibrate",), text))
        if problems:
            raise InvalidFields(*problems)
        return self


class Change(OpenModel):
    """Layers of the base model that get other arguments; their weights stay.

    The arguments stand beside these fields: `rate`, `momentum`, `epsilon`, `dropout`, `trainable`,
    whatever the layers take. `trainable` is true or false; of a BatchNormalization also
    `parameters` (gamma and beta learn, and the moving statistics stay and normalize in training
    too) or `statistics` (the moving statistics learn, gamma and beta stay).

    >>> Change(where="Dropout", rate=0.2).arguments
    {'rate': 0.2}

    Raises:
        StudyError: there is no argument, or a value it cannot have.
    """

    where: Selector = Field(description="Which layers, by the selectors of a placement.")
    except_: Selector | None = Field(
        default=None, alias="except", description="Layers that stay, by the same selectors."
    )
    name: Name | None = Field(
        default=None, description="What search paths call this change; not a layer."
    )

    @property
    def label(self) -> str:
        """What search paths call this change: its name, else the selector."""
        return self.name or shown(self.where)

    @model_validator(mode="after")
    def _check_arguments(self) -> Change:
        problems = list(_check_values(self))
        for key, text in _NOT_CHANGED.items():
            if key in self.arguments:
                problems.append(Problem((key,), text))
        if not self.arguments:
            text = "nothing to change: say an argument of the layers, as rate: 0.2."
            problems.append(Problem((), text))
        known = self._takes()
        if known is not None:
            for key in self.arguments.keys() - known - _NOT_CHANGED.keys():
                text = (
                    f"'{key}' is not an argument of {shown(self.where)}.{nearest(key, known)} "
                    f"It takes: {', '.join(sorted(known))}."
                )
                problems.append(Problem((key,), text))
        if problems:
            raise InvalidFields(*problems)
        return self

    def _takes(self) -> set[str] | None:
        """What the selected layers take, where the selectors are classes known without Keras."""
        selectors = [self.where] if isinstance(self.where, str) else self.where
        tables = [LAYER_ARGUMENTS.get(each.partition("[")[0]) for each in selectors]
        if not all(tables):
            return None
        return {"trainable", "dtype"}.union(*(each for each in tables if each))


#: What a change cannot set, and why.
_NOT_CHANGED = {
    "layer": "a change keeps the layer's class; another class is a matter of 'replace'.",
    "at": "a change acts on layers that are there; 'at' belongs to 'insert'.",
    "calibrate": "a change measures nothing; 'calibrate' belongs to 'insert' and 'replace'.",
}


def shown(where: Selector) -> str:
    """Return a selector as one text: its members joined by commas."""
    return where if isinstance(where, str) else ",".join(where)


def _check_known(given: Placement | Replacement) -> Iterator[Problem]:
    known = LAYER_ARGUMENTS.get(given.layer)
    if known is None:
        return  # a layer of its own: what it takes is settled with Keras
    fields = {field.alias or name for name, field in type(given).model_fields.items()}
    for key in given.arguments:
        if key not in known:
            text = (
                f"'{key}' is not an argument of {given.layer}.{nearest(key, known | fields)} "
                f"It takes: {', '.join(sorted(known))}."
            )
            yield Problem((key,), text)


def _check_values(given: Placement | Replacement | Change) -> Iterator[Problem]:
    """Check the values that Keras itself does not check, or only when it is too late."""
    arguments = given.arguments
    layer = getattr(given, "layer", None)  # of a change: whatever it selects
    if "rate" in arguments and (layer is None or layer in RATED):
        rate = arguments["rate"]
        if not _is_number(rate) or not 0 <= rate < 1:
            what = f"{layer} needs a 'rate'" if layer else "expected a rate"
            received = "none" if rate is None else repr(rate)
            text = f"{what} (share dropped) of at least 0 and below 1. Received: {received}."
            yield Problem(("rate",), text)
    if layer in BATCH_NORMS:
        yield from _check_axis(arguments, layer)
    if layer in (None, *BATCH_NORMS):
        yield from _check_clipping(arguments)
    if layer is None or layer in LAYER_ARGUMENTS:
        for key, (low, high, words) in _BOUNDS.items():
            value = arguments.get(key)
            if key in arguments and not (_is_number(value) and low <= value <= high):
                yield Problem((key,), f"expected a number {words}. Received: {value!r}.")
    how = arguments.get("trainable", True)
    allowed = (True, False, *(PARTLY if layer is None else ()))
    if not any(how is each or (isinstance(how, str) and how == each) for each in allowed):
        words = "true or false" if layer else f"true, false or one of {', '.join(PARTLY)}"
        yield Problem(("trainable",), f"expected {words}. Received: {how!r}.")


#: The parts of a BatchNormalization that `trainable` may let learn alone.
PARTLY = ("parameters", "statistics")

#: Layers with moving statistics.
BATCH_NORMS = ("BatchNormalization", "GhostBatchNormalization")

#: Layers whose gamma and beta `calibrate` of a replacement may choose.
_WITH_GAMMA = (*BATCH_NORMS, "LayerNormalization", "GroupNormalization")

#: Arguments with bounds that Keras itself does not check.
_BOUNDS = {
    "momentum": (0.0, 1.0, "from 0 to 1"),
    "renorm_momentum": (0.0, 1.0, "from 0 to 1"),
    "epsilon": (0.0, float("inf"), "of at least 0"),
    "dropout": (0.0, 1.0, "from 0 to 1"),
    "recurrent_dropout": (0.0, 1.0, "from 0 to 1"),
}


#: What bounds the correction of batch renormalization: r from rmin to rmax, |d| up to dmax.
_CLIPPING = ("rmin", "rmax", "dmax")


def _check_axis(arguments: dict[str, Any], layer: str | None) -> Iterator[Problem]:
    axis = arguments.get("axis", -1)
    if not isinstance(axis, int) or isinstance(axis, bool):
        yield Problem(("axis",), f"{layer} takes a single axis. Received: {axis!r}.")


def _check_clipping(arguments: dict[str, Any]) -> Iterator[Problem]:
    clipping = arguments.get("renorm_clipping")
    if clipping is None:
        return
    bounds = clipping if isinstance(clipping, dict) else {}
    low, high, shift = (bounds.get(key) for key in _CLIPPING)
    fits = isinstance(clipping, dict) and set(clipping) <= set(_CLIPPING)
    fits = fits and all(each is None or _is_number(each) for each in bounds.values())
    if not fits or (low and high and low > high) or (shift is not None and shift < 0):
        text = (
            "expected a mapping with some of rmin <= rmax, and dmax >= 0, as "
            f"{{rmax: 3, rmin: 0.33, dmax: 5}}. Received: {clipping!r}."
        )
        yield Problem(("renorm_clipping",), text)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Removal(Strict):
    """Layers to take out of the base model: those `where` selects, less `except`."""

    where: Selector = Field(description="Which layers, by the selectors of a placement.")
    except_: Selector | None = Field(
        default=None, alias="except", description="Layers to keep, by the same selectors."
    )
