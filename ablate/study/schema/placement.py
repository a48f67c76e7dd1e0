"""Placements: a layer to insert and the sites it goes to; and removals, their opposite.

A placement is pure data. Which hosts a selector means, and whether a layer takes an argument,
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
        problems = [*self._check_known(), *self._check_values()]
        if self.calibrate and self.layer != "BatchNormalization":
            text = (
                f"'calibrate' is for a BatchNormalization; {self.layer} has no statistics to set."
            )
            problems.append(Problem(("calibrate",), text))
        if problems:
            raise InvalidFields(*problems)
        return self

    def _check_known(self) -> Iterator[Problem]:
        known = LAYER_ARGUMENTS.get(self.layer)
        if known is None:
            return  # a layer of its own: what it takes is settled with Keras
        fields = {field.alias or name for name, field in Placement.model_fields.items()}
        for key in self.arguments:
            if key not in known:
                text = (
                    f"'{key}' is not an argument of {self.layer}.{nearest(key, known | fields)} "
                    f"It takes: {', '.join(sorted(known))}."
                )
                yield Problem((key,), text)

    def _check_values(self) -> Iterator[Problem]:
        arguments = self.arguments
        misspelt = not set(arguments) <= LAYER_ARGUMENTS.get(self.layer, set(arguments))
        if self.layer in RATED and ("rate" in arguments or not misspelt):
            rate = arguments.get("rate")
            if not _is_number(rate) or not 0 <= rate < 1:
                text = (
                    f"{self.layer} needs a 'rate' (share dropped) of at least 0 and below 1. "
                    f"Received: {'none' if rate is None else repr(rate)}."
                )
                yield Problem(("rate",) if "rate" in arguments else (), text)
        if self.layer == "BatchNormalization":
            yield from _check_normalization(arguments)
        if self.layer in LAYER_ARGUMENTS:
            for key, (low, high, words) in _BOUNDS.items():
                value = arguments.get(key)
                if key in arguments and not (_is_number(value) and low <= value <= high):
                    yield Problem((key,), f"expected a number {words}. Received: {value!r}.")


#: Arguments with bounds that Keras itself does not check.
_BOUNDS = {
    "momentum": (0.0, 1.0, "from 0 to 1"),
    "renorm_momentum": (0.0, 1.0, "from 0 to 1"),
    "epsilon": (0.0, float("inf"), "of at least 0"),
}


#: What bounds the correction of batch renormalization: r from rmin to rmax, |d| up to dmax.
_CLIPPING = ("rmin", "rmax", "dmax")


def _check_normalization(arguments: dict[str, Any]) -> Iterator[Problem]:
    axis = arguments.get("axis", -1)
    if not isinstance(axis, int) or isinstance(axis, bool):
        yield Problem(("axis",), f"BatchNormalization takes a single axis. Received: {axis!r}.")
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
