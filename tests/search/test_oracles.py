"""The oracles: the same points again, no point twice, all of a finite space, seed 0 a seed."""

from __future__ import annotations

import keras_tuner as kt
import numpy as np
import pytest

from ablate.errors import StudyError
from ablate.search.oracles import Seed, oracle_of
from tests.search.small import RATE, RATES, study

SIZES = {"train.batch_size": {"int": [1, 12]}}


def asked(oracle, number, score=None):
    """The values of up to `number` points; each is told a score at once."""
    points = []
    for at in range(number):
        trial = oracle.create_trial(str(at))
        if trial.status != "RUNNING":
            break
        points.append(dict(trial.hyperparameters.values))
        if score is not None:
            oracle.update_trial(trial.trial_id, {"val_loss": score(points[-1])})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    return points


def made(search, variant=0):
    small = study(search)
    return oracle_of(small.resolved[variant], small.search)


@pytest.mark.parametrize("name", ["random", "quasirandom", "grid", "bayesian"])
def test_a_finite_space_is_walked_once_and_then_it_ends(name):
    points = asked(made({"oracle": name, "trials": 99, "space": SIZES}), 99, lambda v: 1.0)
    assert sorted(each["train.batch_size"] for each in points) == list(range(1, 13))


@pytest.mark.parametrize("name", ["random", "quasirandom", "bayesian", "hyperband"])
def test_a_seed_decides_the_points(name):
    def score(values):
        return abs(np.log10(values[RATE]) + 1)

    first, again = (asked(made({"oracle": name, "trials": 6}), 6, score) for _ in range(2))
    other = asked(made({"oracle": name, "trials": 6, "seed": 1}), 6, score)
    assert first == again != other
    assert name == "hyperband" or len({str(each) for each in first}) == 6


def test_seed_zero_is_seed_zero():
    assert Seed(0) and Seed(0) == 0
    assert made({"seed": 0}).seed == 0


def test_quasirandom_gives_all_variants_the_same_rates_evenly_spread():
    space = {"insert.Dropout.rate": {"float": [0, 0.5]}} | RATES
    search = {"oracle": "quasirandom", "trials": 12, "space": space}
    plain, bn, dropout = (asked(made(search, at), 12) for at in range(3))
    rates = [each[RATE] for each in plain]
    assert rates == [each[RATE] for each in bn] == [each[RATE] for each in dropout]
    assert asked(made(search | {"trials": 20}), 20)[:12] == plain  # more points change none
    placed = np.sort((np.log10(rates) + 3) / 3)
    assert np.diff(placed).max() <= 1 / 8 + 1e-9
    assert {round(each["insert.Dropout.rate"], 6) for each in dropout} == {
        round(each["insert.Dropout.rate"], 6) for each in dropout
    }
    corner = np.array([[each[RATE] < 10**-1.5, each["insert.Dropout.rate"] < 0.25]
                       for each in dropout[:8]])  # fmt: skip
    assert len(np.unique(corner, axis=0)) == 4  # no quarter of the square is left out


def test_a_grid_is_complete_with_its_end_points():
    space = {"insert.Dropout.rate": {"float": [0, 0.5], "step": 0.25}, RATE: {"choice": [0.1, 1]}}
    points = asked(made({"oracle": "grid", "space": space}, 2), 99)
    assert points == [
        {"insert.Dropout.rate": rate, RATE: each} for rate in (0.0, 0.25, 0.5) for each in (0.1, 1)
    ]
    assert len(asked(made({"oracle": "grid", "space": space}, 0), 99)) == 2


def test_bad_trials_in_a_row_stop_nothing():
    oracle = made({"trials": 9})
    for at in range(9):
        trial = oracle.create_trial(str(at))
        trial.status = "FAILED"
        oracle.end_trial(trial)
    assert len(oracle.trials) == 9


class Own(kt.Oracle):
    """Anyone's own oracle, with fewer arguments than Keras Tuner's."""

    def __init__(self, objective, hyperparameters):
        super().__init__(objective=objective, hyperparameters=hyperparameters)

    def populate_space(self, trial_id):
        return {"status": "RUNNING", "values": {RATE: 0.1 / (1 + len(self.trials))}}


def test_anyones_own_oracle_proposes_as_many_points_as_asked_for():
    oracle = made({"oracle": f"{__name__}:Own", "trials": 3, "seed": 4})
    assert [each[RATE] for each in asked(oracle, 9)] == [0.1, 0.05, 0.1 / 3]
    assert oracle.seed == 4


def test_what_is_no_oracle_is_refused():
    with pytest.raises(StudyError, match=r"search\.oracle: expected a subclass of keras_tuner"):
        made({"oracle": "collections:OrderedDict"})
