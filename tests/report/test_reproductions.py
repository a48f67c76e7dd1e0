"""The document on published results, from studies that never ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.analysis.assemble import analyze
from ablate.report import ReportData
from ablate.report.files import write_reproductions
from ablate.report.reproductions import Reproduction, as_document, overview, tally
from ablate.study.schema.analysis import Expect
from tests.report.studies import BN, DROPOUT, arm, result

HEADING = """\
# Does BN help the digits?
#
#   ablate reproduce digits --profile quick
#
# Source: Somebody 2015, Table 1.
# Claim: it does, by `a lot`*.
# Chosen: the rest."""


def material(
    expect: list[Expect], factors: bool = False, planned: dict[str, int] | None = None
) -> ReportData:
    resolved = [
        arm("bn=off,dropout=off", [], {}, factors={"bn": "off", "dropout": "off"}),
        arm("bn=off,dropout=on", [DROPOUT], {}, factors={"bn": "off", "dropout": "on"}),
        arm("bn=on,dropout=off", [BN], {}, factors={"bn": "on", "dropout": "off"}),
        arm("bn=on,dropout=on", [BN, DROPOUT], {}, factors={"bn": "on", "dropout": "on"}),
    ]
    if not factors:
        resolved = [arm("plain", [], {}), arm("bn", [BN], {})]
    results = [
        result(each, seed, 0.02 if "BatchNormalization" in str(each.spec.insert) else 0.0)
        for each in resolved
        for seed in range(5)
    ]
    analysis = analyze(
        results, resolved, resolved[0].name, study="digits", expect=expect, planned=planned
    )
    return ReportData(analysis, results, resolved)


CLAIMS = [
    Expect(claim="ordering", variant="bn", than="plain", metric="test_accuracy", source="Table 1"),
    Expect(
        claim="value", variant="bn", metric="test_accuracy", range=(0.1, 0.2), n=1, source="a|b"
    ),
]


@pytest.fixture
def digits() -> Reproduction:
    command = "ablate reproduce digits --profile quick"
    return Reproduction("digits", HEADING, material(CLAIMS), "quick", command)


def test_a_heading_has_a_title_and_labelled_paragraphs(digits):
    assert digits.title == "Does BN help the digits?"
    assert digits.paragraphs[1:] == (
        "Source: Somebody 2015, Table 1.",
        "Claim: it does, by `a lot`*.",
        "Chosen: the rest.",
    )


def test_every_claim_has_a_row_with_its_verdict(digits):
    table = overview([digits])
    assert [(row[0], row[5], row[6]) for row in table.rows] == [
        ("digits (quick)", "consistent", "Table 1"),
        ("digits (quick)", "inconsistent (weak: 1 published run)", "a|b"),
    ]
    assert table.marks == ("better", "worse")
    assert (
        tally([digits]) == "1 study, 10 trials, 2 published claims: 1 consistent, 1 inconsistent."
    )


def test_a_study_without_claims_reports_its_interaction():
    found = Reproduction("crossed", HEADING, material([], factors=True))
    ((name, claim, published, _, here, verdict, _),) = overview([found]).rows
    assert (name, published, verdict) == ("crossed", "none", "new")
    assert claim == "interaction of bn and dropout in test accuracy"
    assert here.endswith("n = 5")


def test_the_document_tells_source_verdict_circumstances_and_command(digits):
    unrun = Reproduction("later", "# Not yet.")
    text = as_document([digits, unrun], {"digits": {"effects": "reproductions/digits.png"}})
    assert "Not finished here: `later` (Not yet)." in text
    assert "**Does BN help the digits?**" in text
    assert "Claim: it does, by `a lot`\\*." in text
    assert "- Inconsistent: " in text and "a\\|b" in text
    assert "](<reproductions/digits.png>)" in text
    assert "5 seeds, 10 trials" in text and "Keras 3.15.1" in text
    assert "```sh\nablate reproduce digits --profile quick\n```" in text


def test_files_are_written_beside_the_document(digits, tmp_path: Path):
    write_reproductions([digits], tmp_path / "found.md")
    drawn = [path.name for path in (tmp_path / "found").iterdir()]
    assert drawn == ["digits-effects.png"]
    assert "](<found/digits-effects.png>)" in (tmp_path / "found.md").read_text()


def test_half_a_study_is_named_but_not_told():
    planned = {"plain": 5, "bn": 8}
    half = Reproduction("half", HEADING, material(CLAIMS, planned=planned), None, "ablate run")
    text = as_document([half])
    assert "0 studies, 0 trials, 0 published claims" in text
    assert "`half` (Does BN help the digits: 10 of 13 trials so far)" in text
    assert "## half" not in text
