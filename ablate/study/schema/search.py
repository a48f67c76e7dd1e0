"""What a search varies, and how it looks: the `search` section of a study.

A path names a field: `train.<field>` (dotted further into mappings, as
`train.optimizer.momentum`) or `insert.<placement>.<field>`, where a placement is called by its
`name`, else by its layer, and `present` says whether it is there at all.
`ablate.study.search_points` knows what a point of the space makes of a variant.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ablate.errors import nearest
from ablate.study.schema.seeds import Until
from ablate.study.schema.strict import Integers, Range, Strict
from ablate.study.validation import InvalidFields, Problem, invalid, shown

ORACLES = ("random", "quasirandom", "grid", "bayesian", "hyperband")


class Dimension(Strict):
    """One searched field: exactly one of `float`, `int`, `choice`, `bool`."""

    float_: Range | None = Field(
        default=None, alias="float", description="Numbers from low to high: [1.0e-4, 1.0]."
    )
    int_: Integers | None = Field(
        default=None, alias="int", description="Whole numbers from low to high, both included."
    )
    choice: list[bool | int | float | str] | None = Field(
        default=None, min_length=1, description="One of these: numbers, or texts, or true/false."
    )
    bool_: Literal[True] | None = Field(
        default=None, alias="bool", description="`bool: true`: true or false."
    )
    sampling: Literal["linear", "log", "reverse_log"] = Field(
        default="linear", description="How a range is drawn from, or walked by a grid."
    )
    step: float | None = Field(
        default=None, gt=0, description="Distance of grid points; a factor with log sampling."
    )

    @property
    def kind(self) -> Literal["float", "int", "choice", "bool"]:
        """Which of the four it is."""
        return next(key for key in ("float", "int", "choice", "bool") if self._of(key) is not None)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Low and high of a range; None for choices."""
        return self.float_ if self.float_ is not None else self.int_

    def _of(self, kind: str) -> Any:
        return getattr(self, kind if kind == "choice" else kind + "_")

    @model_validator(mode="after")
    def _one_kind(self) -> Dimension:
        given = [key for key in ("float", "int", "choice", "bool") if self._of(key) is not None]
        if len(given) != 1:
            raise invalid(f"expected exactly one of float, int, choice, bool. Received: {given}.")
        if self.bounds is not None:
            self._check_range(given[0], *self.bounds)
        elif self.sampling != "linear" or self.step is not None:
            raise invalid(f"'sampling' and 'step' belong to a range; {given[0]} has none.")
        if self.choice is not None:
            self._check_choice(self.choice)
        return self

    def _check_range(self, kind: str, low: float, high: float) -> None:
        if not low < high:
            raise invalid(f"an empty range. Expected low < high. Received: [{low}, {high}].", kind)
        if self.sampling != "linear" and low <= 0:
            raise invalid(
                f"a {self.sampling} range must begin above 0. Received: [{low}, {high}].", kind
            )
        if self.step is None:
            return
        if self.sampling == "linear" and self.step > high - low:
            raise invalid(f"'step' {self.step:g} is larger than the range [{low}, {high}].", "step")
        if self.sampling != "linear" and self.step <= 1:
            raise invalid(
                f"with {self.sampling} sampling 'step' is a factor above 1. Received: "
                f"{self.step:g}.",
                "step",
            )
        if kind == "int" and self.step != int(self.step):
            raise invalid(f"whole numbers need a whole 'step'. Received: {self.step:g}.", "step")

    def _check_choice(self, choice: list[Any]) -> None:
        kinds = {type(each) if not isinstance(each, int | float) or isinstance(each, bool) else int
                 for each in choice}  # fmt: skip
        if len(kinds) > 1:
            raise invalid(
                f"choices must be all numbers, all texts or all true/false. Received: "
                f"{shown(choice)}.",
                "choice",
            )
        if len(choice) != len(set(choice)):
            raise invalid(f"duplicate choice. Received: {shown(choice)}.", "choice")

    def samples(self) -> tuple[Any, ...]:
        """Return values that stand for all: the ends of a range, or every choice."""
        if self.choice is not None:
            return tuple(self.choice)
        if self.int_ is not None:
            return self.int_
        return (True, False) if self.bool_ else (self.float_ or ())


class Search(Strict):
    """A search for the best point of a space, for each variant on an equal budget."""

    oracle: str = Field(
        default="random",
        description=f"Search algorithm: {', '.join(ORACLES)}, or `package.module:Class` for "
        "anyone's own Keras Tuner oracle.",
    )
    trials: int = Field(default=20, ge=1, description="Sampled points per variant.")
    seeds: int = Field(
        default=1,
        ge=1,
        description="Seeds per point. With one a winner may owe its place to its seed; from two on "
        "the report says how the choice varies.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of the oracle.")
    objective: str = Field(
        default="val_loss", description="The validation metric that points are judged by."
    )
    direction: Literal["auto", "max", "min"] = Field(
        default="auto", description="Whether more is better; auto knows Keras's own metrics."
    )
    space: dict[str, Dimension] = Field(
        min_length=1,
        description="Fields to vary: `train.<field>` or `insert.<placement name, else layer>."
        "<field>`; `present` is whether a placement is there at all.",
    )
    confirm_seeds: Annotated[int, Field(ge=0)] | Until = Field(
        default=5,
        description="Fresh seeds for each variant's winner; only these count. `{until: decided}` "
        "adds them as `seeds` does.",
    )

    @model_validator(mode="after")
    def _fit_the_oracle(self) -> Search:
        problems = []
        if self.oracle not in ORACLES and ":" not in self.oracle:
            problems.append(
                Problem(
                    ("oracle",),
                    f"expected one of {', '.join(ORACLES)}, or package.module:Class. Received: "
                    f"{self.oracle!r}.{nearest(self.oracle, ORACLES)}",
                )
            )
        for path, dimension in self.space.items() if self.oracle == "grid" else ():
            if dimension.step is None and (
                dimension.kind == "float" or (dimension.kind == "int" and _logarithmic(dimension))
            ):
                text = "a grid needs a 'step' here, or a 'choice' of values in place of the range."
                problems.append(Problem(("space", path), text))
        if not self.objective.startswith("val_"):
            problems.append(
                Problem(
                    ("objective",),
                    "expected a validation metric (val_loss, val_accuracy, ...): choices are made "
                    f"on validation data alone. Received: {self.objective!r}.",
                )
            )
        if problems:
            raise InvalidFields(*problems)
        return self


def _logarithmic(dimension: Dimension) -> bool:
    return dimension.sampling != "linear"
