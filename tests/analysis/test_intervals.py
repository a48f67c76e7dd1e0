"""Each kind of interval against its formula, its test against its interval."""

import numpy as np
import pytest
from scipy import stats

from ablate.analysis import anytime
from ablate.analysis.descriptive import moments
from ablate.analysis.intervals import FIXED, Interval
from ablate.analysis.paired import Family, compare

KINDS = [FIXED, Interval("always_valid"), Interval("overlapping_splits", 0.25)]
SAMPLE = np.random.default_rng(3).normal(0.4, 1, (12, 40))


def compared(interval, margin=None, sample=SAMPLE, confidence=0.95):
    family = Family(
        "variants", 1, range(len(sample)), "test_accuracy", "max", confidence,
        np.random.default_rng(0), interval, margin,
    )  # fmt: skip
    return [compare(column[:, None], family)[0] for column in sample.T]


def test_the_t_interval_is_that_of_scipy():
    for each, column in zip(compared(FIXED), SAMPLE.T, strict=True):
        expected = stats.ttest_1samp(column, 0)
        ends = expected.confidence_interval(0.95)
        assert (each.low, each.high, each.p) == pytest.approx((*ends, expected.pvalue))


def test_overlapping_splits_are_nadeau_and_bengios():
    for each, column in zip(compared(KINDS[2]), SAMPLE.T, strict=True):
        half = stats.t.ppf(0.975, 11) * np.sqrt((1 / 12 + 0.25) * column.var(ddof=1))
        assert (each.low, each.high) == pytest.approx((column.mean() - half, column.mean() + half))
        assert each.interval == "overlapping_splits"


def test_the_always_valid_interval_is_the_confidence_sequence():
    for each, column in zip(compared(KINDS[1]), SAMPLE.T, strict=True):
        half = float(anytime.half_width(12, column.std(ddof=1), 0.05))
        assert (each.low, each.high) == pytest.approx((column.mean() - half, column.mean() + half))


@pytest.mark.parametrize("interval", [FIXED, KINDS[2]], ids=lambda each: each.kind)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_an_interval_leaves_out_zero_exactly_where_its_p_rejects(interval, confidence):
    for each in compared(interval, confidence=confidence):
        assert (not each.low <= 0 <= each.high) == (each.p <= 1 - confidence)


def test_an_always_valid_p_rejects_at_any_look_where_its_interval_left_out_zero():
    for column in SAMPLE.T:
        left_out = False
        for n in range(4, 13):
            (found,) = compared(KINDS[1], sample=column[:n, None])
            left_out |= not found.low <= 0 <= found.high
            assert (found.p <= 0.05) == left_out


@pytest.mark.parametrize("interval", KINDS, ids=lambda each: each.kind)
def test_equivalent_means_that_the_interval_lies_within_the_margin(interval):
    sample = np.random.default_rng(4).normal(0, 1, (25, 60))
    level = 0.05 if interval.kind == "always_valid" else 0.10
    for each, column in zip(compared(interval, 0.9, sample), sample.T, strict=True):
        low, high = interval.ends(moments(column[:, None]), level)
        within = low[0] > -0.9 and high[0] < 0.9
        if interval.kind == "always_valid":  # an earlier look may have settled it
            assert each.verdict == "equivalent" or not within
        else:
            assert (each.verdict == "equivalent") == within


@pytest.mark.parametrize("interval", KINDS, ids=lambda each: each.kind)
def test_nothing_is_inferred_of_two_seeds_or_of_no_spread(interval):
    (two,) = compared(interval, 0.5, SAMPLE[:2, :1])
    assert (two.low, two.p, two.p_equivalence, two.verdict) == (None, None, None, "described")
    (same,) = compared(interval, 0.5, np.full((5, 1), 0.25))
    assert (same.low, same.p, same.p_equivalence, same.verdict) == (
        None,
        None,
        None,
        "inconclusive",
    )


def test_an_always_valid_interval_takes_four_seeds():
    (three,) = compared(KINDS[1], sample=SAMPLE[:3, :1])
    assert (three.low, three.p, three.verdict) == (None, 1.0, "inconclusive")
