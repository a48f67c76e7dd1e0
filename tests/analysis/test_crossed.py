import numpy as np
import pytest
from scipy import stats

from ablate.analysis.crossed import by_group, crossed


def test_the_variance_components_of_a_table_made_by_hand():
    # Differences are a seed's part plus a row's part: nothing is left for both together.
    table = np.array([[1.0], [3.0]]) + np.array([[0.0, 2.0, 4.0]])
    found = crossed(table, 0.95)
    a, b = 3 * 2.0, 2 * 8.0 / 2
    assert found.mean == pytest.approx(4.0)
    assert (found.of_seeds, found.of_rows, found.of_both) == pytest.approx((a / 3, b / 2, 0.0))
    q = a + b
    degrees = q**2 / (a**2 / 1 + b**2 / 2)
    # With one degree of freedom for two seeds, theirs is the wider of both.
    narrow = stats.t.ppf(0.975, degrees) * np.sqrt(q / 6)
    half = stats.t.ppf(0.975, 1) * np.sqrt(a / 6)
    assert narrow < half
    assert (found.degrees, found.high - found.mean) == pytest.approx((degrees, half))


def test_the_formula_where_the_rows_widen_it():
    table = np.array([[1.0], [2.0], [3.0], [2.0]]) + np.array([[0.0, 9.0, 4.0]])
    found = crossed(table, 0.95)
    a, b = 3 * 2 / 3, 4 * (81 + 16 - 13 * 13 / 3) / 2
    q = a + b
    degrees = q**2 / (a**2 / 3 + b**2 / 2)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(q / 12)
    assert (found.degrees, found.high - found.mean) == pytest.approx((degrees, half))


def test_it_is_never_narrower_than_the_seeds_own():
    rng = np.random.default_rng(5)
    for seeds in (3, 4, 6):
        for spread in (0.0, 0.02, 0.2, 2.0):
            own = rng.normal(0, 0.1, (seeds, 1)) + rng.normal(0, spread, (seeds, 40))
            table = own + rng.normal(0, spread, (1, 40))
            found, means = crossed(table, 0.95), table.mean(axis=1)
            low, high = stats.t.interval(0.95, seeds - 1, means.mean(), stats.sem(means))
            assert found.high - found.low >= (high - low) * (1 - 1e-12)


def test_rows_that_do_not_differ_leave_the_seeds_own_t_interval():
    rng = np.random.default_rng(0)
    seeds = rng.normal(size=6)
    found = crossed(np.repeat(seeds[:, None], 50, axis=1), 0.95)
    low, high = stats.t.interval(0.95, 5, seeds.mean(), stats.sem(seeds))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_no_interval_of_one_seed_or_one_row():
    assert crossed(np.zeros((1, 9)), 0.95) is None
    assert crossed(np.zeros((9, 1)), 0.95) is None


def test_no_differences_at_all_have_an_interval_of_no_width():
    found = crossed(np.zeros((3, 4)), 0.95)
    assert (found.low, found.mean, found.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("rows", "seeds"), [(360, 3), (360, 20), (2000, 10)])
def test_coverage_for_new_seeds_and_new_rows(rows, seeds):
    rng = np.random.default_rng(11)
    covered = by_seeds = 0
    worlds = 400
    for _ in range(worlds):
        table = (
            rng.normal(0, 0.0058, (seeds, 1))
            + rng.normal(0, 0.06, (1, rows))
            + rng.normal(0, 0.19, (seeds, rows))
        )
        found = crossed(table, 0.95)
        covered += found.low <= 0 <= found.high
        means = table.mean(axis=1)
        low, high = stats.t.interval(0.95, seeds - 1, means.mean(), stats.sem(means))
        by_seeds += low <= 0 <= high
    assert covered / worlds > 0.925
    if (rows, seeds) == (360, 20):
        assert by_seeds / worlds < 0.9  # the seeds alone know nothing of new rows


def test_groups_are_averaged_before():
    values = np.array([[1.0, 3.0, 5.0, 7.0]])
    assert by_group(values, np.array(["b", "a", "b", "a"])).tolist() == [[5.0, 3.0]]
