"""The driver with an executor that trains nothing: resume, aliases, winners, budget, bad input."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.events.files import event_files, read
from ablate.execution.messages import Done, Finished
from ablate.execution.run import Session
from ablate.search.driver import search
from ablate.search.results import found
from ablate.search.summary_text import summarize, to_json
from ablate.store import Store
from ablate.study.preview import VariantPlan
from ablate.study.progress import Event
from ablate.study.trial import FINAL
from tests.search.small import RATE, RATES, outcome, study

METRICS = ("loss", "val_accuracy", "val_loss")


class Killed(Exception):
    """Stands for a `kill -9` of the driver."""


class Untrained:
    """An executor that answers at once, and may be killed after some trials."""

    slots = 2

    def __init__(self, store, dies_after=None, outcomes=outcome, metrics=METRICS):
        self.store, self.left, self.outcome = store, dies_after, outcomes
        self.metrics = metrics
        self.tasks, self.trained, self.previewed = [], [], []

    def warm(self):
        """Nothing to start."""

    def expect(self, trials):
        return []

    def call(self, function, resolved):
        self.previewed += resolved
        return [
            VariantPlan(arm.name, (), (), (), (), 1, 1, "softmax", "loss", {}, 1, (), self.metrics)
            for arm in resolved
        ]

    def submit(self, task):
        self.tasks.append(task)

    def poll(self, timeout):
        task = self.tasks.pop()  # the last first: an order of its own
        said = []
        for trial in task.trials:
            if self.left is not None and len(self.trained) >= self.left:
                raise Killed
            self.trained.append(trial.id)
            result = self.outcome(trial)
            if self.left is not None:  # what a killed driver had saved
                self.store.save(result)
            said += [Event(trial.id, "started"), Finished(result)]
        return [*said, Done(task)]

    def close(self):
        """Nothing to end."""


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Search a study under `tmp_path`; the executor is returned beside the results."""

    def go(small, **options):
        store = Store(tmp_path, small.study)
        executor = Untrained(store, **options)
        monkeypatch.setattr(Session, "executor", lambda self, threads: executor)
        try:
            return search(small, logs=tmp_path, watchers=[]), executor
        except Killed:
            return None, executor

    return go


def points(results):
    return [(each.variant, each.name, dict(each.values), each.trials) for each in results.points]


@pytest.mark.parametrize("oracle", ["random", "quasirandom", "bayesian", "hyperband", "grid"])
def test_a_killed_search_ends_as_an_undisturbed_one(searched, oracle, tmp_path):
    space = {RATE: {"choice": [0.001, 0.01, 0.1, 1.0]}} if oracle == "grid" else RATES
    small = study({"oracle": oracle, "seeds": 2, "space": space}, "plain", "bn")
    whole, executor = searched(small)
    table = (tmp_path / "small" / "search.csv").read_text()
    for dies_after in (3, 9):
        (tmp_path / "small").rename(tmp_path / f"before-{dies_after}")
        none, killed = searched(small, dies_after=dies_after)
        assert none is None
        resumed, second = searched(small)
        assert points(resumed) == points(whole)
        assert (tmp_path / "small" / "search.csv").read_text() == table
        assert set(second.trained) | set(killed.trained) == set(executor.trained)
        assert not set(second.trained) & set(killed.trained)


def test_a_finished_search_trains_nothing_again(searched):
    small = study({})
    first, _ = searched(small)
    again, executor = searched(small)
    assert executor.trained == executor.previewed == []
    assert points(again) == points(first)
    assert to_json(again) == json.loads(json.dumps(to_json(first)))


def test_winners_are_confirmed_on_fresh_seeds_and_only_these_are_reported(searched):
    results, _ = searched(study({"seeds": 2}, "plain", "bn"))
    for name in ("plain", "bn"):
        tried = results.of(name)
        assert [list(point.trials) for point in tried] == [[10_000, 10_001]] * 4
        best = min(tried, key=lambda p: abs(math.log10(p.values[RATE]) + 1))
        assert results.winner(name) is best
    assert {r.seed for r in results.confirmed.results} == {20_000, 20_001, 20_002}
    assert [arm.spec.train.learning_rate for arm in results.confirmed.resolved] == [
        results.winner(name).values[RATE] for name in ("plain", "bn")
    ]
    assert results.analysis.seeds == (20_000, 20_001, 20_002)


def test_points_of_equal_specs_share_their_trials(searched):
    space = {"insert.Dropout.present": {"bool": True}} | {RATE: {"choice": [0.1, 0.5]}}
    results, executor = searched(study({"oracle": "grid", "space": space}, "plain", "dropout"))
    plain = {point.trials[10_000] for point in results.of("plain")}
    absent = {
        point.trials[10_000]
        for point in results.of("dropout")
        if not point.values["insert.Dropout.present"]
    }
    assert plain == absent
    assert len(executor.trained) == len(set(executor.trained))


def test_the_budget_is_counted_in_trained_epochs(searched):
    def some_diverge(trial):
        rate = trial.spec.train.learning_rate
        lost = {"status": "diverged", "metrics": {}, "epochs": 1} if rate > 0.3 else {}
        return outcome(trial, **lost)

    rates = {RATE: {"choice": [0.01, 0.1, 0.5, 1.0]}}
    results, _ = searched(
        study({"oracle": "grid", "space": rates}, "plain", "bn"), outcomes=some_diverge
    )
    assert [row.spent for row in results.progress().rows] == [2 + 2 + 1 + 1 + 3 * 2] * 2
    assert [row.lost for row in results.progress().rows] == [2, 2]
    assert [row.left for row in results.progress().rows] == [0, 0]
    assert summarize(results).text[0] == (
        "Budget: 12 epochs were trained to search (6 for each variant), 12 to confirm the "
        "winners on fresh seeds. 4 of 8 search trials were lost (plain 2 diverged; bn 2 diverged): "
        "a point that lost a seed cannot win."
    )


def test_all_points_lost_is_an_end_too(searched):
    def lost(trial):
        return outcome(trial, status="diverged", metrics={})

    results, executor = searched(study({}, "plain", "bn"), outcomes=lost)
    assert results.winner("plain") is None
    assert results.confirmed.results == ()
    assert len(executor.trained) == 8
    assert "No point of plain, bn completed" in " ".join(summarize(results).text)


def test_failed_trials_stop_nothing_and_are_trained_again(searched):
    def fails(trial):
        return outcome(trial, status="failed", metrics={}, error="Boom")

    first, _ = searched(study({}, "plain", "bn"), outcomes=fails)
    assert first.counts() == {"failed": 8}
    again, executor = searched(study({}, "plain", "bn"))
    assert points(again)[:8] != [] and len(executor.trained) == 8 + 6
    assert set(again.counts()) == {"completed"}


def test_search_csv_has_a_row_per_trial_and_is_read_back(searched, tmp_path):
    space = {"insert.Dropout.at": {"choice": ["after_activation", "after"]}} | RATES
    small = study({"space": space, "seeds": 2}, "plain", "dropout")
    results, _ = searched(small)
    with (tmp_path / "small" / "search.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * (4 * 2 + 3)
    assert list(rows[0])[:5] == ["variant", "point", "seed", RATE, "insert.Dropout.at"]
    read = found(small, Store(tmp_path, "small"))
    assert points(read) == points(results)
    assert to_json(read) == to_json(results)


def test_a_run_beside_a_search_leaves_it_alone(searched, tmp_path):
    from ablate.execution.plan import plan, with_searched

    small = study({}, "plain", "bn")
    searched(small)
    store = Store(tmp_path, "small")
    made = plan(small, store)
    assert made.dropped == ()
    shown, names = with_searched(made, store)
    assert len(shown.trials) == len(made.trials) + 2 * (4 + 3)
    assert set(names.values()) == {"p000", "p001", "p002", "p003", "confirmed"}
    assert shown.todo == made.todo


def test_every_point_is_a_row_of_the_hparams_tab(searched, tmp_path):
    searched(study({}, "plain", "bn"))
    board = tmp_path / "small" / "tensorboard" / "search"
    assert {each.name for each in board.iterdir()} == {"plain", "bn"}
    assert {each.name for each in (board / "bn").iterdir() if each.is_dir()} == {
        "p000", "p001", "p002", "p003", "confirmed",
    }  # fmt: skip
    assert {each.name for each in (board / "bn" / "confirmed").iterdir()} == {
        "seed20000", "seed20001", "seed20002",
    }  # fmt: skip
    scores = [
        point
        for path in event_files(board / "bn")
        for event in read(path)
        for point in event.summary.value
    ]
    assert len(scores) == 4  # one for each point, and none for what confirmed the winner


def test_choices_of_a_placement_are_built_before_anything_trains(searched):
    space = {"insert.Dropout.at": {"choice": ["before", "after"]}}
    _, executor = searched(study({"space": space}, "plain", "dropout"))
    built = [(arm.name, [each.at for each in arm.spec.insert]) for arm in executor.previewed]
    assert built == [("plain", []), ("dropout", ["after"]), ("dropout", ["before"])]


def test_an_objective_that_no_trial_reports_is_an_error_before_training(searched):
    small = study({"objective": "val_loss"})
    with pytest.raises(StudyError, match=r"no validation rows: set data\.validation"):
        searched(small, metrics=("loss", "accuracy"))
    with pytest.raises(StudyError, match=r"reports 'val_loss'.*val_odd"):
        searched(small, metrics=("val_odd",))


def test_a_study_without_a_search_says_what_is_missing(searched):
    small = study({}).model_copy(update={"search": None})
    with pytest.raises(StudyError, match="has no 'search' section"):
        searched(small)


def test_results_of_the_store_are_final(searched, tmp_path):
    searched(study({}, "plain", "bn"))
    assert {each.status for each in Store(tmp_path, "small").results().values()} <= FINAL


UNTIL = {"until": "decided", "at_least": 4, "at_most": 9}


def noisy(trial):
    """Make up an outcome whose test accuracy is better with BN, by more than its noise."""
    made = outcome(trial)
    noise = np.random.default_rng(int(trial.id[:8], 16)).normal(0, 0.01)
    bn = any(each.layer == "BatchNormalization" for each in trial.spec.insert)
    return replace(made, metrics={**made.metrics, "test_accuracy": 0.8 + 0.05 * bn + noise})


def test_winners_get_fresh_seeds_until_they_are_decided(searched, tmp_path):
    small = study({"seeds": 2, "confirm_seeds": UNTIL})
    results, executor = searched(small, outcomes=noisy)
    counts = dict(results.confirmed.planned)
    assert counts["bn"] < counts["dropout"] == counts["plain"] == 9
    assert results.analysis.effect("bn").verdict == "better"
    assert results.analysis.effect("bn").interval == "always_valid"
    assert len(executor.trained) == len(set(executor.trained))
    again, executor = searched(small, outcomes=noisy)
    assert (executor.trained, points(again)) == ([], points(results))


def test_a_killed_search_confirms_with_the_same_seeds(searched, tmp_path):
    whole, _ = searched(study({"confirm_seeds": UNTIL}, study="whole"), outcomes=noisy)
    for dies_after in (5, 17, 25):
        _, _ = searched(study({"confirm_seeds": UNTIL}), outcomes=noisy, dies_after=dies_after)
    results, _ = searched(study({"confirm_seeds": UNTIL}), outcomes=noisy)
    assert [len(each.trials) for each in results.points] == [
        len(each.trials) for each in whole.points
    ]


def test_nobody_waits_for_a_variant_without_a_winner(searched):
    def losing(trial):
        made = noisy(trial)
        bn = any(each.layer == "BatchNormalization" for each in trial.spec.insert)
        return replace(made, status="diverged", metrics={}) if bn else made

    results, _ = searched(study({"confirm_seeds": UNTIL}), outcomes=losing)
    assert dict(results.confirmed.planned) == {"plain": 9, "dropout": 9}


def test_the_text_says_what_one_search_seed_leaves_open(searched):
    one, _ = searched(study({}, "plain", "bn"))
    text = " ".join(summarize(one).text)
    assert "each point was tried with one seed" in text
    assert "What it leaves out" in text
    more, _ = searched(study({"seeds": 3}, "plain", "bn", study="more"))
    text = " ".join(summarize(more).text)
    assert "one seed" not in text
    rate = more.winner("plain").values[RATE]
    told = next(each for each in summarize(more).text if each.startswith("plain: "))
    told_as = (
        rf"plain: with its 3 search seeds resampled, its winner \(learning_rate {rate:.3g}\) is "
        r"chosen again in (every resample|\d+ % of resamples, \d other points? in the rest); on "
        r"the seeds that a resample leaves out, validation loss of what it chose is [\d.]+ to "
        r"[\d.]+ \(95 % of resamples\)\."
    )
    assert re.fullmatch(told_as, told)
    selection = to_json(more)["variants"]["plain"]["selection"]
    assert sum(selection["shares"].values()) == pytest.approx(1)
