"""Which way a metric points is known by its name, or said not to be."""

from __future__ import annotations

import pytest

from ablate.errors import StudyError
from ablate.study.metrics import (
    direction_of,
    is_share,
    metric_key,
    reported,
    reported_as,
    without_counters,
)
from ablate.study.schema.train import Train


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", "max"),
        ("val_loss", "min"),
        ("test_head_accuracy", "max"),
        ("auc_1", "max"),
        ("train_mean_squared_error", "min"),
        ("charm", None),
    ],
)
def test_direction_of_keras_metrics(metric: str, expected: str | None) -> None:
    assert direction_of(metric) == expected
    assert direction_of(metric, "min") == "min"


def test_shares_are_told_from_amounts() -> None:
    assert [is_share(each) for each in ("test_accuracy", "val_loss", "r2_score")] == [
        True,
        False,
        False,
    ]


def test_what_trials_report_follows_from_the_metrics() -> None:
    assert reported("auto") == ["loss", "accuracy", "mae"]
    assert "f1_score" in (reported(Train(metrics=[{"name": "F1Score"}]).metrics) or ())
    assert reported(Train(metrics=[{"call": "a.b:C"}]).metrics) is None


def test_a_metric_has_one_name() -> None:
    metrics = Train(
        metrics=[
            "AUC",
            {"name": "AUC", "as": "pr", "curve": "PR"},
            "BinaryIoU",
            "FBetaScore",
            "mae",
            {"call": "a.b:C", "as": "own"},
        ]
    ).metrics
    assert [reported_as(each) for each in metrics] == [
        "auc", "pr", "binary_io_u", "fbeta_score", "mae", "own",
    ]  # fmt: skip
    assert reported(metrics) == ["loss", "auc", "pr", "binary_io_u", "fbeta_score", "mae", "own"]


def test_spellings_of_one_metric_are_one() -> None:
    spelt = ["AUC", "auc", {"name": "AUC"}, {"name": "auc", "as": None}]
    assert len({metric_key(each) for each in spelt}) == 1
    other = [{"name": "AUC", "as": "pr"}, {"name": "AUC", "curve": "PR"}, {"call": "a:AUC"}]
    assert len({metric_key(each) for each in [*spelt, *other]}) == 4
    (section,) = Train(metrics=[{"name": "AUC", "curve": "PR"}]).metrics
    assert metric_key(section) == metric_key({"name": "AUC", "curve": "PR"})


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        (["AUC", "auc"], r"metrics\[1\]: 'AUC' and 'auc' are both called 'auc'\. .* as: "),
        (["AUC", {"name": "AUC", "curve": "PR"}], r"'AUC' and 'AUC' are both called 'auc'"),
        (["acc", {"call": "a:b", "as": "acc"}], r"'acc' and 'a:b' are both called 'acc'"),
        ([{"name": "AUC", "as": "loss"}], r"metrics\[0\]\.as: A metric cannot be called 'loss'"),
        ([{"name": "AUC", "as": "val_x"}], r"metrics\[0\]\.as: A metric cannot be called 'val_x'"),
        ([{"name": "AUC", "as": "a/b"}], r"metrics\[0\]\.as: expected a name of letters"),
    ],
)
def test_two_metrics_of_one_name_are_refused(metrics: list[object], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        Train(metrics=metrics)


def test_another_name_points_the_same_way() -> None:
    metrics = Train(metrics=[{"name": "AUC", "as": "roc"}, {"name": "mse", "as": "charm"}]).metrics
    assert direction_of("val_roc") is None
    assert direction_of("val_roc", metrics=metrics) == "max"
    assert direction_of("test_head_charm", metrics=metrics) == "min"
    assert direction_of("test_other", metrics=metrics) is None


def test_counters_of_earlier_versions_are_left_out() -> None:
    assert without_counters({"val_auc_2": 0.5, "val_head_auc_11": 1, "loss": 2}, ["AUC"]) == {
        "val_auc": 0.5, "val_head_auc": 1, "loss": 2,
    }  # fmt: skip
    # What is called so, or has no metric to be the counter of, keeps its name.
    named = [{"name": "AUC", "as": "auc_2"}, "accuracy"]
    assert without_counters({"auc_2": 0.5, "dice_3": 1}, named) == {"auc_2": 0.5, "dice_3": 1}
    assert without_counters({"auc": 0.5, "auc_2": 1}, ["AUC"]) == {"auc": 0.5, "auc_2": 1}
