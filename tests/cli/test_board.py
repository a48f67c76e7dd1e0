"""`ablate board`, with a TensorBoard that only says where it would be."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest

from ablate.cli import run_cli
from ablate.config import load_study
from ablate.events.files import read
from ablate.events.server import runs_in
from ablate.execution.plan import plan
from ablate.store import Store
from ablate.study.trial import Spec, TrialResult

STUDY = """
study: {name}
data: {{name: digits}}
model: {{name: mlp}}
seeds: {seeds}
variants:
  plain: {{}}
  fast: {{train: {{learning_rate: 0.5}}}}
"""


MISTAKES = {
    "mistakes/epochs": np.array([1]),
    "mistakes/confusion": np.eye(2)[None],
    "mistakes/class_names": np.array(["a", "b"]),
}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def finished(logs):
    """Return a function that puts a study with results under the logs folder."""

    def make(name: str, seeds: int | list[int] = 2, trials: bool = True) -> Store:
        file = logs.parent / f"{name}.yaml"
        file.write_text(STUDY.format(name=name, seeds=seeds))
        store = Store(logs, name)
        study = load_study(file)
        store.write_study(file.read_text())
        for trial in plan(study, store).trials if trials else ():
            store.save(
                TrialResult(
                    id=trial.id, variant=trial.variant, seed=trial.seed, status="completed",
                    spec=trial.spec.model_dump(mode="json", by_alias=True),
                    metrics={"val_accuracy": 0.9, "test_accuracy": 0.9},
                    curves={"loss": [None, 0.5], "val_accuracy": [0.1, 0.9]}, epochs=1,
                    probes=("mistakes",),
                ),
                MISTAKES,
            )  # fmt: skip
        return store

    return make


@pytest.fixture
def shown(monkeypatch):
    """Stand in for TensorBoard: note the runs it would show, and stop as Ctrl-C does."""
    seen = {}

    @contextmanager
    def serve(logdir, port=None):
        seen["runs"], seen["port"] = runs_in(logdir), port
        yield SimpleNamespace(url="http://127.0.0.1:6006/", wait=stop)

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablate.events.server.serve", serve)
    return seen


def test_a_study_is_written_where_it_is_missing_and_shown(finished, shown, logs, capsys):
    finished("one")
    assert run_cli(["board", "one", "--logs", str(logs), "--port", "6010"]) == 0
    said = capsys.readouterr().out
    assert "one: 4 trials in 15 TensorBoard runs." in said
    assert "http://127.0.0.1:6006/#custom_scalars\n" in said
    assert "TensorBoard has ended." in said
    assert shown["port"] == 6010
    assert "fast/seed1/validation" in shown["runs"]


def test_what_is_up_to_date_is_not_written_again(finished, shown, logs, capsys):
    store = finished("one")
    run_cli(["board", "one", "--logs", str(logs), "--quiet"])
    before = sorted(store.tensorboard.rglob("*"))
    run_cli(["board", "one", "--logs", str(logs)])
    assert sorted(store.tensorboard.rglob("*")) == before
    run_cli(["board", "one", "--logs", str(logs), "--rebuild"])
    assert sorted(store.tensorboard.rglob("*")) != before
    assert shown["runs"] == runs_in(store.tensorboard)


def test_images_are_drawn_when_they_are_looked_at(finished, shown, logs):
    store = finished("one", seeds=3)
    run_cli(["board", "one", "--logs", str(logs)])
    drawn = {each.parent.name for each in store.tensorboard.rglob("*.drawn")}
    assert drawn == {"seed0", "seed1"}
    tags = [
        value.tag
        for path in store.tensorboard.rglob("*.drawn")
        for event in read(path)
        for value in event.summary.value
    ]
    assert tags.count("mistakes/confusion") == 4


def test_without_a_study_all_are_shown_side_by_side(finished, shown, logs):
    finished("one"), finished("two")
    assert run_cli(["board", "--logs", str(logs)]) == 0
    assert {"one", "two", "one/plain/seed0", "two/fast/seed1/train"} <= set(shown["runs"])


def test_beyond_250_runs_the_rest_is_left_out_and_said(finished, shown, logs, capsys):
    finished("many", seeds=45)
    run_cli(["board", "many", "--logs", str(logs)])
    assert "82 of 90 trials in 249 TensorBoard runs" in capsys.readouterr().out
    run_cli(["board", "many", "--logs", str(logs), "--all-runs"])
    assert "90 trials in 273 TensorBoard runs." in capsys.readouterr().out


def test_a_study_that_runs_is_not_touched(finished, shown, logs, capsys):
    store = finished("one")
    with store.lock():
        assert run_cli(["board", "one", "--logs", str(logs)]) == 0
        assert "one: shown as it is. Study 'one' is being run" in capsys.readouterr().out
        assert run_cli(["board", "one", "--logs", str(logs), "--rebuild"]) == 2
    assert not store.tensorboard.exists()


def test_json_is_one_document(finished, shown, logs, capsys):
    finished("one")
    run_cli(["board", "one", "--logs", str(logs), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["logdir"] == str(logs / "one/tensorboard")


def test_a_search_opens_where_it_has_data(finished, shown, logs, capsys):
    store = finished("one", trials=False)
    found = []
    for variant in ("plain", "fast"):
        for number in range(12):
            spec = Spec.model_validate(
                {"data": {"name": "digits"}, "model": {"name": "mlp"},
                 "train": {"learning_rate": 0.01 * (number + 1), "threads": 1}}
            )  # fmt: skip
            trial = f"{variant}{number}"
            store.save(TrialResult(
                id=trial, variant=variant, seed=10000, status="completed",
                spec=spec.model_dump(mode="json", by_alias=True),
                curves={"val_loss": [2.0, 1.0]}, metrics={"val_loss": 1.0}, epochs=1,
            ))  # fmt: skip
            found.append({"variant": variant, "point": f"p{number:03}", "seed": 10000,
                          "status": "completed", "trial": trial})  # fmt: skip
    store.write_search(found)
    assert run_cli(["board", "one", "--logs", str(logs)]) == 0
    address = re.search("http://[^\n]+", capsys.readouterr().out)[0]
    place, pattern = address.split("&regexInput=")
    assert place == "http://127.0.0.1:6006/#hparams"
    found = [each for each in shown["runs"] if re.search(unquote(pattern), each)]
    assert len(found) == 24
    assert found[0] == "search/fast/p000/seed10000/validation"


def test_seeds_need_not_begin_at_0(finished, shown, logs, capsys):
    finished("one", seeds=[*range(4, 14)])
    run_cli(["board", "one", "--logs", str(logs)])
    address = re.search("http://[^\n]+", capsys.readouterr().out)[0]
    pattern = unquote(address.split("#custom_scalars&regexInput=")[1])
    found = {each for each in shown["runs"] if re.search(pattern, each)}
    assert found > {"fast", "plain", "fast/seed4", "plain/seed4/train"}
    assert not any("seed5" in each for each in found)


@pytest.mark.parametrize("arguments", [["one"], ["one", "--json"], ["one", "--rebuild"], []])
def test_with_nothing_to_show_it_says_so_and_opens_nothing(
    finished, shown, logs, capsys, arguments
):
    finished("one", trials=False)
    assert run_cli(["board", *arguments, "--logs", str(logs)]) == 2
    said = capsys.readouterr()
    assert not shown and not said.out
    assert "'one'" in said.err and f"under {logs}/" in said.err


def test_without_any_study_it_says_what_to_do(shown, logs, capsys):
    assert run_cli(["board", "--logs", str(logs)]) == 2
    assert "Run one first" in capsys.readouterr().err
