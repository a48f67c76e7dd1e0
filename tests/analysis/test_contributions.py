import numpy as np
import pytest
from scipy import stats

from ablate.analysis.contributions import contributions
from ablate.analysis.opening import _contributed
from tests.analysis.simulated import arm, context, noisy, study


def test_contributions_are_the_whole_minus_the_part_ranked_by_what_helps() -> None:
    whole = np.array(noisy(0.95, 0.005, 5, 0))
    values = {
        "plain": list(whole - 0.2),
        "both": list(whole),
        "both-without-bn": list(whole - noisy(0.03, 0.002, 5, 1)),
        "both-without-head": [None] * 5,
        "dropout": list(whole + noisy(0.01, 0.002, 5, 2)),
    }
    left_out = {
        "both-without-bn": "bn",
        "both-without-head": "head",
        "both-without-conv": "conv",
    }
    resolved = [arm(name) for name in ("plain", "both", "dropout")]
    resolved += [
        arm(
            name,
            origin="leave_one_out",
            left_out=("both", what),
            alias_of="dropout" if what == "conv" else None,
        )
        for name, what in left_out.items()
    ]
    found = contributions(context(study(values), resolved))
    assert [(each.what, each.rank, each.n) for each in found] == [
        ("bn", 1, 5),
        ("conv", 2, 5),
        ("head", None, 0),
    ]
    expected = stats.ttest_rel(values["both"], values["both-without-bn"])
    assert found[0].p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found[0].p_holm == pytest.approx(min(1, 3 * expected.pvalue), rel=1e-9)
    assert [each.verdict for each in found] == ["better", "worse", "missing"]


def test_where_less_is_better_the_smallest_loss_ranks_first() -> None:
    resolved = [
        arm("full"),
        arm("a", origin="leave_one_out", left_out=("full", "a")),
        arm("b", origin="leave_one_out", left_out=("full", "b")),
    ]
    values = {"full": [0.5, 0.6, 0.7], "a": [0.6, 0.72, 0.8], "b": [0.4, 0.5, 0.61]}
    found = contributions(context(study(values), resolved, baseline="full", direction="min"))
    assert [(each.what, each.verdict) for each in found] == [("a", "better"), ("b", "worse")]


def test_what_becomes_of_a_model_without_each_of_its_layers_is_said() -> None:
    whole = np.array([0.80, 0.81, 0.82, 0.80, 0.81])
    values = {
        "model": list(whole),
        "model-without-dropout_1": list(whole - np.array([0.010, 0.006, 0.008, 0.009, 0.007])),
        "model-without-bn": list(whole + np.array([0.05, -0.04, 0.03, -0.01, 0.01])),
    }
    resolved = [arm("model")]
    resolved += [
        arm(name, origin="leave_one_out", left_out=("model", name.removeprefix("model-without-")))
        for name in list(values)[1:]
    ]
    made = context(study(values), resolved, baseline="model")
    words, sums = _contributed(contributions(made), made)
    assert sums == (
        "Each is measured with the other parts in place: together they need not sum to what all "
        "add."
    )
    assert words == (
        "Without dropout_1 test accuracy falls by 0.8 points (95 % interval 0.6 to 1.0, 5 "
        "seeds); without bn it rises by 0.8 points (−3.5 to 5.1, 5 seeds): inconclusive."
    )
