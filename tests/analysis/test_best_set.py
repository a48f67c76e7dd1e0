import numpy as np
import pytest
from scipy import stats

from ablate.analysis.best_set import best_set
from ablate.analysis.overlap import widening


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
