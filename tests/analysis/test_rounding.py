"""What single precision makes of equal metrics is 0 in every number and in every sentence.

Metrics arrive as the numbers that single precision holds: 7/12 is 0.5833333134651184.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ablate.analysis import analyze
from ablate.analysis.budget import compare_tolerance, tolerated
from ablate.analysis.descriptive import close, moments, rounding, snapped
from ablate.analysis.failures import collapsed
from ablate.analysis.paired import Family, compare_sides
from ablate.analysis.resampling import bca
from ablate.analysis.speed import epochs_to
from ablate.events.means import differences
from ablate.study.schema.analysis import Expect
from tests.analysis.simulated import BN, DROPOUT, arm, result, study


def share(count: int, rows: int) -> float:
    """Return a share as a metric in single precision comes out."""
    return float(np.float32(count) / np.float32(rows))


PLAIN, WITH_BN = arm("plain"), arm("bn", insert=[BN])


def accuracies(rows: int, **counts: list[int]) -> dict[str, list[float]]:
    return {name: [share(each, rows) for each in own] for name, own in counts.items()}


def test_means_that_are_equal_are_said_to_be_the_same() -> None:
    values = accuracies(12, plain=[7, 7], bn=[6, 8])
    assert np.mean(values["bn"]) != np.mean(values["plain"])  # that is the trap
    found = analyze(study(values), [PLAIN, WITH_BN], "plain")
    effect = found.effect("bn")
    assert effect is not None
    assert (effect.mean, effect.better) == (0.0, None)
    assert effect.differences == pytest.approx({0: -1 / 12, 1: 1 / 12}, abs=1e-6)
    assert effect.words == (
        "bn against plain: test accuracy 0.0 points (2 seeds): described, as nothing can be "
        "inferred from 2 seeds"
    )
    assert (
        "against plain: bn (BN before the activation) 0.0 points (2 seeds): described."
        in (found.answer[0])
    )


def test_a_mean_of_rounding_is_no_estimate_with_an_interval_either() -> None:
    values = accuracies(12, plain=[7, 7, 7, 7], bn=[6, 8, 8, 6])
    effect = analyze(study(values), [PLAIN, WITH_BN], "plain").effect("bn")
    assert effect is not None
    assert (effect.mean, effect.p, effect.cohens_d, effect.seeds_needed) == (0.0, 1.0, 0.0, None)
    assert effect.low == -effect.high  # type: ignore[operator]
    assert effect.verdict == "inconclusive"


def test_differences_of_rounding_are_no_gains_and_no_losses() -> None:
    """Sums over batches in another order: each seed's metrics differ in the last place alone."""
    base = np.float32(0.4) + np.arange(20, dtype=np.float32) / 50
    other = np.nextafter(base, np.float32(1))
    pair = base.astype(float)[:, None], other.astype(float)[:, None]
    rng = np.random.default_rng(0)
    family = Family("variants", 1, range(20), "test_accuracy", "max", 0.95, rng)
    (found,) = compare_sides(pair[1], pair[0], family)
    assert set(found.differences.values()) == {0.0}
    assert (found.mean, found.sd, found.p, found.sign_flip_p) == (0.0, 0.0, 1.0, 1.0)
    assert found.improvement == 0.5  # all are ties


def test_sums_of_flips_that_differ_by_rounding_are_ties() -> None:
    """Six differences of whole rows in twelve: the share of flips is that of whole numbers."""
    base, by = [8, 6, 5, 3, 3, 1], [1, 2, -1, 1, 1, 2]
    values = accuracies(12, plain=base, bn=[a + b for a, b in zip(base, by, strict=True)])
    effect = analyze(study(values), [PLAIN, WITH_BN], "plain").effect("bn")
    assert effect is not None
    flips = product([1, -1], repeat=6)
    sums = [abs(sum(s * b for s, b in zip(signs, by, strict=True))) for signs in flips]
    assert effect.sign_flip_p == np.mean([each >= abs(sum(by)) for each in sums])


def test_the_bootstrap_is_told_how_much_is_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def spy(differences, confidence, rng, noise=0.0):  # type: ignore[no-untyped-def]
        told.append(noise)
        return bca(differences, confidence, rng, noise)

    monkeypatch.setattr("ablate.analysis.resampling.bca", spy)
    values = accuracies(12, plain=[6] * 20, bn=[7, 6, 5, 9] * 5)
    analyze(study(values), [PLAIN, WITH_BN], "plain")
    size = np.mean([max(6, other) / 12 for other in (7, 6, 5, 9)])
    assert told[0] == pytest.approx([4e-7 * size])


def test_one_huge_value_blurs_no_other_seed() -> None:
    """A loss of a million in one seed is rounded by a tenth; the others are not."""
    plain = np.array([[1e6], [0.5], [0.6], [0.7]])
    bn = np.array([[1e6], [0.4], [0.5], [0.6]])
    noise = rounding(plain, bn)
    assert snapped(bn - plain, noise)[:, 0].tolist() == pytest.approx([0.0, -0.1, -0.1, -0.1])
    assert noise[1:].max() < 1e-6


def test_moments_take_only_what_is_rounding_for_nothing() -> None:
    tiny = np.array([[1e-8], [-3e-8], [5e-8]])
    assert moments(tiny, noise=1e-6).mean.tolist() == [0.0]
    assert moments(tiny, noise=1e-6).sd.tolist() == [0.0]
    assert moments(tiny).mean.tolist() == [pytest.approx(1e-8)]
    assert moments(tiny).sd[0] > 0


def test_gaps_that_are_rounding_are_none() -> None:
    trials = [
        result(name, seed, metrics={"train_accuracy": train, "test_accuracy": share(count, 12)})
        for name in ("plain", "bn")
        for seed, (train, count) in enumerate([(7 / 12, 7), (6 / 12, 6), (5 / 12, 5)])
    ]
    found = [
        each
        for each in analyze(trials, [PLAIN, WITH_BN], "plain").gaps
        if each.metric == "accuracy"
    ]
    assert [set(each.summary.values.values()) for each in found] == [{0.0}, {0.0}]
    assert [each.summary.mean for each in found] == [0.0, 0.0]
    assert found[1].against is not None
    assert (found[1].against.mean, found[1].against.p) == (0.0, 1.0)
    # Gaps of one row in twelve, on both sides, from other accuracies.
    for_each = {"plain": (7, 6), "bn": (8, 7)}
    equal = [
        result(name, seed, metrics={"train_accuracy": share(a, 12), "test_accuracy": share(b, 12)})
        for name, (a, b) in for_each.items()
        for seed in range(3)
    ]
    own, other = analyze(equal, [PLAIN, WITH_BN], "plain").gaps
    assert own.summary.mean != other.summary.mean  # in the last place
    assert other.against is not None
    assert (set(other.against.differences.values()), other.against.mean) == ({0.0}, 0.0)
    # Gaps that cancel over the seeds.
    crossed = [
        result(
            "plain", seed, metrics={"train_accuracy": share(a, 12), "test_accuracy": share(b, 12)}
        )
        for seed, (a, b) in enumerate([(7, 6), (7, 8)])
    ]
    (one,) = analyze(crossed, [PLAIN], "plain").gaps
    assert one.summary.mean == 0.0


def test_factors_and_contributions_that_cancel_are_none() -> None:
    resolved = [
        arm(f"bn={a},dropout={b}", factors={"bn": a, "dropout": b}, origin="factorial")
        for a in ("off", "on")
        for b in ("off", "on")
    ]
    counts = {(0, 0): [7, 7], (0, 1): [8, 6], (1, 0): [6, 8], (1, 1): [7, 7]}
    names = [each.name for each in resolved]
    values = accuracies(12, **dict(zip(names, counts.values(), strict=True)))
    found = analyze(study(values), resolved, names[0])
    assert [(each.name, each.mean) for each in found.factor_effects] == [
        ("bn", 0.0), ("dropout", 0.0), ("bn × dropout", 0.0),
    ]  # fmt: skip
    assert found.factor_effects[2].words == (
        "effect of bn=on, dropout=on against dropout=off: test accuracy 0.0 points (the same with "
        "every seed, 2 seeds): described, as nothing can be inferred from 2 seeds"
    )
    whole = arm("both", insert=[BN, DROPOUT])
    without = arm(
        "both-without-bn", insert=[DROPOUT], origin="leave_one_out", left_out=("both", "bn")
    )
    values = accuracies(12, both=[7, 7]) | {"both-without-bn": [share(6, 12), share(8, 12)]}
    (part,) = analyze(study(values), [whole, without], "both").contributions
    assert part.mean == 0.0
    assert part.words == (
        "bn in both: test accuracy 0.0 points (2 seeds): described, as nothing can be inferred "
        "from 2 seeds"
    )


def test_a_target_is_reached_though_single_precision_is_below_it() -> None:
    assert float(np.float32(0.9)) < 0.9
    assert epochs_to([0.1, float(np.float32(0.9))], 0.9, "max") == 1
    assert epochs_to([0.3, float(np.float32(0.1))], 0.1, "min") == 1
    assert epochs_to([0.8, 0.8999], 0.9, "max") is None


def test_a_collapse_at_a_number_is_one_though_single_precision_is_above_it() -> None:
    assert float(np.float32(0.1)) > 0.1
    trial = result("plain", 0, metrics={"val_accuracy": float(np.float32(0.1))})
    assert collapsed(trial, "test_accuracy", "max", 0.1) is True
    assert collapsed(trial, "test_accuracy", "max", 0.0999) is False


def test_validation_is_test_though_batches_were_summed_in_another_order() -> None:
    def trials(other: float) -> list:
        rows = {"train": 100, "validation": 50, "test": 50}
        metrics = {"val_loss": 0.7, "test_loss": other, "val_accuracy": 0.8, "test_accuracy": 0.8}
        return [result("plain", seed, metrics=metrics, rows=rows) for seed in range(2)]

    def warned(other: float) -> bool:
        kinds = [each.kind for each in analyze(trials(other), [PLAIN], "plain").guards]
        return "validation equal to test" in kinds

    assert warned(float(np.float32(0.7)))
    assert not warned(0.7001)


def test_a_claimed_ordering_is_not_consistent_by_rounding() -> None:
    own = [share(each, 360) for each in (340, 341, 342, 343)]
    other = [float(np.nextafter(np.float32(each), np.float32(2))) for each in own]
    values = {"plain": own, "bn": other}
    common = {"variant": "bn", "than": "plain", "metric": "accuracy", "source": "x"}
    claims = [
        Expect(claim="ordering", **common),
        Expect(claim="ratio", range=[1.0, 2.0], **common),
    ]
    found = analyze(study(values), [PLAIN, WITH_BN], "plain", expect=claims).expectations
    assert [each.verdict for each in found] == ["not judged", "not judged"]
    assert [each.ours for each in found] == [0.0, 1.0]


def test_a_rate_exactly_one_tolerance_below_the_best_counts_in_single_precision() -> None:
    best, near, below = (float(np.float32(each)) for each in (0.97, 0.96, 0.9599))
    assert best - near > 0.01
    found = tolerated([0.01, 0.1, 1.0], [[below, best, near]], tolerance=0.01)
    assert (found.low.tolist(), found.high.tolist()) == ([0.1], [1.0])
    assert 0.3 / 0.1 != 3.0 / 1.0  # equal widths, but for binary fractions
    wide = {
        name: tolerated(rates, [[0.9] * 2] * 3, tolerance=0.01)
        for name, rates in (("plain", [1.0, 3.0]), ("bn", [0.1, 0.3]))
    }
    assert (wide["bn"].decades != wide["plain"].decades).all()
    (effect,) = compare_tolerance(wide, "plain", seeds=range(3), rng=np.random.default_rng(0))
    assert (effect.mean, effect.p) == (0.0, 1.0)


def test_bca_takes_resamples_that_differ_by_rounding_for_ties() -> None:
    """Twenty differences of one row up or down, with and without the rounding of their metrics."""
    exact = np.array([1.0, -1.0] * 10)[:, None] / 12
    blurred = exact + np.random.default_rng(1).uniform(-5e-8, 5e-8, (20, 1))
    ends = [
        bca(each, 0.95, np.random.default_rng(0), noise)
        for each, noise in ((exact, 0.0), (blurred, np.array([4e-7])))
    ]
    assert ends[0][0] == pytest.approx(ends[1][0], abs=1e-6)
    assert ends[0][1] == pytest.approx(ends[1][1], abs=1e-6)


def test_bands_of_differences_are_flat_where_curves_differ_by_rounding() -> None:
    curve = [0.1, 0.2, 0.3]
    other = [float(np.float32(each)) for each in curve]
    assert other != curve
    trials = [result("plain", seed, curves={"val_loss": curve}) for seed in range(3)]
    trials += [result("bn", seed, curves={"val_loss": other}) for seed in range(3)]
    band = differences(trials, "plain")["bn"]["val_loss"]
    assert (band.mean.tolist(), band.low.tolist(), band.high.tolist()) == ([0.0] * 3,) * 3


def test_a_curve_that_rises_by_rounding_is_not_still_improving() -> None:
    flat = [0.5] * 5 + [float(np.float32(0.5) + np.float32(6e-8) * k) for k in range(1, 6)]
    trials = [result("plain", seed, curves={"val_accuracy": flat}) for seed in range(2)]
    assert "still improving" not in {e.kind for e in analyze(trials, [PLAIN], "plain").guards}


def test_close_is_some_units_in_the_last_place() -> None:
    assert close(0.9, float(np.float32(0.9)))
    assert close(0.0, 0.0)
    assert not close(0.9, 0.900001)
    assert not close(0.0, 1e-30)
