"""`docs/report.md` lists what the JSON has, and its example runs."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from ablate.analysis import Comparison, analyze
from ablate.analysis.effects import BestSet, FactorEffect
from tests.analysis.simulated import arm, study

PAGE = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")


def listed(after: str) -> set[str]:
    """Return the names in the first column of the table that follows a text."""
    rows = PAGE[PAGE.index(after) :].split("\n\n")[1].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_key_of_the_document_is_listed():
    document = analyze(study({"plain": [0.9]}), [arm("plain")], "plain").to_json()
    assert listed("What could not be computed is null.") == set(document)
    json.dumps(document)


def test_every_field_of_a_comparison_is_listed():
    assert listed("A comparison has:") == {each.name for each in fields(Comparison)}


@pytest.mark.parametrize("kind", [BestSet, FactorEffect])
def test_what_other_keys_have_is_named(kind):
    own = {each.name for each in fields(kind)} - {each.name for each in fields(Comparison)}
    assert own <= set(re.findall(r"\w+", PAGE))


def test_each_verdict_is_explained():
    rows = PAGE[PAGE.index("| verdict |") :].split("\n\n")[0]
    for verdict in ("better", "worse", "equivalent", "inconclusive", "described", "missing"):
        assert f"| {verdict}" in rows or f", {verdict} |" in rows


@pytest.mark.slow
def test_the_example_runs(tmp_path):
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "example.py").write_text(f"if __name__ == '__main__':\n{_indented(code)}")
    ran = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "bn against plain: test accuracy" in ran.stdout


def _indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())
