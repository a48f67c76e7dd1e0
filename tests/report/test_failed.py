"""The reason of a failed trial: the same sentence in every format, without its dump."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from ablate.analysis import analyze
from ablate.events.study import table
from ablate.report.html import as_html, fragment
from ablate.report.latex import as_latex
from ablate.report.live import Display
from ablate.report.markdown import as_markdown
from ablate.report.tabular import as_json
from ablate.report.terminal import show
from ablate.study.results import StudyResults
from ablate.study.study import Study
from ablate.study.trial import Spec, Trial
from tests.report.studies import DIGITS, arm, report_of, result

ERROR = """Traceback (most recent call last):
  File "trial.py", line 60, in run_group
ValueError: Exception encountered when calling Mine.call().

\x1b[1mthe shelf is empty\x1b[0m

Arguments received by Mine.call():
  • x=<KerasTensor shape=(None, 8)>
  • training=True
"""
SAID = "ValueError: the shelf is empty (in Mine.call())."
ARMS = [arm(name, insert, train) for name, (insert, _, train) in DIGITS.items()][:2]
FAILED = replace(result(ARMS[1], 1, 0.0, "failed"), error=ERROR)
RESULTS = [result(ARMS[0], 0, 0.0), result(ARMS[0], 1, 0.0), result(ARMS[1], 0, 0.0), FAILED]
MATERIAL = report_of(ARMS, RESULTS, seeds=range(2))


def on_terminal(brief: bool) -> str:
    text = io.StringIO()
    show(MATERIAL, Console(file=text, width=200), brief=brief)
    return text.getvalue()


def on_the_live_display() -> str:
    text = io.StringIO()
    display = Display(Console(file=text, width=200))
    trial = Trial(id=FAILED.id, variant="bn", seed=1, spec=Spec.model_validate(FAILED.spec))
    display.finished(trial, FAILED, {})
    return text.getvalue()


def on_tensorboard() -> str:
    variants = {"plain": {}, "bn": {"train": {"epochs": 3}}}
    study = Study(study="d", data={"name": "digits"}, model={"name": "cnn"}, variants=variants)
    outcome = StudyResults(study=study, resolved=tuple(ARMS), results=tuple(RESULTS), planned={})
    return table(analyze(outcome))


FORMATS = {
    "terminal": lambda: on_terminal(False),
    "terminal in short": lambda: on_terminal(True),
    "while it runs": on_the_live_display,
    "html": lambda: as_html(MATERIAL).partition("<h3>Errors</h3>")[0],
    "notebook": lambda: fragment(MATERIAL),
    "markdown": lambda: as_markdown(MATERIAL),
    "latex": lambda: as_latex(MATERIAL),
    "json": lambda: " ".join(g["text"] for g in json.loads(as_json(MATERIAL))["guards"]),
    "tensorboard": on_tensorboard,
}


@pytest.mark.parametrize("name", FORMATS)
def test_it_stands_in_every_format(name):
    text = FORMATS[name]()
    assert SAID in text
    for dump in ("Arguments received", "training=True", "\x1b", "run_group"):
        assert dump not in text


def test_the_page_has_the_whole_error_folded_away():
    assert "training=True" in as_html(MATERIAL)


def test_equal_reasons_are_said_once():
    failed = [replace(result(each, seed, 0.0, "failed"), error=ERROR)
              for each in ARMS for seed in (0, 1)]  # fmt: skip
    guards = report_of(ARMS, failed, seeds=range(2)).analysis.guards
    said = [each for each in guards if each.kind == "failed"]
    assert [each.text for each in said] == [
        f"plain (seeds 0 and 1) and bn (seeds 0 and 1) failed: {SAID}"
    ]
    assert said[0].variants == ("plain", "bn")
