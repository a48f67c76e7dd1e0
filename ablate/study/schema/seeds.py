"""Seeds that are added until every variant is decided: `seeds: {until: decided}`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ablate.study.schema.strict import Strict
from ablate.study.validation import invalid

#: Seeds before which nothing is decided: with three, tied differences could decide by chance.
FIRST_DECISION = 4


class Until(Strict):
    """How many seeds, where the differences say how many are needed.

    Seeds are `first`, `first` + 1, …. Each variant begins with `at_least`; `step` more are added
    to variants that are inconclusive and to the baseline, up to `at_most`.
    """

    until: Literal["decided"] = Field(
        description="decided: add seeds to a variant until it is better, worse or, with "
        "analysis.margin, equivalent."
    )
    at_least: int = Field(default=5, ge=1, description="Seeds of every variant to begin with.")
    at_most: int = Field(default=40, description="Seeds of a variant that is never decided.")
    step: int = Field(default=1, ge=1, description="Seeds added at a time.")
    first: int = Field(default=0, ge=0, description="The first seed.")

    @model_validator(mode="after")
    def _in_order(self) -> Until:
        if self.at_most < self.at_least:
            text = f"expected no less than 'at_least', {self.at_least}. Received: {self.at_most}."
            raise invalid(text, "at_most")
        if self.at_most < FIRST_DECISION:
            text = (
                f"expected at least {FIRST_DECISION}: fewer seeds decide nothing. Received: "
                f"{self.at_most}."
            )
            raise invalid(text, "at_most")
        return self

    @property
    def seeds(self) -> range:
        """The seeds that may be asked for, in the order in which they are added."""
        return range(self.first, self.first + self.at_most)

    @property
    def stages(self) -> tuple[int, ...]:
        """The numbers of seeds at which it is decided, ascending.

        >>> Until(until="decided", at_least=5, at_most=12, step=3).stages
        (5, 8, 11, 12)
        """
        return (*range(self.at_least, self.at_most, self.step), self.at_most)
