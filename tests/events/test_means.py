import numpy as np
from scipy import stats

from ablate.events.means import bands, differences


def test_the_mean_over_seeds_has_its_t_interval(result):
    found = bands([result(seed=seed) for seed in range(3)], 0.9)["plain"]["val_accuracy"]
    values = np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.3, 0.4, 0.5]])
    low, high = stats.t.interval(0.9, 2, values.mean(0), stats.sem(values))
    np.testing.assert_array_equal(found.epochs, [0, 1, 2])
    np.testing.assert_allclose(found.mean, [0.2, 0.3, 0.4])
    np.testing.assert_allclose(found.low, low)
    np.testing.assert_allclose(found.high, high)
    np.testing.assert_array_equal(found.n, [3, 3, 3])


def test_under_three_seeds_the_band_is_a_line(result):
    found = bands([result(seed=0), result(seed=1)])["plain"]["val_accuracy"]
    np.testing.assert_array_equal(found.low, found.mean)
    np.testing.assert_array_equal(found.high, found.mean)


def test_an_epoch_without_a_value_in_any_seed_is_left_out(result):
    found = bands([result(seed=0)])["plain"]["loss"]
    np.testing.assert_array_equal(found.epochs, [1, 2])


def test_a_seed_that_stopped_early_leaves_its_later_epochs(result):
    short = result(seed=0, curves={"loss": [None, 0.25]})
    found = bands([short, result(seed=1)])["plain"]["loss"]
    np.testing.assert_allclose(found.mean, [0.5, 0.5])
    np.testing.assert_array_equal(found.n, [2, 1])


def test_trials_that_did_not_complete_are_in_no_mean(result):
    found = bands([result(seed=0), result(seed=9, status="diverged")])
    np.testing.assert_array_equal(found["plain"]["loss"].n, [1, 1])


def test_the_learning_rate_has_no_band(result):
    assert "learning_rate" not in bands([result()])["plain"]


def test_differences_are_paired_by_seed(result):
    trials = [result("plain", seed) for seed in range(4)]
    trials += [result("dropout", seed) for seed in (0, 2, 3, 7)]
    found = differences(trials, "plain")
    assert set(found) == {"dropout"}
    band = found["dropout"]["val_accuracy"]
    np.testing.assert_allclose(band.mean, [0.2, 0.2, 0.2])
    np.testing.assert_array_equal(band.n, [3, 3, 3])


def test_without_the_baseline_there_are_no_differences(result):
    assert differences([result("dropout")], "plain") == {}
