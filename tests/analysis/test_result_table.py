import numpy as np
import pytest

from ablate.analysis.result_table import collect, headline
from ablate.errors import StudyError
from tests.analysis.simulated import arm, result, study


def test_rows_are_seeds_columns_are_arms_and_nan_is_no_completed_trial() -> None:
    results = [
        result("bn", 3, 0.8),
        result("plain", 1, 0.5),
        result("plain", 3, status="failed", metrics={"test_accuracy": 0.9}),
        result("bn", 1, None),
        result("forgotten", 2, 0.7),
    ]
    found = collect(results, [arm("plain"), arm("bn")])
    assert found.seeds == (1, 3)
    np.testing.assert_array_equal(found.values("test_accuracy"), [[0.5, np.nan], [np.nan, 0.8]])
    assert np.isnan(found.values("unheard of")).all()
    assert [each.seed for each in found.of("plain")] == [1, 3]
    assert [each.seed for each in found.completed("plain")] == [1]


def test_an_alias_has_the_column_of_what_it_stands_for() -> None:
    resolved = [arm("plain"), arm("a", alias_of="b"), arm("b", alias_of="plain")]
    found = collect(study({"plain": [0.5, 0.6]}), resolved)
    np.testing.assert_array_equal(found.values("test_accuracy"), [[0.5] * 3, [0.6] * 3])
    assert found.of("a") == found.of("plain")


def test_measurements_are_metrics_of_completed_trials() -> None:
    results = [result("plain", 0), result("plain", 1, status="diverged")]
    shift = {("plain", 0): 1.5, ("plain", 1): 9.0, ("other", 0): 2.0}
    found = collect(results, [arm("plain")], {"shift": shift})
    np.testing.assert_array_equal(found.values("shift"), [[1.5], [np.nan]])


@pytest.mark.parametrize(
    ("available", "metric", "expected"),
    [
        (["val_accuracy", "test_loss", "test_accuracy"], "auto", ("test_accuracy", "max")),
        (["test_loss", "test_mae", "train_loss"], "auto", ("test_loss", "min")),
        (["val_loss", "val_accuracy", "train_accuracy"], "auto", ("val_accuracy", "max")),
        (["test_loss", "test_digit_accuracy"], "auto", ("test_digit_accuracy", "max")),
        (["test_accuracy", "val_accuracy", "val_loss"], "loss", ("val_loss", "min")),
        (["test_accuracy", "val_accuracy"], "val_accuracy", ("val_accuracy", "max")),
        ([], "auto", ("test_accuracy", "max")),
        ([], "mae", ("mae", "min")),
    ],
)
def test_headline_is_on_test_data_and_accuracy_first(
    available: list[str], metric: str, expected: tuple[str, str]
) -> None:
    assert headline(available, metric) == expected


def test_headline_refuses_what_no_trial_reports_and_what_has_no_direction() -> None:
    with pytest.raises(StudyError, match=r"'test_acuracy'.*Did you mean 'test_accuracy'"):
        headline(["test_accuracy"], "test_acuracy")
    with pytest.raises(StudyError, match=r"analysis\.direction.*'test_charm'"):
        headline(["test_charm"], "charm")
    assert headline(["test_charm"], "charm", "min") == ("test_charm", "min")
    named = [{"name": "AUC", "as": "charm"}]
    assert headline(["test_charm"], "charm", "auto", named) == ("test_charm", "max")
