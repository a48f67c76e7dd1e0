"""The runner against an executor that does exactly what a test tells it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from ablate.execution.file_channel import FileReporter
from ablate.execution.messages import Done, Finished, Lost
from ablate.execution.runner import ATTEMPTS, Interrupted, Run, recover
from ablate.store import Store
from ablate.study.preview import VariantPlan
from ablate.study.progress import Event
from ablate.study.schema.data import Data
from ablate.study.schema.model import Model
from ablate.study.schema.train import Train
from ablate.study.trial import Spec, Trial, TrialResult

SPEC = Spec(
    data=Data(name="digits"), model=Model(name="mlp"), train=Train(threads=1, time_limit=1.0)
)


def trial(name: str) -> Trial:
    return Trial(id=name, variant=f"v-{name}", seed=0, spec=SPEC)


def completed(name: str) -> TrialResult:
    return TrialResult(id=name, variant=f"v-{name}", seed=0, status="completed", epochs=3)


class Scripted:
    """An executor whose answers to each submitted task are written down beforehand."""

    slots = 2

    def __init__(self, *answers):
        self.answers = deque(answers)
        self.submitted: list[tuple[str, ...]] = []
        self.ready: list = []
        self.closed = False
        self.stopped: list[int] = []

    def submit(self, task):
        self.submitted.append(tuple(each.id for each in task.trials))
        self.ready.extend(self.answers.popleft()(task))

    def poll(self, timeout):
        if KeyboardInterrupt in self.ready:
            at = self.ready.index(KeyboardInterrupt)
            if at == 0:
                self.ready.pop(0)
                raise KeyboardInterrupt
            said, self.ready = self.ready[:at], self.ready[at:]
            return said
        said, self.ready = self.ready, []
        return said

    def stop(self, task):
        self.stopped.append(task.number)

    def close(self):
        self.closed = True


class Notes:
    """A watcher that writes down what it hears."""

    def __init__(self):
        self.heard = []

    def begin(self, todo, kept):
        self.heard.append(("begin", todo, kept))

    def started(self, trial, epoch):
        self.heard.append(("started", trial.id, epoch))

    def epoch(self, trial, said):
        self.heard.append(("epoch", trial.id, said.epoch))

    def step(self, trial, said):
        self.heard.append(("step", trial.id, said.step))

    def finished(self, trial, result, arrays):
        self.heard.append(("finished", trial.id, result.status))

    def lost(self, trial, reason, again):
        self.heard.append(("lost", trial.id, reason, again))

    def end(self):
        self.heard.append(("end",))


def all_well(task):
    messages = []
    for each in task.trials:
        messages += [
            Event(each.id, "started"),
            Event(each.id, "epoch", 1, 3, {"loss": 1.0}),
            Finished(completed(each.id), {"gamma": np.ones(1)}),
        ]
    return [*messages, Done(task)]


def loses_first(task):
    return [Event(task.trials[0].id, "started"), Lost(task, "its worker died (signal 9)")]


def go(store, executor, names, watchers=(), said=()):
    trials = {name: trial(name) for name in names}
    run = Run(store, executor, trials, watchers, previews={each.name: each for each in said})
    return run.go([tuple(trials.values())])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "mine")


def test_outcomes_are_saved_and_told(store):
    notes = Notes()
    (store.work("a")).mkdir(parents=True)
    results = go(store, Scripted(all_well), "ab", [notes])
    assert results == {"a": completed("a"), "b": completed("b")} == store.results()
    assert not store.work("a").exists()
    assert notes.heard == [
        ("started", "a", 0), ("epoch", "a", 1), ("finished", "a", "completed"),
        ("started", "b", 0), ("epoch", "b", 1), ("finished", "b", "completed"),
    ]  # fmt: skip


def test_steps_are_told_to_watchers_that_want_them(store):
    class Unaware(Notes):
        step = None

    def slowly(task):
        return [
            Event("a", "started"),
            Event("a", "step", 1, 3, step=5, steps=9),
            *all_well(task)[1:],
        ]

    notes, unaware = Notes(), Unaware()
    go(store, Scripted(slowly), "a", [unaware, notes])
    assert notes.heard[1] == ("step", "a", 5)
    assert unaware.heard == [notes.heard[0], *notes.heard[2:]]


def test_a_lost_trial_is_tried_again_and_those_behind_it_go_on(store):
    notes = Notes()
    executor = Scripted(loses_first, all_well, all_well)
    results = go(store, executor, "abc", [notes])
    assert executor.submitted == [("a", "b", "c"), ("a",), ("b", "c")]
    assert {name: result.attempts for name, result in results.items()} == {"a": 2, "b": 1, "c": 1}
    assert ("lost", "a", "its worker died (signal 9)", True) in notes.heard


def test_tries_are_bounded_and_recorded(store):
    executor = Scripted(*[loses_first] * ATTEMPTS, all_well)
    # Only the first loss has a trial behind it, so the others answer for `a` alone.
    executor.answers = deque([loses_first, loses_first, all_well, loses_first])
    results = go(store, executor, "ab")
    failed = results["a"]
    assert (failed.status, failed.attempts) == ("failed", ATTEMPTS)
    assert "its worker died (signal 9)" in failed.error
    assert results["b"].status == "completed"
    assert store.load("a") == failed


def test_a_failure_never_replaces_an_outcome_that_stands(store):
    """A final trial that is trained again for a probe, and fails, keeps its record."""
    store.save(completed("a"))

    def fails(task):
        return [Finished(replace(completed("a"), status="failed", error="boom")), Done(task)]

    results = go(store, Scripted(fails), "a")
    assert results["a"].status == "failed"
    assert store.load("a") == completed("a")


def test_a_trial_that_never_told_of_its_network_has_what_the_preview_told(store):
    def built(name):
        return VariantPlan(
            f"v-{name}", (), (), (), (), 1, 1, "", "", {}, 1, ("a note",), cautions=("a caution",)
        )

    def one_of_each(task):
        a, b, c, d = (each.id for each in task.trials)
        own = replace(completed(b), status="failed", error="no", notes=("its own",))
        return [
            Finished(replace(completed(a), status="failed", error="no")), Finished(own),
            Finished(completed(c)), Event(d, "started"), KeyboardInterrupt,
        ]  # fmt: skip

    notes = Notes()
    with pytest.raises(Interrupted):
        go(store, Scripted(one_of_each), "abcd", [notes], map(built, "abcd"))
    assert {name: (each.notes, each.cautions) for name, each in store.results().items()} == {
        "a": (("a note",), ("a caution",)),
        "b": (("its own",), ()),
        "c": ((), ()),  # it completed and had nothing to say
        "d": (("a note",), ("a caution",)),
    }
    lost = go(store, Scripted(loses_first, loses_first, loses_first), "e", said=[built("e")])["e"]
    assert (lost.status, lost.notes, lost.cautions) == ("failed", ("a note",), ("a caution",))


def test_ctrl_c_keeps_what_is_finished_and_says_what_is_left(store):
    def interrupted(task):
        a, b, _ = task.trials
        return [
            Event(a.id, "started"),
            Finished(completed(a.id)),
            Event(b.id, "started"),
            KeyboardInterrupt,
        ]

    executor = Scripted(interrupted)
    with pytest.raises(Interrupted) as stopped:
        go(store, executor, "abc")
    assert (stopped.value.done, stopped.value.left) == (1, 2)
    assert executor.closed
    assert {name: result.status for name, result in store.results().items()} == {
        "a": "completed",
        "b": "interrupted",
    }


def test_a_trial_stuck_over_its_limit_is_stopped_once_and_not_tried_again(store, monkeypatch):
    monkeypatch.setattr("ablate.execution.runner.GRACE", -10.0)

    def hangs(task):
        return [Event(task.trials[0].id, "started")]

    executor = Scripted(hangs, all_well)
    task_stop = executor.stop

    def stop(task):
        task_stop(task)
        executor.ready.append(Lost(task, "its worker was stopped"))

    executor.stop = stop
    results = go(store, executor, "ab")
    assert executor.stopped == [1]
    assert results["a"].status == "failed"
    assert "time limit of 1 s" in results["a"].error
    assert results["b"].status == "completed"


def test_what_workers_handed_in_to_a_dead_driver_is_saved(store):
    reporter = FileReporter(store.works)
    reporter.finished(Finished(completed("a"), {"gamma": np.ones(1)}))
    reporter.report(Event("b", "started"))
    reporter.report(Event("unplanned", "started"))
    found = recover(store, {"a": trial("a"), "b": trial("b")})
    assert found == {"a": completed("a")} == store.results()
    assert [each.name for each in store.works.iterdir()] == ["b"]
