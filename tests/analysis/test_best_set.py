from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ablate.analysis import analyze
from ablate.analysis.best_set import best_set, compares_all
from ablate.analysis.intervals import Interval
from ablate.analysis.overlap import widening
from ablate.study.schema.analysis import Analysis as Settings
from ablate.study.schema.placement import Placement
from tests.analysis.simulated import BN, DROPOUT, arm, study


def test_a_variant_leaves_when_another_beats_it():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(8, 1))
    values = base + np.array([0.0, 0.05, -3.0]) + 0.1 * rng.normal(size=(8, 3))
    kept = best_set(values, 0.95)
    assert kept.tolist() == [True, True, False]
    t = stats.ttest_rel(values[:, 0], values[:, 2], alternative="greater").pvalue
    assert t < 0.05 / 2


def test_no_set_of_few_seeds_or_of_one_variant():
    assert best_set(np.zeros((2, 3)), 0.95) is None
    assert best_set(np.zeros((5, 1)), 0.95) is None


def test_equal_variants_are_all_kept_and_rounding_decides_nothing():
    assert best_set(np.full((5, 3), 0.9), 0.95).all()
    assert best_set(np.full((5, 2), 0.9) + np.array([0, 1e-8]), 0.95, noise=1e-7).all()


@pytest.mark.parametrize("noisy", [1.0, 3.0])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_set_holds_the_best_as_often_as_it_says(seeds, noisy):
    rng = np.random.default_rng(2)
    spread = np.array([noisy, 1, 1, 1, 1, 1])
    worlds = 1500
    held = sum(bool(best_set(spread * rng.normal(size=(seeds, 6)), 0.95)[0]) for _ in range(worlds))
    assert held / worlds > 0.93  # .944 to .977 by longer simulations


def test_the_corrected_interval_over_splits_that_share_rows():
    d = np.array([0.01, 0.03, -0.01, 0.02, 0.00])
    by_hand = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 20 / 80) * d.var(ddof=1))
    plain = stats.t.ppf(0.975, 4) * d.std(ddof=1) / np.sqrt(5)
    assert plain * widening(5, 80, 20) == pytest.approx(by_hand)
    # r times k folds: n_test/n_train = 1/(k - 1)
    assert widening(10, 4, 1) == pytest.approx(np.sqrt(1 + 10 / 4))


BEFORE = Placement(layer="BatchNormalization", at="before_activation")
AFTER = Placement(layer="BatchNormalization", at="after_activation")
POSITIONS = [arm("plain"), arm("before", insert=[BEFORE]), arm("after", insert=[AFTER])]
BASE = np.random.default_rng(9).normal(0.9, 0.01, 6)
NOISE = np.random.default_rng(10).normal(0, 0.001, (2, 6))
VALUES = {
    "plain": list(BASE - 0.05),
    "before": list(BASE + NOISE[0]),
    "after": list(BASE + 0.0002 + NOISE[1]),
}


@pytest.mark.parametrize(
    ("resolved", "alike"),
    [
        (POSITIONS, True),
        (POSITIONS[:2], False),
        ([arm("plain"), arm("bn", insert=[BN]), arm("dropout", insert=[DROPOUT])], False),
        ([arm("plain"), arm("bn", insert=[BN]), arm("both", insert=[BN, DROPOUT])], False),
        ([*POSITIONS[:2], arm("after", insert=[AFTER], train={"learning_rate": 0.5})], False),
        ([*POSITIONS[:2], arm("after", insert=[AFTER], factors={"at": "after"})], False),
    ],
)
def test_each_is_compared_with_each_where_placements_are_the_question(resolved, alike):
    assert compares_all(Settings(), resolved) is alike
    assert compares_all(Settings(compare="all"), resolved)
    assert not compares_all(Settings(compare="baseline"), resolved)


def test_positions_open_with_the_best_set_and_its_cheapest_member():
    found = analyze(
        [replace(each, parameters=900 if each.variant == "before" else 1000)
         for each in study(VALUES)], POSITIONS, "plain",
    )  # fmt: skip
    assert found.best.members == ("after", "before")
    assert found.best.ruled_out == ("plain",)
    assert found.answer[0] == found.best.words
    assert found.best.words.startswith("The best of the 3 variants in test accuracy is among after")
    assert "Ruled out: plain (8" in found.best.words
    assert (found.best.fewest_parameters, found.best.fastest) == (("before",), None)
    assert found.best.words.endswith(
        "The cheapest of these: before with the fewest parameters (900)."
    )


def test_a_member_is_the_fastest_only_beyond_the_quartiles_of_the_others():
    times = {"plain": 0.03, "before": 0.02, "after": 0.01}
    timed = [
        replace(each, inference=tuple(times[each.variant] * np.linspace(0.9, 1.1, 5)))
        for each in study(VALUES)
    ]
    found = analyze(timed, POSITIONS, "plain").best
    assert found.fastest == "after"
    larger = [replace(each, parameters=1 + (each.variant == "after")) for each in timed]
    assert analyze(larger, POSITIONS, "plain").best.fastest is None
    assert found.words.endswith(
        "The cheapest of these: after with the fastest inference (10 ms per 1000 examples)."
    )


def test_one_ruled_out_though_no_pair_is_decided_is_explained():
    wide = np.array([0.0007, -0.0004, 0.002, 0.0034, 0.005, 0.0027])
    values = {
        "plain": list(BASE), "before": list(BASE + wide), "after": list(BASE + 0.3 * NOISE[0]),
    }  # fmt: skip
    found = analyze(study(values), POSITIONS, "plain")
    assert found.best.ruled_out == ("plain", "after")
    assert {each.verdict for each in found.pairs} == {"inconclusive"}
    assert found.best.words == (
        "The best of the 3 variants in test accuracy is before (90.1 %), at 95 % confidence. Ruled "
        "out: plain (89.9 %) and after (89.8 %). plain and after are ruled out though no "
        "comparison with a member is decided: a rival has to be ahead in one direction, corrected "
        "for 2 rivals, while a verdict is on both directions and corrected for 3 pairs."
    )


def test_pairs_are_corrected_together_and_hold_the_baselines():
    found = analyze(study(VALUES), POSITIONS, "plain")
    assert [(each.variant, each.baseline) for each in found.pairs] == [
        ("before", "plain"), ("after", "plain"), ("after", "before"),
    ]  # fmt: skip
    assert {each.family_size for each in found.pairs} == {3}
    assert found.effect("after") == found.pairs[1]
    p = stats.ttest_rel(VALUES["after"], VALUES["before"]).pvalue
    assert found.pairs[2].p == pytest.approx(p)
    plain = analyze(study(VALUES), POSITIONS, "plain", Settings(compare="baseline"))
    assert (plain.pairs, plain.best) == ((), None)
    assert plain.effect("after").family_size == 2


def test_seeds_that_a_variant_lost_do_not_count_and_one_that_lost_all_is_named():
    values = {**VALUES, "before": [None, *VALUES["before"][1:]], "never": [None] * 6}
    found = analyze(study(values), [*POSITIONS, arm("never", insert=[AFTER, DROPOUT])], "plain")
    assert found.best.n == 5
    assert "Nothing is known of never." in found.best.words


def test_over_splits_of_one_pool_less_is_ruled_out():
    wide = Interval("overlapping_splits", 0.25)
    values = np.random.default_rng(1).normal(size=(6, 4)) * 0.5 + np.array([0, 0.9, 0, 0])
    assert best_set(values, 0.95).sum() < best_set(values, 0.95, interval=wide).sum()
