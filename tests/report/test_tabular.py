"""What programs read: CSV and JSON with the analysis's own numbers."""

from __future__ import annotations

import csv
import io
import json

import pytest

from ablate.report.tabular import as_csv, as_json
from tests.report.studies import factorial, study


def rows(material):
    return list(csv.DictReader(io.StringIO(as_csv(material))))


def test_a_row_per_variant_and_metric(digits):
    found = rows(digits)
    metrics = len(digits.analysis.variants[0].metrics)
    assert len(found) == 4 * metrics
    row = next(
        each for each in found if (each["variant"], each["metric"]) == ("bn", "test_accuracy")
    )
    effect = digits.analysis.effect("bn")
    summary = digits.analysis.variant("bn").metrics["test_accuracy"]
    assert float(row["difference"]) == pytest.approx(effect.mean, rel=1e-8)
    assert float(row["p_holm"]) == pytest.approx(effect.p_holm, rel=1e-8)
    assert float(row["mean"]) == pytest.approx(summary.mean, rel=1e-8)
    assert [float(row[f"seed{seed}"]) for seed in range(5)] == pytest.approx(
        list(summary.values.values()), rel=1e-8
    )
    assert (row["verdict"], row["planned"], row["completed"]) == ("better", "5", "5")


def test_factors_are_columns():
    assert {(each["bn"], each["dropout"]) for each in rows(factorial(3))} == {
        ("off", "off"), ("off", "on"), ("on", "off"), ("on", "on"),
    }  # fmt: skip


def test_nothing_completed_leaves_numbers_empty():
    found = rows(study(status=lambda variant, seed: "failed", seeds=2))
    assert [(each["variant"], each["failed"], each["mean"]) for each in found] == [
        (name, "2", "") for name in ("plain", "bn", "dropout", "both")
    ]


def test_json_is_the_analysis(digits):
    assert json.loads(as_json(digits)) == json.loads(json.dumps(digits.analysis.to_json()))
