"""What will be inserted where, decided before anything is: a plan that `insert` carries out.

A model and placements enter; a `SiteDecision` for each placement and host leaves, skipped hosts
with their reasons among them. `ablate plan` and `ablate inspect` show it, `insert` obeys it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.study.positions import Position
from ablate.study.schema.placement import Placement
from ablate.surgery import graph, hosts
from ablate.surgery.layer_factory import Addition, Recipe, Trials, recipe_of
from ablate.surgery.naming import free_name, suffix
from ablate.surgery.sites import Refusal, Site, calls_by_layer, site_at
from ablate.surgery.ties import held_elsewhere


@dataclass(frozen=True)
class SiteDecision:
    """What becomes of one placement at one host.

    `name` and `path` are those of the layer to be inserted, None where the host is skipped; then
    `skipped` says why. `stands` says in words where the layer goes. `splits` names the
    activation layer that is split off for it, if it is the first to ask for that.
    """

    placement: Placement
    host: str
    kind: str
    at: Position
    name: str | None = None
    path: str | None = None
    stands: str = ""
    skipped: str | None = None
    splits: str | None = None
    site: Site | None = field(default=None, repr=False, compare=False)
    layer: keras.Layer | None = field(default=None, repr=False, compare=False)


def plan_insertions(
    model: keras.Model,
    placements: Iterable[Placement],
    *,
    recipes: Sequence[Recipe] | None = None,
) -> list[SiteDecision]:
    """Decide what `insert` would do, placement by placement and host by host, and do nothing.

    Hosts that a pattern matched and that cannot take the position are listed with a reason.

    Args:
        model: The base model.
        placements: What to insert, in order; layers at one site stand in this order.
        recipes: How to make the layers, one per placement, where not by the placement's name.

    Raises:
        SurgeryError: as `insert`.
    """
    calls = calls_by_layer(model)
    taken = _names_by_model(model)
    held = held_elsewhere(model)
    splits: set[str] = set()
    decisions: list[SiteDecision] = []
    for number, placement in enumerate(placements):
        recipe = recipes[number] if recipes else recipe_of(placement)
        trials: Trials = {}
        own = [
            _decide(each, placement, recipe, calls, taken, held, splits, trials)
            for each in hosts.resolve(model, placement.where, placement.except_)
        ]
        if all(each.skipped for each in own):
            raise SurgeryError(_no_host(placement, own))
        decisions += own
    return decisions


def _decide(
    selected: hosts.Selected,
    placement: Placement,
    recipe: Recipe,
    calls: Any,
    taken: dict[Any, set[str]],
    held: dict[Any, str],
    splits: set[str],
    trials: Trials,
) -> SiteDecision:
    host = selected.host
    made = _try(host, placement.at, recipe, calls, held, trials)
    plain = SiteDecision(placement, host.path, host.kind, placement.at)
    if isinstance(made, str):
        if selected.named:
            raise SurgeryError(
                f"{placement.layer} cannot stand '{placement.at}' of '{host.path}': {made}."
            )
        return replace(plain, skipped=made)
    site, addition = made
    names = set().union(*(taken[read.model] for read, _ in calls[host.layer]))
    split = None
    if site.points[0].side == "split" and host.path not in splits:
        splits.add(host.path)
        split = free_name(host.name, "activation", names)
        names = names | {split}
    name = free_name(host.name, suffix(recipe.layer_class), names)
    for read, _ in calls[host.layer]:
        taken[read.model] |= {name} | ({split} if split else set())
    prefix = host.path.rpartition("/")[0]
    return replace(
        plain,
        name=name,
        path=f"{prefix}/{name}" if prefix else name,
        stands=site.stands,
        splits=split,
        site=site,
        layer=addition.make(name),
    )


def _try(
    host: hosts.Host,
    at: Position,
    recipe: Recipe,
    calls: Any,
    held: dict[Any, str],
    trials: Trials,
) -> Any:
    """The site and the layer for it, or the reason why there is none."""
    site = site_at(host, at, calls)
    if isinstance(site, Refusal):
        return site.reason
    if site.points[0].side == "split" and host.layer in held:
        return (
            f"'{held[host.layer]}' holds it too, so its activation cannot be split off without "
            "being missed there"
        )
    addition = Addition.at(recipe, host.layer, site, calls, trials)
    return addition if isinstance(addition, str) else (site, addition)


def _names_by_model(model: keras.Model) -> dict[Any, set[str]]:
    found: dict[Any, set[str]] = {}
    for read, operation in graph.every(model):
        found.setdefault(read.model, set()).add(operation.name)
    return found


def _no_host(placement: Placement, decisions: Sequence[SiteDecision]) -> str:
    reasons = "; ".join(f"{each.host}: {each.skipped}" for each in decisions[:5])
    more = f"; and {len(decisions) - 5} more" if len(decisions) > 5 else ""
    return (
        f"{placement.layer} can stand at none of the {len(decisions)} layers that "
        f"where={placement.where!r} selects for at={placement.at!r}. {reasons}{more}. "
        "Select other layers or another position."
    )
