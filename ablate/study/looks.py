"""What has been seen of a study's differences, and what that asks of its intervals.

A look is a difference that was shown: at the end of a run, by a report, on a board. Whoever looks
may then add seeds, or stop: an interval for a fixed number of seeds no longer covers as often as it
says. Looks are therefore kept (`looks.jsonl`), by what a variant's trials are, whatever its name:
its key is the identity of a trial of it. A study whose seeds were changed after a look has
intervals that hold at every look.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ablate.study.trial import TrialResult

Seeds = tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """A look: which seeds of each variant were planned then, and which had completed, by key."""

    by: str  # "run", "report", "board", "search"
    planned: Mapping[str, Seeds]
    seen: Mapping[str, Seeds]
    time: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the look as a line of `looks.jsonl` has it."""
        variants = {
            key: {"planned": list(own), "seen": list(self.seen.get(key, ()))}
            for key, own in self.planned.items()
        }
        return {"time": self.time, "by": self.by, "variants": variants}

    @classmethod
    def from_json(cls, document: Any) -> Look:
        """Read `to_json`'s document.

        Raises:
            ValueError: it is none.
        """
        try:
            variants = document["variants"]
            return cls(
                by=str(document["by"]),
                planned={key: _seeds(own["planned"]) for key, own in variants.items()},
                seen={key: _seeds(own["seen"]) for key, own in variants.items()},
                time=str(document["time"]),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no look: {error}") from None


@dataclass(frozen=True)
class Looks:
    """The looks at a study so far, and what is planned of it now.

    Attributes:
        keys: of each variant.
        planned: its seeds.
        earlier: the looks, in their order.
    """

    keys: Mapping[str, str]
    planned: Mapping[str, Seeds]
    earlier: tuple[Look, ...] = field(default=())

    def why(self, baseline: str) -> str:
        """Say why intervals have to hold at every look, as a clause; "" where they need not.

        They have to where a difference to the baseline was seen when other seeds were planned
        for it than are now.
        """
        base = self.keys[baseline]
        changed: dict[str, str] = {}  # by variant, how: the first look counts
        for look in self.earlier:
            for name, key in self.keys.items():
                if key == base or not _shared(look.seen, key, base):
                    continue
                then = _shared(look.planned, key, base)
                now = tuple(s for s in self.planned[name] if s in self.planned[baseline])
                if set(then) != set(now):
                    amounts = f"{_amount(then, now)} planned then, {_amount(now, then)} now"
                    changed.setdefault(name, amounts)
        if not changed:
            return ""
        others = {name for name, key in self.keys.items() if key != base}
        whose = "" if set(changed) == others else f" of {', '.join(changed)}"
        how = next(iter(changed.values())) if len(set(changed.values())) == 1 else "; ".join(
            f"{name}: {amounts}" for name, amounts in changed.items()
        )  # fmt: skip
        return f"seeds{whose} were changed after a look at the differences ({how})"

    @property
    def order(self) -> Seeds:
        """The seeds that were seen, in the order in which they were; ascending within a look."""
        own = set(self.keys.values())
        looks = [{s for key, seen in each.seen.items() if key in own for s in seen}
                 for each in self.earlier]  # fmt: skip
        return tuple(dict.fromkeys(seed for each in looks for seed in sorted(each)))

    def now(self, results: Iterable[TrialResult], by: str) -> Look | None:
        """Return the look that showing `results` is; None where it shows no difference, or only
        what was shown before."""
        planned = {key: self.planned[name] for name, key in self.keys.items()}
        seen: dict[str, set[int]] = {key: set() for key in planned}
        for each in results:
            if each.status == "completed" and each.variant in self.keys:
                seen[self.keys[each.variant]].add(each.seed)
        look = Look(
            by, planned, {key: tuple(sorted(own)) for key, own in seen.items()},
            time.strftime("%Y-%m-%d %H:%M:%S"),
        )  # fmt: skip
        if sum(bool(own) for own in look.seen.values()) < 2:
            return None
        before = {(key, each.planned[key], each.seen[key]) for each in self.earlier
                  for key in each.planned}  # fmt: skip
        known = all((key, planned[key], look.seen[key]) in before for key in planned)
        return None if known else look


def _shared(seeds: Mapping[str, Seeds], one: str, other: str) -> Seeds:
    return tuple(each for each in seeds.get(one, ()) if each in seeds.get(other, ()))


def _amount(seeds: Seeds, others: Seeds) -> str:
    """Return how many, or which where the others are as many."""
    if len(seeds) != len(others):
        return str(len(seeds))
    return ", ".join(map(str, seeds))


def _seeds(value: Any) -> Seeds:
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        raise TypeError("seeds are whole numbers")
    return tuple(value)
