from functools import cache

import numpy as np
import pytest
from scipy import stats

from ablate.analysis.screening import half_width, one_at_a_time, picked, screen, site_effects
from ablate.analysis.site_interactions import interactions
from ablate.study.design import screening_runs
from ablate.study.resolved import ResolvedVariant
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.screen import Screen
from ablate.study.schema.variant import Found
from ablate.study.screen_design import Design
from ablate.study.trial import Spec, TrialResult
from benchmarks.screening import simulate


@cache
def simulated(kind):
    return simulate(kind, 60)


def test_effects_by_hand():
    runs = screening_runs(2)
    scores = np.array([[4.0, 5.0], [2.0, 3.5], [1.0, 2.0], [0.0, 1.5]])
    found = site_effects(runs, scores, 0.95)
    assert found.effects == pytest.approx(
        [(4.5 + 2.75 - 1.5 - 0.75) / 2, (4.5 + 1.5 - 2.75 - 0.75) / 2]
    )
    left = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
    s2 = (left**2).sum() / 3
    half = stats.t.ppf(0.975, 3) * 2 * np.sqrt(s2 / 8)
    assert found.high - found.effects == pytest.approx([half, half])
    assert half_width(4, 2, np.sqrt(s2), 0.95) == pytest.approx(half)
    assert found.degrees == 3


def test_what_a_seed_does_to_all_runs_alike_costs_nothing():
    scores = np.random.default_rng(0).normal(size=(16, 2))
    one = site_effects(screening_runs(6), scores, 0.95)
    other = site_effects(screening_runs(6), scores + np.array([[0.0, 100.0]]), 0.95)
    assert other.low == pytest.approx(one.low) and other.p == pytest.approx(one.p)


def test_a_lost_score_leaves_least_squares_on_the_others():
    rng = np.random.default_rng(1)
    runs = np.array(screening_runs(5))
    worth = np.array([1.0, -2.0, 0.0, 0.5, 3.0])
    scores = (
        (runs @ worth / 2)[:, None]
        + rng.normal(size=(1, 3))
        + 0.01 * rng.normal(size=(len(runs), 3))
    )
    scores[2, 1] = scores[0, 0] = scores[-1] = np.nan
    found = site_effects(runs, scores, 0.95)
    there = np.isfinite(scores)
    run, seed = np.nonzero(there)
    design = np.column_stack([seed[:, None] == np.arange(3), runs[run] / 2])
    expected = np.linalg.lstsq(design.astype(float), scores[there], rcond=None)[0][3:]
    assert found.effects == pytest.approx(expected)
    assert found.effects == pytest.approx(worth, abs=0.03)
    # 16 runs, one of them lost; 45 scores, 15 runs and 2 further seeds explained.
    assert found.degrees == 48 - 5 - 15 - 2


def test_nothing_is_told_where_effects_cannot_be_told_apart():
    scores = np.random.default_rng(2).normal(size=(8, 2))
    scores[3:] = np.nan
    assert site_effects(screening_runs(4), scores, 0.95) is None


def test_one_seed_tells_nothing():
    assert site_effects(screening_runs(4), np.zeros((8, 1)), 0.95) is None


def test_equal_scores_have_no_effect():
    found = site_effects(screening_runs(4), np.full((8, 2), 0.9), 0.95)
    assert found.effects == pytest.approx(np.zeros(4))
    assert not (found.p < 1).any()


@pytest.mark.parametrize("kind", ["additive", "interacting", "saturating"])
def test_a_screening_beats_one_site_at_a_time_on_an_equal_budget(kind):
    found = {name: mean for name, (mean, _) in simulated(kind).items()}
    assert 0.92 < found["coverage"] < 0.98
    assert found["screening"] < min(found["one at a time"], found["leave-one-out"])
    assert found["screening"] < found["significant only"]
    # By 250 worlds .04, .82 and .06.
    low, high = {"additive": (0, 0.15), "interacting": (0.6, 1), "saturating": (0, 0.18)}[kind]
    assert low <= found["lack of fit"] <= high


#: Regret of screening, one at a time and leave-one-out in 250 worlds, each ± 0.1, by which folding
#: was chosen. The benchmark's main effects were chosen to come near them (docs/decisions.md), so
#: that this holds the benchmark where it was found and confirms nothing by itself.
CHOSEN_BY = {"additive": (0.00, 0.50, 0.52), "interacting": (0.58, 2.97, 1.28)}


@pytest.mark.parametrize("kind", CHOSEN_BY)
def test_regrets_stay_near_those_by_which_the_design_was_chosen(kind):
    found = simulated(kind)
    names = ("screening", "one at a time", "leave-one-out")
    for name, wanted in zip(names, CHOSEN_BY[kind], strict=True):
        mean, error = found[name]
        assert abs(mean - wanted) < 3 * np.hypot(error, 0.1), name


def test_an_interaction_is_named_with_those_that_look_like_it():
    runs = np.array(screening_runs(6))
    design = design_with(6)
    scores = 0.8 + 0.02 * (runs[:, 0] * runs[:, 1])[:, None] + noise(runs, 3)
    found = screen(design, variants(design), results(design, scores), Settings(), scores.size)
    assert found.interacts
    first = found.interactions[0]
    assert ("site0", "site1") in first.pairs
    assert first.effect == pytest.approx(0.04, abs=0.005)
    products = {pair: runs[:, int(pair[0][-1])] * runs[:, int(pair[1][-1])] for pair in first.pairs}
    reference = products["site0", "site1"]
    assert all(abs(each @ reference) == len(runs) for each in products.values())


@pytest.mark.parametrize("count", [3, 10, 15, 18])
def test_pairs_that_explain_the_runs_as_well_are_named_together(count):
    runs = np.array(screening_runs(count))
    products = {(i, j): runs[:, i] * runs[:, j] for i in range(count) for j in range(i + 1, count)}
    for true in ((0, 1), (1, 2)):
        means = 0.8 + 0.01 * runs[:, 0] + 0.02 * products[true] + noise(runs, 1)[:, 0]
        (found,) = interactions(range(count), runs, means, 0.001, 20)
        alike = {p for p, each in products.items() if abs(each @ products[true]) == len(runs)}
        assert true in found.pairs and set(found.pairs) == alike
        assert abs(found.effect) == pytest.approx(0.04, abs=0.002)
    assert len(found.pairs) == {3: 1, 10: 1, 15: 7, 18: 1}[count]


def test_two_interactions_are_told_apart_where_pairs_are_confounded_in_part():
    runs = np.array(screening_runs(10))
    means = 0.02 * (runs[:, 0] * runs[:, 1] - runs[:, 2] * runs[:, 5]) + noise(runs, 1)[:, 0]
    found = interactions(range(10), runs, means, 0.001, 20)
    assert sorted(each.pairs for each in found) == [((0, 1),), ((2, 5),)]
    assert sorted(round(each.effect, 2) for each in found) == [-0.04, 0.04]


def test_many_interactions_name_none_where_pairs_are_confounded_in_part():
    runs = np.array(screening_runs(10))
    pairs = ((0, 1), (2, 5), (3, 4), (6, 9), (1, 7))
    means = 0.02 * sum(runs[:, i] * runs[:, j] for i, j in pairs) + noise(runs, 1)[:, 0]
    assert interactions(range(10), runs, means, 0.001, 20) == ()


def test_a_network_without_any_layer_has_no_position_and_counts_once():
    design = positions_of(1)
    first, second, _, none = np.array([[0.9, 0.92], [0.8, 0.82], [9.0, 9.0], [0.5, 0.52]])
    scores = np.array([first, second, none, none]) + noise(design.runs, 2)
    found = screen(design, variants(design), results(design, scores), Settings(), scores.size)
    site, position = (each.effect for each in found.factors)
    assert site == pytest.approx(0.35, abs=0.002) and position == pytest.approx(0.1, abs=0.002)
    assert found.degrees == 2


def test_effects_come_from_validation_rows_and_point_the_good_way():
    runs = np.array(screening_runs(4))
    design = design_with(4)
    scores = 1.0 + 0.1 * runs[:, [0]] - 0.1 * runs[:, [1]] + noise(runs, 2)
    settings = Settings(metric="loss")
    found = screen(design, variants(design), results(design, scores, "loss"), settings, scores.size)
    assert (found.metric, found.direction) == ("val_loss", "min")
    assert found.picked[:2] == (False, True)
    assert found.factors[0].parameters == pytest.approx(10) and found.trials["lost"] == 0
    assert found.ends == pytest.approx((scores[0].mean(), scores[-1].mean()))


def noise(runs, seeds):
    return 0.001 * np.random.default_rng(5).normal(size=(len(runs), seeds))


def design_with(count):
    placements = [{"layer": "BatchNormalization"}]
    found = [Found(host=f"h{i}", layer=f"site{i}", placement=0) for i in range(count)]
    return Design(Screen(placements=placements, found=found))


def positions_of(count):
    """The design of sites at two positions."""
    placement = {"layer": "BatchNormalization", "at": ["before_activation", "after_activation"]}
    found = [Found(host=f"h{i}", layer=f"site{i}", placement=0) for i in range(count)]
    return Design(Screen(placements=[placement], found=found))


def variants(design):
    spec = Spec(data={"name": "digits"}, model={"name": "cnn"}, train={})
    return [
        ResolvedVariant(design.name_of(row), spec, {}, "screen") for row in range(len(design.runs))
    ]


def results(design, scores, metric="accuracy"):
    return [
        TrialResult(
            id=f"{row}-{seed}", variant=design.name_of(row), seed=seed, status="completed",
            metrics={f"val_{metric}": float(scores[row, seed]), f"test_{metric}": -1.0},
            parameters=100 + 10 * sum(level > 0 for level in design.runs[row]), inference=(0.1,),
        )
        for row, seed in np.ndindex(scores.shape)
    ]  # fmt: skip


def test_the_runner_up_differs_in_the_least_certain_site():
    good, other = picked(np.array([0.4, -0.1, -0.6]), "max")
    assert (good.tolist(), other.tolist()) == ([True, False, False], [True, True, False])
    good, _ = picked(np.array([0.4, -0.1, -0.6]), "min")
    assert good.tolist() == [False, True, True]


def test_what_one_at_a_time_would_cost():
    assert one_at_a_time(15, 32, 2) == 16 * 32
