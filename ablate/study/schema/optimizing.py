"""Optimizers, schedules and early stopping, in a `train` section or in one of its phases.

Names and arguments are checked without Keras, and names brought to one spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)  # fmt: skip

from ablate.errors import nearest
from ablate.study.keras_names import OPTIMIZERS, SCHEDULES, is_own, optimizer_name, snake
from ablate.study.keras_objects import as_text
from ablate.study.schema.strict import OpenModel, Strict
from ablate.study.validation import invalid


class Named(OpenModel):
    """A Keras object by name, with its arguments beside the name."""

    name: str = Field(description="Its name in Keras")


class Called(OpenModel):
    """Anyone's own object: `call: package.module:Class`, with its arguments beside it."""

    call: str = Field(description="Where it is imported from: package.module:Class")

    @field_validator("call")
    @classmethod
    def _check_call(cls, call: str) -> str:
        if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", call) is None:
            raise invalid(f"a call is written 'package.module:name'. Received: '{call}'.")
        return call


class EarlyStopping(Strict):
    """Stop when `monitor` has not improved for `patience` epochs; restore the best weights."""

    monitor: str = Field(default="val_loss", description="A name of the history: val_accuracy, …")
    patience: int = Field(default=5, ge=0, description="Epochs without improvement to wait.")
    min_delta: float = Field(default=0.0, ge=0, description="The least that counts as better.")
    mode: Literal["auto", "min", "max"] = Field(
        default="auto", description="Whether less or more is better; auto: by the name."
    )


def _as_named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def source_of(value: Any) -> str:
    called = "call" in value if isinstance(value, dict) else isinstance(value, Called)
    return "called" if called else "named"


Either = Annotated[
    Annotated[Named, Tag("named")] | Annotated[Called, Tag("called")], Discriminator(source_of)
]


def _check_optimizer(optimizer: Named | Called) -> Named | Called:
    if isinstance(optimizer, Called) or is_own(optimizer.name):
        return optimizer
    name = optimizer_name(optimizer.name)
    if name not in OPTIMIZERS:
        raise invalid(no_such("optimizer", optimizer.name, OPTIMIZERS, name))
    check_arguments(name, optimizer.arguments, OPTIMIZERS[name], "train.learning_rate")
    return Named(**{**optimizer.arguments, "name": name})


def _check_schedule(schedule: Named | Called) -> Named | Called:
    if isinstance(schedule, Called):
        return schedule
    name = snake(schedule.name).removesuffix("_decay")
    if name not in SCHEDULES:
        raise invalid(no_such("schedule", schedule.name, SCHEDULES, name))
    known, needed = SCHEDULES[name]
    check_arguments(name, schedule.arguments, known, "train.learning_rate")
    for key in sorted(needed - set(schedule.arguments)):
        raise invalid(f"'{name}' needs '{key}'.", key)
    _check_schedule_values(name, schedule.arguments)
    return Named(**{**schedule.arguments, "name": name})


Optimizer = Annotated[
    Either,
    BeforeValidator(_as_named, json_schema_input_type=Named | Called | str),
    AfterValidator(_check_optimizer),
]
Schedule = Annotated[
    Either,
    BeforeValidator(_as_named, json_schema_input_type=Named | Called | str),
    AfterValidator(_check_schedule),
]


class Phase(Strict):
    """A part of the training with settings of its own; what it leaves out is as in `train`."""

    epochs: int = Field(ge=1, le=10**9, description="Epochs of the phase.")
    freeze: str | list[str] | None = Field(
        default=None,
        description="The layers of the base model not to train in this phase, and no others, also "
        "where the model brings frozen ones; [] trains all. Left out, as in `train`.",
    )
    learning_rate: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="The (first) rate of the phase."
    )
    schedule: Schedule | None = Field(
        default=None, description="How the rate changes; it spans the phase."
    )
    optimizer: Optimizer | None = Field(
        default=None, description="The optimizer; its state starts fresh in every phase."
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="When the phase stops; its best weights are restored."
    )
    callbacks: list[Called] | None = Field(
        default=None, description="The callbacks of the phase, in place of those of `train`."
    )

    @model_validator(mode="before")
    @classmethod
    def _write_objects(cls, document: Any) -> Any:
        return as_text(document)


def no_such(what: str, given: str, known: Iterable[str], name: str) -> str:
    names = sorted(known)
    return (
        f"There is no {what} '{given}' in Keras.{nearest(name, names)} There are: "
        f"{', '.join(names)}; one of your own is written package>Name, as registered."
        if what != "schedule"
        else f"There is no schedule '{given}'.{nearest(name, names)} There are: {', '.join(names)}."
    )


def check_arguments(
    name: str, arguments: Iterable[str], known: frozenset[str], rate: str, *path: str | int
) -> None:
    for key in arguments:
        if key in known:
            continue
        if rate and key in ("learning_rate", "initial_learning_rate", "lr"):
            raise invalid(
                f"The learning rate is '{rate}', so that variants can change it.", *path, key
            )
        raise invalid(
            f"'{name}' takes no '{key}'.{nearest(key, known)} "
            f"It takes: {', '.join(sorted(known)) or 'nothing'}.",
            *path,
            key,
        )


def _check_schedule_values(name: str, arguments: dict[str, Any]) -> None:
    """Check the numbers of a schedule, whose keys are known to be right."""
    for length in ("decay", "warmup", "first_decay"):
        if f"{length}_steps" in arguments and f"{length}_epochs" in arguments:
            raise invalid(
                f"Give '{length}_steps' or '{length}_epochs', not both.", f"{length}_epochs"
            )
    for key, value in arguments.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in ("staircase", "cycle"):
            if not isinstance(value, bool):
                raise invalid(f"expected true or false. Received: {value!r}.", key)
        elif key in ("monitor", "mode"):
            if not isinstance(value, str):
                raise invalid(f"expected text. Received: {value!r}.", key)
        elif name == "piecewise":
            if not isinstance(value, list) or not all(isinstance(v, int | float) for v in value):
                raise invalid(f"expected a list of numbers. Received: {value!r}.", key)
        elif not number or value < 0:
            raise invalid(f"expected a number of at least 0. Received: {value!r}.", key)
    if name in ("warmup", "piecewise") and ("epochs" in arguments) == ("steps" in arguments):
        raise invalid(f"'{name}' needs either 'epochs' or 'steps'.")
    if name == "piecewise":
        bounds = arguments.get("epochs", arguments.get("steps", []))
        if len(arguments["factors"]) != len(bounds) + 1:
            raise invalid(
                f"expected one factor more than there are boundaries ({len(bounds) + 1}). "
                f"Received: {len(arguments['factors'])}.",
                "factors",
            )
    if name == "plateau" and not 0 < arguments.get("factor", 0.1) < 1:
        raise invalid(f"expected above 0 and below 1. Received: {arguments['factor']}.", "factor")
