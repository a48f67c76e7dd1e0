"""What a person's own code writes is kept apart; nothing of theirs changes."""

import os
import shutil
from pathlib import Path

import keras
import pytest

from ablate.data.written_files import Files, guarded


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The person's folder, the current one, with a file and a folder of theirs."""
    place = tmp_path / "mine"
    (place / "old").mkdir(parents=True)
    (place / "best.txt").write_text("mine")
    (place / "old" / "run.txt").write_text("mine, too")
    monkeypatch.chdir(place)
    return place


def content(folder):
    return {
        each.relative_to(folder).as_posix(): each.read_text()
        for each in folder.rglob("*")
        if each.is_file()
    }


BEFORE = {"best.txt": "mine", "old/run.txt": "mine, too"}


def test_what_is_written_over_moved_or_removed_stays(mine, tmp_path):
    with guarded(Files(tmp_path / "work" / "files", everything=True)):
        with open("best.txt", "a") as stream:
            stream.write(" and other")
        assert Path("best.txt").read_text() == "mine and other"
        with open("best.txt", "a") as stream:
            stream.write("s")
        Path("draft.txt").write_text("new")
        os.replace("draft.txt", "old/run.txt")
        assert Path("old/run.txt").read_text() == "new"
        shutil.rmtree("old")
        os.makedirs("old")
        (tmp_path / "elsewhere.txt").write_text("away")
        Path("new").mkdir()
        Path("new/rows.txt").write_text("rows")
        os.remove("new/rows.txt")
    assert content(mine) == BEFORE
    assert not (tmp_path / "elsewhere.txt").exists()
    kept = content(tmp_path / "work" / "files")
    assert kept.pop("best.txt") == "mine and others" and kept.pop("old/run.txt") == "new"
    assert list(kept.values()) == ["away"]


def test_what_is_removed_or_moved_away_only_seems_to_be(mine, tmp_path):
    with guarded(Files(tmp_path / "work" / "files")):
        os.remove("best.txt")
        with pytest.raises(FileNotFoundError):
            Path("best.txt").read_text()
        os.rename("old/run.txt", "kept.txt")
        assert Path("kept.txt").read_text() == "mine, too"
        with pytest.raises(FileNotFoundError):
            Path("old/run.txt").read_text()
        Path("own.txt").write_text("new")
        os.remove("own.txt")
    assert content(mine) == BEFORE | {"kept.txt": "mine, too"}


def test_what_is_ours_is_written_as_ever(mine, tmp_path):
    files = Files(tmp_path / "work" / "files", everything=True)
    with guarded(files):
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "work" / "draft").write_text("checkpoint")
        os.replace(tmp_path / "work" / "draft", tmp_path / "work" / "checkpoint")
        with files.idle():
            (tmp_path / "events").write_text("told")
    assert content(tmp_path / "work") == {"checkpoint": "checkpoint"}
    assert (tmp_path / "events").read_text() == "told"


def test_models_are_saved_and_loaded_there(mine, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with guarded(Files(tmp_path / "work" / "files", everything=True)):
        model.save("net.keras")
        model.save_weights("net.weights.h5")
        again = keras.models.load_model("net.keras")
        again.load_weights("net.weights.h5")
    assert [each.tolist() for each in again.get_weights()] == [
        each.tolist() for each in model.get_weights()
    ]
    assert content(mine) == BEFORE
    names = sorted(os.listdir(tmp_path / "work" / "files"))
    assert names == ["net.keras", "net.weights.h5"]
