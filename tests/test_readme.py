"""What the README and the documents say can be done, can be done."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ablate as package
from ablate.cli import COMMANDS, cli
from ablate.config import parse_study

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of a language in a document, by default the README."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str = README) -> list[list[str]]:
    """Every `ablate` command line of a document, as arguments."""
    lines = [line for block in blocks("sh", text) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("ablate ")]


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_a_command_is_understood(arguments):
    """Its name and options exist, and the study file that it names is there."""
    assert arguments[0] in COMMANDS
    command = cli.get_command(None, arguments[0])
    command.make_context(arguments[0], list(arguments[1:]), resilient_parsing=False)
    for word in arguments:
        if word.startswith("configs/"):
            assert (ROOT / word).is_file(), word


def test_the_study_file_is_one():
    (whole,) = (block for block in blocks("yaml") if block.startswith("study:"))
    study = parse_study(whole, "README.md")
    assert [arm.name for arm in study.resolved] == ["plain", "bn", "dropout", "both"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_link_is_broken(document):
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        place = document.parent / target.strip("<>")
        assert place.exists(), f"{document.name} links to {target}"


@pytest.mark.slow
def test_the_commands_run_in_order(tmp_path):
    """All of them, as written, in a copy of the checkout; training is cut short."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    run_in_order(commands(), tmp_path)
    assert (tmp_path / "logs" / "study" / "report.html").is_file()


@pytest.mark.slow
def test_the_page_on_scripts_is_so(tmp_path):
    """Its commands run in order, and its study is one of that script."""
    text = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    run_in_order(commands(text), tmp_path)
    (tmp_path / "edited.yaml").write_text(*blocks("yaml", text), encoding="utf-8")
    words = ["plan", "edited.yaml", "--quick", "--json"]
    done = ablate(words, tmp_path)
    rows = json.loads(done.stdout)["rows"]
    assert [each["variant"] for each in rows] == ["own", "bn-for-dropout"]
    assert all(each["epochs"] == 25 for each in rows)


@pytest.mark.slow
def test_the_tutorial_leads_from_an_empty_folder_to_its_answers(tmp_path):
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    script, network = blocks("python", text)
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    subprocess.run([sys.executable, "-c", network], cwd=tmp_path, check=True, capture_output=True)
    run_in_order(commands(text), tmp_path)
    assert (tmp_path / "logs" / "study" / "report.html").is_file()
    assert (tmp_path / "logs" / "where_bn" / "screen.csv").is_file()
    certificate = json.loads((tmp_path / "digits_bn.certificate.json").read_text())
    assert certificate["identical"]
    same = ablate(["inspect", "digits.keras", "back.keras"], tmp_path).stdout
    assert "5 layers are the same in both, weights included." in same


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    words = ["-m", "sphinx", "-W", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in tmp_path.glob("*.html")}
    assert pages >= {path.stem for path in (ROOT / "docs").glob("*.md")}


def test_the_page_of_the_python_interface_has_every_name():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^\.\. auto\w+:: ablate\.(\w+)", text, re.MULTILINE)
    assert sorted([*named, "__version__"]) == sorted(package.__all__)


def ablate(words, folder):
    """Run a command in a folder; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "ablate", *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, f"ablate {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


def run_in_order(lines, folder):
    """Run commands as written, but for the length of their training."""
    for arguments in lines:
        words = list(arguments)
        if "--executor" in words:
            continue  # needs a cluster; tests/execution has one
        if words[0] in {"run", "search", "screen"}:
            words += ["--set", "train.epochs=1", "--set", "data.limit=100"]
        if words[0] == "run":
            words += ["--seeds", "3"]
        if words[0] == "search":
            words += ["--set", "search.trials=2", "--set", "search.seeds=1",
                      "--set", "search.confirm_seeds=2"]  # fmt: skip
        ablate(words, folder)


@pytest.mark.slow
def test_the_program_of_the_page_on_python_runs(tmp_path):
    """Its blocks are one program."""
    code = "\n".join(blocks("python", (ROOT / "docs/python.md").read_text(encoding="utf-8")))
    done = subprocess.run(
        [sys.executable, "-"], input=code, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert re.search(r"bn \(BN before the activation\) \+[\d.]+ points [^:]*: better", said), said


def test_the_example_of_opened_models_runs(tmp_path):
    code = "\n".join(blocks("python", (ROOT / "docs/models.md").read_text(encoding="utf-8")))
    done = subprocess.run(
        [sys.executable, "-"], input=code, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(('block', 'Block'), ('net', 'Net'))"
