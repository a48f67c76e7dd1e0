"""What will be inserted where, decided before anything is: a plan that `insert` carries out.

There is a `SiteDecision` for each placement and host, skipped hosts with their reasons among them.
`ablate plan` and `ablate inspect` show it, `insert` obeys it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from ablate.errors import SurgeryError
from ablate.study.keras_names import snake
from ablate.study.positions import Position
from ablate.study.schema.placement import Placement
from ablate.surgery import hosts
from ablate.surgery.graph import calls_by_layer, graphs
from ablate.surgery.layer_factory import Recipe, recipe_of
from ablate.surgery.rebuild import free_name
from ablate.surgery.sites import Site, site_at
from ablate.surgery.ties import held_elsewhere
from ablate.surgery.tracing import functional


@dataclass(frozen=True)
class SiteDecision:
    """What becomes of one placement at one host.

    `name` and `path` are those of the layer to be inserted, None where the host is skipped; then
    `skipped` says why. `stands` describes where the layer goes. `splits` names the
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
    base: keras.Model | None = None,
) -> list[SiteDecision]:
    """Decide what `insert` would do, placement by placement and host by host, and do nothing.

    Hosts that a pattern matched and that cannot take the position are listed with a reason.

    Args:
        model: The model to insert into.
        placements: What to insert, in order; layers at one site keep this order.
        recipes: How to make the layers, one per placement, where not by the placement's name.
        base: The model that selectors are resolved on, where other layers have taken the places
            of its own since.

    Raises:
        SurgeryError: as `insert`.
    """
    model = functional(model)
    planner = _Planner(model)
    decisions: list[SiteDecision] = []
    for number, placement in enumerate(placements):
        recipe = recipes[number] if recipes else recipe_of(placement)
        own = [
            planner.decide(each, placement, recipe)
            for each in hosts.resolve(model, placement.where, placement.except_, base=base)
        ]
        if all(each.skipped for each in own):
            raise SurgeryError(_no_host(placement, own))
        decisions += own
    return decisions


class _Planner:
    """What is known of the model and of the decisions so far: names taken, activations split."""

    def __init__(self, model: keras.Model) -> None:
        self.calls = calls_by_layer(model)
        self.held = held_elsewhere(model)
        self.taken = {read.model: {each.name for each in read.order} for read in graphs(model)}
        self.splits: set[str] = set()

    def decide(
        self, selected: hosts.Selected, placement: Placement, recipe: Recipe
    ) -> SiteDecision:
        """Decide what becomes of a placement at one host."""
        host = selected.host
        site, fitted = self.fit(host, placement.at, recipe)
        plain = SiteDecision(placement, host.path, host.kind, placement.at)
        if site is None:
            if selected.named:
                raise SurgeryError(
                    f"{placement.layer} cannot be inserted '{placement.at}' of '{host.path}': "
                    f"{fitted}."
                )
            return replace(plain, skipped=fitted)
        models = {read.model for read, _ in self.calls[host.layer]}
        names = set().union(*(self.taken[each] for each in models))
        split = None
        if site.points[0].side == "split" and host.path not in self.splits:
            self.splits.add(host.path)
            split = free_name(f"{host.name}_activation", names)
        name = free_name(f"{host.name}_{suffix(recipe.layer_class)}", {*names, split})
        for each in models:
            self.taken[each] |= {name, split} if split else {name}
        return replace(
            plain,
            name=name,
            path=sibling_path(host.path, name),
            stands=site.stands,
            splits=split,
            site=site,
            layer=fitted.make(name=name),
        )

    def fit(self, host: hosts.Host, at: Position, recipe: Recipe) -> Any:
        """Return the site and the recipe fitted to it, or None and the reason why there is none."""
        site = site_at(host, at, self.calls)
        if isinstance(site, str):
            return None, site
        if site.points[0].side == "split" and host.layer in self.held:
            return None, (
                f"'{self.held[host.layer]}' holds it too, so its activation cannot be split off "
                "without being missed there"
            )
        fitted = recipe.fit(host.layer, site, self.calls)
        return (None if isinstance(fitted, str) else site), fitted


def sibling_path(path: str, name: str) -> str:
    """Return the path of a layer called `name` in the model of the layer at `path`."""
    return f"{path.rpartition('/')[0]}/{name}".lstrip("/")


def suffix(layer_class: str) -> str:
    """Return what a layer of this class adds to its host's name: `bn`, `dropout`, …"""
    return "bn" if layer_class == "BatchNormalization" else snake(layer_class)


def _no_host(placement: Placement, decisions: Sequence[SiteDecision]) -> str:
    reasons = "; ".join(f"{each.host}: {each.skipped}" for each in decisions[:5])
    more = f"; and {len(decisions) - 5} more" if len(decisions) > 5 else ""
    return (
        f"{placement.layer} can be inserted at none of the {len(decisions)} layers that "
        f"where={placement.where!r} selects for at={placement.at!r}. {reasons}{more}. "
        "Select other layers or another position."
    )
