"""Where the spread comes from by which `ablate plan` says what the planned seeds can show.

Seeds of the study that are trained already come first, then the latest study of the same folder on
the same data and network.
"""

from __future__ import annotations

from collections.abc import Iterator

from ablate.analysis import Analysis, analyze
from ablate.analysis.coverage import interval_for
from ablate.analysis.descriptive import MINIMUM_SEEDS
from ablate.analysis.intervals import Interval
from ablate.analysis.prospect import Prospect, prospect
from ablate.analysis.result_table import collect
from ablate.config import load_study
from ablate.errors import AblateError
from ablate.execution.plan import Plan, plan
from ablate.execution.pretrained import with_trained_model
from ablate.store import Store, studies
from ablate.study.resolved import ResolvedVariant
from ablate.study.study import Study

#: Earlier studies that are looked at, the latest first.
MOST_STUDIES = 20


def prospect_of(made: Plan, store: Store) -> Prospect | None:
    """Return what the seeds of a plan can show; None where there is nothing to compare."""
    study = made.study
    seeds = len(study.seed_list) if study.until is None else study.until.at_most
    own = None if study.screen is not None else _analysed(made)
    if own is None or (not own.effects and not own.factor_effects and len(made.resolved) < 2):
        return None
    for earlier, pilot, name in ((made, own, "the seeds so far"), *_earlier(made, store)):
        if any(each.sd and each.n >= MINIMUM_SEEDS for each in pilot.effects):
            return prospect(
                own, seeds, pilot, name, study.analysis.margin, _interval(earlier, pilot, study)
            )
    return prospect(own, seeds, interval=Interval("always_valid") if study.until else None)


def _earlier(made: Plan, store: Store) -> Iterator[tuple[Plan, Analysis, str]]:
    """Yield earlier studies on the same data and network: trained alike, its own, more seeds."""
    others = [Store(store.logs, name) for name in studies(store.logs)]
    others.sort(key=lambda each: -each.study_file.stat().st_mtime)
    spec, found = _baseline(made).spec, []
    for other in others[:MOST_STUDIES]:
        try:
            study = load_study(other.study_file)
            study = with_trained_model(study, store.logs, recorded=True)
            earlier = plan(study, other, earlier=study, recorded=True)
            own = _baseline(earlier).spec
            analysis = _analysed(earlier)
        except AblateError:
            continue  # it cannot be read now; a study that can be is as good
        if analysis is not None and (own.data, own.model) == (spec.data, spec.model):
            mine = other.root == store.root
            name = "this study as it was" if mine else other.root.name
            rank = (own.train != spec.train, not mine, -len(analysis.seeds))
            found.append((rank, earlier, analysis, name))
    found.sort(key=lambda each: each[0])
    for _, earlier, analysis, name in found:
        yield earlier, analysis, name


def _analysed(made: Plan) -> Analysis | None:
    try:
        return analyze(made.outcome(made.results, None))
    except AblateError:
        return None  # a metric that no trial reports, say: the report tells


def _baseline(made: Plan) -> ResolvedVariant:
    name = made.study.baseline_name
    return next(each for each in made.resolved if each.name == name)


def _interval(earlier: Plan, pilot: Analysis, study: Study) -> Interval:
    """Return the interval that the report will have, as far as the pilot's rows tell."""
    table = collect(earlier.outcome(earlier.results, None).results, earlier.resolved)
    looks = "planned" if study.until is not None else ""
    return interval_for(table, _baseline(earlier), pilot.metric, looks)
