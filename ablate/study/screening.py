"""From a screening to its sites, and to the study that confirms what was picked.

The sites that placements find depend on the built model; `with_found` writes them into the study.
What is confirmed is a study of its own: the picked sites, their runner-up, all and none on fresh
seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ablate.errors import StudyError
from ablate.study.design import ORDERS
from ablate.study.schema.seeds import Until
from ablate.study.schema.variant import Found
from ablate.study.screen_design import ALL, NONE, design_of
from ablate.study.study import Study

#: The first seed that what was picked is confirmed with.
CONFIRM_SEEDS = 20_000

#: What the picked sites and their runner-up are called, beside `ALL` and `NONE`.
PICKED, RUNNER_UP = "picked", "runner-up"


def with_found(study: Study, found: Sequence[Found]) -> Study:
    """Return a study that screens with the sites that its placements found.

    Raises:
        StudyError: there is no site, or there are more than a design has room for.
    """
    assert study.screen is not None
    screen = study.screen.model_copy(update={"found": list(found)})
    count = len(found) + screen.compares_positions
    if not found or count > ORDERS[-1]:
        raise StudyError(
            f"screen.placements: {len(found) or 'no'} sites were found. Expected 1 to "
            f"{ORDERS[-1] - screen.compares_positions}"
            + (": name fewer hosts in 'where', or some in 'except'." if found else ".")
        )
    names = [each.layer for each in found]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:  # two placements of one layer at one host: the second layer has another name
        screen = screen.model_copy(update={"found": _told_apart(found)})
    return study.with_fields(screen=screen)


def _told_apart(found: Sequence[Found]) -> list[Found]:
    counts: dict[str, int] = {}
    made = []
    for each in found:
        counts[each.layer] = counts.get(each.layer, 0) + 1
        number = counts[each.layer]
        name = each.layer if number == 1 else f"{each.layer}_{number}"
        made.append(each.model_copy(update={"layer": name}))
    return made


@dataclass(frozen=True)
class Pick:
    """The networks to confirm, by name, as the sites that are on, and the position they are at.

    `same` names the network that an entry equals: a pick of every site is `all`.
    """

    on: Mapping[str, tuple[bool, ...]]
    position: int = 0

    @cached_property
    def same(self) -> dict[str, str]:
        """For each name, the first of the networks that it equals."""
        first: dict[tuple[bool, ...], str] = {}
        return {name: first.setdefault(levels, name) for name, levels in self.on.items()}


def candidates(good: Sequence[bool], other: Sequence[bool], position: int = 0) -> Pick:
    """Return what is confirmed when `good` was picked and `other` is its runner-up."""
    count = len(good)
    return Pick(
        {
            NONE: (False,) * count,
            ALL: (True,) * count,
            PICKED: tuple(bool(each) for each in good),
            RUNNER_UP: tuple(bool(each) for each in other),
        },
        position,
    )


def confirmation(study: Study, pick: Pick) -> Study:
    """Return the study that trains what was picked on fresh seeds, `none` as its baseline."""
    assert study.screen is not None
    design = design_of(study)
    variants = {
        name: {"insert": design.insert(on, pick.position)}
        for name, on in pick.on.items()
        if pick.same[name] == name
    }
    asked = study.screen.confirm_seeds
    seeds: list[int] | Until = (
        list(range(CONFIRM_SEEDS, CONFIRM_SEEDS + asked))
        if isinstance(asked, int)
        else asked.model_copy(update={"first": CONFIRM_SEEDS})
    )
    if not isinstance(asked, int):  # each is decided against none, not against each other
        analysis = study.analysis.model_copy(update={"compare": "baseline"})
        study = study.with_fields(analysis=analysis)
    made = study.with_fields(screen=None, variants=variants, baseline=NONE, profiles={})
    return made.model_copy(update={"seeds": seeds})  # seeds that no file may declare
