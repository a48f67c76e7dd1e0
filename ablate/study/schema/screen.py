"""A screening: which sites a layer should stand at, each a factor of a two-level design."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ablate.study.positions import Position
from ablate.study.schema.placement import Placement, Selector
from ablate.study.schema.seeds import Until
from ablate.study.schema.strict import OpenModel, Strict
from ablate.study.schema.variant import Found
from ablate.study.validation import invalid

#: The positions that can be compared with each other, as one further factor.
_COMPARED = frozenset({"before_activation", "after_activation"})


class ScreenPlacement(OpenModel):
    """A placement whose every site is a factor; `at` may name two positions to compare.

    The layer's own arguments stand beside these fields, as in a placement.
    """

    layer: str = Field(min_length=1, description="Class name of a Keras layer, as in a placement.")
    at: Position | list[Position] = Field(
        default="after",
        description="The position relative to each host; "
        "[before_activation, after_activation] makes the position a further factor.",
    )
    where: Selector = Field(
        default="hidden", description="Which hosts, by the selectors of a placement."
    )
    except_: Selector | None = Field(
        default=None, alias="except", description="Hosts to leave out, by the same selectors."
    )

    calibrate: bool | Literal["statistics"] = Field(
        default=False, description="As in a placement: set a BatchNormalization by training rows."
    )

    @model_validator(mode="after")
    def _as_placement(self) -> ScreenPlacement:
        if isinstance(self.at, list) and set(self.at) != _COMPARED:
            raise invalid(
                "expected one position, or [before_activation, after_activation] to compare the "
                f"two. Received: {self.at!r}.",
                "at",
            )
        self.at_position(0)  # a placement checks the layer's arguments
        return self

    @property
    def positions(self) -> tuple[Position, ...]:
        """The positions to compare; a single one where there is nothing to compare."""
        return tuple(self.at) if isinstance(self.at, list) else (self.at,)

    def at_position(self, index: int, where: list[str] | None = None) -> Placement:
        """Return the placement at one of `positions`; at the hosts `where`, if given."""
        positions = self.positions
        given: dict[str, Any] = {
            "layer": self.layer,
            "at": positions[min(index, len(positions) - 1)],
            "where": self.where if where is None else where,
            "calibrate": self.calibrate,
            **self.arguments,
        }
        if where is None and self.except_ is not None:
            given["except"] = self.except_
        return Placement(**given)


class Screen(Strict):
    """A screening of sites: in place of `variants` and `factors`."""

    placements: list[ScreenPlacement] = Field(
        min_length=1,
        description="The layers to place; each site that one finds is a factor, on or off.",
    )
    confirm_seeds: Annotated[int, Field(ge=2)] | Until = Field(
        default=8,
        description="Fresh seeds on which the picked sites, their runner-up, all and none are "
        "trained, or `{until: decided}`; only those are reported on test rows.",
    )
    sd: float | None = Field(
        default=None,
        gt=0,
        description="Standard deviation of the score of a single training, where it is known: "
        "`plan` tells by it how wide the intervals will be. Else trainings that are done tell.",
    )
    found: list[Found] | None = Field(
        default=None,
        description="Written by `ablate` itself: the sites that the placements found, so that a "
        "resolved study needs no model to say its runs.",
    )

    @property
    def most_confirm_seeds(self) -> int:
        """How many fresh seeds a network may get."""
        seeds = self.confirm_seeds
        return seeds if isinstance(seeds, int) else seeds.at_most

    @property
    def compares_positions(self) -> bool:
        """Whether the position is a factor, too."""
        return any(len(each.positions) > 1 for each in self.placements)
