"""Words that the house no longer uses for its modules, classes, functions and variables.

Each once had a meaning of its own here; the field has a word for all of them. A word stands for
itself and its plural, as a part of a name: `cargo`, `_cargo_of`, `Cargos`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ablate

ROOT = Path(ablate.__file__).parent

RETIRED = {
    "additions": "layer_factory",
    "arm": "variant",
    "bench": "model_cache",
    "breathe": "on_progress",
    "cargo": "packaging",
    "complaint": "validation, problem",
    "errand": "task",
    "heads": "losses",
    "heir": "resolver",
    "intake": "conversion",
    "landing": "bootstrap",
    "lane": "worker pool",
    "lineage": "inheritance chain",
    "listening": "callbacks",
    "mailbox": "file channel",
    "outlook": "preview, status",
    "parcel": "payload",
    "stray": "untracked",
    "teller": "reporter",
    "trees": "nested",
    "wording": "formatting",
}


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file gives or uses, with its line; the file's own first."""
    yield 1, path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for attribute in ("id", "attr", "name", "arg", "asname"):
            if isinstance(name := getattr(node, attribute, None), str):
                yield getattr(node, "lineno", 1), name


def retired(name: str) -> list[str]:
    """The retired words among the parts of a name."""
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return [word for word in RETIRED if {word, f"{word}s", f"{word}es"} & parts]


def test_no_name_has_a_retired_word():
    found = {
        f"{path.relative_to(ROOT)}:{line} {name}: say {RETIRED[word]}"
        for path in ROOT.rglob("*.py")
        for line, name in names(path)
        for word in retired(name)
    }
    assert not found, "\n".join(["names with words that are no longer used:", *sorted(found)])


def test_contributing_names_modules_that_exist():
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    way = text[text.index("## The way of the data") : text.index("## Add a probe")]
    named = re.findall(r"`([a-z_0-9/]+(?:\.py|/))`", way)
    assert len(named) > 40
    assert [each for each in named if not (ROOT / each).exists()] == []


def test_a_word_is_found_within_a_name_and_not_within_another():
    assert retired("_cargo_of") == retired("CargoList") == retired("CARGOS") == ["cargo"]
    assert retired("benchmark") == retired("their") == []
