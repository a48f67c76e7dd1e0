"""The studies that come with the package, copied to where one works."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ablate.cli import run_cli
from ablate.config import load_study
from ablate.examples import copy_example, examples, question


@pytest.mark.parametrize("name", list(examples()))
def test_a_copy_is_the_same_study_and_names_no_file_of_the_checkout(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = examples()[name]
    file = copy_example(source, Path("copy.yaml"))[0]
    text = file.read_text()
    assert "configs/" not in text and "configs." not in text and "../" not in text
    copy, own = load_study(file).model_dump_json(), load_study(source).model_dump_json()
    assert copy == re.sub(r'"[^"]*/(\w+\.yaml)"', r'"\1"', own).replace('"configs.', '"')
    assert question(source).endswith((".", "?"))


def test_what_a_study_starts_from_and_calls_comes_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    assert run_cli(["init", "sub/mine.yaml", "--example", "text"]) == 0
    assert capsys.readouterr().out == (
        "Wrote sub/mine.yaml, sub/text.py.\nNext: ablate run sub/mine.yaml\n"
    )
    assert load_study(Path("sub/mine.yaml")).data.call == "sub.text:reviews"
    assert "ablate run sub/mine.yaml" in Path("sub/mine.yaml").read_text()
    assert run_cli(["init", "--example", "pretrained_bn"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.yaml")) == [
        "digits_pretraining.yaml",
        "pretrained_bn.yaml",
    ]
    assert run_cli(["init", "--example", "configs/where_bn.yaml"]) == 0
    assert capsys.readouterr().out.endswith("Next: ablate screen where_bn.yaml\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--example", "digitz"], "Did you mean 'digits'"),
        (["--example", "digits", "--data", "wine"], "leave out --data"),
        (["--example", "text", "none/x.yaml"], "no folder 'none'"),
        (["--example", "text"], "text.py is there already, and nothing is overwritten"),
    ],
)
def test_a_mistake_writes_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("text.py").write_text("mine = 1\n")
    assert run_cli(["init", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["text.py"]


def test_the_list_has_a_question_for_each(capsys):
    assert run_cli(["examples", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["examples"]
    assert [each["name"] for each in listed] == list(examples())
    assert run_cli(["examples"]) == 0
    assert "Where should BatchNormalization stand in a small VGG?" in capsys.readouterr().out
