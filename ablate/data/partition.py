"""Which rows a trial trains, validates and tests on: row numbers, never rows.

The order derives from (seed, "split") alone, or from (0, "split") when one split serves all
seeds; classes keep their shares in every part. `split: ordered` cuts along the order of the rows,
`folds` leaves out each fold in turn, and rows of one group are never on two sides.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ablate.data.rng import order
from ablate.data.source import Part, Source, listed
from ablate.data.targets import strata
from ablate.errors import DataError
from ablate.study.schema.data import Data

#: A part may miss the share of rows that was asked for by this much of it before it is said.
_ASTRAY = 0.25


@dataclass(frozen=True)
class Partition:
    """Row numbers of the three parts (train, val, test), and what there is to say of them.

    Training rows come in the order from which `data.limit` takes the first, or with
    `split: ordered` the last.
    """

    rows: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def partition(source: Source, data: Data, seed: int) -> Partition:
    """Return the row numbers of the parts.

    Args:
        source: whose own validation and test parts are used where there are.
        data: shares, split, folds.
        seed: the trial's, or 0 where one split serves all.

    Raises:
        DataError: too few rows or groups of a class to be in every part; folds beside a test part
            of the source's own; groups that are named and not there.
    """
    groups, classes = source.train.groups, None
    if source.train.y is not None:
        classes = strata(source.train.y, source.target)
    taken = parts_taken(source, data)
    if data.groups is not None and groups is None:
        raise DataError(
            f"{source.name}: data.groups: there is no array or column '{data.groups}' with a group "
            "for each training row."
        )
    own: dict[str, Part | None] = {"val": source.validation, "test": source.test}
    rows = {name: np.arange(0 if part is None else part.rows) for name, part in own.items()}
    if data.folds is not None and source.test is not None:
        raise DataError(
            f"{source.name}: data.folds leaves out each fold in turn as the test part, and the "
            "data brings a test part of its own. Leave out one of the two."
        )
    if data.split == "ordered":
        return Partition(rows | _ordered(source, data, taken), cautions=_shared(source))
    if classes is not None and groups is None and data.folds is None:
        _check_classes(source.name, classes, len(taken))
    rest = order(source.train.rows, seed, "split")
    notes: list[str] = []
    if data.folds is not None:
        fold, rest = _fold(source, data.folds, seed, classes)
        rows["test"] = fold
        taken = [part for part in taken if part != "test"]
    if groups is not None:
        shares = {part: getattr(data, part) for part in taken}
        found, notes = _by_group(rest, shares, groups, classes, source.name, seed)
        rows |= {_SHORT[part]: each for part, each in found.items() if part != "train"}
        rest = found["train"]
    else:
        for part in taken:
            rows[_SHORT[part]], rest = _part(rest, getattr(data, part), classes, source.name, part)
    # Classes that fill their share of the other parts early come first in what is left: shuffle
    # again, so that the first N rows are N rows at random.
    rows["train"] = rest[order(len(rest), seed, "split", "train")]
    return Partition(rows, (*notes,), _shared(source))


_SHORT = {"validation": "val", "test": "test"}


def parts_taken(source: Source, data: Data) -> list[str]:
    """Return the parts that are taken from the training rows, in the order in which they are.

    They are not those of the source's own.
    """
    return [
        part
        for part in ("test", "validation")
        if getattr(source, part) is None
        and (getattr(data, part) > 0 or (part == "test" and data.folds is not None))
    ]


def _shared(source: Source) -> tuple[str, ...]:
    """Say which groups of the training rows the source's own parts have, too."""
    found = []
    for name, part in (("validation", source.validation), ("test", source.test)):
        if part is None or part.groups is None or source.train.groups is None:
            continue
        both = np.intersect1d(part.groups, source.train.groups)
        if len(both):
            found.append(
                f"{len(both)} groups of the {name} part have training rows, too: "
                f"{listed(both.tolist())}"
            )
    return tuple(found)


def _ordered(source: Source, data: Data, taken: list[str]) -> dict[str, np.ndarray]:
    """Cut the rows as they come: the last are test, those before them validation."""
    rest = np.arange(source.train.rows)
    rows = {}
    for part in taken:
        total = _total(len(rest), getattr(data, part), source.name, part)
        rest, rows[_SHORT[part]] = rest[:-total], rest[-total:]
    rows["train"] = rest
    if (groups := source.train.groups) is not None:
        sides = [set(groups[each].tolist()) for each in rows.values()]
        both = set.union(*(a & b for a, b in itertools.combinations(sides, 2)), set())
        if both:
            raise DataError(
                f"{source.name}: split: ordered puts rows of group {listed(sorted(both))} on two "
                "sides. Expected: every group within one part; sort the rows by group, choose "
                "other shares, or leave out the groups."
            )
    return rows


def _fold(
    source: Source, folds: int, seed: int, classes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the fold that `seed` leaves out, and the others.

    Seed s leaves out fold s mod k of repetition s // k. All folds of a repetition come of one
    order: together they are every row once.
    """
    repetition, left_out = divmod(seed, folds)
    rows = order(source.train.rows, repetition, "folds")
    groups = source.train.groups
    if groups is not None:
        shares = np.full(folds, 1 / folds)
        fold = _bins(rows, shares, groups, classes, (repetition, "folds"))
        _check_bins(source.name, fold, folds, groups, f"{folds} folds")
    else:
        if classes is not None:
            present, counts = np.unique(classes, return_counts=True)
            if counts.min() < 2:
                raise DataError(
                    f"{source.name}: class {present[counts.argmin()]} has 1 row: it is in no "
                    "training part when its fold is left out. Expected: at least 2 rows of every "
                    "class."
                )
            # Class by class, each in random order, dealt out in turn: shares differ by one row.
            rows = rows[np.argsort(classes[rows], kind="stable")]
        if len(rows) < folds:
            raise DataError(f"{source.name}: data.folds: {len(rows)} rows, too few for {folds}.")
        fold = np.arange(len(rows)) % folds
    chosen = fold == left_out
    rest = rows[~chosen]
    return rows[chosen], rest[order(len(rest), seed, "folds", "rest")]


def _by_group(
    rows: np.ndarray,
    shares: dict[str, float],
    groups: np.ndarray,
    classes: np.ndarray | None,
    name: str,
    seed: int,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Divide rows so that those of one group are in one part; return them, and what to say."""
    wanted = np.ones(1)
    for share in shares.values():  # of what the parts before it left
        wanted = np.append(wanted[:-1], wanted[-1] * np.array([share, 1 - share]))
    found = _bins(rows, wanted, groups, classes, (seed, "split", "groups"))
    names = [*shares, "train"]
    _check_bins(name, found, len(names), groups[rows], f"{len(names)} parts")
    notes = []
    parts = {part: rows[found == index] for index, part in enumerate(names)}
    for part, share in zip(shares, wanted, strict=False):
        got = len(parts[part]) / len(rows)
        if abs(got - share) > _ASTRAY * share:
            notes.append(
                f"whole groups make the {part} part {got:.0%} of the rows ({share:.0%} asked for)"
            )
    return parts, notes


def _bins(
    rows: np.ndarray,
    shares: np.ndarray,
    groups: np.ndarray,
    classes: np.ndarray | None,
    chance: tuple[object, ...],
) -> np.ndarray:
    """Return the bin of each of `rows`: groups whole, bins near their share of every class.

    Groups come in random order, and each goes to where it takes the squared deviation from the
    wanted counts down most.
    """
    labels = (
        np.zeros(len(rows), int) if classes is None else np.unique(classes[rows], False, True)[1]
    )
    names, member = np.unique(groups[rows], return_inverse=True)
    counts = np.zeros((len(names), labels.max() + 1))
    np.add.at(counts, (member, labels), 1)
    total = counts.sum(axis=0)
    wanted = np.outer(shares, total)
    filled = np.zeros_like(wanted)
    chosen = np.zeros(len(names), int)
    for group in order(len(names), *chance):
        size = counts[group]
        gain = ((2 * (wanted - filled) - size) * size / total).sum(axis=1)
        chosen[group] = gain.argmax()
        filled[chosen[group]] += size
    return chosen[member]


def _check_bins(name: str, found: np.ndarray, bins: int, groups: np.ndarray, what: str) -> None:
    if len(np.unique(found)) < bins:
        count = len(np.unique(groups))
        largest = np.unique(groups, return_counts=True)[1].max()
        raise DataError(
            f"{name}: data.groups: {count} groups cannot fill {what} (the largest has {largest} of "
            f"{len(groups)} rows). Expected: more groups, or a larger share for the small parts."
        )


def _check_classes(name: str, classes: np.ndarray, parts: int) -> None:
    """Refuse a class with fewer rows than there are parts to be in."""
    present, counts = np.unique(classes, return_counts=True)
    if parts and counts.min() <= parts:
        label, count = present[counts.argmin()], counts.min()
        raise DataError(
            f"{name}: class {label} has {count} row{'s' if count > 1 else ''}, too few to be in "
            f"{parts + 1} parts. Expected: at least {parts + 1} rows of every class. Add rows, "
            "drop the class, or give x_val and x_test yourself."
        )


def _total(rows: int, share: float, name: str, part: str) -> int:
    total = round(share * rows)
    if total < 1 or total >= rows:
        raise DataError(
            f"{name}: data.{part}: {share:g} of {rows} rows is {total}. Expected: at least "
            "one row, and one left to train on."
        )
    return total


def _part(
    rows: np.ndarray, share: float, classes: np.ndarray | None, name: str, part: str
) -> tuple[np.ndarray, np.ndarray]:
    """Take `share` of the rows, stratified if there are classes; return what is taken and left."""
    total = _total(len(rows), share, name, part)
    if classes is None:
        return rows[:total], rows[total:]
    own = classes[rows]
    present, counts = np.unique(own, return_counts=True)
    taken = np.zeros(len(rows), dtype=bool)
    for label, quota in zip(present, _quotas(counts, share, total), strict=True):
        taken[np.flatnonzero(own == label)[:quota]] = True
    return rows[taken], rows[~taken]


def _quotas(counts: np.ndarray, share: float, total: int) -> np.ndarray:
    """Return how many rows of each class are taken: its share, at least one, by largest rest."""
    exact = counts * share
    quotas = np.clip(np.floor(exact).astype(int), 1, counts - 1)
    missing = total - quotas.sum()
    for index in np.argsort(quotas - exact, kind="stable")[: max(missing, 0)]:
        quotas[index] = min(quotas[index] + 1, counts[index] - 1)
    return quotas
