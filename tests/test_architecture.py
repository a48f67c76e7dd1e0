"""The imports point one way: the ranks of DESIGN.md section 3, checked from the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import ablate

ROOT = Path(ablate.__file__).parent

RANKS = {
    "errors": 0,
    "suppress_stderr": 0,
    "reasons": 0,
    "_version": 0,
    "disk": 1,
    "downloads": 1,
    "examples": 1,
    "study": 1,
    "scripts": 2,
    "config": 3,
    "store": 2,
    "analysis": 3,
    "surgery": 3,
    "report": 4,
    "events": 4,
    "models": 4,
    "data": 4,
    "probes": 5,
    "capture": 6,
    "training": 6,
    "execution": 7,
    "search": 8,
    "cli": 9,
    "__init__": 9,
    "__main__": 10,
}

#: Parts that never import Keras or TensorFlow, at the top or in a function.
LIGHT = {
    "errors",
    "suppress_stderr",
    "reasons",
    "_version",
    "disk",
    "examples",
    "study",
    "scripts",
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


def named(path: Path) -> str:
    """The name of the module that a file is."""
    return ".".join([ROOT.name, *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
        ".__init__"
    )


def arrows(files: dict[str, ast.Module], packages: set[str]) -> dict[str, set[str]]:
    """The files that each file imports, wherever in it, also for the type checker alone.

    A package that only hands names on is passed through: `from ablate.x import name` leads to
    the file that `ablate/x/__init__.py` has the name from.
    """

    def wanted(module: str) -> Iterator[tuple[str, str]]:
        package = module.split(".") if module in packages else module.split(".")[:-1]
        for node in ast.walk(files[module]):
            if isinstance(node, ast.Import):
                yield from ((each.name, "") for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*base, node.module] if node.module else base)
                yield from ((source, each.name) for each in node.names)

    faces = {package: {name: base for base, name in wanted(package)} for package in packages}

    def home(module: str, name: str) -> str:
        if f"{module}.{name}" in files:
            return f"{module}.{name}"
        further = faces.get(module, {}).get(name, module)
        return module if further == module else home(further, name)

    simple = ast.Import | ast.ImportFrom | ast.Expr | ast.Assign | ast.If
    handing_on = {p for p in packages if all(isinstance(n, simple) for n in files[p].body)}
    return {
        module: {home(*each) for each in wanted(module)} & files.keys() - {module}
        for module in files.keys() - handing_on
    }


def circle(files: dict[str, ast.Module], packages: set[str]) -> list[str]:
    """Files that import each other in a circle, the first again at the end; [] if none do."""
    try:
        TopologicalSorter(arrows(files, packages)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_two_files_import_each_other_in_a_circle_wherever_the_import_stands():
    files = {named(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    packages = {named(path) for path in FILES if path.name == "__init__.py"}
    assert not circle(files, packages), " -> ".join(circle(files, packages))
    # The check itself: a circle through a package's face, a function and the type checker.
    texts = {
        "a": "from a.b import thing",
        "a.b": "def f():\n    from a.c import other",
        "a.c": "if TYPE_CHECKING:\n    from a import thing",
    }
    assert set(circle({name: ast.parse(text) for name, text in texts.items()}, {"a"})) == {
        "a.b", "a.c",
    }  # fmt: skip


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
    modules = [named(path) for path in light]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(sorted(set({sorted(HEAVY)!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
