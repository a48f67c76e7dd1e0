"""What a probe stored, read back for drawing: by variant, by seed, by epoch.

A `Material` and a probe's name enter; a `Measured` leaves for each time the study asks for that
probe (`perturbation`, `perturbation_2`). Arrays are read once per report, whichever probes ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ablate.report.plots.names import most_telling
from ablate.report.report_data import ReportData

#: Variants that one figure of a probe shows.
MOST_VARIANTS = 6

Arrays = Mapping[str, np.ndarray]

_read: dict[int, tuple[ReportData, dict[str, Arrays]]] = {}


@dataclass(frozen=True)
class Measured:
    """The arrays of one probe, by variant and seed, their names without the probe's."""

    probe: str
    by_variant: Mapping[str, tuple[tuple[int, Arrays], ...]]

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in which something was measured, the baseline first."""
        return tuple(self.by_variant)

    def first(self, variant: str) -> Arrays:
        """Return the arrays of the variant's first seed."""
        return self.by_variant[variant][0][1]

    def texts(self, variant: str, key: str) -> list[str]:
        """Return an array of names (`layers`) of the variant, [] without one."""
        return [str(each) for each in self.first(variant).get(key, ())]

    def epochs(self, variant: str) -> np.ndarray:
        """Return every epoch at which some seed of the variant was measured."""
        found = [each["epochs"] for _, each in self.by_variant[variant] if "epochs" in each]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, int)

    def series(self, variant: str, key: str) -> np.ndarray:
        """Return what stands under `key` as (seeds, epochs, …), NaN where it is missing."""
        epochs = self.epochs(variant)
        rows = []
        for _, arrays in self.by_variant[variant]:
            if key not in arrays:
                continue
            values = np.asarray(arrays[key], "float64")
            row = np.full((len(epochs), *values.shape[1:]), np.nan)
            row[np.searchsorted(epochs, arrays["epochs"])] = values
            rows.append(row)
        return np.array(rows) if rows else np.zeros((0, len(epochs)))

    def has(self, key: str) -> bool:
        """Whether any variant has `key`."""
        return any(key in arrays for trials in self.by_variant.values() for _, arrays in trials)


def measured(material: ReportData, probe: str) -> Iterator[Measured]:
    """Yield what each probe of this name measured, the variants at most `MOST_VARIANTS`."""
    stored = _stored(material)
    instances = dict.fromkeys(key.split("/", 1)[0] for arrays in stored.values() for key in arrays)
    for instance in instances:
        if instance != probe and not (
            instance.startswith(f"{probe}_") and instance[len(probe) + 1 :].isdigit()
        ):
            continue
        by_variant = {}
        for variant, results in material.by_variant.items():
            trials = [(each.seed, _of(stored.get(each.id, {}), instance)) for each in results]
            if trials := [(seed, arrays) for seed, arrays in trials if "epochs" in arrays]:
                by_variant[variant] = tuple(trials)
        chosen = most_telling(material, list(by_variant), MOST_VARIANTS)
        if by_variant:
            yield Measured(
                instance, {name: by_variant[name] for name in by_variant if name in chosen}
            )


def _of(arrays: Arrays, instance: str) -> dict[str, np.ndarray]:
    stem = f"{instance}/"
    return {key[len(stem) :]: each for key, each in arrays.items() if key.startswith(stem)}


def _stored(material: ReportData) -> dict[str, Arrays]:
    """Return the arrays of every trial; those of the material asked for last are remembered."""
    if id(material) not in _read:
        _read.clear()
        ids = {each.id for each in material.results if each.probes}
        _read[id(material)] = (material, {each: dict(material.arrays(each)) for each in ids})
    return _read[id(material)][1]
