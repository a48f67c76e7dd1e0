"""The generated documents say what the code says."""

from __future__ import annotations

from pathlib import Path

from ablate.cli.reference import config_reference
from ablate.study.study import Study

DOCS = Path(__file__).parents[2] / "docs"


def test_config_reference_is_current() -> None:
    """Run `make docs` when this fails."""
    assert (DOCS / "config.md").read_text(encoding="utf-8") == config_reference()


def test_every_key_has_its_place() -> None:
    config = config_reference()
    assert [key for key in Study.model_fields if f"`{key}`" not in config] == []
