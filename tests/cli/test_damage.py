"""Commands on a damaged log folder: each ends with a message, and nothing sound is lost.

A study of two variants and two seeds is trained once. One file at a time is damaged in a copy of
it, and a command is run on that. The fast part has every damage once; the product is slow.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ablate.cli import run_cli
from ablate.config import dump_study
from ablate.execution.run import run
from ablate.search import search_table
from ablate.search.search_table import Point
from ablate.store import Store
from tests.execution.finished import finish, small

NAME = "small"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The logs of the study, trained; its file stands beside them."""
    folder = tmp_path_factory.mktemp("finished")
    study = small(
        probes=["activations"],
        search={"space": {"train.learning_rate": {"float": [0.01, 1.0]}}, "trials": 1},
    )
    (folder / "small.yaml").write_text(dump_study(study))
    results = run(study, logs=folder / "logs", executor="inline", watchers=[])
    assert results.counts() == {"completed": 4}
    store = Store(folder / "logs", NAME)
    point = Point("bn", "0", {"train.learning_rate": 0.1}, {10_000: "f" * 64})
    search_table.write(store, [point], {})
    store.write_digests({"/somewhere": [1, 2, "0" * 64]})
    return folder


@pytest.fixture
def store(finished, tmp_path, monkeypatch):
    """A copy of it that may be damaged; commands work in its folder."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Store("logs", NAME)


def trials(store: Store) -> list[str]:
    return sorted(each.stem for each in store.trials.glob("*.json"))


Place = Callable[[Store], Path]

#: What is damaged -> where it stands.
FILES: dict[str, Place] = {
    "record": lambda store: store.result_file(trials(store)[0]),
    "arrays": lambda store: store.arrays_file(trials(store)[0]),
    "study.yaml": lambda store: store.study_file,
    "results.csv": lambda store: store.results_csv,
    "search.csv": lambda store: store.search_csv,
    ".digests.json": lambda store: store.logs / ".digests.json",
    ".owner": lambda store: store.root / ".owner",
    ".lock": lambda store: store.root / ".lock",
    "event file": lambda store: next(store.tensorboard.rglob("*tfevents*")),
    "report.html": lambda store: store.report_html,
    "message": lambda store: handed_in(store),
}


def handed_in(store: Store) -> Path:
    """The message of a worker whose driver was killed before it read it."""
    trial = trials(store)[0]
    place = store.work(trial)
    place.mkdir(parents=True)
    store.arrays_file(trial).rename(place / "probes.npz")
    return store.result_file(trial).rename(place / "result.json")


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda place: place.write_bytes(content)


def _half(place: Path) -> None:
    content = place.read_bytes() if place.exists() else b""
    place.write_bytes(content[: len(content) // 2])


def _folder(place: Path) -> None:
    place.unlink(missing_ok=True)
    (place / "inside").mkdir(parents=True)


def _link(place: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to("nowhere")


#: Damages of any file.
DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _half,
    "empty": _write(b""),
    "null": _write(b"null"),
    "list": _write(b"[1,2]"),
    "number": _write(b"3"),
    "mapping": _write(b"{}"),
    "text": _write(b'"x"'),
    "no utf-8": _write(b"\xff\xfe\xfa"),
    "zeros": _write(bytes(100)),
    "NaN": _write(b"NaN"),
    "brackets": _write(b"[" * 100_000),
    "folder": _folder,
    "dangling link": _link,
}


def _with(**fields) -> Callable[[Path], object]:
    def damage(place: Path) -> None:
        document = json.loads(place.read_bytes())
        place.write_text(json.dumps({**document, **fields}))

    return damage


def _without_id(place: Path) -> None:
    document = json.loads(place.read_bytes())
    del document["id"]
    place.write_text(json.dumps(document))


def _swapped(place: Path) -> None:
    other = max(place.parent.glob("*.json"))
    first, second = place.read_bytes(), other.read_bytes()
    place.write_bytes(second)
    other.write_bytes(first)


def _copied_over(place: Path) -> None:
    place.write_bytes(max(place.parent.glob("*.json")).read_bytes())


#: Damages of a record or a worker's message alone.
CONTENTS: dict[str, Callable[[Path], object]] = {
    "metrics null": _with(metrics=None),
    "metrics text": _with(metrics="x"),
    "curves null": _with(curves=None),
    "curves text": _with(curves={"loss": "x"}),
    "spec null": _with(spec=None),
    "spec of numbers": _with(spec={"train": 3, "insert": 4}),
    "spec without sections": _with(spec={"train": {}, "insert": [3]}),
    "another's seed": _with(seed=1000),
    "later status": _with(status="paused"),
    "no id": _without_id,
    "another's id": _with(id="0" * 64),
}

#: Damages that take another trial's record.
PAIRS: dict[str, Callable[[Path], object]] = {"swapped": _swapped, "copied over": _copied_over}

#: Files that a page is drawn from.
DRAWN = ("record", "arrays", "search.csv", "report.html")

CASES = [(file, name) for file in FILES for name in DAMAGES]
CASES += [(file, name) for file in ("record", "message") for name in CONTENTS]
CASES += [("record", name) for name in PAIRS]

COMMANDS = {
    "status": ["status"],
    "status STUDY": ["status", NAME],
    "plan": ["plan", NAME, "--quick"],
    "report": ["report", NAME],
    "report html": ["report", NAME, "--format", "html"],
    "run": ["run", NAME, "--executor", "inline"],
    "run FILE": ["run", "small.yaml", "--executor", "inline"],
}


def carry_out(command: str, capsys) -> str:
    """Run a command as its user does and return what it said."""
    status = run_cli(COMMANDS[command])
    out, err = capsys.readouterr()
    assert status in (0, 1, 2)
    assert (out + err).strip()
    for dump in ("Traceback", "BadZipFile", "Stopped.", "JSONDecodeError", "RecursionError"):
        assert dump not in out + err
    if status == 2:
        assert "Error: " in err
    return out + err


def tree(store: Store) -> dict[str, bytes]:
    """Return every file of trials and of workers."""
    places = [*store.trials.rglob("*"), *store.works.rglob("*")]
    return {str(each): each.read_bytes() for each in places if each.is_file()}


def numbers(store: Store) -> dict[str, tuple]:
    return {
        trial: (result.status, dict(result.metrics), dict(result.curves), result.probes)
        for trial, result in store.results().items()
    }


#: What is read by whom, and so is named by them.
NAMED = {"status": ("record", "arrays", "search.csv", "message"), "plan": ("record", "arrays"),
         "report": ("record", "arrays", "search.csv")}  # fmt: skip


def hold(store: Store, file: str, name: str, command: str, finished: Path, capsys) -> None:
    """Damage a file, run a command, and see that all is said and all else is as it was."""
    sound = tree(store)
    place = FILES[file](store)
    (DAMAGES | CONTENTS | PAIRS)[name](place)
    damaged = tree(store)
    untouched = {each: content for each, content in sound.items() if damaged.get(each) == content}
    said = carry_out(command, capsys)
    after = tree(store)
    if command.startswith("run"):
        if file == "study.yaml" and command == "run":
            assert "study.yaml" in said  # the study itself cannot be read by its name
        else:
            again = Store(finished / "logs", NAME)
            assert numbers(store) == numbers(again)
            assert {each.id for each in store.results().values()} == set(trials(again))
            assert all(store.has_arrays(trial) for trial in trials(store))
        # Arrays of a trial that is trained again are written again, equal or not in their bytes.
        untouched = {
            each: content for each, content in untouched.items()
            if place.stem not in each and "probes.npz" not in each
        }  # fmt: skip
    else:
        assert after == damaged  # who only looks renames nothing
    assert {each: after.get(each) for each in untouched} == untouched
    kind = next((each for each in NAMED if command.startswith(each)), "run")
    if file in NAMED.get(kind, ("record", "arrays", "message")):
        assert f"{place.name} " in said and "Note: " in said


def ids(value: str) -> str:
    return value.replace(" ", "-")


@pytest.mark.parametrize(("file", "name"), CASES, ids=ids)
def test_status_on_a_damaged_folder(store, file, name, finished, capsys):
    hold(store, file, name, "status STUDY", finished, capsys)


@pytest.mark.parametrize(
    ("file", "name"),
    [("record", "truncated"), ("record", "swapped"), ("record", "folder"), ("arrays", "empty"),
     ("message", "another's id"), (".lock", "folder"), ("search.csv", "zeros")],
    ids=ids,
)  # fmt: skip
def test_run_on_a_damaged_folder_trains_again(store, file, name, finished, capsys):
    hold(store, file, name, "run", finished, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name"), CASES, ids=ids)
@pytest.mark.parametrize("command", [each for each in COMMANDS if each != "status STUDY"], ids=ids)
def test_every_command_on_a_damaged_folder(store, file, name, command, finished, capsys):
    if command == "report html" and file not in DRAWN:
        command = "report"  # says the same, and draws nothing
    hold(store, file, name, command, finished, capsys)


def test_who_only_looks_needs_to_write_nothing(store, capsys, monkeypatch):
    """On a folder that cannot be written to, damaged or not."""
    FILES["record"](store).write_bytes(b"null")
    FILES["search.csv"](store).write_bytes(b"null")
    (store.logs / ".digests.json").unlink()

    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    for module, name in ((os, "replace"), (os, "rename"), (os, "mkdir"), (os, "unlink")):
        monkeypatch.setattr(module, name, read_only)
    for command in ("status", "status STUDY", "plan", "report"):
        said = carry_out(command, capsys)
        assert "Error: " not in said and said.count("is no sound record") == 1


def test_a_study_that_cannot_be_read_hides_no_other(store, capsys):
    shutil.copytree(store.root, store.logs / "broken")
    (store.logs / "broken" / "study.yaml").write_text("study: [")
    assert run_cli(["status"]) == 2
    out, err = capsys.readouterr()
    assert "small: 4 completed" in out
    assert "Error: logs/broken/study.yaml" in err


@pytest.mark.parametrize("name", ["truncated", "empty", "text", "zeros", "folder", "dangling link"])
@pytest.mark.parametrize("command", ["status STUDY", "plan", "report", "run"])
def test_data_of_a_study_that_is_damaged_is_named(tmp_path, monkeypatch, capsys, name, command):
    """The records stay, and those of the rows as they were are found again with them."""
    monkeypatch.chdir(tmp_path)
    rows = tmp_path / "rows.npz"
    draw = np.random.default_rng(0)
    np.savez(rows, x_train=draw.normal(size=(40, 3)).astype("float32"), y_train=np.arange(40) % 2)
    content = rows.read_bytes()
    store = finish(small(data={"path": str(rows)}), tmp_path / "logs")
    before = tree(store)
    DAMAGES[name](rows)
    said = carry_out(command, capsys)
    assert "rows.npz" in said
    after = tree(store)
    assert {each: after.get(each) for each in before} == before
    shutil.rmtree(rows) if rows.is_dir() else rows.unlink()
    rows.write_bytes(content)
    assert run_cli(["status", NAME]) == 0
    assert "4 completed" in capsys.readouterr().out
