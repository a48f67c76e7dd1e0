"""`ablate run` from its arguments to its exit status, with outcomes that are ready beforehand.

What training gives is tested elsewhere; one test here trains.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ablate.cli import run_cli
from ablate.execution.local import Inline
from ablate.execution.messages import Done, Finished
from ablate.store import Store
from ablate.study.progress import Event
from ablate.study.results import StudyResults
from tests.execution.finished import record

STUDY = """
study: tiny
data: {name: digits, limit: 60}
model: {name: mlp, units: [4]}
train: {epochs: 1, threads: 1}
execution: {executor: inline}
seeds: 3
variants:
  plain: {}
  bn: {insert: [{layer: BatchNormalization, at: before_activation, where: hidden}]}
profiles: {quick: {seeds: 1, train.epochs: 4}}
"""


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def ran(file, tmp_path, capsys):
    """Run a study and return the status, what it printed and what it complained of."""

    def run(*arguments: str, study: str | None = None) -> tuple[int, str, str]:
        status = run_cli(["run", study or str(file), "--logs", str(tmp_path / "logs"), *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


class Changes(dict):
    """Changes to the outcome of a trial, or what is raised, by (variant, seed); and who trained."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[tuple[str, int]] = []


@pytest.fixture
def outcomes(monkeypatch):
    """What becomes of trials, by variant and seed, where it is not that they complete."""
    changes = Changes()

    def poll(self, timeout):
        if not self._tasks:
            return []
        task, said = self._tasks.popleft(), []
        for trial in task.trials:
            change = changes.get((trial.variant, trial.seed), {})
            if isinstance(change, type) and not said:
                self._tasks.clear()
                raise change
            if isinstance(change, type):  # at the next poll; what was said before it counts
                at = task.trials.index(trial)
                self._tasks.appendleft(replace(task, trials=task.trials[at:]))
                return said
            changes.trained.append((trial.variant, trial.seed))
            said += [Event(trial.id, "started"), Finished(replace(record(trial), **change))]
        return [*said, Done(task)]

    monkeypatch.setattr(Inline, "call", lambda self, function, *arguments: [])
    monkeypatch.setattr(Inline, "poll", poll)
    return changes


ALL = [("plain", 0), ("plain", 1), ("plain", 2), ("bn", 0), ("bn", 1), ("bn", 2)]


def test_it_trains_says_what_came_of_it_and_how_to_go_on(ran, outcomes, tmp_path):
    status, out, err = ran()
    assert (status, err) == (0, "")
    assert sorted(outcomes.trained) == sorted(ALL)
    assert out.splitlines()[:3] == [
        "Study tiny: planning …",
        "Starting workers, building 2 variants …",
        "Training 6 trials.",
    ]
    assert "6/6 trials in " in out
    assert "tiny: 6 of 6 trials completed" in out
    assert out.endswith("More: ablate report tiny · ablate board tiny\n")
    assert (tmp_path / "logs/tiny/results.csv").read_text().count("\n") == 7


def test_a_run_its_board_and_its_report_have_one_analysis(ran, outcomes, monkeypatch):
    from ablate.analysis import assemble

    analysed, analyze = [], assemble.analyze

    def counting(results, *arguments, **named):
        analysed.extend([results] if isinstance(results, StudyResults) else [])
        return analyze(results, *arguments, **named)

    monkeypatch.setattr(assemble, "analyze", counting)
    _, out, _ = ran()
    assert "tiny: 6 of 6 trials completed" in out
    assert len(analysed) == 1


def test_a_second_time_nothing_is_left(ran, outcomes):
    _, first, _ = ran()
    outcomes.trained.clear()
    for study in (None, "tiny"):  # the file, and the study's name
        status, out, _ = ran(study=study)
        assert status == 0
        assert "\nNothing to train: 6 trials already done.\n" in out
        assert out.partition("tiny: 6 of 6")[2] == first.partition("tiny: 6 of 6")[2]
    assert not outcomes.trained


def test_a_study_that_grows_trains_what_is_new(ran, outcomes):
    ran("--seeds", "2")
    assert sorted(outcomes.trained) == [("bn", 0), ("bn", 1), ("plain", 0), ("plain", 1)]
    outcomes.trained.clear()
    status, out, _ = ran("--seeds", "1,5")
    assert status == 0
    assert sorted(outcomes.trained) == [("bn", 5), ("plain", 5)]
    assert (
        "Training 2 trials (2 already done). 2 trials on disk no longer planned: kept, not counted."
        in out
    )


def test_fresh_sets_earlier_results_aside(ran, outcomes, tmp_path):
    ran()
    outcomes.trained.clear()
    status, out, _ = ran("--fresh")
    assert status == 0 and "already done" not in out
    assert len(outcomes.trained) == 6
    aside = [each.name for each in (tmp_path / "logs").iterdir() if each.name != "tiny"]
    assert len(aside) == 1 and aside[0].startswith("tiny.")
    assert len(Store(tmp_path / "logs", aside[0]).results()) == 6


def test_a_failed_trial_is_said_with_its_reason_and_runs_again(ran, outcomes):
    outcomes["bn", 1] = {"status": "failed", "error": "Traceback…\nValueError: no such thing"}
    status, out, _ = ran()
    assert status == 1
    assert "bn seed 1" in out and "no such thing" in out
    assert "tiny: 5 of 6 trials completed" in out
    status, _, _ = ran("--quiet")
    assert status == 1
    outcomes.clear(), outcomes.trained.clear()
    status, out, _ = ran()
    assert status == 0
    assert outcomes.trained == [("bn", 1)]


def test_a_diverged_trial_is_an_outcome(ran, outcomes):
    outcomes["bn", 1] = {
        "status": "diverged", "diverged": {"epoch": 1, "step": 2}, "metrics": {},
    }  # fmt: skip
    status, out, _ = ran()
    assert status == 0
    assert "bn seed 1 at epoch 1, step 2" in out
    outcomes.trained.clear()
    assert ran()[0] == 0
    assert not outcomes.trained


def test_ctrl_c_says_what_is_kept_and_the_same_command_goes_on(ran, outcomes):
    outcomes["bn", 1] = KeyboardInterrupt
    status, _, err = ran()
    done = set(outcomes.trained)
    assert status == 130
    assert ("bn", 0) in done and not done & {("bn", 1), ("bn", 2)}
    assert f"{len(done)} trials finished and saved, {6 - len(done)} left" in err
    assert "Run the same command again" in err
    outcomes.clear(), outcomes.trained.clear()
    status, out, _ = ran()
    assert status == 0
    assert set(outcomes.trained) == set(ALL) - done
    assert f"Training {6 - len(done)} trials ({len(done)} already done)." in out


def test_json_is_one_document_and_nothing_else(ran, outcomes):
    outcomes["bn", 1] = {"status": "failed", "error": "ValueError: no"}
    status, out, err = ran("--json")
    assert (status, err) == (1, "")
    found = json.loads(out)
    assert (found["study"], found["baseline"], found["metric"]) == (
        "tiny",
        "plain",
        "test_accuracy",
    )


def test_quiet_prints_results_only(ran, outcomes):
    status, out, err = ran("--quiet")
    assert (status, err) == (0, "")
    assert "Test accuracy" in out
    assert not any(each in out for each in ("Training", "already done", "More:"))


def test_options_change_the_study(ran, outcomes, tmp_path):
    status, _, _ = ran(
        "--profile", "quick", "--set", "train.learning_rate=0.5",
        "--set", "variants.bn.insert[0].momentum=0.5", "--workers", "1",
    )  # fmt: skip
    assert status == 0
    assert sorted(outcomes.trained) == [("bn", 0), ("plain", 0)]
    (bn,) = (
        each for each in Store(tmp_path / "logs", "tiny").results().values() if each.variant == "bn"
    )
    assert bn.spec["train"]["learning_rate"] == 0.5
    assert bn.spec["train"]["epochs"] == 4
    assert bn.spec["insert"][0]["momentum"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "train.epoch=3"], "unknown key 'epoch'. Did you mean 'epochs'?"),
        (["--set", "train.epochs=many"], "train.epochs"),
        (["--set", "train.epochs"], "expected path=value"),
        (["--set", "train.optimizer=adagra"], "Did you mean 'adagrad'?"),
        (["--set", "variants.bn.insrt=[]"], "Did you mean 'insert'?"),
        (["--profile", "quik"], "no profile 'quik'. Did you mean 'quick'?"),
        (["--seeds", "three"], "--seeds: expected how many (7) or which (0,2,5)"),
        (["--seeds", "0"], "seeds"),
        (["--workers", "few"], "expected auto or a whole number"),
        (["--executor", "serail"], "'serail' is not one of"),
        (["--seed", "3"], "--seeds"),
        (["--logz", "here"], "--logs"),
    ],
)
def test_what_is_mistyped_is_refused_with_what_was_meant(ran, tmp_path, arguments, words):
    status, out, err = ran(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert not (tmp_path / "logs").exists()


def test_a_study_that_is_not_there_is_named_with_its_like(ran, outcomes, tmp_path):
    ran("--seeds", "1")
    status, _, err = ran(study="tinny")
    assert status == 2
    assert f"'tinny' is neither a study file nor a study under {tmp_path / 'logs'}/." in err
    assert "Did you mean 'tiny'?" in err


def test_a_mistyped_file_is_named_with_its_like(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(STUDY)
    status, _, err = ran(study="mien.yaml")
    assert (status, "Did you mean 'mine.yaml'?" in err) == (2, True)


def test_what_only_a_model_can_refuse_is_refused_before_training(ran, tmp_path, monkeypatch):
    monkeypatch.setattr(Inline, "submit", lambda self, task: pytest.fail("it trained"))
    status, _, err = ran("--set", "variants.bn.insert[0].where=Conv2D", "--seeds", "1")
    assert status == 2
    assert "Conv2D" in err
    assert not list((tmp_path / "logs").rglob("trials/*.json"))


def test_a_study_trains(ran):
    status, out, err = ran("--seeds", "1", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["study"] == "tiny"
