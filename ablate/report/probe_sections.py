"""What the probes stored, read by variant, seed and epoch, and made into sections of the report.

A probe's own module under `ablate.report.probes` says the title, the text and how to draw one
`Measured`; the frame around it is here. Nothing of Keras is needed, and matplotlib only where
something is drawn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from ablate.errors import AblateError
from ablate.reasons import reason
from ablate.report.document import Plot, Section, Table
from ablate.report.report_data import ReportData
from ablate.study.schema.probes import DeclaredProbe, declared, stem
from ablate.study.trial import TrialResult

#: Variants that one figure of a probe shows.
MOST_VARIANTS = 6

Arrays = Mapping[str, np.ndarray]

_read: dict[int, tuple[ReportData, dict[str, Arrays]]] = {}


@dataclass(frozen=True)
class Measured:
    """The arrays of one probe, by variant and seed, their names without the probe's.

    `order` names the study's variants, the baseline first: a variant's place in it decides how its
    lines look.
    """

    probe: str
    by_variant: Mapping[str, tuple[tuple[int, Arrays], ...]]
    order: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants in which something was measured, the baseline first."""
        return tuple(self.by_variant)

    @cached_property
    def layers(self) -> list[str]:
        """The layers measured, in an order that holds for every variant that has them."""
        names: list[str] = []
        for variant in self.variants:
            at = 0
            for name in self.texts(variant, "layers"):
                if name not in names:
                    names.insert(at, name)
                at = names.index(name) + 1
        return names

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
        """Return the array `key` as (seeds, epochs, …), NaN where it is missing."""
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

    def over_seeds(self, variant: str, key: str) -> np.ndarray:
        """Return the mean over seeds of the array `key`, (epochs, …); (0,) where no seed has it."""
        series = self.series(variant, key)
        return mean(series) if series.size else np.zeros(0)

    def over_layers(self, variant: str, key: str, skip: int = 0) -> np.ndarray:
        """Return the mean of `key` (`{}` is the layer) over the variant's layers, (seeds, epochs).

        The first `skip` layers are left out.
        """
        layers = self.texts(variant, "layers")[skip:]
        series = [self.series(variant, key.format(each)) for each in layers]
        series = [each for each in series if each.size]
        return mean(np.array(series)) if series else np.zeros((0, 0))

    def by_layer(
        self, variant: str, key: str, epoch: int = -1, layers: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return, per layer, the mean over seeds of `key` (`{}` is the layer) at a measurement."""
        means = (
            self.over_seeds(variant, key.format(each))
            for each in (self.layers if layers is None else layers)
        )
        return np.array([each[epoch] if each.size else np.nan for each in means], float)


@dataclass(frozen=True, kw_only=True)
class ReportedProbe(DeclaredProbe):
    """A probe with a section in the report.

    Args:
        title, text: of the section.
        draw: what is shown of one `Measured`: plots (their names are completed with the probe's),
            tables, and sentences that follow the text. Without a plot there is no section.
        images: what TensorBoard shows of one trial's arrays beyond its scalars and histograms:
            tag, epoch and PNG file.
    """

    title: str
    text: str
    draw: Callable[[Measured], Iterable[Plot | Table | str]]
    images: Callable[[Arrays], Iterable[tuple[str, int, bytes]]] | None = field(default=None)


def sections(data: ReportData) -> Iterator[Section]:
    """Yield a section for every probe that measured something in the study, each by itself.

    A section that cannot be drawn (arrays of another version, say) says so in its place; one
    probe's trouble must not cost the report.
    """
    for name in dict.fromkeys(probe_name(each) for one in data.results for each in one.probes):
        try:
            section = _section(name, data)
        except (AblateError, KeyError, ValueError, IndexError, TypeError) as error:
            section = Section(
                _anchor(name),
                f"Probe: {name}",
                (f"What this probe stored cannot be drawn ({reason(error)}).",),
            )
        if section is not None:
            yield section


def illustrate(result: TrialResult, arrays: Arrays) -> dict[tuple[str, int], bytes]:
    """Return the images of a trial's probes for TensorBoard, PNG by tag and epoch."""
    from ablate.report.plots.theme import themed

    found: dict[tuple[str, int], bytes] = {}
    for name in dict.fromkeys(map(probe_name, result.probes)):
        probe = declared(name)
        if not isinstance(probe, ReportedProbe) or probe.images is None:
            continue
        for instance in _instances(name, arrays):
            own = _of(arrays, instance)
            if len(own.get("epochs", ())):
                with themed():
                    images = list(probe.images(own))
                found |= {(f"{instance}/{tag}", epoch): image for tag, epoch, image in images}
    return found


def probe_name(recorded: str) -> str:
    """Return the name in a trial's record of a probe, which is its canonical JSON or its name."""
    try:
        document = json.loads(recorded)
    except ValueError:
        return recorded
    return str(document.get("name", recorded)) if isinstance(document, dict) else str(document)


def measured(data: ReportData, probe: str) -> Iterator[Measured]:
    """Yield what each probe of this name measured, the variants at most `MOST_VARIANTS`.

    A study may ask for a probe several times (`perturbation`, `perturbation_2`). Arrays are read
    once per report, whichever probes ask.
    """
    stored = _stored(data)
    for instance in _instances(probe, (key for arrays in stored.values() for key in arrays)):
        by_variant = {}
        for variant, results in data.by_variant.items():
            trials = [(each.seed, _of(stored.get(each.id, {}), instance)) for each in results]
            if trials := [(seed, arrays) for seed, arrays in trials if "epochs" in arrays]:
                by_variant[variant] = tuple(trials)
        if by_variant:
            chosen = data.most_telling(list(by_variant), MOST_VARIANTS)
            shown = {name: each for name, each in by_variant.items() if name in chosen}
            yield Measured(instance, shown, data.order)


def mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is there, NaN where nothing is."""
    present = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(present, values, 0.0).sum(axis=0) / present.sum(axis=0))


def _section(name: str, data: ReportData) -> Section | None:
    from ablate.report.plots.theme import legend, themed

    probe = declared(name)
    if not isinstance(probe, ReportedProbe):
        return None
    plots: list[Plot] = []
    tables: list[Table] = []
    sentences: list[str] = []
    with themed():
        for found in measured(data, name):
            for part in probe.draw(found):
                if isinstance(part, str):
                    sentences.append(part)
                else:
                    if isinstance(part, Plot):
                        legend(part.figure)
                    full = replace(
                        part, name="-".join(filter(None, ("probe", found.probe, part.name)))
                    )
                    plots.extend(_only(Plot, full))
                    tables.extend(_only(Table, full))
    if not plots:
        return None
    text = (probe.text, *dict.fromkeys(sentences))
    return Section(_anchor(name), probe.title, text, tuple(tables), tuple(plots))


_Part = TypeVar("_Part", Plot, Table)


def _only(kind: type[_Part], part: Plot | Table) -> list[_Part]:
    return [part] if isinstance(part, kind) else []


def _anchor(name: str) -> str:
    return "probe-" + re.sub(r"[^A-Za-z0-9]+", "-", stem(name))


def _instances(probe: str, keys: Iterable[str]) -> list[str]:
    """Return the names under which a probe stored arrays: its own, and with a number behind."""
    form = re.compile(rf"{re.escape(stem(probe))}(_\d+)?")
    return [
        each for each in dict.fromkeys(key.split("/")[0] for key in keys) if form.fullmatch(each)
    ]


def _of(arrays: Arrays, instance: str) -> Arrays:
    prefix = f"{instance}/"
    return {
        key.removeprefix(prefix): each for key, each in arrays.items() if key.startswith(prefix)
    }


def _stored(data: ReportData) -> dict[str, Arrays]:
    """Return the arrays of every trial; those of the report asked for last are remembered."""
    if id(data) not in _read:
        _read.clear()
        ids = {each.id for each in data.results if each.probes}
        _read[id(data)] = (data, {each: dict(data.arrays(each)) for each in ids})
    return _read[id(data)][1]
