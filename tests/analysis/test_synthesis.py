import numpy as np
import pytest
from scipy import optimize, stats

from ablate.analysis.synthesis import random_effects

EFFECTS = np.array([0.8, -0.2, 1.4, 0.5, 0.1, 0.9])
ERRORS = np.array([0.3, 0.25, 0.5, 0.2, 0.4, 0.35])


def test_against_the_formulas_written_out_once_more():
    found = random_effects(EFFECTS, ERRORS, 0.95)
    v = ERRORS**2

    def weighted(tau2):
        w = 1 / (v + tau2)
        mu = (w @ EFFECTS) / w.sum()
        return w, mu, (w * (EFFECTS - mu) ** 2).sum()

    tau2 = optimize.brentq(lambda x: weighted(x)[2] - 5, 0, 10)
    w, mu, spread = weighted(tau2)
    error = np.sqrt(spread / 5 / w.sum())
    low, high = stats.t.interval(0.95, 5, mu, error)
    assert (found.tau**2, found.mean) == pytest.approx((tau2, mu))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mu) / error, 5))
    # Wider than what takes the estimated spread of the studies for the truth.
    ahead = stats.t.ppf(0.975, 4) * np.sqrt(tau2 + error**2)
    assert found.next_low < mu - 0.9 * ahead and mu + 0.9 * ahead < found.next_high
    assert found == random_effects(EFFECTS, ERRORS, 0.95)  # the draws are the same every time
    q = weighted(0.0)[2]
    assert (found.q, found.p_q, found.i_squared) == pytest.approx(
        (q, stats.chi2.sf(q, 5), 1 - 5 / q)
    )
    estimate = random_effects(EFFECTS, ERRORS, 0.95, next_error=0.5)
    assert estimate.next_low < found.next_low and found.next_high < estimate.next_high
    assert found.weights == pytest.approx(w / w.sum())


def test_studies_that_agree_have_no_spread_of_their_own():
    found = random_effects(np.array([0.5, 0.51, 0.49]), np.array([0.2, 0.3, 0.1]), 0.95)
    assert (found.tau, found.i_squared) == (0.0, 0.0)


def test_agreement_by_chance_does_not_make_an_interval_of_no_width():
    found = random_effects(np.array([0.5, 0.5, 0.5]), np.array([0.1, 0.1, 0.1]), 0.95)
    half = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.next_low <= found.low and found.high <= found.next_high


def test_one_study_is_no_synthesis_and_two_foretell_nothing():
    assert random_effects(np.array([1.0]), np.array([0.1]), 0.95) is None
    assert random_effects(np.array([1.0, 0.0]), np.array([0.1, 0.1]), 0.95).next_low is None


@pytest.mark.parametrize(("studies", "tau"), [(5, 0.0), (10, 0.25), (5, 1.0)])
def test_coverage(studies, tau):
    rng = np.random.default_rng(1)
    of_mean = of_next = 0
    worlds = 100
    for _ in range(worlds):
        errors = rng.uniform(0.2, 0.5, studies)
        truths = rng.normal(0, tau, studies + 1)
        found = random_effects(rng.normal(truths[:-1], errors), errors, 0.95)
        of_mean += found.low <= 0 <= found.high
        of_next += found.next_low <= truths[-1] <= found.next_high
    # Four standard errors of 100 worlds; taking τ² for known covers .84 in the second case.
    assert of_mean / worlds > 0.86
    assert of_next / worlds > 0.86
