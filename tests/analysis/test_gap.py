from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ablate.analysis.gap import gaps
from ablate.study.trial import TrialResult
from tests.analysis.simulated import arm, context, result


def trial(variant: str, seed: int, train: float, test: float) -> TrialResult:
    metrics = {
        "train_accuracy": train,
        "test_accuracy": test,
        "train_loss": 1 - train,
        "test_loss": 1 - test,
    }
    return result(variant, seed, metrics=metrics)


def test_gap_is_train_minus_test_and_a_smaller_one_is_better() -> None:
    results = [trial("plain", s, 0.99 + s / 900, 0.9 + s / 300) for s in range(4)]
    results += [trial("dropout", s, 0.96, 0.93 + s / 700 * (-1) ** s) for s in range(4)]
    found = gaps(context(results, [arm("plain"), arm("dropout")]))
    assert [(each.variant, each.metric) for each in found] == [
        ("plain", "accuracy"),
        ("dropout", "accuracy"),
        ("plain", "loss"),
        ("dropout", "loss"),
    ]
    plain = [0.09 + s / 900 - s / 300 for s in range(4)]
    dropout = [0.03 - s / 700 * (-1) ** s for s in range(4)]
    assert list(found[0].summary.values.values()) == pytest.approx(plain)
    assert found[0].against is None
    against = found[1].against
    assert against is not None
    assert against.p == pytest.approx(stats.ttest_rel(dropout, plain).pvalue, rel=1e-6)
    assert against.verdict == "better"
    loss = found[3].against
    assert loss is not None
    assert (loss.mean, loss.verdict) == (pytest.approx(-against.mean), "better")


def test_gaps_that_are_equal_but_for_rounding_are_equal() -> None:
    results = [trial("plain", s, 0.95 + s / 300, 0.9 + s / 300) for s in range(5)]
    results += [trial("same", s, 0.85 + s / 700, 0.8 + s / 700) for s in range(5)]
    found = gaps(context(results, [arm("plain"), arm("same")]))
    against = found[1].against
    assert against is not None
    assert (against.mean, against.sd, against.p) == (0.0, 0.0, 1.0)


def test_holm_counts_the_gaps_that_are_compared_and_no_more() -> None:
    """Not the baseline's own, not an alias's, and what is left out in a family of its own."""
    rng = np.random.default_rng(3)
    resolved = [
        arm("plain"), arm("bn"), arm("dropout"),
        arm("bn-without-x", origin="leave_one_out", left_out=("bn", "x")),
        arm("bn-without-y", origin="leave_one_out", left_out=("bn", "y"), alias_of="dropout"),
    ]  # fmt: skip
    results = [
        trial(each.name, seed, 0.97, 0.9 + rng.normal(0.01 * at, 0.01))
        for at, each in enumerate(resolved[:4])
        for seed in range(5)
    ]
    found = gaps(context(results, resolved))
    against = {each.variant: each.against for each in found if each.metric == "accuracy"}
    assert against.pop("plain") is None
    shared, own = against["bn-without-y"], against["dropout"]
    assert shared and own and replace(shared, words=own.words) == own
    sizes = {name: (each.family, each.family_size) for name, each in against.items() if each}
    assert sizes == {
        "bn": ("gap in accuracy: variants", 2),
        "dropout": ("gap in accuracy: variants", 2),
        "bn-without-x": ("gap in accuracy: leave one out", 1),
        "bn-without-y": ("gap in accuracy: variants", 2),
    }
    p = [against[name].p for name in ("bn", "dropout")]  # type: ignore[union-attr]
    assert min(against[name].p_holm for name in ("bn", "dropout")) == 2 * min(p)  # type: ignore


def test_without_training_metrics_there_is_no_gap() -> None:
    results = [result("plain", 0, metrics={"test_accuracy": 0.9})]
    assert gaps(context(results, [arm("plain")])) == []
