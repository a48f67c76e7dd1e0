"""Studies together: what is matched, what is refused, what is said of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ablate.analysis.across import synthesize
from ablate.analysis.claims import RMSE
from ablate.analysis.matching import Member
from ablate.errors import StudyError
from ablate.report.report_data import ReportData
from tests.report.studies import BN, DROPOUT, study

AFTER = {**BN, "at": "after_activation"}


def member(name: str, report: ReportData) -> Member:
    return Member(name, report.analysis, report.resolved)


def of(name: str, *, seeds: int = 5, **variants: list[dict]) -> Member:
    effects = {"a": 0.01, "b": 0.02, "c": 0.0}
    whole = {"plain": ([], 0.0, {})} | {
        key.replace("_", "-"): (insert, effects.get(name, 0.01), {})
        for key, insert in variants.items()
    }
    return member(name, study(whole, seeds, name=name))


def claims(*members: Member) -> dict[str, list[tuple[str, str]]]:
    return {
        each.name: [(one.study, one.variant) for one in each.estimates]
        for each in synthesize(members).claims
    }


def test_equal_placements_are_one_claim_whatever_their_names() -> None:
    found = claims(of("a", bn=[BN]), of("b", norm=[BN]), of("c", bn=[BN]))
    assert found == {"bn": [("a", "bn"), ("b", "norm"), ("c", "bn")]}


def test_one_name_at_two_positions_is_no_claim() -> None:
    with pytest.raises(StudyError, match=r"a \(in accuracy\): bn \(BN before.*BN after"):
        synthesize([of("a", bn=[BN]), of("b", bn=[AFTER])])


def test_names_tell_apart_what_one_study_has_twice() -> None:
    half, fifth = [DROPOUT], [{**DROPOUT, "rate": 0.2}]
    found = claims(of("a", half=half, fifth=fifth), of("b", fifth=fifth, half=half))
    assert found == {
        "half": [("a", "half"), ("b", "half")],
        "fifth": [("a", "fifth"), ("b", "fifth")],
    }
    across = synthesize([of("a", half=half, fifth=fifth), of("b", half=half)])
    assert [each.name for each in across.claims] == ["half"]
    assert across.notes == (
        "fifth (Dropout 0.2 after the activation of Dense) of a has no counterpart in another "
        "study.",
    )


def test_a_baseline_with_layers_of_its_own_is_another_question() -> None:
    own = study({"bn": ([BN], 0.0, {}), "both": ([BN, DROPOUT], 0.0, {})})
    with pytest.raises(StudyError, match="No comparison"):
        synthesize([of("a", dropout=[DROPOUT]), member("b", own)])


def test_estimates_are_the_studies_own_and_the_best_one_comes_out() -> None:
    across = synthesize([of("a", bn=[BN]), of("b", bn=[BN]), of("c", bn=[BN])])
    (claim,) = across.claims
    for each, name in zip(claim.estimates, "abc", strict=True):
        effect = of(name, bn=[BN]).analysis.effect("bn")
        assert effect is not None and effect.sd is not None
        assert (each.mean, each.n) == (effect.mean, effect.n)
        assert each.error == pytest.approx(effect.sd / math.sqrt(5))
        assert each.interval(0.95) == pytest.approx((effect.low, effect.high))
    assert claim.verdict == "inconclusive"  # 0 to 2 points: another network may gain nothing
    assert [each.name for each in across.aggregates] == ["baseline", "bn"]
    assert across.aggregates[1].improvement is not None


def test_few_seeds_say_nothing_and_are_named() -> None:
    across = synthesize([of("a", bn=[BN]), of("b", bn=[BN]), of("c", bn=[BN], seeds=2)])
    assert [each.study for each in across.claims[0].estimates] == ["a", "b"]
    assert across.notes == (
        "bn of c is left out: 2 pairs of seeds, and nothing is inferred from fewer than 3.",
    )
    assert across.claims[0].synthesis.next_low is None


def regression(name: str, by: float) -> Member:
    """A study whose test loss is the mean squared error, `by` times the baseline's with BN."""
    report = study({"plain": ([], 0.0, {}), "bn": ([BN], 0.0, {})}, name=name)
    kept = {"plain": 1.0, "bn": by}
    results = [
        replace(
            each,
            metrics={
                "test_loss": (1 + each.seed / 10) * kept[each.variant] ** (1 + each.seed / 100),
                "test_mae": 1.0,
            },
        )
        for each in report.results
    ]
    from ablate.analysis import analyze

    return Member(name, analyze(results, report.resolved, "plain", study=name), report.resolved)


def test_regression_is_claimed_in_the_log_ratio_of_rmse_and_never_pooled() -> None:
    across = synthesize(
        [of("a", bn=[BN]), of("b", bn=[BN]), regression("r", 0.81), regression("s", 0.64)]
    )
    accuracy, rmse = across.claims
    assert [each.study for each in accuracy.estimates] == ["a", "b"]
    assert (rmse.metric, rmse.direction) == (RMSE, "min")
    assert [each.mean for each in rmse.estimates] == pytest.approx(
        [1.02 * math.log(0.9), 1.02 * math.log(0.8)]
    )


def test_a_metric_that_cannot_be_pooled_is_left_out_with_the_remedy() -> None:
    from ablate.analysis import analyze
    from ablate.study.schema.analysis import Analysis as Settings

    report = study({"plain": ([], 0.0, {}), "bn": ([BN], 0.0, {})})
    own = analyze(report.results, report.resolved, "plain", Settings(metric="test_loss"))
    across = synthesize([of("a", bn=[BN]), of("b", bn=[BN]), Member("l", own, report.resolved)])
    assert "l is left out: its metric is test_loss" in across.notes[0]


def test_no_spread_between_seeds_borrows_the_most_precise_error() -> None:
    flat = of("b", bn=[BN])
    effect = replace(flat.analysis.effects[0], sd=0.0)
    flat = replace(flat, analysis=replace(flat.analysis, effects=(effect,)))
    across = synthesize([of("a", bn=[BN]), flat])
    first, second = across.claims[0].estimates
    assert second.borrowed_error and second.error == first.error
    assert "weighs as the most precise" in across.notes[-1]


def test_one_study_or_shared_trials_are_refused() -> None:
    with pytest.raises(StudyError, match="two studies or more"):
        synthesize([of("a", bn=[BN])])
    shared = replace(of("a", bn=[BN]), trials=frozenset("x"))
    with pytest.raises(StudyError, match="a and b share 1 trial"):
        synthesize([shared, replace(shared, name="b")])
