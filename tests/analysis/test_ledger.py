import numpy as np
import pytest
from scipy import stats

from ablate.analysis.ledger import part_of, spread_of, total


def test_a_part_and_its_interval_by_hand():
    base, redrawn = np.array([1.0, 2.0, 4.0, 3.0]), np.array([2.0, 2.0, 1.0, 5.0])
    found = part_of(base, redrawn, 0.95)
    t = (1 + 0 + 9 + 4) / 8
    low, high = (4 * t / stats.chi2.ppf(q, 4) for q in (0.975, 0.025))
    assert (found.variance, found.low, found.high) == pytest.approx((t, low, high))
    assert found.deviation == pytest.approx((t**0.5, low**0.5, high**0.5))
    whole = total(base, 0.95)
    assert (whole.variance, whole.degrees) == pytest.approx((base.var(ddof=1), 3))


def test_lost_trials_are_left_out_and_two_pairs_are_too_few():
    base, redrawn = np.array([1.0, 2.0, np.nan, 3.0]), np.array([2.0, np.nan, 1.0, 5.0])
    assert part_of(base, redrawn, 0.95) is None
    assert total(base, 0.95).degrees == 2


def test_intervals_cover_what_each_source_accounts_for():
    rng, runs, true = np.random.default_rng(3), 8, np.array([0.5, 0.3, 0.2])
    covered = np.zeros(3)
    worlds = 1500
    for _ in range(worlds):
        parts = rng.normal(size=(runs, 3)) * np.sqrt(true)
        base = parts.sum(axis=1)
        for source in range(3):
            fresh = parts.copy()
            fresh[:, source] = rng.normal(size=runs) * np.sqrt(true[source])
            found = part_of(base, fresh.sum(axis=1), 0.95)
            covered[source] += found.low <= true[source] <= found.high
    assert ((covered / worlds > 0.93) & (covered / worlds < 0.97)).all()


def test_a_split_that_all_share_is_measured_around_its_own_shift():
    base, redrawn = np.array([1.0, 2.0, 4.0, np.nan]), np.array([2.0, 5.0, 6.0, 5.0])
    found = spread_of(base, redrawn, 0.95)
    assert (found.variance, found.degrees) == pytest.approx((np.var([1, 3, 2], ddof=1), 2))
    assert spread_of(base[:2], redrawn[:2], 0.95) is None
