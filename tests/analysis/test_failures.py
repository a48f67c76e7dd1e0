import pytest
from scipy import stats

from ablate.analysis.effects import Failures, Rate
from ablate.analysis.failures import chance_p, collapsed, count_failures, fisher
from ablate.study.trial import TrialResult
from tests.analysis.simulated import arm, context, result


def count(results: list[TrialResult]) -> dict[str, Failures]:
    resolved = [arm("plain"), arm("fast")]
    return count_failures(context(results, resolved), {"plain": 5, "fast": 6})


def test_every_kind_is_counted_with_wilson_and_fisher() -> None:
    results = [result("plain", seed) for seed in range(5)]
    results += [result("fast", seed, status="diverged") for seed in (0, 1)]
    results += [result("fast", 2, status="failed"), result("fast", 3, 0.1), result("fast", 4)]
    results += [result("fast", 5, status="interrupted")]
    found = count(results)["fast"]

    def rate(count: int, of: int, reference: int = 5) -> Rate:
        interval = stats.binomtest(count, of).proportion_ci(method="wilson")
        p = stats.fisher_exact([[count, of - count], [0, reference]]).pvalue
        return Rate(
            count, of, count / of, pytest.approx(interval.low), pytest.approx(interval.high), p
        )

    assert found == Failures(
        planned=6,
        completed=2,
        diverged=rate(2, 5),
        failed=rate(1, 5),
        failures=rate(3, 5),
        collapsed=rate(1, 2),
        lost=rate(4, 5),
        pending=1,
        diverged_seeds=(0, 1),
        failed_seeds=(2,),
        collapsed_seeds=(3,),
    )


def test_without_trials_there_is_no_rate() -> None:
    found = count([])["plain"]
    assert (found.planned, found.pending, found.lost) == (5, 5, Rate(0, 0))


def test_the_baseline_has_no_p_against_itself() -> None:
    assert count([result("plain", 0), result("fast", 0)])["plain"].lost.p is None


@pytest.mark.parametrize("accuracy", [0.05, 0.1, 0.12, 0.14, 0.2, 0.9])
def test_collapse_is_scipys_one_sided_binomial_test(accuracy: float) -> None:
    right = round(accuracy * 200)
    expected = stats.binomtest(right, 200, 0.1, alternative="greater").pvalue
    assert chance_p(accuracy, 200, 0.1) == pytest.approx(expected, rel=1e-9)
    trial = result("plain", 0, metrics={"val_accuracy": accuracy})
    assert collapsed(trial, "test_accuracy", "max") is bool(expected > 0.05)


def test_collapse_is_not_judged_without_a_majority_or_when_told_not_to() -> None:
    assert collapsed(result("plain", 0, 0.1), "test_accuracy", "max", "none") is None
    assert collapsed(result("plain", 0, 0.1, majority=None), "test_accuracy", "max") is None
    assert collapsed(result("plain", 0, 0.1, rows={"test": 9}), "test_accuracy", "max") is None
    assert collapsed(result("plain", 0, status="diverged"), "test_accuracy", "max") is None


def test_collapse_is_not_judged_by_accuracy_where_another_metric_is_the_studys() -> None:
    trial = result("plain", 0, metrics={"val_accuracy": 0.1, "val_auc": 0.9, "val_loss": 1.0})
    assert collapsed(trial, "test_accuracy", "max") is True
    assert collapsed(trial, "test_auc", "max") is None
    assert collapsed(trial, "test_loss", "min") is None
    assert collapsed(trial, "test_auc", "max", 0.9) is True


def test_a_declared_threshold_is_held_against_the_validation_metric() -> None:
    trial = result("plain", 0, metrics={"val_loss": 2.3, "test_loss": 0.1})
    assert collapsed(trial, "test_loss", "min", 2.3) is True
    assert collapsed(trial, "test_loss", "min", 2.4) is False
    assert collapsed(trial, "test_accuracy", "max", 0.5) is None


@pytest.mark.parametrize("table", [(0, 5, 5, 5), (2, 5, 0, 5), (1, 6, 3, 4)])
def test_fisher_is_scipys(table: tuple[int, int, int, int]) -> None:
    count, of, reference, reference_of = table
    square = [[count, of - count], [reference, reference_of - reference]]
    assert fisher(*table) == stats.fisher_exact(square).pvalue


def test_fisher_of_nothing_is_none() -> None:
    assert fisher(0, 0, 1, 5) is None
