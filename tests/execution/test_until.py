"""Seeds until decided, from the plan to the last trial, on an executor that makes up outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.execution import run as running
from ablate.execution import worker
from ablate.execution.messages import Finished
from ablate.execution.plan import plan, resolved_before
from ablate.execution.run import run
from ablate.execution.runner import Interrupted
from ablate.execution.status import progress
from ablate.store import Store
from ablate.study.schema.seeds import Until
from tests.execution.finished import BN, record, small
from tests.execution.pretending import Pretending, previews

ANSWERS = {worker.preview: previews("test_accuracy", "test_loss")}

UNTIL = {"until": "decided", "at_least": 4, "at_most": 9}


def study(**changes):
    """Return a study in which `bn` is better by 5 points, and `same` by nothing."""
    variants = {"plain": {}, "bn": BN, "same": {"train": {"epochs": 2}}}
    return small(**{"seeds": UNTIL, "variants": variants, **changes})


def outcome(trial):
    """Return a made-up outcome: its accuracy hangs on the trial alone."""
    made = record(trial)
    noise = np.random.default_rng(int(trial.id[:8], 16)).normal(0, 0.01)
    accuracy = 0.8 + 0.05 * bool(trial.spec.insert) + noise
    return replace(made, metrics={**made.metrics, "test_accuracy": accuracy})


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Run a study without training; return its results and what was trained."""

    def go(made=None, stop_after=None, **more):
        executor = Pretending(outcome, ANSWERS, stop_after)
        monkeypatch.setattr(running, "make_executor", lambda *_: executor)
        try:
            return run(made or study(), logs=tmp_path, watchers=more.pop("watchers", []), **more), (
                executor.trained
            )
        except Interrupted:
            return None, executor.trained

    return go


def counts(results):
    return {name: int(each) for name, each in results.planned.items()}


def test_it_trains_what_is_undecided_and_the_baseline(pretend):
    results, trained = pretend()
    asked = counts(results)
    assert asked["bn"] < asked["same"] == asked["plain"] == 9
    assert sorted(trained) == sorted((name, s) for name, n in asked.items() for s in range(n))
    assert results.counts() == {"completed": sum(asked.values())}


@pytest.mark.parametrize("stop", [3, 11, 14, 20])
def test_it_goes_on_to_the_same_decisions(pretend, tmp_path, stop):
    whole, trained = pretend(study(study="whole"))
    _, first = pretend(stop_after=stop)
    results, rest = pretend()
    assert counts(results) == counts(whole)
    assert sorted(first + rest) == sorted(trained)
    assert pretend()[1] == []


def test_the_store_plans_what_was_decided(pretend, tmp_path):
    results, _ = pretend()
    store = Store(tmp_path, "small")
    made = plan(study(), store, earlier=resolved_before(store), recorded=True)
    assert made.todo == () and made.dropped == ()
    assert made.decided["bn"] == "better"
    assert resolved_before(store).until == Until(**UNTIL)
    seen = progress(study(), logs=tmp_path)
    assert {row.variant: (row.trials, row.decided) for row in seen.rows} == {
        "plain": (9, ""), "bn": (counts(results)["bn"], "better"), "same": (9, "inconclusive"),
    }  # fmt: skip


def test_a_number_of_seeds_takes_its_place(pretend, tmp_path):
    results, _ = pretend()
    fixed, trained = pretend(study(seeds=5))
    assert counts(fixed) == {"plain": 5, "bn": 5, "same": 5}
    assert sorted(trained) == [("bn", seed) for seed in range(counts(results)["bn"], 5)]
    again, trained = pretend()
    assert (counts(again), trained) == (counts(results), [])


def test_a_study_says_how_many_seeds_it_may_take():
    assert repr(study()) == (
        "Study('small': 3 variants x 4 to 9 seeds = 12 to 27 trials, baseline 'plain')"
    )


def test_seeds_may_begin_elsewhere(pretend):
    made = study(seeds={**UNTIL, "first": 100})
    assert made.seed_list == (100, 101, 102, 103)
    results, trained = pretend(made)
    assert {seed for _, seed in trained} == set(range(100, 109))
    assert counts(results)["bn"] < counts(results)["plain"] == 9


def test_a_failed_trial_is_tried_again_and_counts_as_lost_until_then(pretend, monkeypatch):
    honest = Pretending.receive

    def failing(self):
        return [
            replace(each, result=replace(each.result, status="failed", error="x", metrics={}))
            if isinstance(each, Finished) and (each.result.variant, each.result.seed) == ("bn", 1)
            else each
            for each in honest(self)
        ]

    with monkeypatch.context() as broken:
        broken.setattr(Pretending, "receive", failing)
        results, _ = pretend()
    assert results.counts()["failed"] == 1
    assert counts(results)["same"] == 9
    results, trained = pretend()
    assert trained[0] == ("bn", 1)
    assert set(results.counts()) == {"completed"}


def test_watchers_hear_of_what_is_added(pretend):
    heard = []

    class Watching:
        def begin(self, todo, kept, dropped):
            heard.append(todo)

        def planned(self, made, todo):
            heard.append(todo)
            assert len(made.trials) == todo

    results, _ = pretend(watchers=[Watching()])
    assert heard[0] == 12
    assert heard[-1] == sum(counts(results).values())
    assert heard == sorted(heard)


def test_a_metric_that_no_trial_reports_is_refused_before_training(pretend):
    with pytest.raises(StudyError, match=r"no trial reports 'acuracy'.*Did you mean"):
        pretend(study(analysis={"metric": "acuracy", "direction": "max"}))


def test_variants_with_other_threads_are_asked_for_on_workers_of_their_own(pretend):
    variants = {"plain": {}, "two": {"train": {"threads": 2, "epochs": 2}}}
    results, trained = pretend(study(variants=variants))
    assert counts(results) == {"plain": 9, "two": 9}
    assert len(trained) == 18
