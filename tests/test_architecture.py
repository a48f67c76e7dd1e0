"""The imports point one way: the ranks of DESIGN.md section 3, checked from the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ablate

ROOT = Path(ablate.__file__).parent

RANKS = {
    "errors": 0,
    "suppress_stderr": 0,
    "reasons": 0,
    "_version": 0,
    "disk": 1,
    "study": 1,
    "config": 2,
    "store": 2,
    "analysis": 3,
    "surgery": 3,
    "report": 4,
    "events": 4,
    "models": 4,
    "data": 4,
    "probes": 4,
    "training": 5,
    "execution": 6,
    "search": 7,
    "cli": 8,
    "__init__": 8,
    "__main__": 9,
}

#: Parts that never import Keras or TensorFlow, at the top or in a function.
LIGHT = {
    "errors",
    "suppress_stderr",
    "reasons",
    "_version",
    "disk",
    "study",
    "config",
    "store",
    "analysis",
    "report",
    "events",
}
HEAVY = {"keras", "tensorflow", "keras_tuner", "torch", "jax"}

FILES = sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    """The package or module of the first level that a file belongs to."""
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The modules that a file imports, wherever in it, but for those of the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    package = ["ablate", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            yield node.lineno, module
            if module == "ablate":
                for name in node.names:
                    yield node.lineno, f"ablate.{name.name}"


def test_every_part_has_a_rank():
    assert {part_of(path) for path in FILES} <= set(RANKS)


def test_imports_point_to_lower_ranks():
    upwards = []
    for path in FILES:
        own = part_of(path)
        for line, module in imports(path):
            names = module.split(".")
            # A name of the curated API, imported from `ablate` itself, has no rank.
            other = names[1] if names[0] == "ablate" and len(names) > 1 else None
            if other in RANKS and other != own and RANKS[other] >= RANKS[own]:
                upwards.append(
                    f"{path.relative_to(ROOT)}:{line} imports {module}: "
                    f"'{own}' has rank {RANKS[own]}, '{other}' has {RANKS[other]}"
                )
    assert not upwards, "\n".join(["imports that do not point to a lower rank:", *upwards])


def test_the_light_half_names_no_framework():
    heavy = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        if part_of(path) in LIGHT
        for line, module in imports(path)
        if module.split(".")[0] in HEAVY
    ]
    assert not heavy, "\n".join(["the light half imports a framework:", *heavy])


def test_the_light_half_starts_without_a_framework():
    """Importing every light module, and every command, brings in no framework."""
    light = [path for path in FILES if part_of(path) in LIGHT | {"cli"}]
    modules = [
        ".".join(["ablate", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        for path in light
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(sorted(set({sorted(HEAVY)!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
