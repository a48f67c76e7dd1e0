"""Input that means no good: bombs, control sequences, absurd values, impossible names."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

import ablate.cli
from ablate.cli import run_cli
from ablate.config import parse_study
from ablate.errors import AblateError, StudyError, nearest
from ablate.report.printing import console
from ablate.study.archives import check_archive

STUDY = """\
study: {name}
data: {{name: digits}}
model: {{name: mlp}}
variants: {{plain: {{}}, {variant}: {{train: {{epochs: 3}}}}}}
"""
GOOD = STUDY.format(name="good", variant="b")


def run(*arguments: str, capsys) -> tuple[int, str]:
    status = run_cli(list(arguments))
    return status, capsys.readouterr().err


def doubled(line: str) -> str:
    """YAML whose every line stands for nine times the one before it."""
    names = "abcdefghij"
    return "a: &a {x: 1}\n" + "".join(
        f"{name}: &{name} {line.format(','.join([f'*{before}'] * 9))}\n"
        for before, name in pairwise(names)
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (doubled("[{}]"), "stands for more than 200,000 values"),
        (doubled("{{<<: [{}]}}"), "stands for more than 200,000 values"),
        ("study: " + "[" * 100_000, "nested more than 60 levels"),
        ("study: " + "[ \n" * 100_000, "nested more than 60 levels"),
        ("study: " + "{a: " * 50_000, "nested more than 60 levels"),
        ("- " * 50_000, "nested more than 60 levels"),
        ("study: " + "x" * 3_000_000, "too long for a study file"),
    ],
)
def test_a_bomb_is_refused_before_it_is_built(text, why):
    with pytest.raises(StudyError, match=why):
        parse_study(text, "bomb.yaml")


def test_a_study_that_repeats_itself_by_aliases_is_read():
    text = GOOD + "profiles: {quick: &q {seeds: 2}, short: *q}\n"
    assert parse_study(text).profiles["short"] == {"seeds": 2}


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("seeds=1e12", "expected a whole number or a list"),
        ("seeds=1000000000000", "from 1 to 10000"),
        ("execution.workers=-3", "at least 1"),
        ("execution.workers=2.5", "auto or a whole number"),
        ("train.epochs=" + "9" * 5000, "not YAML"),
        ("train.epochs=" + "[" * 1000, "nested more than 60"),
        ("x" * 100_000 + "=1", "leads nowhere"),
        (".".join("a" * 5000) + "=1", "leads nowhere"),
        ("train.lr=1", "Did you mean 'learning_rate'"),
        ("train.bs=1", "Did you mean 'batch_size'"),
    ],
)
def test_an_absurd_override_is_an_error_of_a_line(override, why):
    with pytest.raises(StudyError, match=why) as caught:
        parse_study(GOOD, overrides=[override])
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("seeds", ["0", "-3", "1e12", "1.5", "a,b", "0,0", "", "9" * 5000])
def test_absurd_seeds_are_an_error(seeds):
    with pytest.raises(StudyError, match=r"^--seeds: ") as caught:
        parse_study(GOOD, seeds=seeds)
    assert len(str(caught.value)) < 200


def test_many_slips_are_not_all_told():
    text = GOOD + "".join(f"k{number}: 1\n" for number in range(3000))
    with pytest.raises(StudyError, match=r"and \d+ more") as caught:
        parse_study(text)
    assert len(str(caught.value).splitlines()) < 60


@pytest.mark.parametrize("name", ["con", "NUL", "com1.x", "dot."])
def test_a_new_study_has_a_name_that_every_system_can_hold(name, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(STUDY.format(name=name, variant="search"))
    for command in (["plan", "--quick"], ["run"]):
        arguments = [*command, str(tmp_path / "s.yaml"), "--logs", str(tmp_path / "logs")]
        status, said = run(*arguments, capsys=capsys)
        assert status == 2 and f"'{name}'" in said and "Windows" in said
        assert "variants.search: " in said and "Choose another name" in said
    assert not (tmp_path / "logs").exists()


def test_a_study_on_disk_keeps_the_name_it_has(tmp_path, capsys):
    folder = tmp_path / "logs" / "con"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(STUDY.format(name="con", variant="search"))
    status, said = run("plan", "--quick", "con", "--logs", str(tmp_path / "logs"), capsys=capsys)
    assert (status, said) == (0, "")


def bomb(place: Path, name: str) -> Path:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        for each in {"config.json", "model.weights.h5", name}:
            with archive.open(each, "w") as member:
                for _ in range(100 if each == name else 1):
                    member.write(b" " * 2**20)
    return place


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_a_model_file_that_unpacks_to_far_more_is_refused_unread(member, tmp_path, capsys):
    place = bomb(tmp_path / "bomb.keras", member)
    with pytest.raises(AblateError, match=rf"105 MB of '{member}' lie in 0.1 MB"):
        check_archive(place)
    text = GOOD.replace("{name: mlp}", f"{{file: {place}}}")
    (tmp_path / "s.yaml").write_text(text)
    for command in (["plan", "--quick", str(tmp_path / "s.yaml")], ["inspect", str(place)]):
        status, said = run(*command, capsys=capsys)
        assert status == 2 and "is not read" in said


def test_names_differ_first_in_case_then_by_what_others_call_them():
    assert nearest("X_train", ["y_train", "x_train"]) == " Did you mean 'x_train'?"
    assert nearest("LR", ["loss", "learning_rate"]) == " Did you mean 'learning_rate'?"
    assert nearest("nb_epoch", ["epochs"]) == " Did you mean 'epochs'?"
    assert nearest("zzz", ["epochs"]) == ""


EVIL = "a\x1b[2J\x1b]0;owned\x07b\x9b31mc"


def test_control_sequences_do_not_reach_the_terminal(capsys):
    status, said = run("plan", EVIL, capsys=capsys)
    assert status == 2 and "'ab31mc' is neither" in said
    text = io.StringIO()
    screen = console(file=text)
    table = Table("name")
    table.add_row(EVIL)
    screen.print(table)
    screen.print(f"[bold]{EVIL}[/bold]")
    assert not any(
        ord(each) < 32 or 127 <= ord(each) < 160 for each in text.getvalue() if each != "\n"
    )
    assert text.getvalue().count("b31mc") == 2


def test_colours_of_our_own_stay():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    text = Terminal()
    screen = console(file=text)
    screen._color_system = screen._detect_color_system() or 1
    screen.print(f"[bold]{EVIL}[/bold]")
    assert text.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "") == "a0;ownedb31mc\n"


def test_commands_print_through_one_place():
    for file in Path(ablate.cli.__file__).parent.glob("*.py"):
        if file.name == "echo.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("click", "echo"), f"{file.name}: use echo"


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--data", "row.npz", "there is no file 'row.npz'.*Did you mean 'rows.npz'"),
        ("--data", "broken.npz", "no npz file"),
        ("--data", "images/", "there is no folder 'images/'"),
        ("--data", "no_such_module:load", "There is no module 'no_such_module'"),
        ("--model", "net.keras", "there is no file 'net.keras'"),
        ("--model", "no_such_module:build", "There is no module 'no_such_module'"),
    ],
)
def test_init_looks_for_what_it_is_given(option, value, why, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", x=np.ones(3))
    Path("broken.npz").write_text("no")
    status, said = run("init", "s.yaml", option, value, capsys=capsys)
    assert status == 2
    assert re.search(why, said), said
    assert not Path("s.yaml").exists()


def test_init_makes_no_folder(tmp_path, capsys):
    status, said = run("init", str(tmp_path / "no" / "s.yaml"), capsys=capsys)
    assert status == 2 and "there is no folder" in said
    assert list(tmp_path.iterdir()) == []
