"""`ablate plan`: what would be trained, and that nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ablate.cli import run_cli
from ablate.config import load_study
from ablate.execution.local import Inline
from tests.cli.test_run import STUDY
from tests.execution.finished import finish


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def planned(file, tmp_path, capsys):
    """Plan a study and return the status, what it printed and what it complained of."""

    def plan(*arguments: str, study: str | None = None) -> tuple[int, str, str]:
        logs = str(tmp_path / "logs")
        status = run_cli(["plan", study or str(file), "--logs", logs, *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return plan


@pytest.fixture
def here(monkeypatch):
    """Let models be built in this process: a plan's own worker takes seconds to start."""
    monkeypatch.setattr(
        "ablate.execution.run.make_executor",
        lambda execution, store, threads: Inline(store.works, threads=threads),
    )


def rows(document: str) -> dict[str, dict]:
    return {each["variant"]: each for each in json.loads(document)["rows"]}


def test_it_shows_the_layers_and_what_is_left(planned, here, tmp_path):
    status, out, err = planned()
    assert (status, err) == (0, "")
    assert "dense1_bn: BatchNormalization between dense1" in out
    assert "plain (baseline)" in out
    assert "6 trials left" in out
    assert not (tmp_path / "logs").exists()


def test_json_has_the_same_as_one_document(planned, here):
    status, out, err = planned("--json")
    assert (status, err) == (0, "")
    found = rows(out)
    assert json.loads(out)["todo"] == 6
    assert found["plain"]["parameters"] < found["bn"]["parameters"]
    assert [found[each]["baseline"] for each in ("plain", "bn")] == [True, False]
    assert len(found["bn"]["inserted"]) == 1 and not found["plain"]["inserted"]


def test_quick_builds_no_model(planned, monkeypatch):
    import keras

    monkeypatch.setattr(keras.Model, "__init__", lambda *_, **__: pytest.fail("a model was built"))
    status, out, _ = planned("--quick")
    assert status == 0
    assert "parameters" not in out and "6 trials left" in out
    assert rows(planned("--quick", "--json")[1])["bn"]["parameters"] is None


def test_what_is_done_is_counted(planned, file, tmp_path):
    finish(load_study(file), tmp_path / "logs")
    for study in (None, "tiny"):
        status, out, _ = planned("--quick", study=study)
        assert status == 0
        assert "Nothing is left to train." in out
    found = json.loads(planned("--quick", "--json", "--seeds", "1,7")[1])
    assert (found["todo"], found["dropped"]) == (2, 4)
    assert {each["statuses"]["completed"] for each in found["rows"]} == {1}


def test_it_says_what_the_seeds_can_show_from_those_that_are_trained(planned, file, tmp_path):
    nothing = planned("--quick")[1]
    assert "Nothing trained in this folder tells how large that is" in nothing.replace("\n", " ")
    finish(load_study(file), tmp_path / "logs")
    own = json.loads(planned("--quick", "--json", "--seeds", "8")[1])
    assert own["schema_version"] == 1
    other = json.loads(planned("--quick", "--json", "--set", "study=other")[1])
    found = [each["prospect"] for each in (own, other)]
    assert [each["pilot"] for each in found] == ["the seeds so far", "tiny"]
    assert [(each["seeds"], each["comparisons"]) for each in found] == [(8, 1), (3, 1)]
    sd = np.std([0.052, 0.048, 0.052], ddof=1)
    assert [each["sd"] for each in found] == pytest.approx([sd, sd])


def test_options_change_what_is_planned(planned):
    found = rows(planned("--quick", "--json", "--profile", "quick")[1])
    assert {(each["trials"], each["epochs"]) for each in found.values()} == {(1, 4)}
    found = rows(planned("--quick", "--json", "--seeds", "2", "--set", "train.epochs=5")[1])
    assert {(each["trials"], each["epochs"]) for each in found.values()} == {(2, 10)}
    status, out, _ = planned("--quick", "--executor", "processes", "--workers", "1")
    assert status == 0 and "on 1 worker of 1 thread" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "train.bach_size=3"], "Did you mean 'batch_size'?"),
        (["--set", "variants.bn.insert[0].where=dens"], "dens"),
        (["--set", "variants.twin={}"], "twin"),  # the same trials as plain's
        (["--profile", "fast"], "no profile 'fast'"),
        (["--seeds", "1,1"], "seeds"),
        (["--quik"], "--quick"),
    ],
)
def test_what_cannot_be_is_refused(planned, here, tmp_path, arguments, words):
    status, out, err = planned(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert not (tmp_path / "logs").exists()


def test_a_file_that_is_not_there_is_named(planned):
    status, _, err = planned(study="nowhere.yaml")
    assert status == 2
    assert "'nowhere.yaml' is neither a study file nor a study under" in err


def test_images_shows_rows_as_each_augmentation_makes_them(planned, here, tmp_path):
    study = tmp_path / "augmented.yaml"
    study.write_text(
        "study: augmented\ndata: {name: digits, limit: 100}\nmodel: {name: mlp, units: [4]}\n"
        "train: {epochs: 1, threads: 1, augment: [{layer: RandomFlip, mode: horizontal}]}\n"
        "variants: {plain: {},\n"
        "  bn: {insert: [{layer: BatchNormalization, at: before_activation}]},\n"
        "  mixed: {train: {augment: [MixUp]}}}\n"
    )
    sheet = tmp_path / "sheets" / "rows.png"
    status, out, _ = planned("--images", str(sheet), study=str(study))
    assert status == 0 and "rows as plain sees them with seed 0" in out
    assert {each.name for each in sheet.parent.iterdir()} == {"rows-plain.png", "rows-mixed.png"}
    assert (sheet.parent / "rows-plain.png").read_bytes().startswith(b"\x89PNG")
    status, _, err = planned("--images", str(sheet))
    assert status == 2 and "no variant has train.augment" in err
