"""What a report is made of: the analysis, the results behind it, and the study they belong to.

`ReportData` is the one value that every format takes. It holds no number of its own; its methods
only put results in the order of the variants. `Plot` and `Section` are what the drawing side
hands back: a figure with its words, and a titled group of words, tables and plots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ablate.analysis import Analysis
from ablate.report.document import Section
from ablate.store import Store
from ablate.study.resolved import ResolvedVariant
from ablate.study.study import Study
from ablate.study.trial import TrialResult

if TYPE_CHECKING:
    import numpy as np

    from ablate.study.results import StudyResults

#: Environment entries that differ by nature between trials of one run; mixing them is no news.
_PER_TRIAL = frozenset({"time", "started", "finished", "pid", "worker", "load", "host_load"})


def _no_arrays(trial: str) -> Mapping[str, np.ndarray]:
    return {}


@dataclass(frozen=True)
class ReportData:
    """All that a report may say.

    `results` holds every planned trial that has a record; `resolved` the variants in their order;
    `study_text` the resolved study file; `arrays` gives what the probes of a trial measured, and
    `rows` what it keeps of its test rows, by trial id; `sections` are parts that others add (a
    search); `command` runs the study again; `logs` is the folder the study was written under;
    `warnings` concern the reading itself; `documents` are further parts of the JSON document.
    """

    analysis: Analysis
    results: Sequence[TrialResult] = ()
    resolved: Sequence[ResolvedVariant] = ()
    study: Study | None = None
    study_text: str = ""
    arrays: Callable[[str], Mapping[str, np.ndarray]] = _no_arrays
    rows: Callable[[str], Mapping[str, np.ndarray]] = _no_arrays
    sections: tuple[Section, ...] = ()
    command: str = ""
    logs: str = ""
    warnings: tuple[str, ...] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.analysis.study

    @property
    def running(self) -> bool:
        """Whether planned trials are still without an outcome."""
        return self.analysis.trials.get("pending", 0) > 0

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names of the variants, the baseline first."""
        return self.analysis.names

    @property
    def by_effect(self) -> tuple[str, ...]:
        """The names of the variants, behind each baseline the best difference to it first."""
        return self.analysis.by_effect

    def most_telling(self, names: Sequence[str], most: int) -> list[str]:
        """Return at most `most` names in their order: the baseline and the largest effects."""
        analysis = self.analysis
        effects = [each for each in analysis.effects if each.metric == analysis.metric]
        sizes = {each.variant: abs(each.mean or 0.0) for each in effects}
        ranked = sorted(names, key=lambda n: (n != analysis.baseline, -sizes.get(n, 0.0)))
        kept = set(ranked[:most])
        return [name for name in names if name in kept]

    @cached_property
    def by_variant(self) -> Mapping[str, tuple[TrialResult, ...]]:
        """The results of each variant by ascending seed; an alias has those it shares."""
        found: dict[str, list[TrialResult]] = {}
        for each in sorted(self.results, key=lambda each: each.seed):
            found.setdefault(each.variant, []).append(each)
        shared = {each.name: each.alias_of for each in self.analysis.variants if each.alias_of}
        return {
            name: tuple(found.get(name) or found.get(shared.get(name, ""), []))
            for name in self.order
        }

    @cached_property
    def variant(self) -> Mapping[str, ResolvedVariant]:
        """The variants by name."""
        return {each.name: each for each in self.resolved}

    @cached_property
    def environment(self) -> Mapping[str, tuple[str, ...]]:
        """Every recorded fact of the machine and its versions, with each value that occurs."""
        return environment_of(self.results)


def environment_of(results: Iterable[TrialResult]) -> Mapping[str, tuple[str, ...]]:
    """Return every recorded fact of the machine and its versions, with each value that occurs."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for key, value in result.environment.items():
            if key not in _PER_TRIAL:
                found.setdefault(key, {})[str(value)] = None
    return {key: tuple(values) for key, values in found.items()}


def versions(environment: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """Return the recorded versions of these packages: "Keras 3.14.0"."""
    titles = {"keras": "Keras", "tensorflow": "TensorFlow", "numpy": "NumPy", "python": "Python"}
    return [
        f"{titles.get(name, name)} {' and '.join(environment[name])}"
        for name in names
        if name in environment
    ]


#: The results that were analysed last, with what was found.
_LAST: list[tuple[StudyResults, Analysis]] = []


def analysis_of(results: StudyResults) -> Analysis:
    """Return the analysis of a study's results, with what their folder holds of probes and rows.

    The last one is kept: a run, its board and its report ask for the same one.
    """
    from ablate.analysis.assemble import analyze
    from ablate.report.measurements import measured

    if not _LAST or _LAST[0][0] != results:
        arrays, rows = _no_arrays, None
        if results.folder is not None:
            store = Store(results.folder.parent, results.folder.name)
            arrays, rows = store.arrays, store.rows
        measurements = measured(results.study.expect, results.results, arrays)
        _LAST[:] = [(results, analyze(results, measurements=measurements, rows=rows))]
    return _LAST[0][1]


def report_of(results: StudyResults, *, by: str = "report", **rest: Any) -> ReportData:
    """Return the report of a study's results: they are analysed here.

    Who asks for a report looks at the study's differences, which is noted with the results where
    those lie in a folder. `by` says what shows it (`ablate.study.looks`); `rest` are further fields
    of `ReportData`. The study's text, its probes' arrays and the command that repeats it are found
    next to the results.
    """
    from ablate.analysis.ledger import find_ledger
    from ablate.report.ledger import document, section

    study = results.study
    found: dict[str, Any] = {"command": f"ablate run {study.study}"}
    if results.folder is not None:
        store = Store(results.folder.parent, results.folder.name)
        found |= {"arrays": store.arrays, "rows": store.rows}
        if store.exists():
            found["study_text"] = store.read_study()
    analysis = analysis_of(results)
    if (ledger := find_ledger(results, analysis)) is not None:
        rest["sections"] = (*rest.get("sections", ()), section(ledger))
        rest["documents"] = {**rest.get("documents", {}), "ledger": document(ledger)}
    if results.folder is not None and results.looks is not None:
        store.add_look(results.looks, results.results, by)
    return ReportData(analysis, results.results, results.resolved, study, **(found | rest))
