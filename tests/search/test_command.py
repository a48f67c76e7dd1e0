"""`ablate search` as a process: it trains, is killed, goes on, and tells what it found."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from ablate.cli import run_cli

STUDY = """
study: tiny
data: {name: digits, limit: 150}
model: {name: mlp, units: [8]}
train: {epochs: 40, threads: 1}
execution: {executor: processes, workers: 2}
variants: {plain: {}, bn: {insert: [{layer: BatchNormalization}]}}
search:
  oracle: quasirandom
  trials: 8
  seeds: 2
  objective: val_accuracy
  space: {train.learning_rate: {float: [1.0e-3, 1.0], sampling: log}}
  confirm_seeds: 3
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("search.space={train.learning_rat: {float: [0.1, 1]}}", "Did you mean 'learning_rate'"),
        ("search.space={train.learning_rate: {float: [1, 0.1]}}", "an empty range"),
        ("search.space={train.learning_rate: {float: [0, 1], sampling: log}}", "begin above 0"),
        ("search.space={insert.BatchNormalization.at: {choice: [beside]}}", "refuses 'beside'"),
        ("search.oracle=grid", "a grid needs a 'step'"),
        ("search.objective=val_precision", "no trial reports 'val_precision'"),
        ("search.objective=test_loss", "expected a validation metric"),
        ("search.oracle=randm", "Did you mean 'random'"),
    ],
)
def test_bad_input_is_an_error_before_anything_trains(config, tmp_path, capsys, setting, words):
    status = run_cli(["search", str(config), "--logs", str(tmp_path / "logs"), "--set", setting])
    assert status == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def table(folder):
    """search.csv without what differs between two runs: the seconds."""
    with (folder / "tiny" / "search.csv").open() as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_to_the_same_end(config, tmp_path, capsys):
    command = [sys.executable, "-m", "ablate", "search", str(config), "--quiet", "--logs"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, str(killed)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while len(list((killed / "tiny" / "trials").glob("*.json"))) < 5:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list((killed / "tiny" / "trials").glob("*.json"))) < 38
    subprocess.run([*command, str(killed)], check=True, capture_output=True)
    assert table(killed) == table(whole)
    assert not (killed / "tiny" / "work").exists()

    # And it is told by the light commands.
    logs = ["--logs", str(killed)]
    assert run_cli(["status", "tiny", "--json", *logs]) == 0
    rows = json.loads(capsys.readouterr().out)["search"]["rows"]
    assert [(row["tried"], row["planned"], row["left"], row["confirmed"]) for row in rows] == [
        (8, 8, 0, 3)
    ] * 2
    assert run_cli(["report", "tiny", *logs]) == 0
    assert "All 6 trials completed" in capsys.readouterr().out
    assert run_cli(["report", "tiny", "--format", "html", *logs]) == 0
    page = (killed / "tiny" / "report.html").read_text()
    assert "Search" in page and "so that a point is noise" in page  # of few validation rows
    assert {"search-budget.svg", "search-train-learning-rate.svg"} <= {
        each.name for each in (killed / "tiny" / "plots").iterdir()
    }
    assert run_cli(["status", "tiny", "--logs", str(killed)]) == 0
    told = capsys.readouterr().out
    assert (
        "The search is done." in told and "to do" not in told
    )  # its own trials were never asked for
