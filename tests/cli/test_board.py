"""`ablate board`, with a TensorBoard that only says where it would be."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from ablate.cli import run_cli
from ablate.events.files import read
from ablate.events.server import runs_in
from ablate.study.trial import Spec, TrialResult
from tests.cli.stored import stored


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def finished(logs):
    """Return a function that puts a study with results under the logs folder."""
    return partial(stored, logs)


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
    assert "one: 4 trials in 3 TensorBoard runs; each seed by itself: --seeds." in said
    assert "http://127.0.0.1:6006/?smoothing=0#custom_scalars&_smoothingWeight=0\n" in said
    assert "TensorBoard has ended." in said
    assert shown["port"] == 6010
    assert shown["runs"] == [".", "fast", "plain"]
    assert run_cli(["board", "one", "--logs", str(logs), "--seeds"]) == 0
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
    assert drawn == {"plain", "fast"}
    tags = [
        value.tag
        for path in store.tensorboard.rglob("*.drawn")
        for event in read(path)
        for value in event.summary.value
    ]
    assert tags.count("mistakes/confusion, seed 0") == 2


def test_without_a_study_all_are_shown_side_by_side(finished, shown, logs):
    finished("one"), finished("two")
    assert run_cli(["board", "--logs", str(logs)]) == 0
    assert {"one", "two", "one/plain", "two/fast"} <= set(shown["runs"])
    assert not any("seed" in each for each in shown["runs"])
    assert run_cli(["board", "--logs", str(logs), "--seeds"]) == 0
    assert {"one/plain/seed0", "two/fast/seed1/train"} <= set(shown["runs"])


def test_beyond_250_runs_the_rest_is_left_out_and_said(finished, shown, logs, capsys):
    finished("many", seeds=45)
    run_cli(["board", "many", "--logs", str(logs)])
    assert "--seeds, of 82 trials; of the other 8 too: --all-runs" in capsys.readouterr().out
    run_cli(["board", "many", "--logs", str(logs), "--seeds"])
    assert len(shown["runs"]) == 249
    run_cli(["board", "many", "--logs", str(logs), "--all-runs"])
    assert len(shown["runs"]) == 273


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
    assert "#custom_scalars" in address
    assert {"search/fast", "search/fast/p000/seed10000"} <= set(shown["runs"])


def test_seeds_need_not_begin_at_0(finished, shown, logs, capsys):
    finished("one", seeds=[*range(4, 14)])
    run_cli(["board", "one", "--logs", str(logs), "--seeds"])
    address = re.search("http://[^\n]+", capsys.readouterr().out)[0]
    pattern = unquote(address.split("&regexInput=")[1])
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
