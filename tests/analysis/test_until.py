"""Seeds until decided: the same decisions from the same records, whatever order they came in."""

from __future__ import annotations

import numpy as np
import pytest

from ablate.analysis import analyze
from ablate.analysis.anytime import p_values
from ablate.analysis.until import replay
from ablate.study.schema.analysis import Analysis
from ablate.study.schema.seeds import Until
from tests.analysis.simulated import BN, arm, result, study

UNTIL = Until(until="decided", at_least=5, at_most=20, step=2)
VARIANTS = [arm("plain"), arm("bn", insert=[BN]), arm("same")]


def simulated(seed=0, **shifts):
    """Return the records that each variant would have: its shift, noise of 1 point."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0.9, 0.01, UNTIL.at_most)
    values = {name: base + by + rng.normal(0, 0.01, len(base)) for name, by in shifts.items()}
    return study({"plain": list(base), **{name: list(each) for name, each in values.items()}})


def asking(results, variants=VARIANTS, settings=None, until=UNTIL):
    return replay(results, variants, "plain", settings or Analysis(), until, range(until.at_most))


def trained(records, choose, **how):
    """Train what is asked, `choose`n among what is missing, until nothing is; return both."""
    there = []
    while True:
        asked = asking(there, **how)
        missing = [
            each for each in records if each.seed < asked.asked[each.variant] and each not in there
        ]
        if not missing:
            return asked, there
        there += choose(missing)


def test_stages():
    assert UNTIL.stages == (5, 7, 9, 11, 13, 15, 17, 19, 20)
    assert Until(until="decided", at_least=5, at_most=5).stages == (5,)


def test_only_what_is_undecided_goes_on_with_the_baseline():
    asked, there = trained(simulated(bn=0.02, same=0.0), lambda missing: missing)
    assert asked.decided == {"bn": "better", "same": "inconclusive"}
    assert asked.asked == {"plain": 20, "bn": 7, "same": 20}
    assert len(there) == 47


def test_decisions_are_those_of_the_rule_applied_by_hand():
    records = simulated(3, bn=0.012, same=0.0)
    values = {(each.variant, each.seed): each.metrics["test_accuracy"] for each in records}
    decided: dict[str, int] = {}
    for stage in UNTIL.stages:
        p = {}
        for name in ("bn", "same"):
            n = decided.get(name, stage)
            own = [values[name, seed] - values["plain", seed] for seed in range(n)]
            p[name] = float(p_values(np.array(own)[:, None])[0])
        first, last = sorted(p, key=p.get)
        if p[first] <= 0.025:
            decided.setdefault(first, stage)
            if p[last] <= 0.05:
                decided.setdefault(last, stage)
    asked, _ = trained(records, lambda missing: missing)
    assert {name: asked.asked[name] for name in decided} == decided


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_trials_end_decides_nothing(seed):
    records = simulated(seed, bn=0.012, same=0.0)
    at_once, there = trained(records, lambda missing: missing)
    rng = np.random.default_rng(seed)
    one_by_one, others = trained(records, lambda missing: [missing[rng.integers(len(missing))]])
    assert one_by_one == at_once
    assert {each.id for each in others} == {each.id for each in there}
    assert asking(there) == at_once  # what a resumed study reads
    assert asking(records) == at_once  # more records than asked for change nothing


def test_a_variant_that_nothing_can_decide_does_not_wait_for_the_others():
    there = [
        each
        for each in simulated(bn=0.0, same=0.0)
        if each.seed < 5 and (each.variant, each.seed) != ("same", 4)
    ]
    assert asking(there).asked == {"plain": 7, "bn": 7, "same": 5}


def test_equal_variants_are_decided_with_a_margin_alone():
    settings = Analysis(margin=0.02)
    asked, _ = trained(simulated(bn=0.0, same=0.0), lambda missing: missing, settings=settings)
    assert set(asked.decided.values()) == {"equivalent"}
    assert max(asked.asked.values()) < 20


def test_lost_trials_give_no_pair():
    records = [
        each
        if (each.variant, each.seed) != ("bn", 1)
        else result("bn", 1, status="failed", error="…")
        for each in simulated(bn=0.03, same=0.0)
    ]
    assert trained(records, lambda missing: missing)[0].decided["bn"] == "better"


def test_a_variant_without_any_pair_gets_no_more_seeds():
    records = simulated(same=0.0) + [
        result("bn", seed, status="diverged") for seed in range(UNTIL.at_most)
    ]
    asked, _ = trained(records, lambda missing: missing)
    assert (asked.decided["bn"], asked.asked["bn"]) == ("lost", 5)


def test_a_lost_baseline_ends_it():
    records = [
        each if each.variant != "plain" else result("plain", each.seed, status="diverged")
        for each in simulated(bn=0.03, same=0.0)
    ]
    asked, there = trained(records, lambda missing: missing)
    assert asked.decided == {"bn": "lost", "same": "lost"}
    assert len(there) == 15


def test_an_alias_has_the_seeds_of_its_source():
    variants = [*VARIANTS, arm("other", alias_of="bn"), arm("base", alias_of="plain")]
    asked, _ = trained(simulated(bn=0.02, same=0.0), lambda missing: missing, variants=variants)
    assert asked.asked["other"] == asked.asked["bn"] == 7
    assert asked.asked["base"] == asked.asked["plain"] == 20


def test_what_lacks_a_part_is_held_against_what_it_was_left_out_of():
    variants = [*VARIANTS[:2], arm("less", origin="leave_one_out", left_out=("bn", "dense1"))]
    records = simulated(bn=0.03, less=0.03)
    asked, there = trained(records, lambda missing: missing, variants=variants)
    assert asked.decided == {"bn": "better", "less": "inconclusive"}
    assert asked.asked == {"plain": 5, "bn": 20, "less": 20}
    found = analyze(there, variants, "plain", looks="seeds were added until decided")
    (part,) = (each for each in found.contributions if each.metric == found.metric)
    assert (part.n, part.verdict) == (20, "inconclusive")


@pytest.mark.parametrize("margin", [None, 0.02])
@pytest.mark.parametrize("seed", range(4))
def test_the_report_says_what_was_decided(seed, margin):
    settings = Analysis(margin=margin)
    records = simulated(seed, bn=0.015, same=0.0)
    asked, there = trained(records, lambda missing: missing, settings=settings)
    found = analyze(there, VARIANTS, "plain", settings, looks="seeds were added until decided")
    assert {
        each.variant: each.verdict for each in found.effects if each.metric == found.metric
    } == (asked.decided)
