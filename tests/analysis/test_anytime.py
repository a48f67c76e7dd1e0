import numpy as np
import pytest
from scipy import integrate, stats

from ablate.analysis.anytime import FIRST_LOOK, PRIOR, half_width, log_evidence, p_values


def test_evidence_is_the_mixture_of_noncentral_t_densities():
    n, t = 7, 2.3

    def weighed(d):
        return stats.nct.pdf(t, n - 1, d * np.sqrt(n)) * stats.norm.pdf(d, scale=np.sqrt(PRIOR))

    mixture, _ = integrate.quad(weighed, -30, 30, limit=400)
    expected = mixture / stats.t.pdf(t, n - 1)
    assert np.exp(log_evidence(n, t / np.sqrt(n), 1.0)) == pytest.approx(expected, rel=1e-6)


def test_the_interval_ends_where_the_evidence_is_one_over_alpha():
    for n, alpha in ((4, 0.05), (10, 0.05), (40, 0.01)):
        half = float(half_width(n, 1.7, alpha))
        assert np.exp(log_evidence(n, half, 1.7)) == pytest.approx(1 / alpha)


def test_widths_against_the_t_interval():
    ratios = [
        float(half_width(n, 1.0, 0.05)) / (stats.t.ppf(0.975, n - 1) / np.sqrt(n))
        for n in (5, 10, 20, 40)
    ]
    assert ratios == pytest.approx([1.93, 1.76, 1.74, 1.75], abs=0.006)


def test_nothing_is_decided_before_the_first_look():
    assert FIRST_LOOK == 4
    assert half_width(3, 1.0, 0.05) == np.inf
    assert p_values(np.array([[1.0], [1.0], [1.0]])) == [1.0]


def test_p_is_the_smallest_on_the_way_and_gaps_are_passed_over():
    rng = np.random.default_rng(1)
    column = rng.normal(1.0, 1.0, 12)
    by_hand = [
        np.exp(-log_evidence(n, column[:n].mean(), column[:n].std(ddof=1))) for n in range(4, 13)
    ]
    assert p_values(column[:, None])[0] == pytest.approx(min(1.0, *by_hand))
    gapped = np.insert(column, 5, np.nan)
    assert p_values(gapped[:, None])[0] == pytest.approx(min(1.0, *by_hand))


def test_a_common_offset_costs_no_digits():
    column = np.array([1e6 + each for each in (0.1, -0.2, 0.3, 0.0, 0.2)])
    expected = np.exp(-log_evidence(5, column.mean() - 1e6, column.std(ddof=1)))
    assert p_values(column[:, None], null=1e6)[0] == pytest.approx(min(1.0, expected), rel=1e-4)


def test_equal_differences_of_zero_are_no_evidence():
    assert p_values(np.zeros((8, 1))) == [1.0]


@pytest.mark.parametrize(
    ("draw", "most"),
    [
        (lambda rng, shape: rng.normal(size=shape), 0.035),
        (lambda rng, shape: rng.standard_t(3, size=shape), 0.025),
        (lambda rng, shape: rng.poisson(2, size=shape) - 2.0, 0.055),
    ],
    ids=["normal", "t3", "tied"],
)
def test_looking_after_every_seed_to_sixty_rarely_finds_what_is_not_there(draw, most):
    rng = np.random.default_rng(7)
    false = np.mean(p_values(draw(rng, (60, 4000))) <= 0.05)
    assert false <= most  # .028, .017 and .044 by longer simulations; a t test: .29 to .33


def test_strong_skew_breaks_the_bound():
    rng = np.random.default_rng(7)
    false = np.mean(p_values(rng.exponential(size=(60, 4000)) - 1) <= 0.05)
    assert 0.10 < false < 0.16  # what the guard on skew is for
