"""Code beside the study is found, and what is wrong with it is said."""

import sys

import pytest

from ablate.errors import StudyError
from ablate.study.calls import resolve


@pytest.fixture(autouse=True)
def beside(tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text(
        "class Box:\n    @staticmethod\n    def make(): return 7\nNUMBER = 3\n"
    )
    (tmp_path / "mine_broken.py").write_text("1 / 0\n")
    (tmp_path / "mine_needy.py").write_text("import nothing_like_it\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in ("mine_here", "mine_broken", "mine_needy"):
        sys.modules.pop(name, None)


def test_a_name_and_a_dotted_name():
    assert resolve("mine_here:Box.make")() == 7
    assert resolve("mine_here:Box").make() == 7
    assert resolve("math:sqrt")(4) == 2


@pytest.mark.parametrize(
    "call, says",
    [
        ("mine_here", "written 'package.module:name'"),
        ("mine_here:", "written 'package.module:name'"),
        ("mine_her:Box", "no module 'mine_her'"),
        ("mine_here.sub:Box", "no module"),
        ("mine_needy:f", "needs a module: No module named 'nothing_like_it'"),
        ("mine_broken:f", "raised ZeroDivisionError"),
        ("mine_here:box", "Did you mean 'Box'?"),
        ("mine_here:NUMBER", "is a int, nothing to call"),
    ],
)
def test_what_cannot_be_found(call, says):
    with pytest.raises(StudyError) as error:
        resolve(call, "data.call")
    assert says in str(error.value) and str(error.value).startswith("data.call: ")
