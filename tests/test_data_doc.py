"""What docs/data.md shows can be done: its Python runs, its files are read, its studies train."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ablate.config import parse_study
from ablate.execution.run import run

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|yaml)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
STUDIES = [text for language, text in BLOCKS if language == "yaml"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which the page's Python has run, its modules importable."""
    place = tmp_path_factory.mktemp("data-doc")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(place))
        names: dict = {}
        modules = []
        for language, text in BLOCKS:
            if language == "python" and (name := re.match(r"# (\w+)\.py\n", text)):
                (place / f"{name[1]}.py").write_text(text, encoding="utf-8")
                modules.append(name[1])
            elif language == "python":
                exec(compile(text, "docs/data.md", "exec"), names)
        yield place
        for name in modules:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("index", range(len(STUDIES)))
def test_a_study_trains(index, folder):
    given = YAML(typ="safe").load(STUDIES[index])
    document = {
        "study": f"page-{index}", "model": {"name": "mlp", "units": [4]}, "seeds": 1,
        "variants": {"plain": {}}, **given,
    }  # fmt: skip
    document["train"] = {"epochs": 1, "threads": 1, **document.get("train", {})}
    with open("page.yaml", "w", encoding="utf-8") as file:
        YAML(typ="safe").dump(document, file)
    study = parse_study(Path("page.yaml").read_text(encoding="utf-8"), "docs/data.md")
    results = run(study, logs="logs", executor="inline", watchers=())
    errors = [each.error for each in results.results if each.error]
    assert not errors, errors[0]
    assert len(results.results) == len(study.seed_list)
