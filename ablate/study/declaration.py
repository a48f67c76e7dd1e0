"""A study as declared: the fields of its file, and what follows from them alone.

Each section stands in `ablate.study.schema`. `Study` is a declaration that was checked as a
whole and knows its variants; what works on declarations (`expand`, `inherit`, `checks`) needs
nothing but the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from ablate.study.schema.analysis import Analysis, Expect
from ablate.study.schema.data import Data
from ablate.study.schema.execution import Execution
from ablate.study.schema.ledger import Ledger
from ablate.study.schema.model import Model
from ablate.study.schema.probes import Probe
from ablate.study.schema.screen import Screen
from ablate.study.schema.script import Script
from ablate.study.schema.search import Search
from ablate.study.schema.seeds import Until
from ablate.study.schema.strict import Name, Strict
from ablate.study.schema.train import Train
from ablate.study.schema.variant import Declared, LeaveOneOut

#: Seeds from here on belong to searches, so that a search never trains on a study's seeds.
SEARCH_SEEDS = 10_000


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Declaration(Strict):
    """All that the file of a study says."""

    study: Name = Field(description="The study's name, and its folder under `logs/`.")
    data: Data = Field(description="The examples: their source, split and scale.")
    model: Model = Field(description="The base model: a factory, a file or a call.")
    script: Script | None = Field(
        default=None,
        description="In place of `model` and `data`: a training script, whose fit call has both.",
    )
    train: Train = Field(default=Train(), description="How every trial is trained.")
    execution: Execution = Field(default=Execution(), description="Where trials run.")
    seeds: int | list[int] | Until = Field(
        default=5,
        description="How many seeds (5 is 0 to 4), which ([0, 1, 2]), or `{until: decided}`: seeds "
        "are added to variants that are inconclusive, and to the baseline.",
    )
    variants: dict[Name, Declared] = Field(
        default={}, description="The variants, by name. `plain: {}` is the base model itself."
    )
    factors: dict[Name, dict[Name, Declared]] = Field(
        default={},
        description="In place of `variants`: factors with their levels, crossed in full; a "
        "variant is then called `bn=on,dropout=off`.",
    )
    leave_one_out: LeaveOneOut | None = Field(
        default=None, description="Adds variants that lack one part of another."
    )
    baseline: str | None = Field(
        default=None, description="The variant others are compared with. Default: the first."
    )
    allow_duplicates: bool = Field(
        default=False,
        description="Lets declared variants be equal (an A/A study) and salts their seeds.",
    )
    probes: list[Annotated[Probe, BeforeValidator(_named, json_schema_input_type=Probe | str)]] = (
        Field(default=[], description="Measurements inside the network; a text is a probe's name.")
    )
    analysis: Analysis = Field(
        default=Analysis(), description="What the report compares, and at what level."
    )
    profiles: dict[Name, dict[str, Any]] = Field(
        default={},
        description="Named sets of overrides for `--profile`, with dotted paths as keys: "
        "`quick: {train.epochs: 2, seeds: 3}`.",
    )
    screen: Screen | None = Field(
        default=None,
        description="In place of `variants`: where layers should stand, each site on or off.",
    )
    ledger: Ledger | None = Field(
        default=None,
        description="Where the baseline's spread comes from: trains it anew with one source of "
        "chance changed at a time.",
    )
    search: Search | None = Field(
        default=None, description="A search over learning rates, rates and placements."
    )
    expect: list[Expect] = Field(
        default=[], description="Published values that a reproduction is held against."
    )

    numerics: int | None = Field(
        default=None,
        ge=1,
        description="Written by `ablate` itself: the version of its numbers that the trials were "
        "trained under. `report` and `status` look for those trials; `run` always trains under "
        "today's.",
    )

    @model_validator(mode="before")
    @classmethod
    def _by_layer(cls, document: Any) -> Any:
        """Let `leave_one_out: {from: model}` mean its layers, unless a variant is called so."""
        if not isinstance(document, Mapping):
            return document
        rule, variants = document.get("leave_one_out"), document.get("variants") or {}
        if not isinstance(rule, Mapping) or rule.get("from") != "model" or "model" in variants:
            return document
        return {**document, "leave_one_out": {"by": "layer", **rule}}

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds that are planned from the beginning, in order."""
        if isinstance(self.seeds, Until):
            return tuple(self.seeds.seeds[: self.seeds.at_least])
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)

    @property
    def until(self) -> Until | None:
        """When to stop adding seeds, where their number is not fixed."""
        return self.seeds if isinstance(self.seeds, Until) else None
