"""A study's folder on another machine: what was trained is shown; what is to be trained asks."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

from ablate.cli import run_cli
from ablate.config import load_study
from ablate.execution.plan import plan
from ablate.store import Store
from tests.execution.finished import finish, small


def status(logs, capsys):
    assert run_cli(["status", "small", "--logs", str(logs), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", ["path", "call"])
def test_what_it_was_trained_on_need_not_be_there(kind, tmp_path, monkeypatch, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    np.savez("rows.npz", x=np.zeros((20, 3)), y=np.arange(20) % 2)
    (here / "moved_rows.py").write_text("def rows(): ...\n")
    given = {"path": "rows.npz"} if kind == "path" else {"call": "moved_rows:rows"}
    made = small(data={**given, "digest": "0" * 64} if kind == "call" else given)
    store = Store("logs", "small")
    with store.lock():
        finish(made, here / "logs")
        plan(made, store)
    monkeypatch.chdir(there)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(here)])
    shutil.copytree(here / "logs" / "small", there / "logs" / "small")
    assert status("logs", capsys)["todo"] == 0
    assert run_cli(["report", "small"]) == 0
    assert "4 of 4 trials completed" in capsys.readouterr().out


def test_files_of_the_logs_folder_move_with_it(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "small" / "inputs").mkdir(parents=True)
    (first / "other" / "trials").mkdir(parents=True)
    data, model = first / "small/inputs/data.npz", first / f"other/trials/{'a' * 64}.keras"
    np.savez(data, x=np.zeros((20, 3)), y=np.arange(20) % 2)
    model.write_bytes(b"")
    file = first / "small" / "study.yaml"
    file.write_text(
        f"study: small\ndata: {{path: {data}}}\nmodel: {{file: {model}}}\n"
        "variants: {plain: {}}\n"
    )
    first.rename(second)
    moved = load_study(second / "small" / "study.yaml")
    assert moved.data.path == str(second / "small/inputs/data.npz")
    assert moved.model.file == str(second / f"other/trials/{'a' * 64}.keras")
