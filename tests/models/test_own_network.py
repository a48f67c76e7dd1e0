"""CONTRIBUTING's examples of a network and of a data source, run as printed, from outside."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ablate.cli import run_cli
from ablate.config import load_study
from ablate.execution.plan import plan
from ablate.models import build
from ablate.store import Store
from ablate.study import registry
from ablate.study.schema.factories import MODELS
from ablate.study.schema.sources import SOURCES

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
STUDY = """
study: toy
data: {name: rings, noise: 0.2, size: 60}
model: {name: two_towers, units: 4}
train: {epochs: 1, threads: 1}
execution: {executor: inline}
seeds: 1
variants: {plain: {}, bn: {insert: [{layer: BatchNormalization, at: before_activation}]}}
"""


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    """The examples' files, which an installed package declares by its entry points."""
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL):
        assert len(code.splitlines()) < 40
        (tmp_path / name).write_text(code, encoding="utf-8")
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    (tmp_path / "toy.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    listed = re.search(r"```toml\n\[project.entry-points.ablate\]\n(.*?)```", TEXT, re.DOTALL)
    modules = re.findall(r'= "(\w+)"', listed[1])
    entries = [SimpleNamespace(load=lambda m=m: importlib.import_module(m)) for m in modules]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries * (group == "ablate"))
    before = [(each, dict(each)) for each in (MODELS, SOURCES)]
    for each, _ in before:
        monkeypatch.setattr(each, "_installed", False)
    yield
    for each, kept in before:
        each.clear()
        each.update(kept)


def test_a_study_trains_a_network_of_ones_own_on_data_of_ones_own(capsys):
    assert run_cli(["run", "toy.yaml"]) == 0, capsys.readouterr().err
    store = Store(Path("logs"), "toy")
    made = plan(load_study("toy.yaml"), store)
    results = made.outcome(made.results, store).results
    assert [each.parameters for each in results] == [2 * 12 + 18, 2 * 12 + 18 + 2 * 16]


def test_the_network_has_the_layers_that_it_says():
    model = build("two_towers", (2,), 3, units=5, insert=[{"layer": "Dropout", "rate": 0.5}])
    names = [layer.name for layer in model.layers]
    assert {"left", "right", "joined", "output"} <= set(names)
    assert model(np.zeros((1, 2))).shape == (1, 3)


def test_commands_list_what_is_installed(capsys):
    assert run_cli(["models", "two_towers"]) == 0
    assert "units" in capsys.readouterr().out
    assert run_cli(["data", "rings"]) == 0, capsys.readouterr().err


def test_a_change_of_its_code_is_another_trial(tmp_path):
    def ids():
        return [
            {trial.id for trial in plan(load_study("toy.yaml"), Store(Path("logs"), "toy")).trials}
        ]

    before = ids()
    assert ids() == before
    for name in ("two_towers_built.py", "rings_read.py"):
        file = tmp_path / name
        file.write_text(file.read_text() + "\nCHANGED = True\n")
        changed = ids()
        assert not changed[0] & before[0], name
        before = changed


def test_a_package_that_cannot_be_loaded_is_named(capsys, monkeypatch):
    def load():
        raise ImportError("no module named 'gone'")

    broken = SimpleNamespace(name="mine", value="mine_kinds", load=load)
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    assert run_cli(["run", "toy.yaml"]) == 2
    error = capsys.readouterr().err
    assert "'mine = mine_kinds'" in error and "no module named 'gone'" in error


def test_its_arguments_are_checked(capsys, tmp_path):
    (tmp_path / "wrong.yaml").write_text(STUDY.replace("noise", "nois"))
    assert run_cli(["run", "wrong.yaml"]) == 2
    assert "Did you mean 'noise'?" in capsys.readouterr().err
