"""`ablate screen`: the runs of a screening, what they say of each site, and its confirmation.

Both halves are plans like any other: the runs of the design, then a study of the networks that
were picked on fresh seeds. What was picked follows from the records alone, so a screening that
was interrupted goes on where it was, and a report needs nothing but the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.analysis import Analysis
from ablate.analysis.screening import Screening
from ablate.analysis.screening import screen as analyze_screening
from ablate.disk import notice
from ablate.errors import StudyError
from ablate.execution import worker
from ablate.execution.plan import Plan, plan, resolved_before, write_study
from ablate.execution.run import Session, carry_out, opened
from ablate.report.report_data import ReportData, analysis_of, report_of
from ablate.report.screening import ScreenReport, section
from ablate.store import Store
from ablate.study.network import LayerNode
from ablate.study.progress import Watcher, tell
from ablate.study.results import StudyResults
from ablate.study.screen_design import ALL, NONE, Design, design_of
from ablate.study.screening import PICKED, Pick, candidates, confirmation
from ablate.study.study import Study

if TYPE_CHECKING:
    from ablate.events.tree import Written


@dataclass(frozen=True)
class ScreenResults:
    """A screening as far as it is.

    `runs` are the trials of the design, `found` what they say, on validation rows; `confirmed`
    what was picked, on fresh seeds: only this is reported. The last two are None until every run
    has an outcome.
    """

    study: Study
    runs: StudyResults
    found: Screening | None = None
    pick: Pick | None = None
    confirmed: StudyResults | None = None
    network: tuple[LayerNode, ...] = ()

    @property
    def design(self) -> Design:
        """The factors and runs."""
        return design_of(self.study)

    @cached_property
    def analysis(self) -> Analysis | None:
        """The analysis of what was confirmed, None where nothing was yet."""
        if self.confirmed is None or not self.confirmed.results:
            return None
        return analysis_of(self.confirmed)

    def counts(self) -> dict[str, int]:
        """Return how many trials, of the runs and confirming, have each status."""
        found = self.runs.counts()
        for status, count in (self.confirmed.counts() if self.confirmed else {}).items():
            found[status] = found.get(status, 0) + count
        return found


def screen(
    study: Study,
    *,
    logs: str | Path = "logs",
    workers: int | str | None = None,
    executor: str | None = None,
    fresh: bool = False,
    watchers: Sequence[Watcher] | None = None,
) -> ScreenResults:
    """Train the runs of a screening, pick the sites that help, and confirm the pick.

    Args:
        study: a study with a `screen` section.
        logs: the folder under which `<study>/` is written.
        workers: worker processes; default as the study says, else cores // threads.
        executor: "processes", "serial", "inline", "ray" or "slurm"; default as the study says.
        fresh: archive what is there (renamed, not deleted) and start over.
        watchers: objects that follow the progress (`ablate.study.progress.Watcher`); by default a
            display on standard output.

    Raises:
        StudyError: the study cannot be obeyed; nothing was trained.
        StoreError: the folder cannot be written, or another run holds it.
        Interrupted: Ctrl-C; what was finished is saved.
    """
    if watchers is None:
        from ablate.report.live import Display
        from ablate.report.printing import console

        watchers = [Display(console())]
    if study.screen is None:
        raise StudyError(
            f"Study '{study.study}' has no 'screen' section. Say which layers to place, as "
            "screen: {placements: [{layer: BatchNormalization, at: before_activation}]}."
        )
    with opened(study, logs, workers, executor, fresh, watchers) as (made, store, session):
        write_study(made, store)
        if not store.read_network():
            base = made.resolved[0]
            store.write_network(session.call(base.spec, worker.network_of, base))
        made, confirming = _without_each_other(made, _confirming(made, store, session))
        design = design_of(made.study)
        sites = f"{len(design.sites)} site{'s' * (len(design.sites) != 1)}"
        tell(watchers, "stage", f"Screening {sites} in {len(design.runs)} networks.")
        made, results = carry_out(made, store, session, watchers)
        runs = made.outcome(results, store)
        found, pick = _picked(made, runs)
        _write(store, runs)
        if pick is None:
            notice(f"Nothing was picked: {found.reason if found else 'no run has an outcome'}.")
            return ScreenResults(made.study, runs, found, None, None, store.read_network())
        on = sum(pick.on[PICKED])
        tell(watchers, "stage", f"Picked {on} of {sites}; confirming on fresh seeds.")
        confirming = session.plan(confirmation(made.study, pick))
        confirming = replace(confirming, dropped=_shared(made, confirming))
        confirming, outcome = carry_out(confirming, store, session, watchers)
        confirmed = confirming.outcome(outcome, store)
        store.write_results(confirming.trials, outcome)
        done = ScreenResults(made.study, runs, found, pick, confirmed, store.read_network())
        with suppress(OSError):  # a view that cannot be written ends no screening
            write_events(done, store)
        return done


def screened(study: Study, store: Store) -> tuple[ScreenResults, Plan, Plan | None]:
    """Return how far a screening is, from its store alone, with the plans of its two halves."""
    made = plan(study, store, earlier=resolved_before(store), recorded=True)
    runs = made.outcome(made.results, store)
    network = store.read_network()
    if made.study.screen is None or made.study.screen.found is None:
        return ScreenResults(made.study, runs, network=network), made, None
    found, pick = _picked(made, runs)
    if pick is None:
        return ScreenResults(made.study, runs, found, network=network), made, None
    follows = plan(
        confirmation(made.study, pick), store, earlier=resolved_before(store), recorded=True
    )
    made, confirming = _without_each_other(made, follows)
    assert confirming is not None
    confirmed = confirming.outcome(confirming.results, store)
    return ScreenResults(made.study, runs, found, pick, confirmed, network), made, confirming


def report_on(results: ScreenResults, **rest: Any) -> ReportData:
    """Return the report of a screening: the map and the sites, then what was confirmed.

    `rest` are further fields of `ReportData`.
    """
    outcome = outcome_of(results)
    if results.found is None:
        return report_of(outcome, **rest)
    trials = [*results.runs.results, *(results.confirmed.results if results.confirmed else ())]
    ended = [each for each in trials if each.final]
    shown = ScreenReport(
        results.design,
        results.found,
        results.network,
        results.pick,
        len(ended),
        sum(each.seconds.get("total", 0.0) for each in ended),
    )
    documents = {"screen": results.found.to_json()}
    return report_of(outcome, **{"sections": (section(shown),), "documents": documents, **rest})


def write_events(results: ScreenResults, store: Store, **options: Any) -> Written:
    """Bring TensorBoard's files up to date: what was confirmed, and the map among the images.

    `options` go to `ablate.events.update`.
    """
    from ablate.events import update

    report = report_on(results)
    drawn = {plot.name: plot.png for each in report.sections for plot in each.plots}
    return update(store, outcome_of(results), report.analysis, images=drawn, **options)


def outcome_of(results: ScreenResults) -> StudyResults:
    """Return what is reported: the confirmation, without results as long as nothing is picked."""
    if results.confirmed is not None:
        return results.confirmed
    ends = (NONE, ALL)
    resolved = tuple(sorted((each for each in results.runs.resolved if each.name in ends),
                            key=lambda each: ends.index(each.name)))  # fmt: skip
    assert results.study.screen is not None
    planned = {each.name: results.study.screen.most_confirm_seeds for each in resolved}
    study = results.study.model_copy(update={"baseline": resolved[0].name})
    return StudyResults(study, resolved, (), planned, results.runs.folder)


def _picked(made: Plan, runs: StudyResults) -> tuple[Screening | None, Pick | None]:
    """Return what the runs say, and the pick once every run has an outcome."""
    if not runs.results:
        return None, None
    design = design_of(made.study)
    found = analyze_screening(
        design, made.resolved, runs.results, made.study.analysis, len(made.trials)
    )
    ended = sum(each.final or each.status == "failed" for each in runs.results)
    if ended < len(made.trials) or found.picked is None or found.runner_up is None:
        return found, None
    return found, candidates(found.picked, found.runner_up, found.position)


def _confirming(made: Plan, store: Store, session: Session) -> Plan | None:
    """Return the plan of a confirmation that has begun before, None if the runs are not done."""
    _, pick = _picked(made, made.outcome(made.results, store))
    return None if pick is None else session.plan(confirmation(made.study, pick))


def _without_each_other(made: Plan, other: Plan | None) -> tuple[Plan, Plan | None]:
    """Return the two plans of a screening, neither counting the other's trials as left over."""
    if other is None:
        return made, None
    dropped = _shared(made, other)
    return replace(made, dropped=dropped), replace(other, dropped=dropped)


def _shared(made: Plan, other: Plan) -> tuple[str, ...]:
    """Return the trials on disk that neither plan asks for."""
    return tuple(each for each in made.dropped if each in set(other.dropped))


def _write(store: Store, runs: StudyResults) -> None:
    """Write screen.csv: a row per trial, with the sites that were on; validation scores only."""
    design = design_of(runs.study)
    levels = {each.name: design.runs[at] for at, each in enumerate(runs.resolved)}
    names = sorted(
        {name for each in runs.results for name in each.metrics if name.startswith("val_")}
    )
    rows: list[dict[str, Any]] = []
    for result in runs.results:
        on = levels[result.variant]
        rows.append(
            {
                "variant": result.variant,
                "point": "screening",
                "seed": result.seed,
                **{factor: int(on[at] > 0) for at, factor in enumerate(design.factors)},
                "status": result.status,
                "epochs": result.epochs,
                "seconds": round(result.seconds.get("total", 0.0), 3),
                "parameters": result.parameters,
                **{name: result.metrics.get(name) for name in names},
                "trial": result.id,
            }
        )
    store.write_screen(rows)
