"""STUDY, left out or completed, and `ablate` alone."""

from __future__ import annotations

import os
import subprocess

import pytest
from click.shell_completion import ShellComplete

from ablate.cli import cli, run_cli
from ablate.cli.options import study_files
from ablate.execution.status import progress
from ablate.store import Store
from tests.cli.stored import STUDY, stored


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def completed(*words: str) -> list[str]:
    *before, last = words
    found = ShellComplete(cli, {}, "ablate", "_").get_completions(before, last)
    return [each.value for each in found]


def test_ablate_alone_says_where_to_start(here, capsys):
    assert run_cli([]) == 0
    assert "ablate init study.yaml" in capsys.readouterr().out
    stored(here / "logs", "mine")
    assert run_cli([]) == 0
    said = capsys.readouterr().out
    assert "ablate run mine.yaml" in said and "ablate report mine" in said
    assert "ablate init" not in said


@pytest.mark.parametrize("command", ["run", "plan", "search", "screen", "report"])
def test_study_may_be_left_out_where_there_is_one(here, command, capsys):
    assert run_cli([command]) == 2
    assert "ablate init study.yaml" in capsys.readouterr().err
    (here / "notes.yaml").write_text("model: a train\n")
    (here / "a.yaml").write_text("study: a\nvariants: {plain: {}, plain: {}}\n")
    assert run_cli([command]) == 2
    said = capsys.readouterr().err
    assert "STUDY: a.yaml, the study file in this folder." in said
    assert "duplicate key" in said  # which is what was read
    (here / "b.yaml").write_text(STUDY.format(name="b", seeds=1))
    assert run_cli([command]) == 2
    assert "Which STUDY? In this folder there are: a.yaml, b.yaml." in capsys.readouterr().err


def test_the_study_that_was_left_out_is_planned(here, capsys):
    (here / "b.yaml").write_text(STUDY.format(name="b", seeds=3))
    assert run_cli(["plan", "--quick", "--set", "train.epochs=2"]) == 0
    assert "6 trials left" in capsys.readouterr().out


def test_binary_files_are_no_studies(here):
    (here / "a.yaml").write_bytes(b"\xff\xfe\x00study: a\nvariants: b\n")
    (here / "folder.yaml").mkdir()
    assert [each.name for each in study_files()] in ([], ["a.yaml"])


def test_a_shell_completes_commands_options_and_studies(here):
    stored(here / "logs", "mine")
    assert {
        "run", "report", "reproduce", "remove", "replace",
    } == set(completed("r"))  # fmt: skip
    assert "--workers" in completed("run", "--w")
    assert set(completed("report", "mi")) == {"mine", "mine.yaml"}
    assert completed("run", "configs/di") == ["configs/di"]  # left to the shell


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_is_printed(shell, capsys):
    assert run_cli(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert f"_ABLATE_COMPLETE={shell}_complete" in said
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=said, text=True, check=True)


def test_trials_that_train_are_told_from_those_that_were_interrupted(here):
    store = stored(here / "logs", "mine", trials=1)
    from ablate.config import load_study
    from ablate.execution.plan import plan

    study = load_study(here / "mine.yaml")
    first, second, _ = plan(study, store).todo
    for trial in (first, second):
        store.work(trial.id).mkdir(parents=True)
    seen = progress(study, logs=here / "logs")
    assert not seen.running
    assert seen.interrupted == ((first.variant, first.seed), (second.variant, second.seed))
    with store.lock():
        since = store.held_since()
        os.utime(store.work(first.id), (since - 60, since - 60))
        os.utime(store.work(second.id), (since + 60, since + 60))
        seen = progress(study, logs=here / "logs")
    assert seen.running == ((second.variant, second.seed),)
    assert seen.interrupted == ((first.variant, first.seed),)


def test_a_driver_that_was_killed_holds_nothing(here):
    store = Store(here / "logs", "mine")
    assert store.held_since() is None
    with store.lock():
        owner = (store.root / ".owner").read_text()
        assert store.held_since() is not None
    assert store.held_since() is None
    (store.root / ".owner").write_text(owner)  # as a kill leaves it
    assert store.held_since() is None
