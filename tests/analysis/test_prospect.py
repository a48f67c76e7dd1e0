"""What planned seeds can show, against simulation and against the study's own report."""

import numpy as np
import pytest

from ablate.analysis import analyze
from ablate.analysis.intervals import Interval
from ablate.analysis.prospect import prospect
from ablate.study.schema.analysis import Analysis as Settings
from tests.analysis.simulated import BN, DROPOUT, arm, noisy, study

ARMS = [arm("plain"), arm("bn", insert=[BN]), arm("dropout", insert=[DROPOUT])]
VALUES = {
    "plain": noisy(0.9, 0.01, 6, 0),
    "bn": noisy(0.92, 0.01, 6, 1),
    "dropout": noisy(0.9, 0.02, 6, 2),
}
PILOT = analyze(study(VALUES), ARMS, "plain")
SDS = [PILOT.effect(name).sd for name in ("bn", "dropout")]


def test_a_plan_says_what_the_report_will_say_of_such_a_spread():
    found = prospect(PILOT, 6, PILOT, "the seeds so far")
    effect = PILOT.effect("bn")
    assert (found.comparisons, found.sd) == (2, pytest.approx(np.sqrt(np.mean(np.square(SDS)))))
    assert found.detectable / found.sd == pytest.approx(effect.detectable / effect.sd)
    assert found.margin_shown / found.sd == pytest.approx(effect.margin_shown / effect.sd)
    assert found.detectable_low < found.detectable < found.detectable_high


def test_studies_of_that_size_find_it_as_often_as_said():
    found = prospect(PILOT, 8, PILOT, "the seeds so far")
    rng = np.random.default_rng(3)
    worlds = 400
    wins = 0
    for _ in range(worlds):
        base = rng.normal(0.5, 0.01, 8)
        values = {
            "plain": list(base),
            "bn": list(base + rng.normal(found.detectable, found.sd, 8)),
            "dropout": list(base + rng.normal(0, found.sd, 8)),
        }
        wins += analyze(study(values), ARMS, "plain").effect("bn").verdict == "better"
    assert wins / worlds == pytest.approx(0.8, abs=0.06)


def test_without_a_pilot_it_is_told_in_standard_deviations():
    found = prospect(analyze([], ARMS, "plain"), 5)
    assert (found.detectable, found.comparisons) == (None, 2)
    assert "differences of 2.1 of their standard deviations" in found.words


def test_with_a_margin_it_says_what_equivalence_takes():
    margined = analyze(study(VALUES), ARMS, "plain", Settings(margin=0.02))
    found = prospect(margined, 6, PILOT, "the seeds so far", margin=0.02)
    assert found.words.endswith(
        f"equivalent within 2.0 points takes about {found.equivalence_seeds} seeds."
    )


@pytest.mark.parametrize("seeds", [1, 2])
def test_two_seeds_can_show_nothing(seeds):
    assert prospect(PILOT, seeds, PILOT).words.endswith("nothing, as an interval takes 3 seeds.")


def test_wider_intervals_show_less():
    plain, wide = (
        prospect(PILOT, 8, PILOT, interval=each)
        for each in (Interval(), Interval("overlapping_splits", 0.25))
    )
    assert wide.detectable > 1.5 * plain.detectable
