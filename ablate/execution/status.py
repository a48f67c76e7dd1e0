"""What a study would train, and how far it is: the values behind `plan` and `status`.

There is a row per variant, with its layers and parameters where models are built, and an estimate
of the time that is left from the time that was measured. Nothing is trained.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.errors import StudyError
from ablate.execution.again import trained_again
from ablate.execution.devices import worker_pools
from ablate.execution.file_channel import collect
from ablate.execution.plan import Plan, plan, resolved_before
from ablate.execution.pretrained import with_trained_model
from ablate.execution.readings import materialised
from ablate.reasons import sentence
from ablate.store import Store
from ablate.study.leave_one_out import wanted_sites
from ablate.study.pace import Pace
from ablate.study.preview import AugmentedRows, VariantPlan, offer_lines
from ablate.study.resolved import ResolvedVariant
from ablate.study.study import Study
from ablate.study.trial import Trial

if TYPE_CHECKING:
    from ablate.analysis.prospect import Prospect

#: Raised when a key of the JSON of `plan` or `status` changes its meaning or goes away.
STATUS_VERSION = 1

#: A worker without a driver, as on a cluster, counts as alive for so long after it wrote (seconds).
ALIVE = 120.0


@dataclass(frozen=True)
class Row:
    """A variant: what it is, and how far it is.

    `statuses` counts its trials: to do, again (final, but lacking what is asked for since), or
    the status of the record.
    """

    variant: str
    trials: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    alias_of: str | None = None
    baseline: bool = False
    decided: str = ""  # with seeds until decided: why it gets no more seeds
    epochs: int = 0  # to train, over all its trials that are left
    parameters: int | None = None
    trainable: int | None = None
    inserted: tuple[str, ...] = ()  # layers, each with its site
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()  # layers, each with what became of it
    skipped: tuple[str, ...] = ()  # hosts that could not take the position, with the reason
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    weights: str = ""  # kept or fresh, in words

    @property
    def done(self) -> int:
        """Trials with an outcome that stands."""
        return self.statuses.get("completed", 0) + self.statuses.get("diverged", 0)


#: What a row has from the variant once it is built.
_BUILT = ("parameters", "trainable", "inserted", "removed", "changed", "skipped", "notes",
          "cautions", "weights")  # fmt: skip


@dataclass(frozen=True)
class StudyStatus:
    """A study: its rows, what is left, and how long that may take."""

    study: str
    rows: tuple[Row, ...]
    todo: int
    dropped: int
    workers: int
    threads: int
    seconds: float | None = None  # estimated for what is left, on this machine
    basis: str = ""  # what the estimate rests on
    failures: tuple[tuple[str, int, str], ...] = ()  # variant, seed, the reason
    running: tuple[tuple[str, int], ...] = ()  # variant, seed
    interrupted: tuple[tuple[str, int], ...] = ()  # variant, seed: begun, and nothing trains it
    open_sites: bool = False  # leave-one-out variants are not known without building a model
    again: str = ""  # how many final trials are trained again, and what for
    offers: tuple[str, ...] = ()  # what could be asked of layers that the model brings
    until: str = ""  # with seeds until decided: how many there may be
    screen: tuple[str, ...] = ()  # of a screening: its runs, their precision, what they cost
    prospect: Prospect | None = None  # of a plan: what its seeds can show

    def to_json(self) -> dict[str, Any]:
        """Return the status as one JSON document, its `schema_version` first."""
        return {"schema_version": STATUS_VERSION} | asdict(self)


def preview(study: Study, *, logs: str | Path, build: bool) -> StudyStatus:
    """Return what `study` would train.

    With `build` each variant is built once in a worker process, which finds what reading the
    file cannot: the layers' names, the parameters, a selector that matches nothing.

    Raises:
        StudyError, SurgeryError: the study cannot be obeyed.
    """
    from ablate.execution.pilot import prospect_of  # with the statistics, for a plan alone

    store = Store(logs, study.study)
    study = with_trained_model(study, logs)
    if not build:
        made = _own(plan(study, store, earlier=resolved_before(store)), store)
        return replace(_status_of(made, store, {}), prospect=prospect_of(made, store))
    # Workers take a while to import, and a quick plan needs none.
    from ablate.execution import worker
    from ablate.execution.run import Session

    execution = study.execution.model_copy(update={"executor": "serial"})
    with _with_inputs(study, store) as study, Session(store, execution) as session:
        made = _own(session.plan(study), store)
        found = session.preview(made.samples)
        epoch_seconds = {
            trial.variant: session.call(trial.spec, worker.epoch_seconds, trial)
            for trial in _samples(made)
        }
    status = _status_of(made, store, {each.name: each for each in found}, epoch_seconds)
    return replace(status, prospect=prospect_of(made, store))


def _own(made: Plan, store: Store) -> Plan:
    """Return the plan; trials that confirm a screening's pick are no leftovers."""
    if made.study.screen is None or not made.dropped:
        return made
    from ablate.execution.screen import screened

    return replace(made, dropped=screened(made.study, store)[1].dropped)


def progress(study: Study, *, logs: str | Path) -> StudyStatus:
    """Return how far a study is, from its store alone.

    What workers have handed in counts, though no driver may be there to save it.
    """
    store = Store(logs, study.study)
    study = with_trained_model(study, logs, recorded=True)
    made = plan(study, store, earlier=resolved_before(store), recorded=True)
    handed = {
        trial.id: outcome.result
        for trial in made.todo
        if (outcome := collect(store.works, trial.id, planned=trial, keep=True)) is not None
    }
    made = made.after(handed)
    left = tuple(t for t in made.todo if t.id not in handed or not handed[t.id].final)
    lacks = {trial.id: made.lacks[trial.id] for trial in left if trial.id in made.lacks}
    made = replace(made, todo=left, results={**made.results, **handed}, lacks=lacks)
    seen = _status_of(made, store, {})
    return seen if study.screen is None else _with_confirmation(seen, study, store)


def _with_confirmation(seen: StudyStatus, study: Study, store: Store) -> StudyStatus:
    """Return the status of a screening, with the trials that confirm its pick."""
    from ablate.execution.screen import screened

    _, made, confirming = screened(study, store)
    seen = replace(seen, dropped=len(made.dropped))
    if confirming is None:
        return seen
    more = _status_of(confirming, store, {})
    times = (seen.seconds, more.seconds)
    return replace(
        seen,
        rows=(*seen.rows, *more.rows),
        todo=seen.todo + more.todo,
        seconds=None if None in times else sum(each or 0.0 for each in times),
        failures=(*seen.failures, *more.failures),
        running=(*seen.running, *more.running),
    )


def augmented(study: Study, *, logs: str | Path) -> list[AugmentedRows]:
    """Return rows as each different augmentation of `study` makes them, under its first seed.

    Raises:
        StudyError, SurgeryError: the study cannot be obeyed, or nothing in it augments.
    """
    from ablate.execution import worker
    from ablate.execution.run import Session

    store = Store(logs, study.study)
    study = with_trained_model(study, logs)
    execution = study.execution.model_copy(update={"executor": "serial"})
    with _with_inputs(study, store) as study, Session(store, execution) as session:
        made = session.plan(study)
        different: dict[str, Trial] = {}
        for trial in made.trials:
            if trial.spec.train.augment is not None:
                key = trial.spec.train.model_dump_json(include={"augment"})
                different.setdefault(key + trial.spec.data.model_dump_json(), trial)
        if not different:
            raise StudyError("--images: no variant has train.augment, so there is nothing to show")
        return [
            session.call(trial.spec, worker.augmented_rows, trial) for trial in different.values()
        ]


@contextmanager
def _with_inputs(study: Study, store: Store) -> Iterator[Study]:
    """Give a study whose live objects are files for the time of a plan, and gone after it."""
    new = not store.inputs.exists()
    try:
        yield materialised(study, store.inputs)
    finally:
        if new and study.in_memory and not store.exists():
            shutil.rmtree(store.root, ignore_errors=True)


def _samples(made: Plan) -> list[Trial]:
    """Return the trials whose speed is measured: none where some have finished, else the one with
    the fewest and the one with the most inserted layers."""
    if not made.todo or any(result.final for result in made.results.values()):
        return []
    ordered = sorted(made.todo, key=lambda trial: len(trial.spec.insert))
    first, last = ordered[0], ordered[-1]
    return [first] if first.variant == last.variant else [first, last]


def _status_of(
    made: Plan,
    store: Store,
    previews: Mapping[str, VariantPlan],
    epoch_seconds: Mapping[str, float] | None = None,
) -> StudyStatus:
    todo = {trial.id for trial in made.todo}
    threads = made.study.train.threads
    assert isinstance(threads, int)
    execution = made.study.execution
    count = execution.workers if isinstance(execution.workers, int) else None
    workers = sum(pool.workers for pool in worker_pools(threads=threads, workers=count))
    seconds, basis = _estimate(made, workers, epoch_seconds or {})
    running, interrupted = _under_way(made.todo, store, execution.executor)
    rows = tuple(_row(made, variant, todo, previews.get(variant.name)) for variant in made.resolved)
    if made.ledger:
        own = [_row(made, variant, todo, None) for variant in made.ledger]
        title = f"{made.study.baseline_name}, one source of chance drawn anew (ledger)"
        rows = (*rows, _together(title, own))
    return StudyStatus(
        study=made.study.study,
        rows=rows if made.study.screen is None else _runs_together(made, rows),
        todo=len(todo),
        dropped=len(made.dropped),
        workers=workers,
        threads=threads,
        seconds=seconds,
        basis=basis,
        failures=tuple(
            (trial.variant, trial.seed, sentence(made.results[trial.id].error or ""))
            for trial in made.trials
            if trial.id in made.results and made.results[trial.id].status == "failed"
        ),
        running=tuple((trial.variant, trial.seed) for trial in running),
        interrupted=tuple((trial.variant, trial.seed) for trial in interrupted),
        open_sites=wanted_sites(made.study) is not None,
        offers=tuple(offer_lines(made.study, previews.values())),
        again=trained_again(made.lacks[t.id] for t in made.todo if t.id in made.lacks),
        until=_until(made),
        screen=_planned_screen(made),
    )


def _until(made: Plan) -> str:
    """Say how many seeds there may be, where that is decided on the way."""
    until = made.study.until
    if until is None:
        return ""
    most = len({trial.id for trial in made.possible})
    text = (
        f"Seeds are added until every variant is decided: {until.at_least} to {until.at_most} "
        f"each, {most} trials at most."
    )
    if made.study.analysis.margin is None:
        text += (
            " Without analysis.margin no variant is shown equivalent: one that makes no difference "
            f"runs to {until.at_most} seeds."
        )
    return text


def _runs_together(made: Plan, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the runs of a screening: those that were built, and the others as one row."""
    shown = {variant.name for variant in made.samples} if rows[0].parameters is not None else set()
    rest = [row for row in rows if row.variant not in shown]
    together = _together(_networks(made, len(rest), bool(shown)), rest)
    kept = [replace(row, baseline=False) for row in rows if row.variant in shown]
    return (*kept, together) if rest else tuple(kept)


def _together(title: str, rows: Sequence[Row]) -> Row:
    """Return rows as one."""
    statuses: Counter[str] = Counter()
    for row in rows:
        statuses.update(row.statuses)
    return Row(
        variant=title,
        trials=sum(row.trials for row in rows),
        statuses=dict(statuses),
        epochs=sum(row.epochs for row in rows),
    )


def _networks(made: Plan, count: int, others: bool) -> str:
    if wanted_sites(made.study) is not None:
        return "networks of the screening"
    what = "other" if others else "network"
    return f"{count} {what}{'' if count == 1 else 's'} of the screening"


def _planned_screen(made: Plan) -> tuple[str, ...]:
    """Return what a plan says of a screening whose sites are known."""
    declared = made.study.screen
    if declared is None or declared.found is None:
        return ()
    from ablate.analysis.screening import screen
    from ablate.report.screening import planned
    from ablate.study.screen_design import design_of

    results = made.outcome(made.results, None).results
    settings = made.study.analysis
    found = screen(design_of(made.study), made.resolved, results, settings, 0) if results else None
    sd, metric = declared.sd, ""
    if found is not None and found.sd is not None:
        sd, metric = found.sd, found.metric
    seeds = len(made.study.seed_list)
    return tuple(planned(design_of(made.study), seeds, declared.most_confirm_seeds, sd, metric))


def _row(made: Plan, variant: ResolvedVariant, todo: set[str], built: VariantPlan | None) -> Row:
    trials = [trial for trial in made.trials if trial.variant == variant.name]
    row = Row(
        variant=variant.name,
        trials=len(trials),
        statuses=dict(Counter(_status(made, trial) for trial in trials)),
        alias_of=variant.alias_of,
        baseline=variant.name == made.study.baseline_name,
        decided=made.decided.get(variant.name, ""),
        epochs=sum(trial.spec.train.epochs for trial in trials if trial.id in todo),
    )
    return row if built is None else replace(row, **{key: getattr(built, key) for key in _BUILT})


def _status(made: Plan, trial: Trial) -> str:
    if trial.id in made.lacks:
        return "again"
    return made.results[trial.id].status if trial.id in made.results else "to do"


def _estimate(
    made: Plan, workers: int, epoch_seconds: Mapping[str, float]
) -> tuple[float | None, str]:
    """Scale the time of finished trials, or the measured time, to the epochs that are left."""
    if not made.todo:
        return 0.0, "nothing is left"
    pace, basis = Pace.of(made.results.values()), f"{len(made.results)} finished trials"
    if not pace.rates:
        pace, basis = Pace(epoch_seconds), f"a few steps of {' and '.join(epoch_seconds)}"
    left = [(trial.variant, max(trial.spec.train.epochs, 1)) for trial in made.todo]
    new = {variant for variant, _ in left} - pace.rates.keys()
    seconds = pace.left(left, min(workers, len(left)), len(new))
    return seconds, "no trial has finished yet" if seconds is None else basis


def _under_way(
    todo: Sequence[Trial], store: Store, executor: str
) -> tuple[list[Trial], list[Trial]]:
    """Return the trials that train at this moment, and those that were interrupted.

    Both have a folder of their own. A driver that lives has written to that of a trial it trains;
    on a cluster workers go on without one.
    """
    there = [(trial, store.work(trial.id)) for trial in todo if store.work(trial.id).is_dir()]
    since = store.held_since()
    if since is None:
        since = time.time() - ALIVE if executor in ("ray", "slurm") else math.inf
    running = [trial for trial, folder in there if _last_change(folder) >= since]
    return running, [trial for trial, _ in there if trial not in running]


def _last_change(folder: Path) -> float:
    times = [0.0]
    for each in (folder, *folder.glob("*")):
        with suppress(OSError):
            times.append(each.stat().st_mtime)
    return max(times)
