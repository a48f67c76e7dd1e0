"""Which way a metric points is known by its name, or said not to be."""

from __future__ import annotations

import pytest

from ablate.study.metrics import direction_of, is_share, reported
from ablate.study.train import Train


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
