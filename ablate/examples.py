"""The studies that come with the package: `configs` of a checkout, `ablate/configs` of a wheel.

They are copied with what they need (the study whose network they start from, a module of Python
that a `call` names), so that they can be run and changed wherever one works.
"""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import ablate
from ablate.errors import StudyError, nearest


def shipped() -> Path:
    """Return the folder of the studies that came with this package."""
    package = Path(ablate.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def examples() -> dict[str, Path]:
    """Return the files of the studies by name: `digits`, `teaching/noisy_line`."""
    folder = shipped()
    files = {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")
    }
    return dict(sorted(files.items(), key=lambda item: (item[0].count("/"), item[0])))


def heading(path: Path) -> str:
    """Return the comment that a study file opens with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(takewhile(lambda line: line.startswith("#"), lines))


def question(path: Path) -> str:
    """Return the first sentences of a study's heading, on one line."""
    lines = (line.removeprefix("#").strip() for line in heading(path).splitlines())
    return " ".join(takewhile(bool, lines))


def find_example(name: str) -> Path:
    """Return the file of the study called `name`, with its folder or without.

    Raises:
        StudyError: there is none.
    """
    found = examples()
    wanted = name.removesuffix(".yaml").removeprefix("configs/")
    hits = [path for each, path in found.items() if wanted in (each, each.rpartition("/")[2])]
    if len(hits) != 1:
        raise StudyError(
            f"There is no example called '{name}'.{nearest(wanted, found)} "
            "List them: ablate examples"
        )
    return hits[0]


def copy_example(source: Path, file: Path) -> list[Path]:
    """Copy a study to `file` and what it needs to the same folder; return what was written.

    What its text says of files and modules under configs says then where the copies are.

    Raises:
        StudyError: one of the files is there already with another content, or there is no folder
            for them. Nothing is written then.
    """
    if not file.parent.is_dir():
        raise StudyError(
            f"FILE: there is no folder '{file.parent}' for '{file.name}', and none is made. Make "
            "it first, or give another FILE."
        )
    texts = {file: _moved(source, file)}
    for other in _needs(source):
        texts[file.parent / other.name] = _moved(other, file.parent / other.name)
    for place, text in texts.items():
        if place.exists() and (place == file or place.read_text(encoding="utf-8") != text):
            raise StudyError(
                f"{place} is there already, and nothing is overwritten. Name another FILE, in "
                f"another folder if need be: "
                f"ablate init FOLDER/{source.name} --example {source.stem}"
            )
    for place, text in texts.items():
        place.write_text(text, encoding="utf-8")
    return list(texts)


def _needs(source: Path) -> list[Path]:
    """Return the shipped files that a study starts from or calls."""
    text = source.read_text(encoding="utf-8")
    studies = re.findall(r"^[^#\n]*\bstudy: (\S+\.yaml)", text, re.MULTILINE)
    modules = re.findall(r"\bcall: \"?configs\.(\w+):", text)
    scripts = re.findall(r"^[^#\n]*\bfile: (\w+\.py)", text, re.MULTILINE)
    places = [*studies, *(f"{shipped() / module}.py" for module in modules), *scripts]
    return [(source.parent / place).resolve() for place in dict.fromkeys(places)]


def _moved(source: Path, file: Path) -> str:
    """Return the text of a shipped file as it reads at `file`."""

    def place(found: re.Match[str]) -> str:
        name = found.group(1)
        return str(file if shipped() / name == source else file.parent / Path(name).name)

    text = source.read_text(encoding="utf-8").replace(", from the folder above configs", "")
    text = re.sub(r"configs/([\w/]+\.(?:yaml|py))", place, text)
    text = re.sub(r"(\bstudy: )\.\./", r"\1", text)
    # A module is found from the folder one works in.
    package = [] if file.is_absolute() or ".." in file.parts else file.parent.parts
    return re.sub(r"\bconfigs\.(?=\w+:)", "".join(f"{part}." for part in package), text)
