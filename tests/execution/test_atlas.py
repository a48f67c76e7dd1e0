"""The atlas from its plan to its document, on an executor that makes up outcomes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ablate.analysis.atlas import PLACEMENTS
from ablate.analysis.claims import RMSE
from ablate.cli import run_cli
from ablate.errors import StoreError, StudyError
from ablate.execution import atlas, worker
from ablate.execution import run as running
from ablate.execution.runner import Interrupted
from ablate.report.atlas import as_document
from ablate.report.atlas_data import AtlasReport
from tests.execution.finished import record
from tests.execution.pretending import Pretending, previews

STUDY = """\
study: atlas-{name}-mlp
data: {data}
model: {{name: mlp, units: [4]}}
train: {{epochs: 1, optimizer: adam, threads: 1}}
seeds: 2
factors:
  placement:
    plain: {{}}
    bn-before: {{insert: [{{layer: BatchNormalization, at: before_activation, where: hidden}}]}}
    bn-after: {{insert: [{{layer: BatchNormalization, at: after_activation, where: hidden}}]}}
    dropout-before:
      insert: [{{layer: Dropout, rate: 0.2, at: before_activation, where: hidden}}]
    dropout-after: {{insert: [{{layer: Dropout, rate: 0.2, at: after_activation, where: hidden}}]}}
    both:
      insert:
        - {{layer: BatchNormalization, at: before_activation, where: hidden}}
        - {{layer: Dropout, rate: 0.25, at: after_activation, where: hidden}}
  rate: {{low: {{train: {{learning_rate: 0.001}}}}, high: {{train: {{learning_rate: 0.01}}}}}}
profiles:
  {network}: {{study: atlas-{name}-{network}, model: {{name: mlp, units: [4, 4]}}}}
"""

#: What a placement adds at the low rate and at the high one, which only BN can use.
WORTH = {
    "plain": (0.0, -0.02), "bn-before": (0.01, 0.05), "bn-after": (0.01, 0.03),
    "dropout-before": (0.0, -0.03), "dropout-after": (-0.01, -0.03), "both": (0.02, 0.06),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "studies"
    place.mkdir()
    for stem, data, network in (
        ("digits", "{name: digits}", "lstm"),
        ("digits_few", "{name: digits, limit: 300}", "lstm"),
        ("noisy_line", "{name: noisy_line}", "deep"),
        ("cifar10", "{name: cifar10}", "deep"),
    ):
        text = STUDY.format(name=stem.replace("_", "-"), data=data, network=network)
        (place / f"{stem}.yaml").write_text(text)
    return place


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set of Keras is in this home."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def outcome(trial):
    """Return a made-up outcome: what the placement is worth at its rate, and a little noise."""
    noise = np.random.default_rng(int(trial.id[:8], 16)).normal(0, 0.001)
    worth = WORTH[trial.factors["placement"]][trial.factors["rate"] == "high"] + noise
    if trial.spec.data.name == "noisy_line":
        metrics = {"val_loss": 0.1 * np.exp(worth), "test_loss": 0.1 * np.exp(worth)}
    else:
        metrics = {f"{s}_accuracy": 0.8 + worth for s in ("val", "test")} | {"test_loss": 1.0}
    return replace(record(trial), metrics={k: float(v) for k, v in metrics.items()})


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch):
    """Train nothing; return which studies were trained, and where to say when Ctrl-C comes."""
    order: list[str] = []
    stops: list[int | None] = []

    def make(execution, store, threads):
        def seen(trial):
            order.append(store.name)
            return outcome(trial)

        answers = {worker.preview: previews("test_accuracy", "test_loss")}
        return Pretending(seen, answers, stops.pop() if stops else None)

    monkeypatch.setattr(running, "make_executor", make)
    monkeypatch.setattr("ablate.events.LiveEvents", lambda *_, **__: object())
    return order, stops


def found(folder: Path, logs: Path, held_back: int = 2) -> atlas.Atlas:
    return atlas.find(folder, logs, {}, seed=0, held_back=held_back)


def test_held_back_combinations_are_foretold_before_they_are_trained(
    folder: Path, tmp_path: Path, pretend
) -> None:
    logs = tmp_path / "logs"
    order, stops = pretend
    made = found(folder, logs, held_back=1)
    assert [each.name for each in made.entries] == [
        "digits-mlp", "digits-lstm", "digits-few-mlp", "digits-few-lstm", "noisy-line-mlp",
        "noisy-line-deep",
    ]  # fmt: skip
    assert dict(made.absent) == {"cifar10": "cifar10 is not under ~/.keras/datasets"}
    written = []

    def train(entry: atlas.Entry) -> None:
        if entry.name in made.held_back:
            written.append(atlas.predictions(made))  # they are there already
        atlas.trained_here(entry, logs, "inline")

    stops.append(5)
    with pytest.raises(Interrupted):
        atlas.carry_out(made, logs, train, lambda line: None)
    assert len(order) < 24 and not made.predictions.exists()
    atlas.carry_out(made, logs, train, lambda line: None)  # it goes on where it was stopped
    assert len(order) == 6 * 24
    assert set(order[-24:]) == {f"atlas-{name}" for name in made.held_back}
    assert [each.contrast for each in written[0]] == list(PLACEMENTS)
    # Once more: nothing is left, and what was foretold stays.
    order.clear()
    before = made.predictions.read_bytes()
    atlas.carry_out(made, logs, train, lambda line: None)
    assert order == [] and made.predictions.read_bytes() == before


def test_a_study_that_another_holds_is_left_to_it_and_waited_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = found(folder, tmp_path, held_back=0)
    tried: list[str] = []
    waited: list[float] = []
    monkeypatch.setattr(atlas.time, "sleep", waited.append)

    def train(entry: atlas.Entry) -> None:
        tried.append(entry.name)
        if len(tried) == 1:
            raise StoreError(f"Study '{entry.name}' is being run by process 1.")

    atlas.carry_out(made, tmp_path, train, lambda line: None)
    assert tried[0] == tried[-1] == "digits-mlp" and len(tried) == 7 and len(waited) == 1


def test_the_document_says_what_the_trials_say(
    folder: Path, tmp_path: Path, pretend, capsys: pytest.CaptureFixture[str]
) -> None:
    logs, text = tmp_path / "logs", tmp_path / "docs" / "atlas.md"
    command = ["atlas", "--configs", str(folder), "--logs", str(logs), "-o", str(text)]
    assert run_cli([*command, "--held-back", "1", "--seed", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    page = text.read_text(encoding="utf-8")
    assert said["trials"] == 144 and "144 trials of 6 combinations" in page
    assert "**In classification try BN before, Dropout after first**: it is worth +6.0" in page
    claims = {(c["name"], c["metric"]): c for c in said["claims"]}
    shared = claims["bn-before, shared rate", "accuracy"]["synthesis"]["mean"]
    own = claims["bn-before", "accuracy"]["synthesis"]["mean"]
    assert shared == pytest.approx(0.01, abs=0.002) and own == pytest.approx(0.05, abs=0.002)
    assert (
        "**Classification: BN belongs before the activation. Dropout belongs before" in page
    )  # +1 point
    assert (
        "**Classification: BN rather than Dropout. Dropout adds to BN. BN adds to Dropout.**"
        in page
    )
    assert "**Classification: No: BN's gain is there at the rate that is best without it." in page
    assert "of the three rates was higher than without in 4 of 6 combinations, the same" in page
    # Half of log MSE: the line is best at the low rate with both, at the high one without.
    assert claims["both", RMSE]["synthesis"]["mean"] == pytest.approx(0.02, abs=0.002)
    rows = list(csv.DictReader(text.with_suffix(".csv").read_text().splitlines()))
    own_rows = [r for r in rows if r["contrast"] == "bn-before" and r["metric"] == "accuracy"]
    assert [r["combination"] for r in own_rows][-1] == "all"
    assert {(r["rate"], r["plain_rate"]) for r in own_rows[:-1]} == {("high", "low")}
    assert (tmp_path / "docs" / "atlas" / "forest.png").exists()
    hits = sum(each["hit"] for each in said["predictions"])
    assert len(said["predictions"]) == len(PLACEMENTS)
    assert f"{hits} of {len(PLACEMENTS)} estimates fell into" in page
    # A plan says what is left, and trains nothing.
    assert run_cli([*command, "--held-back", "1", "--seed", "1", "--plan"]) == 0
    assert "6 combinations, 144 of 144 trials done." in capsys.readouterr().out


def test_a_document_of_nothing_yet_says_so(folder: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    made = found(folder, logs)
    report = AtlasReport(
        tuple(atlas.combinations(made, logs)), (), made.held_back, made.absent, "ablate atlas"
    )
    page = as_document(report, "atlas/forest.png", "atlas.csv")
    assert "**It is not finished**: 144 trials of 6 combinations are to come" in page


def test_mistakes_are_named(folder: Path, tmp_path: Path, capsys) -> None:
    run = ["atlas", "--configs", str(folder), "--logs", str(tmp_path / "logs"), "--plan"]
    assert run_cli([*run, "--path", "cifar10"]) == 2
    assert "expected NAME=FILE" in capsys.readouterr().err
    file = tmp_path / "c.npz"
    file.write_bytes(b"")
    assert run_cli([*run, "--path", f"cifar=={file}"]) == 2
    assert run_cli([*run, "--path", f"cifar={file}"]) == 2
    assert "Did you mean 'cifar10'" in capsys.readouterr().err
    (folder / "other.yaml").write_text(
        "study: other\ndata: {name: digits}\nmodel: {name: mlp}\nvariants: {plain: {}}\n"
    )
    with pytest.raises(StudyError, match="Missing: placement, rate"):
        found(folder, tmp_path)
    with pytest.raises(StudyError, match="no studies of the atlas"):
        found(tmp_path / "home", tmp_path)


def test_the_studies_that_come_with_the_package_ask_the_same_of_every_network() -> None:
    made = atlas.find(Path("configs/atlas"), Path("logs"), {}, seed=0, held_back=5)
    names = [each.name for each in made.entries]
    assert len(names) == len(set(names)) and len(made.held_back) == 5
    for each in made.entries:
        assert tuple(each.study.factors["placement"]) == ("plain", *PLACEMENTS)
        assert list(each.study.factors["rate"]) == ["low", "middle", "high"]
        assert each.study.study == f"atlas-{each.name}"
