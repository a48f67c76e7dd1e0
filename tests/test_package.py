"""What an installation from a wheel holds, outside a checkout."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ablate._version import __version__

ROOT = Path(__file__).parents[1]


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_setup_names_every_package() -> None:
    """They are listed, since `find:` cannot map configs/ into the package."""
    folders = {path.parent for path in (ROOT / "ablate").rglob("*.py")}
    folders |= {path.parent for path in (ROOT / "configs").rglob("*.yaml")}
    there = {folder.relative_to(ROOT).as_posix().replace("/", ".") for folder in folders}
    there = {f"ablate.{name}" if name.startswith("configs") else name for name in there}
    assert set(setup()["options"]["packages"].split()) == there


def test_citation_and_changelog_are_of_this_version() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == setup()["metadata"]["license"]
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, built from a copy of its files."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(["git", *listed], cwd=ROOT, capture_output=True, check=True).stdout
    source = folder / "source"
    for name in names.decode().split("\0")[:-1]:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_a_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ablate").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {
        f"ablate/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "configs").rglob("*")
        if path.suffix in (".yaml", ".py") and "__pycache__" not in path.parts
    }
    assert packed == there


@pytest.mark.slow
def test_an_example_of_a_wheel_is_copied_planned_and_listed(wheel: Path, tmp_path: Path) -> None:
    """As one works who has the package and no checkout."""
    installed, work = tmp_path / "installed", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(installed)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def ablate(*arguments: str) -> str:
        command = [sys.executable, "-m", "ablate", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "papers/ioffe2015_mnist" in ablate("examples")
    assert "Next: ablate run text.yaml" in ablate("init", "--example", "text")
    assert "25 trials left" in ablate("plan", "text.yaml", "--quick")
    assert "batch_size" in ablate("reproduce")
