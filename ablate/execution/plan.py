"""From a study to the trials that are still to be trained.

`plan` resolves a study into variants and trials with their ids, and looks up in the store which
of them have an outcome. Nothing is trained and, unless a leave-one-out study has to look inside a
model, no Keras is imported: ten thousand trials are planned in a second or so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablate.config import dump_study, load_study
from ablate.disk import DamagedError, check_archive, notice
from ablate.errors import AblateError
from ablate.execution.again import lacking
from ablate.execution.devices import cores
from ablate.execution.model_readings import Look, with_model
from ablate.execution.readings import Read, with_digests
from ablate.store import Store
from ablate.study.checks import check_new_names
from ablate.study.identity import NUMERICS, UNRECORDED_NUMERICS, resolve_threads, trial_ids
from ablate.study.leave_one_out import carry_sites, wanted_sites, with_sites
from ablate.study.ledger import ledger_variants
from ablate.study.looks import Looks
from ablate.study.resolved import ResolvedVariant
from ablate.study.results import StudyResults
from ablate.study.schema.data import example_shape
from ablate.study.schema.variant import Found, LeaveOneOut
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial, TrialResult, contradiction

LookInside = Callable[[ResolvedVariant, LeaveOneOut], Sequence[Found]]


@dataclass(frozen=True)
class Plan:
    """A study's trials, and what the store already knows of them.

    `trials` has one per variant and seed, aliases included; `results` the records of all of them
    that exist; `todo` the distinct trials without an outcome that stands; `dropped` the ids of
    outcomes on disk that are no longer planned; `replaces` the numerics under which the study in
    the store was trained, where this plan is for another.

    With `seeds: {until: decided}` it is what the records so far ask for: `possible` are all trials
    that may follow, `decided` the verdicts on variants that get no more seeds
    (`ablate.analysis.until`). `ledger` are the variants that tell where the spread comes from
    (`ablate.study.ledger`); their trials are among the others.
    """

    study: Study
    resolved: tuple[ResolvedVariant, ...]
    trials: tuple[Trial, ...]
    results: Mapping[str, TrialResult]
    todo: tuple[Trial, ...]
    dropped: tuple[str, ...]
    replaces: int | None = None
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    possible: tuple[Trial, ...] = ()
    decided: Mapping[str, str] = field(default_factory=dict)
    ledger: tuple[ResolvedVariant, ...] = ()

    @property
    def samples(self) -> tuple[ResolvedVariant, ...]:
        """The variants to build before training: those of all sites and none, in a screening."""
        if self.study.screen is None or len(self.resolved) < 3:
            return self.resolved
        return (self.resolved[0], self.resolved[-1])

    def after(self, outcomes: Mapping[str, TrialResult]) -> Plan:
        """Return the plan once there are these outcomes, too: itself where seeds are fixed."""
        until = self.study.until
        if until is None:
            return self
        from ablate.analysis.until import replay  # NumPy, which most plans need not wait for

        results = {**self.results, **outcomes}
        lacks = {each: why for each, why in self.lacks.items() if each not in outcomes}
        asked = replay(
            _named(self.possible, {k: each for k, each in results.items() if not lacks.get(k)}),
            self.resolved, self.study.baseline_name, self.study.analysis, until,
            until.seeds,
        )  # fmt: skip
        own = {each.name for each in self.ledger}
        trials = tuple(
            each
            for each in self.possible
            if each.variant in own or each.seed - until.first < asked.asked[each.variant]
        )
        done = {name for name, each in results.items() if each.final and not lacks.get(name)}
        todo = tuple(each for each in _once(trials) if each.id not in done)
        return replace(
            self, trials=trials, results=results, todo=todo, lacks=lacks, decided=asked.decided
        )

    @property
    def kept(self) -> int:
        """Distinct planned trials whose outcome stands."""
        return len({trial.id for trial in self.trials}) - len(self.todo)

    def outcome(self, results: Mapping[str, TrialResult], store: Store | None) -> StudyResults:
        """Return the results of this plan's trials, under the names they now have."""
        return StudyResults(
            study=self.study,
            resolved=self.resolved,
            results=tuple(_named(self.trials, results)),
            planned=Counter(trial.variant for trial in self.trials),
            folder=None if store is None else store.root,
            looks=None if store is None else self._looks(store),
        )

    def _looks(self, store: Store) -> Looks:
        planned: dict[str, list[int]] = {each.name: [] for each in self.resolved}
        for trial in self.trials:
            planned.setdefault(trial.variant, []).append(trial.seed)
        return looks_at(
            store, self.resolved, {name: tuple(own) for name, own in planned.items()},
            self.study.numerics,
        )  # fmt: skip


def looks_at(
    store: Store,
    resolved: Sequence[ResolvedVariant],
    planned: Mapping[str, tuple[int, ...]],
    numerics: int | None,
) -> Looks:
    """Return the looks at a study so far; a variant's key is the identity of a trial of it."""
    memory = store.read_digests()
    keys = {
        each.name: trial_ids(each.spec, [0], salt=each.salt, memory=memory, numerics=numerics)[0]
        for each in resolved
        if each.name in planned
    }
    return Looks({name: key[:16] for name, key in keys.items()}, planned, store.looks())


def _named(trials: Sequence[Trial], results: Mapping[str, TrialResult]) -> list[TrialResult]:
    """Return the results of trials, under the names they now have."""
    return [
        replace(results[trial.id], variant=trial.variant, seed=trial.seed, factors=trial.factors)
        for trial in trials
        if trial.id in results
    ]


def _once(trials: Sequence[Trial]) -> list[Trial]:
    """Return the first trial of each id, in plan order."""
    return list({trial.id: trial for trial in reversed(trials)}.values())[::-1]


def plan(
    study: Study,
    store: Store,
    *,
    look_inside: LookInside | None = None,
    read: Read | None = None,
    look: Look | None = None,
    earlier: Study | None = None,
    recorded: bool = False,
    anew: bool = False,
) -> Plan:
    """Return what a study asks for and what is left of it to do.

    `look_inside` is called for studies whose variants depend on the layers of a built model, unless
    `earlier`, the study as it was resolved before, knows them already. Without it such a study
    is planned without those variants. `read` reads what a `call` of data returns, where no earlier
    reading is known (`anew`: known from this study); without it such trials are planned without
    the digest of their rows, as if nobody had trained them. `look` builds the model of a `call`,
    where nothing is known of what it brings. `recorded` plans under the numerics
    that the study was trained under, for those who show what is there; else it is today's, and
    what stands under another is trained again.
    """
    if not store.exists():
        check_new_names(study)
    study = with_threads(study, earlier)
    study = _with_numerics(study, earlier, recorded)
    memory = store.read_digests()
    before = dict(memory)
    study = with_model(study, memory, look)
    if earlier is not None:
        study = carry_sites(study, earlier)
    if look_inside is not None and (wanted := wanted_sites(study)) is not None:
        study = with_sites(study, look_inside(*wanted))
    everything = store.results()
    resolved = with_digests(
        study.resolved, study.seed_list, everything, memory,
        numerics=study.numerics, read=read, anew=anew,
    )  # fmt: skip
    ledger = ledger_variants(study, resolved)
    of_ledger = (trials_of(study, [each], memory, seeds) for each, seeds in ledger)
    possible = (*trials_of(study, resolved, memory), *chain.from_iterable(of_ledger))
    replaces = None
    if earlier is not None and not recorded:
        replaces = _other_numerics(study, resolved, trained_under(earlier), memory)
    if recorded and _other_numerics(study, resolved, NUMERICS, memory) is not None:
        notice(
            f"Study '{study.study}' was trained under numerics {study.numerics}; this version "
            f"trains under {NUMERICS}. What is shown is what was trained then; `ablate run` would "
            "train every trial that this concerns again."
        )
    if memory != before and store.logs.is_dir():
        store.write_digests(memory)
    store.keep_digests(memory)
    _check_rows(study)
    distinct = _once(possible)
    for trial in distinct:
        if trial.id in everything and (why := contradiction(everything[trial.id], trial)):
            store.refuse(store.result_file(trial.id), f"no sound record: {why}")
            del everything[trial.id]
    results = {trial.id: everything[trial.id] for trial in distinct if trial.id in everything}
    lacks = {
        trial.id: lacking(results[trial.id], trial, store)
        for trial in distinct
        if trial.id in results and results[trial.id].final
    }
    todo = tuple(trial for trial in distinct if trial.id not in lacks or lacks[trial.id])
    again = {trial.id: lacks[trial.id] for trial in todo if trial.id in lacks}
    made = Plan(
        study,
        resolved,
        possible,
        results,
        todo,
        (),
        replaces,
        again,
        possible,
        ledger=tuple(each for each, _ in ledger),
    ).after({})
    known = {trial.id for trial in made.trials} | store.searched().keys()
    dropped = tuple(
        each for each, result in everything.items() if each not in known and result.final
    )
    if replaces is not None:
        notice(
            f"The numbers that trials give have changed since study '{store.name}' was trained "
            f"(numerics {replaces}, now {NUMERICS}): a run trains its trials again. The earlier "
            "outcomes stay on disk, unmixed; after the run, `ablate report "
            f"{store.kept_study_file(replaces)}` shows them."
        )
    return replace(made, dropped=dropped)


def _check_rows(study: Study) -> None:
    """Say where the file of a study's rows is damaged: other rows have other trials."""
    if study.data.path is None:
        return
    place = Path(study.data.path).expanduser()
    if not place.exists() or (place.is_dir() and any(place.glob("*.npy"))):
        return  # known from when it was there; a folder of arrays
    if place.suffix not in ("", ".npz"):
        return  # none of those that are read: loading it says so
    try:
        check_archive(place, whole=False)
    except DamagedError as error:
        notice(
            f"data.path: {place} is damaged: {error}. Expected the arrays of the study, as "
            "numpy.savez writes them. What was trained on it is kept, and counts again once the "
            "file is as it was."
        )


def with_searched(made: Plan, store: Store) -> tuple[Plan, dict[str, str]]:
    """Return the plan with what a search has trained in addition, and the points by trial id.

    For those who show all that is in the store; what is left to do is as before.
    """
    own = {each.id for each in made.trials}
    points = {trial: point for trial, point in store.searched().items() if trial not in own}
    results = store.results(points)
    trials = []
    for each in (results[trial] for trial in points if trial in results):
        if not each.final:
            continue
        try:
            spec = Spec.model_validate(each.spec)
        except ValidationError:
            store.refuse(store.result_file(each.id), "no sound record: its 'spec' is none")
            continue
        trials.append(Trial(id=each.id, variant=each.variant, seed=each.seed, spec=spec))
    shown = replace(made, trials=(*made.trials, *trials), results={**made.results, **results})
    return shown, {trial.id: points[trial.id] for trial in trials}


def resolved_before(store: Store) -> Study | None:
    """Return the study as it was resolved the last time, None if never or unreadable now."""
    if not store.exists():
        return None
    try:
        return load_study(store.study_file)
    except AblateError as error:
        # Written by another version, damaged, or changed by hand: it is resolved anew.
        store.refuse_study(str(error))
        return None


def trials_of(
    study: Study,
    resolved: Sequence[ResolvedVariant],
    memory: dict[str, Any],
    seeds: Sequence[int] | None = None,
) -> list[Trial]:
    """Return one trial per variant and seed, in the order of the variants.

    `seeds` are the study's by default; with `seeds: {until: decided}` all that may be asked for.
    """
    probes = () if study.screen is not None else tuple(study.probes)  # they see what is confirmed
    if seeds is None:
        seeds = study.seed_list if study.until is None else study.until.seeds
    trials = []
    for variant in resolved:
        ids = trial_ids(
            variant.spec, seeds, salt=variant.salt, memory=memory, numerics=study.numerics
        )
        trials += [
            Trial(
                id=each, variant=variant.name, seed=seed, spec=variant.spec,
                factors=variant.factors, probes=probes, salt=variant.salt,
                metric=study.analysis.metric,
            )
            for each, seed in zip(ids, seeds, strict=True)
        ]  # fmt: skip
    return trials


def with_threads(study: Study, earlier: Study | None = None) -> Study:
    """Return the study with `train.threads` resolved to an integer (law 1).

    What an earlier plan of the same data resolved stands, whatever machine it was made on.
    """
    threads = resolve_threads(study.train, example_shape(study.data), cores())
    if study.train.threads == "auto" and earlier is not None and earlier.data == study.data:
        threads = resolve_threads(earlier.train, example_shape(study.data), threads)
    if study.train.threads == threads:
        return study
    return study.model_copy(update={"train": study.train.model_copy(update={"threads": threads})})


def trained_under(earlier: Study) -> int:
    """Return the numerics that a study in the store was trained under."""
    return UNRECORDED_NUMERICS if earlier.numerics is None else earlier.numerics


def _other_numerics(
    study: Study, resolved: Sequence[ResolvedVariant], numerics: int, memory: dict[str, Any]
) -> int | None:
    """Return `numerics` if trials have other ids under them: a rise need not concern them all."""
    if numerics == study.numerics:
        return None
    other = study.model_copy(update={"numerics": numerics})
    now, then = (trials_of(each, resolved, memory) for each in (study, other))
    return numerics if [trial.id for trial in now] != [trial.id for trial in then] else None


def _with_numerics(study: Study, earlier: Study | None, recorded: bool) -> Study:
    """Return the study with the numerics to plan under."""
    numerics = NUMERICS
    if recorded:
        before = NUMERICS if earlier is None else trained_under(earlier)
        numerics = before if study.numerics is None else study.numerics
    if study.numerics == numerics:
        return study
    return study.model_copy(update={"numerics": numerics})


def write_study(made: Plan, store: Store) -> None:
    """Write the study as planned; keep the file of one that was trained under other numerics."""
    if made.replaces is not None:
        store.keep_study(made.replaces)
    store.write_study(dump_study(made.study))
