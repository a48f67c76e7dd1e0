"""The generated documents say what the code says."""

from __future__ import annotations

from pathlib import Path

from ablate.cli import COMMANDS
from ablate.cli.reference import cli_reference, config_reference, main
from ablate.study.study import Study

DOCS = Path(__file__).parents[2] / "docs"


def test_config_reference_is_current() -> None:
    """Run `make docs` when this fails."""
    assert (DOCS / "config.md").read_text(encoding="utf-8") == config_reference()


def test_cli_reference_is_current() -> None:
    """Run `make docs` when this fails."""
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == cli_reference()


def test_every_key_and_every_command_has_its_place() -> None:
    config, cli = config_reference(), cli_reference()
    assert [key for key in Study.model_fields if f"`{key}`" not in config] == []
    assert [name for name in COMMANDS if f"## `ablate {name}`" not in cli] == []


def test_main_writes_both(tmp_path: Path) -> None:
    main(str(tmp_path / "docs"))
    assert sorted(path.name for path in (tmp_path / "docs").iterdir()) == ["cli.md", "config.md"]
