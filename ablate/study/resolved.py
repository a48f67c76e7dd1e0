"""A variant resolved, as the plan, the trials and the analysis see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ablate.study.trial import Spec

#: How a variant came about.
Origin = Literal["declared", "factorial", "leave_one_out", "screen", "ledger"]


@dataclass(frozen=True)
class ResolvedVariant:
    """A variant with nothing left to inherit.

    `factors` has the level of each factor in a factorial study. `alias_of` names the variant whose
    trials this one shares (a generated variant equal to another). A leave-one-out variant has
    `origin` "leave_one_out", and `left_out` holds (from, what); a run of a screening "screen", the
    baseline with one source of chance drawn anew "ledger".
    `salt` tells declared duplicates of an A/A study apart; their trials take it, so that their
    seeds differ.
    """

    name: str
    spec: Spec
    factors: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = "declared"
    alias_of: str | None = None
    left_out: tuple[str, str] | None = None
    salt: str = ""
