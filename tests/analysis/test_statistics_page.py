"""docs/statistics.md: its tables are what the command prints, its examples run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablate.config import parse_study
from ablate.execution.plan import plan
from ablate.store import Store
from benchmarks import validity
from tests.execution.finished import record, small

PAGE = Path("docs/statistics.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_tables_are_those_that_the_command_prints():
    for name in ("peeking", "coverage"):
        _, simulate, shown, share = validity.TABLES[name]
        assert shown(simulate(8000 // share)) in PAGE, name


def test_every_table_of_the_command_has_its_head_on_the_page():
    for name, (_, simulate, shown, _) in validity.TABLES.items():
        if name in ("verdicts", "best", "splits", "rows", "together"):
            head = shown(simulate(4)).splitlines()[0]
            assert head in PAGE, name


def test_the_study_of_the_page_is_sound():
    text = next(each for each in blocks("yaml") if "until:" in each)
    rest = "study: s\ndata: {name: digits}\nmodel: {name: mlp}\nvariants: {plain: {}}\n"
    assert parse_study(rest + text).until.stages[-1] == 40


def test_mcnemars_table_is_made_of_the_rows(tmp_path, monkeypatch, capsys):
    study = small(study="digits", seeds=1)
    store = Store(tmp_path / "logs", "digits")
    rows = {"plain": np.arange(360) >= 12, "bn": np.arange(360) % 60 != 0}
    for trial in plan(study, store).trials:
        own = rows[trial.variant]
        result = replace(record(trial), row_metric="test_accuracy")
        store.save(result, {"rows/test": np.packbits(own)})
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, "docs/statistics.md", "exec"), {})
    counts = sorted(re.findall(r"(plain|bn)(?: alone right)? on (\d+)", capsys.readouterr().out))
    assert counts == [("bn", "11"), ("plain", "5")]


def test_the_page_names_every_kind_of_interval():
    for kind in ("fixed_n", "always_valid", "overlapping_splits", "crossed"):
        assert kind in PAGE
