"""`ablate report` on a store: every format, while it runs, two studies, mistakes."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from ablate.cli import run_cli
from ablate.config import dump_study, load_study
from ablate.execution.plan import plan
from ablate.store import Store
from tests.report.studies import result

STUDY = """\
study: {name}
data: {{name: digits}}
model: {{name: mlp, units: [8]}}
train: {{epochs: 2, batch_size: {batch}, threads: 1}}
seeds: 3
variants:
  plain: {{}}
  {variant}: {{insert: [{{layer: {layer}, at: after_activation, where: hidden}}]}}
"""


def made(tmp_path, name="first", variant="bn", layer="BatchNormalization", batch=32, done=6):
    """Write a study and the results of its first `done` trials; return the logs folder."""
    file = tmp_path / f"{name}.yaml"
    file.write_text(STUDY.format(name=name, variant=variant, layer=layer, batch=batch))
    logs = tmp_path / "logs"
    store = Store(logs, name)
    study = load_study(file)
    planned = plan(study, store)
    store.write_study(dump_study(planned.study))
    resolved = {each.name: each for each in planned.resolved}
    for trial in planned.trials[:done]:
        each = result(
            resolved[trial.variant], trial.seed, 0.01 * (trial.variant != "plain"), epochs=2
        )
        store.save(replace(each, id=trial.id))
    return logs


def report(capsys, *arguments):
    status = run_cli(["report", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_terminal_is_the_default(tmp_path, capsys):
    logs = made(tmp_path)
    status, out, _ = report(capsys, "first", "--logs", logs)
    assert status == 0
    assert out.startswith("first: 6 of 6 trials completed\n")
    assert "Test accuracy (higher is better)" in out


def test_json_and_csv_are_documents_and_nothing_else(tmp_path, capsys):
    logs = made(tmp_path)
    _, out, _ = report(capsys, "first", "--logs", logs, "--format", "json")
    document = json.loads(out)
    assert (document["schema_version"], document["study"]) == (2, "first")
    assert [each["name"] for each in document["variants"]] == ["plain", "bn"]
    assert json.loads(report(capsys, "first", "--logs", logs, "--json")[1]) == document
    rows = list(csv.DictReader(io.StringIO(report(capsys, "first", "--logs", logs, "--format",
                                                  "csv")[1])))  # fmt: skip
    assert {each["variant"] for each in rows} == {"plain", "bn"}


def test_html_and_markdown_are_written_beside_the_study(tmp_path, capsys):
    logs = made(tmp_path)
    status, out, _ = report(capsys, "first", "--logs", logs, "--format", "html")
    assert (status, out) == (0, f"{logs / 'first' / 'report.html'}\n")
    page = (logs / "first" / "report.html").read_text(encoding="utf-8")
    assert "ablate run study.yaml" in page and str(tmp_path) not in page
    assert "after_activation" in page  # the study file
    assert (logs / "first" / "plots" / "effects.svg").is_file()
    _, out, _ = report(capsys, "first", "--logs", logs, "--format", "markdown")
    assert out == f"{logs / 'first' / 'report.md'}\n"
    text = (logs / "first" / "report.md").read_text(encoding="utf-8")
    assert "](<plots/effects.png>)" in text


def test_output_goes_where_it_is_asked(tmp_path, capsys):
    logs = made(tmp_path)
    target = tmp_path / "paper" / "table.tex"
    _, out, _ = report(capsys, "first", "--logs", logs, "--format", "latex", "-o", target)
    assert out == f"{target}\n"
    assert r"\toprule" in target.read_text(encoding="utf-8")
    report(capsys, "first", "--logs", logs, "-o", tmp_path / "plain.txt")
    assert (tmp_path / "plain.txt").read_text(encoding="utf-8").startswith("first: 6 of 6")


@pytest.mark.parametrize("done", [0, 4])
def test_a_study_that_still_runs_has_a_report(tmp_path, capsys, done):
    logs = made(tmp_path, done=done)
    status, out, _ = report(capsys, "first", "--logs", logs)
    assert status == 0
    assert f"{done} of 6 trials completed, {6 - done} to come" in out


def test_two_studies_of_one_baseline_are_joined(tmp_path, capsys):
    logs = made(tmp_path)
    made(tmp_path, "second", "norm", "LayerNormalization")
    _, out, _ = report(capsys, "first", "second", "--logs", logs, "--json")
    document = json.loads(out)
    assert [each["name"] for each in document["variants"]] == ["plain", "bn", "norm"]
    assert document["study"] == "first and second"


def test_two_studies_of_other_baselines_are_told_apart(tmp_path, capsys):
    logs = made(tmp_path)
    made(tmp_path, "second", batch=16)
    _, out, _ = report(capsys, "first", "second", "--logs", logs)
    flat = " ".join(out.split())
    assert "Beware: The baselines of first and second are not the same" in flat
    assert "train.batch_size (32 and 16)" in flat


def test_several_studies_make_one_claim_in_every_format(tmp_path, capsys, monkeypatch):
    logs = made(tmp_path)
    made(tmp_path, "second", variant="norm", batch=16)
    made(tmp_path, "third", batch=8)
    monkeypatch.setattr("ablate.report.document.png", lambda figure: b"PNG")
    names = ["first", "second", "third", "--logs", logs, "--synthesize"]
    status, out, _ = report(capsys, *names)
    assert status == 0
    assert out.startswith("One claim over 3 studies\nbn ")
    flat = " ".join(out.split())
    assert "bn (BN after the activation): +0.9 points on average over 3 studies" in flat
    assert "bn second norm" in flat
    document = json.loads(report(capsys, *names, "--json")[1])
    (claim,) = document["claims"]
    assert [each["variant"] for each in claim["estimates"]] == ["bn", "norm", "bn"]
    rows = list(csv.DictReader(io.StringIO(report(capsys, *names, "--format", "csv")[1])))
    assert [row["study"] for row in rows] == ["first", "second", "third", "all"]
    assert float(rows[-1]["mean"]) == pytest.approx(claim["synthesis"]["mean"])
    for kind, name in (("html", "synthesis.html"), ("markdown", "synthesis.md")):
        assert report(capsys, *names, "--format", kind)[1] == f"{logs / name}\n"
        text = (logs / name).read_text(encoding="utf-8")
        assert "BN after the activation" in text and "--synthesize" in text
    plots = {each.name for each in (logs / "synthesis-plots").iterdir()}
    assert plots == {
        f"{name}.{kind}" for name in ("synthesis-accuracy", "profiles") for kind in ("svg", "png")
    }


def test_studies_that_do_not_match_are_no_claim(tmp_path, capsys):
    logs = made(tmp_path)
    made(tmp_path, "second", layer="Dropout, rate: 0.5", batch=16)
    status, _, err = report(capsys, "first", "second", "--logs", logs, "--synthesize")
    assert status == 2 and "No comparison of one study is matched in another" in err
    status, _, err = report(capsys, "first", "--logs", logs, "--synthesize", "--format", "latex")
    assert status == 2 and "Expected of a synthesis" in err


def test_trials_no_longer_planned_are_announced_and_left_out(tmp_path, capsys):
    logs = made(tmp_path)
    (tmp_path / "first.yaml").write_text(
        STUDY.format(name="first", variant="bn", layer="BatchNormalization", batch=16)
    )
    _, out, _ = report(capsys, tmp_path / "first.yaml", "--logs", logs)
    assert out.startswith("first: 0 of 6 trials completed, 6 to come\n")
    assert "Beware: 6 finished trials lie in" in out


def test_a_study_that_is_not_there(tmp_path, capsys):
    logs = made(tmp_path)
    status, _, err = report(capsys, "frist", "--logs", logs)
    assert status == 2
    assert "Did you mean 'first'?" in err
