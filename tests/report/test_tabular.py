"""What programs read: CSV and JSON with the analysis's own numbers."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest
from pyarrow import parquet

from ablate.errors import MissingExtraError
from ablate.report.tabular import as_csv, as_json, as_parquet
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


def test_parquet_has_the_rows_of_the_csv_as_numbers(digits):
    found = parquet.read_table(io.BytesIO(as_parquet(digits))).to_pylist()
    for row, text in zip(found, rows(digits), strict=True):
        assert {
            key: format(each, ".9g")
            if isinstance(each, float)
            else ""
            if each is None
            else str(each)
            for key, each in row.items()
        } == text
    assert isinstance(found[0]["mean"], float) and isinstance(found[0]["n"], int)


def test_parquet_of_nothing_completed_keeps_its_columns():
    lost = study(status=lambda variant, seed: "failed", seeds=2)
    table = parquet.read_table(io.BytesIO(as_parquet(lost)))
    assert table.num_rows == 4
    assert {str(table.schema.field(name).type) for name in ("mean", "p_holm")} == {"double"}


def test_without_pyarrow_it_says_what_to_install(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"keras-ablate\[tables\]"):
        as_parquet(digits)
