"""The runs of a screening: a network per row of its design.

Every site that `screen.placements` find is a factor, on or off; where two positions are compared,
the position is one more. A run of the design is a variant like any other: the base model with
layers at the sites that are on. The sites are known once `ablate.study.screening` has written them
into the study; until then only the network with all of them is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ablate.study.declaration import Declaration
from ablate.study.design import Row, screening_runs
from ablate.study.inherit import VariantResolver
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.placement import Placement
from ablate.study.schema.screen import Screen
from ablate.study.schema.variant import Found

#: What the runs with every site and with none are called.
ALL, NONE = "all", "none"

#: What the factor is called that says which position the layers have.
POSITION = "position"


@dataclass(frozen=True)
class Design:
    """The factors of a screening and its runs.

    `factors` are the sites by the names of their inserted layers, `POSITION` last where positions
    are compared. A row of `runs` has +1 where a factor is on (or at its first position), else -1.
    """

    screen: Screen

    @cached_property
    def sites(self) -> tuple[Found, ...]:
        """The sites, in the order of the placements, then of the network."""
        return tuple(self.screen.found or ())

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The name of every factor."""
        names = [each.layer for each in self.sites]
        return (*names, *([POSITION] if self.screen.compares_positions else []))

    @cached_property
    def runs(self) -> tuple[Row, ...]:
        """The runs: the first has every site, the last none."""
        return screening_runs(len(self.factors))

    def name_of(self, row: int) -> str:
        """Return the name of a run's variant."""
        levels = self.runs[row][: len(self.sites)]
        if row == 0 and all(level > 0 for level in levels):
            return ALL
        if row == len(self.runs) - 1 and all(level < 0 for level in levels):
            return NONE
        return f"run{row + 1:02d}"

    def insert(self, on: Sequence[bool], position: int = 0) -> list[Placement]:
        """Return the placements of a network with the sites that are `on`.

        A placement of which every site is on stands as it was declared.
        """
        made = []
        for index, placement in enumerate(self.screen.placements):
            mine = [i for i, each in enumerate(self.sites) if each.placement == index]
            hosts = [self.sites[i].host for i in mine if on[i]]
            if hosts:
                whole = len(hosts) == len(mine)
                made.append(placement.at_position(position, None if whole else hosts))
        return made


def design_of(study: Declaration) -> Design:
    """Return the design of a study that screens."""
    assert study.screen is not None
    return Design(study.screen)


def screen_variants(study: Declaration, resolver: VariantResolver) -> list[ResolvedVariant]:
    """Return a variant per run; only the one with every site where the sites are not known."""
    assert study.screen is not None
    spec = resolver.spec([])
    spec = spec.model_copy(update={"train": spec.train.model_copy(update={"save": "none"})})
    if study.screen.found is None:
        insert = [each.at_position(0) for each in study.screen.placements]
        return [ResolvedVariant(ALL, spec.model_copy(update={"insert": insert}), {}, "screen")]
    design = design_of(study)
    variants = []
    for row, levels in enumerate(design.runs):
        on = [level > 0 for level in levels[: len(design.sites)]]
        position = int(levels[-1] < 0) if design.screen.compares_positions else 0
        insert = design.insert(on, position)
        variants.append(
            ResolvedVariant(
                design.name_of(row), spec.model_copy(update={"insert": insert}), {}, "screen"
            )
        )
    return variants
