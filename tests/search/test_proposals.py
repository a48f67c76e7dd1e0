"""Proposals: told in order, the same whatever finishes first, and the truth about divergence."""

from __future__ import annotations

import random

import pytest

from ablate.search.proposals import AHEAD, Proposals, reported_score
from ablate.study.trial import Trial, TrialResult
from tests.search.small import RATE, outcome, study

SEEDS = (10_000, 10_001)


def proposals(search, variant=0, **rest):
    small = study(search, **rest)
    arm = small.resolved[variant]

    def trials(name, values):
        return {seed: f"{name}/{sorted(values.items())}/{seed}" for seed in SEEDS}

    return Proposals(arm, small.search, trials)


def result(trial, values, **changes):
    rate = values.get(RATE, 0.1)
    seed = int(trial.rsplit("/", 1)[1])
    small = study({})
    train = small.train.model_copy(update={"learning_rate": rate})
    spec = small.resolved[0].spec.model_copy(update={"train": train})
    return outcome(Trial(trial, "plain", seed, spec), **changes)


def carried_out(made, order, lose=()):
    """Let every point end, its trials finishing in the order that `order` picks."""
    results, waiting, most = {}, [], 0
    while True:
        waiting += [(t, p) for p in made.advance(results) for t in p.trials.values()]
        most = max(most, len(waiting))
        if not waiting:
            return [dict(point.values) for point in made.points], most
        trial, point = waiting.pop(order(len(waiting)))
        changes = {"status": "diverged", "metrics": {}} if point.name in lose else {}
        results[trial] = result(trial, point.values, **changes)


DRAW = random.Random(3)

ORDERS = {
    "first": lambda n: 0,
    "last": lambda n: n - 1,
    "mixed": DRAW.randrange,
}


@pytest.mark.parametrize("oracle", ["random", "quasirandom", "bayesian", "hyperband"])
def test_points_do_not_depend_on_what_finishes_first(oracle):
    found = {
        name: carried_out(proposals({"oracle": oracle, "trials": 7}), order, lose=("p001",))[0]
        for name, order in ORDERS.items()
    }
    assert found["first"] == found["last"] == found["mixed"]
    assert oracle == "hyperband" or len(found["first"]) == 7


def test_an_oracle_that_listens_has_few_points_under_way():
    listening = carried_out(proposals({"oracle": "bayesian", "trials": 7}), ORDERS["first"])
    steady = carried_out(proposals({"oracle": "random", "trials": 7}), ORDERS["first"])
    assert (listening[1], steady[1]) == (AHEAD * len(SEEDS), 7 * len(SEEDS))


def test_outcomes_that_are_there_already_are_proposed_again_and_not_asked_for():
    made = proposals({"oracle": "bayesian", "trials": 6})
    points, _ = carried_out(made, ORDERS["first"])
    results = {t: result(t, p.values) for p in made.points for t in p.trials.values()}
    again = proposals({"oracle": "bayesian", "trials": 6})
    assert [dict(point.values) for point in again.advance(results)] == points
    assert again.finished


def test_a_rung_of_hyperband_says_its_epochs():
    long = {"train": {"epochs": 9, "threads": 1}}
    points, _ = carried_out(proposals({"oracle": "hyperband"}, **long), ORDERS["first"])
    rungs = [point["train.epochs"] for point in points]
    assert set(rungs) == {1, 3, 9}
    assert {p[RATE] for p in points if p["train.epochs"] == 9} & {
        p[RATE] for p in points if p["train.epochs"] == 3
    }


def test_a_space_without_parameters_is_one_point():
    made = proposals({"space": {"insert.Dropout.rate": {"float": [0, 0.5]}}})
    assert carried_out(made, ORDERS["first"])[0] == [{}]


def ended(status, loss=None, before=2.3):
    curves = {"val_loss": [before, 0.4, None]}
    return TrialResult("t", "plain", 0, status, metrics={"val_loss": loss}, curves=curves)


def test_the_oracle_is_told_the_mean_over_the_seeds():
    search = study({}).search
    assert reported_score(
        [ended("completed", 0.2), ended("completed", 0.4)], search
    ) == pytest.approx(0.3)


def test_divergence_is_told_as_bad_as_an_untrained_network_or_worse():
    search = study({}).search
    assert reported_score([ended("diverged")], search) == 2.3  # never 0.4, its best epoch
    assert reported_score([ended("diverged")], search, before=[0.3, 7.0]) == 7.0
    assert reported_score([ended("completed", 0.3), ended("diverged")], search) == pytest.approx(
        1.3
    )


def test_where_more_is_better_the_worst_is_the_smallest():
    search = study({"objective": "val_accuracy"}).search
    lost = TrialResult("t", "plain", 0, "diverged", curves={"val_accuracy": [0.1, 0.8]})
    assert reported_score([lost], search, before=[0.9, 0.05]) == 0.05


def test_a_failure_is_no_outcome():
    assert reported_score([ended("failed")], study({}).search) is None
    assert reported_score([ended("diverged", before=None)], study({}).search) is None
