"""CONTRIBUTING's example of a probe, run as it is printed there, from outside the package."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from ablate import events
from ablate.cli import run_cli
from ablate.config import load_study
from ablate.events.files import read
from ablate.execution import packaging
from ablate.execution.plan import plan
from ablate.report.probe_sections import illustrate
from ablate.store import Store

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
STUDY = """
study: toy
data: {name: digits, limit: 60}
model: {name: mlp, units: [4]}
train: {epochs: 1, threads: 1}
execution: {executor: inline}
seeds: 2
probes: [{name: "weight_size:PROBE", quantile: 0.5}]
variants: {plain: {}, fast: {train: {learning_rate: 0.5}}}
expect:
  - {claim: value, variant: plain, metric: probe/weight_size/dense1/size, value: 1, source: none}
"""


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """The example's two files and a study in the current folder."""
    for name, code in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL):
        assert len(code.splitlines()) < 40
        (tmp_path / name).write_text(code)
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    (tmp_path / "toy.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def test_a_probe_of_ones_own_reaches_the_json_the_report_and_tensorboard(tmp_path, capsys):
    assert run_cli(["run", "toy.yaml"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    store = Store(Path("logs"), "toy")
    made = plan(load_study("toy.yaml"), store)
    outcome = made.outcome(made.results, store)
    (arrays, *_) = (store.arrays(each.id) for each in outcome.results)
    assert arrays["weight_size/scalar/dense1/size"].shape == (2,)
    assert arrays["weight_size/layers"].tolist() == ["dense1", "output"]

    assert run_cli(["report", "toy", "--json"]) == 0
    assert "probe/weight_size/dense1/size" in json.dumps(json.loads(capsys.readouterr().out))

    assert run_cli(["report", "toy", "--format", "html", "--output", "toy.html"]) == 0
    page = (tmp_path / "toy.html").read_text()
    assert "How large the weights of each layer are" not in page  # that is for the reference
    assert "Weights that grow without end" in page and "Size of the weights" in page

    events.update(store, outcome, illustrate=illustrate, anew=True)
    tags = {
        value.tag
        for file in store.tensorboard.rglob("*onrequest*")
        for event in read(file)
        for value in event.summary.value
    }
    assert "weight_size/dense1/size" in tags

    places = packaging.called_modules(made.trials)
    assert places == [tmp_path / "weight_size.py", tmp_path / "weight_size_measured.py"]


def test_its_arguments_are_checked_as_those_of_any_probe(tmp_path, capsys):
    (tmp_path / "wrong.yaml").write_text(STUDY.replace("quantile: 0.5", "quantil: 0.5"))
    assert run_cli(["run", "wrong.yaml"]) == 2
    assert "probes[0].quantil" in (error := capsys.readouterr().err)
    assert "Did you mean 'quantile'?" in error
