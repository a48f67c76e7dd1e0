"""The source of a script or notebook, and what its text says of a `fit` call: is it the only one?

A call that stands in a loop, in a function that is called again or before another one may not be
the one that is meant. What only running tells (which model is fitted) is not guessed here.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.DictComp, ast.GeneratorExp)

#: What trains a Keras model, by the name of the method.
FITS = ("fit", "fit_generator")


@dataclass(frozen=True)
class Source:
    """A script's text as Python, and where each of its lines comes from.

    `cells` has (first line, cell) of a notebook's code cells, in order; a script has none.
    """

    file: Path
    text: str
    cells: tuple[tuple[int, int], ...] = ()
    tree: ast.Module | None = field(default=None, compare=False)

    def place(self, line: int) -> str:
        """Name a line as a person looks for it.

        >>> Source(Path("train.py"), "").place(3)
        'train.py:3'
        """
        cell = next((each for each in reversed(self.cells) if each[0] <= line), None)
        if cell is None:
            return f"{self.file.name}:{line}"
        return f"{self.file.name}, cell {cell[1]}, line {line - cell[0] + 1}"


def read(file: Path) -> Source:
    """Return the source in a `.py` file or a notebook.

    Of a notebook its code cells are taken, without magics and shell commands.

    Raises:
        ValueError: the notebook is none.
        SyntaxError: the text is no Python.
    """
    if file.suffix == ".ipynb":
        return _notebook(file)
    text = file.read_text(encoding="utf-8-sig")
    return Source(file, text, tree=ast.parse(text, str(file)))


def _notebook(file: Path) -> Source:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        cells = [each for each in document["cells"] if each["cell_type"] == "code"]
        texts = ["".join(each["source"]).splitlines() for each in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no notebook: {error!r}") from None
    lines: list[str] = []
    starts = []
    for number, cell in enumerate(texts, 1):
        starts.append((len(lines) + 1, number))
        lines += _without_magics(cell)
    text = "\n".join(lines) + "\n"
    return Source(file, text, tuple(starts), ast.parse(text, str(file)))


def _without_magics(cell: list[str]) -> list[str]:
    """Return a cell's lines with those that are no Python left empty, so that numbers stay."""
    first = next((line for line in cell if line.strip()), "")
    if re.match(r"%%(?!time\b|timeit\b|capture\b)", first):
        return [""] * len(cell)  # a cell of another language
    kept = []
    for line in cell:
        magic = re.match(r"\s*(?:[!%]|\w+\s*=\s*[!%])", line)
        indent = line[: len(line) - len(line.lstrip())]
        kept.append(f"{indent}pass" if magic else re.sub(r"^(\w[\w.]*)\?+$", "pass", line))
    return kept


def another(source: Source, frames: list[tuple[str, int]]) -> str | None:
    """Return why the `fit` that is under way may not be the only one; None if the text has no sign.

    Args:
        source: of the script.
        frames: (function, line) of the script's frames, the innermost first; the function of the
            outermost is "<module>".
    """
    assert source.tree is not None
    for _, line in frames:
        if (loop := _loop_around(source.tree, line)) is not None:
            return f"it stands in the loop of {source.place(loop)}"
    calls = list(_calls(source.tree))
    at: dict[str, int] = {}
    for function, line in frames:
        at[function] = max(line, at.get(function, 0))

    def comes(line: int, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a line is run after this moment."""
        function = _function_around(source.tree, line)
        if function in at:
            return line > at[function]
        callers = [each.lineno for each in calls if _name(each) == function]
        return function not in seen and any(comes(each, seen | {function}) for each in callers)

    for function in at:
        again = [each.lineno for each in calls if _name(each) == function and comes(each.lineno)]
        if again:
            return f"{function}() is called again in {source.place(min(again))}"
    fits = (each for each in calls if isinstance(each.func, ast.Attribute) and _name(each) in FITS)
    later = [each.lineno for each in fits if comes(each.lineno)]
    return f"there is another fit in {source.place(min(later))}" if later else None


def evaluations(source: Source) -> list[tuple[int, list[ast.expr]]]:
    """Return (line, x and y) of the calls of `evaluate`, by the text alone."""
    assert source.tree is not None
    found = []
    for call in _calls(source.tree):
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "evaluate"):
            continue
        named = {each.arg: each.value for each in call.keywords}
        given = [*call.args[:2]]
        given += [named[key] for key in ("x", "y")[len(given) :] if key in named]
        if given:
            found.append((call.lineno, given))
    return sorted(found, key=lambda each: each[0])


def loads(source: Source) -> list[tuple[int, ast.expr]]:
    """Return (line, file) of the calls that load a model or weights, by the text alone."""
    assert source.tree is not None
    found = []
    for call in _calls(source.tree):
        if _name(call) in ("load_weights", "load_model"):
            named = [each.value for each in call.keywords if each.arg in ("filepath", "path")]
            found += [(call.lineno, each) for each in [*call.args[:1], *named][:1]]
    return found


def own_loop(source: Source) -> tuple[int, str] | None:
    """Return where the text trains without `fit`, and how."""
    assert source.tree is not None
    ways = ("GradientTape", "apply_gradients", "train_on_batch")
    found = ((each.lineno, str(_name(each))) for each in _calls(source.tree))
    return min((each for each in found if each[1] in ways), default=None)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(call: ast.AST) -> str | None:
    called = getattr(call, "func", None)
    return getattr(called, "attr", None) or getattr(called, "id", None)


def _loop_around(tree: ast.AST, line: int) -> int | None:
    """Return the line of the outermost loop around a line, within the function that it is in."""
    for node in ast.walk(tree):
        if not (isinstance(node, _LOOPS) and node.lineno <= line <= (node.end_lineno or 0)):
            continue
        between = [
            each
            for each in ast.walk(node)
            if isinstance(each, ast.FunctionDef | ast.Lambda)
            and each.lineno <= line <= (each.end_lineno or 0)
        ]
        if not between:
            return int(node.lineno)
    return None


def _function_around(tree: ast.AST | None, line: int) -> str:
    """Return the innermost function that a line is in, "<module>" if none."""
    assert tree is not None
    found = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.lineno < line <= (each.end_lineno or 0)
    ]
    return max(found, key=lambda each: each.lineno).name if found else "<module>"
