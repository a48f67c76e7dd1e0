"""The rules of the report in simulated studies: benchmarks/validity.py at a smaller size.

Bounds are the nominal rates with three Monte-Carlo standard errors, at fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import validity
from benchmarks.validity import Rate


def at_most(found: Rate, bound: float) -> bool:
    return found.share <= bound + 3 * np.sqrt(bound * (1 - bound) / found.studies)


def at_least(found: Rate, bound: float) -> bool:
    return found.share >= bound - 3 * np.sqrt(bound * (1 - bound) / found.studies)


def test_looks_at_every_seed_claim_falsely_in_one_of_twenty_studies_at_most():
    found = validity.peeking(1000)
    assert all(each["t interval"].share > 0.2 for each in found.values())
    for name in ("normal", "t3 (heavy tails)", "tied (whole rows, sd 1)"):
        assert at_most(found[name]["always valid"], 0.05)
    # Strong skew breaks the bound, by how much docs/statistics.md says.
    assert at_most(found["skewed (gamma 4, skewness 1)"]["always valid"], 0.06)
    assert at_most(found["skewed (exponential, skewness 2)"]["always valid"], 0.14)


def test_a_fixed_number_of_seeds_is_covered_as_documented():
    found = validity.coverage(2000, (3, 5, 10, 20, 60))
    for name in ("normal", "t3 (heavy tails)", "tied (whole rows, sd 1)"):
        assert all(at_least(each, 0.945) for each in found[name])
    assert all(at_least(each, 0.92) for each in found["skewed (gamma 4, skewness 1)"])
    assert all(at_least(each, 0.86) for each in found["skewed (exponential, skewness 2)"])


def test_any_verdict_is_wrong_in_one_of_twenty_studies_at_most():
    found = validity.verdicts(400)
    assert all(at_most(each["any wrong"], 0.05) for each in found.values())
    assert found["all equal"]["equivalent"].share > 0.1


def test_seeds_until_decided_keep_the_rate_and_spare_seeds():
    found = validity.until(80, step=5)
    for name in ("0 sd", "1 sd", "2 sd"):
        shares, _ = found[name]
        wrong = ("better", "worse") if name == "0 sd" else ("worse", "equivalent")
        both = Rate(sum(shares[each].share for each in wrong), 80)
        assert at_most(both, 0.05), name
    assert found["2 sd"][1] < 9 and found["1 sd"][1] < 18
    assert found["0 sd"][0]["equivalent"].share > 0.8


def test_new_rows_are_covered_where_the_interval_says_so():
    found = validity.rows(150, ((360, 3, 1), (360, 10, 1), (1000, 8, 20)))
    assert all(at_least(each["rows and seeds"], 0.93) for name, each in found.items()
               if "groups" not in name)  # fmt: skip
    grouped = found["1000 rows, 8 seeds, groups of 20"]
    assert at_least(grouped["by group"], 0.94)
    assert grouped["seeds alone"].share < 0.85 and grouped["rows and seeds"].share < 0.85


def test_the_set_holds_the_best():
    found = validity.best(800)
    assert all(at_least(each["holds the best"], 0.945) for each in found.values())
    assert found["10 seeds, one best by 1.5"]["members"] < 3


def test_splits_of_one_pool_are_covered_with_the_correction_alone():
    found = validity.splits(200, (5, 20))
    assert all(at_least(each["Nadeau and Bengio"], 0.938) for each in found.values())
    assert found["20 splits"]["t interval"].share < 0.8


def test_tables_are_printed_by_name(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["validity.py", "verdicts", "--studies", "20"])
    validity.main()
    out = capsys.readouterr().out
    assert "**Joint verdicts at their boundaries" in out and "| all equal | " in out
    monkeypatch.setattr("sys.argv", ["validity.py", "verdict"])
    with pytest.raises(SystemExit):
        validity.main()
