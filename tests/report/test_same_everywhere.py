"""Every format says the same of what must be said, and the plan says it in the same words."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from ablate.events.study import table
from ablate.execution.status import Row, StudyStatus
from ablate.report.html import as_html, fragment
from ablate.report.latex import as_latex
from ablate.report.markdown import as_markdown
from ablate.report.plans import print_preview
from ablate.report.terminal import show
from tests.report.studies import BN, arm, report_of, result

CAUTION = "training rows 3 and 7 are equal to test rows"
NOTE = "the data has 10 classes, 'own.keras' gave 4: its last layer is new"


@pytest.fixture(scope="module")
def material():
    """Two variants: both have a note, bn a caution, too, and one of its trials diverged."""
    resolved = [arm("plain", [], {}), arm("bn", [BN], {})]
    results = [
        replace(
            result(each, seed, 0.0, "diverged" if (each.name, seed) == ("bn", 2) else "completed"),
            notes=(NOTE,),
            cautions=(CAUTION,) if each.name == "bn" else (),
        )
        for each in resolved
        for seed in range(3)
    ]
    return report_of(resolved, results, seeds=range(3))


def terminal(material, brief=False):
    text = io.StringIO()
    show(material, Console(file=text, width=4000), brief=brief)
    return text.getvalue()


def plain_html(page):
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


def unescaped(text):
    return re.sub(r"\\([\\`*_{}\[\]<>|#~$])", r"\1", text)


FORMATS = {
    "terminal": terminal,
    "terminal after a run": lambda material: terminal(material, brief=True),
    "html": lambda material: plain_html(as_html(material)),
    "notebook": lambda material: plain_html(fragment(material)),
    "markdown": lambda material: unescaped(as_markdown(material)),
    "latex": lambda material: unescaped(as_latex(material)).replace("$-$", "−"),
    "tensorboard": lambda material: table(material.analysis),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_guard_stands_in_every_format_with_its_word(material, kind):
    page = FORMATS[kind](material)
    words = [each.words for each in material.analysis.guards]
    assert f"Beware: {CAUTION} (bn)." in words
    assert f"Note: {NOTE}." in words
    assert len(words) > 3
    for each in words:
        assert each.replace("%", "\\%") in page if kind == "latex" else each in page
        assert page.count(each.split(": ", 1)[1][:40]) <= 1


def test_json_has_them_with_how_grave_they_are(material):
    document = json.loads(json.dumps(material.analysis.to_json()))
    found = [each for each in document["guards"] if each["kind"] == "network and data"]
    assert found == [
        {
            "kind": "network and data",
            "severity": "warning",
            "text": f"{CAUTION} (bn).",
            "variants": ["bn"],
        },
        {
            "kind": "network and data",
            "severity": "note",
            "text": f"{NOTE}.",
            "variants": ["plain", "bn"],
        },
    ]


def test_the_plan_says_it_in_the_words_of_the_report(material):
    rows = (
        Row("plain", 3, baseline=True, notes=(NOTE,)),
        Row("bn", 3, notes=(NOTE,), cautions=(CAUTION,), skipped=("pool: it has no weights",)),
        Row("twin", 0, alias_of="plain"),
    )
    text = io.StringIO()
    print_preview(
        StudyStatus("mine", rows, todo=6, dropped=0, workers=1, threads=1, basis="none"),
        Console(file=text, width=4000),
    )
    lines = [line for line in text.getvalue().splitlines() if ": " in line]
    assert lines == [
        f"Beware: {CAUTION} (bn).",
        "Note: skipped pool: it has no weights (bn).",
        f"Note: {NOTE}.",
        "6 trials left on 1 worker of 1 thread; no estimate of the time: none.",
    ]
    said = [each.words for each in material.analysis.guards if each.kind == "network and data"]
    assert said == [lines[0], lines[2]]
