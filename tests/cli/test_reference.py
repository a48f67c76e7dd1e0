"""The generated documents say what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ablate.cli import COMMANDS
from ablate.cli.reference import cli_reference, config_reference
from ablate.study.study import Study

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Return the folder that the generator wrote, in a process of its own as `make docs` does.

    In this one a command may have been called alone, and click remembers its help from then.
    """
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, "-m", "ablate.cli.reference", str(folder)], check=True)
    return folder


@pytest.mark.parametrize("name", ["cli.md", "config.md"])
def test_the_reference_is_current(written: Path, name: str) -> None:
    """Run `make docs` when this fails."""
    assert sorted(path.name for path in written.iterdir()) == ["cli.md", "config.md"]
    ours, told = ((folder / name).read_text(encoding="utf-8") for folder in (written, DOCS))
    assert ours == told


def test_every_key_and_every_command_has_its_place() -> None:
    config, cli = config_reference(), cli_reference()
    assert [key for key in Study.model_fields if f"`{key}`" not in config] == []
    assert [name for name in COMMANDS if f"## `ablate {name}`" not in cli] == []
