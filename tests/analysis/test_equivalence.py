import numpy as np
import pytest
from scipy import stats

from ablate.analysis.equivalence import equivalence_p, reject


def test_p_is_the_larger_of_two_one_sided_tests():
    sample = np.array([0.3, -0.1, 0.4, 0.2, -0.2])
    found = equivalence_p(5, sample.mean(), sample.std(ddof=1), 0.5)
    low = stats.ttest_1samp(sample, -0.5, alternative="greater").pvalue
    high = stats.ttest_1samp(sample, 0.5, alternative="less").pvalue
    assert float(found) == pytest.approx(max(low, high))


def test_no_test_under_three_seeds_or_without_spread():
    found = equivalence_p(np.array([2, 5]), np.zeros(2), np.array([1.0, 0.0]), 0.5)
    assert np.isnan(found).all()


def test_the_level_grows_as_variants_are_settled_on_both_sides():
    # The first is settled on both sides at .05/2, which leaves .05 for the second.
    differs, equal = reject(np.array([0.01, 0.04]), np.array([0.02, 0.9]), 0.05)
    assert differs.tolist() == [True, True]
    assert equal.tolist() == [True, False]
    differs, _ = reject(np.array([0.01, 0.04]), np.array([0.9, 0.9]), 0.05)
    assert differs.tolist() == [True, False]


def test_comparisons_still_to_come_keep_the_level_down():
    differs, _ = reject(np.array([0.02]), np.array([0.9]), 0.05, size=3)
    assert differs.tolist() == [False]


def test_nan_never_rejects():
    differs, equal = reject(np.array([np.nan, 0.001]), np.array([0.001, np.nan]), 0.05)
    assert (differs.tolist(), equal.tolist()) == ([False, True], [True, False])


def by_levels(p_difference, p_equivalence, alpha):
    """Reject as the rule is written down: at α over the variants not yet settled, repeatedly."""
    differs = equal = np.zeros(len(p_difference), bool)
    while True:
        level = alpha / max(1, (~(differs & equal)).sum())
        more = differs | (p_difference <= level), equal | (p_equivalence <= level)
        if (more[0] == differs).all() and (more[1] == equal).all():
            return differs, equal
        differs, equal = more


def test_corrected_p_reject_what_the_rule_rejects():
    rng = np.random.default_rng(8)
    for _ in range(300):
        p = rng.uniform(0, 1, (2, 6)) ** 3
        for alpha in (0.01, 0.05, 0.2):
            assert np.array_equal(reject(*p, alpha), by_levels(*p, alpha))


def wrong_verdicts(means, rng, worlds=4000, n=8, margin=1.0):
    d = rng.normal(size=(worlds, n, len(means))) + np.array(means)
    mean, sd = d.mean(axis=1), d.std(axis=1, ddof=1)
    p_difference = 2 * stats.t.sf(np.abs(mean) * np.sqrt(n) / sd, n - 1)
    p_equivalence = equivalence_p(np.full_like(mean, n), mean, sd, margin)
    wrong = 0
    for world in range(worlds):
        differs, equal = reject(p_difference[world], p_equivalence[world], 0.05)
        null, far = np.array(means) == 0, np.abs(means) >= margin
        wrong += bool((differs & null).any() or (equal & far).any())
    return wrong / worlds


@pytest.mark.parametrize("means", [[0, 0, 0, 1, -1], [0] * 5, [1] * 5], ids=str)
def test_any_wrong_verdict_at_the_boundaries(means):
    found = wrong_verdicts(means, np.random.default_rng(3))
    assert 0.03 < found < 0.055  # .043, .044 and .040 by longer simulations
