"""`ablate reproduce`: what it lists, refuses, runs and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ablate.cli import run_cli
from ablate.config import load_study
from ablate.errors import StudyError
from ablate.execution.reproductions import ORDER, heading, look_up, papers, profile_of, select
from ablate.study.schema.model import Model

ROOT = Path(__file__).parents[2]
FILES = papers(ROOT / "configs" / "papers")


def test_the_sigmoid_network_comes_first_and_every_study_has_its_place():
    assert list(FILES) == list(ORDER)


@pytest.mark.parametrize("name", FILES)
def test_a_heading_cites_a_source_and_every_profile_has_five_seeds(name):
    text = heading(FILES[name])
    assert "Source:" in text and "Chosen:" in text
    assert f"ablate reproduce {name}" in text
    for profile in (None, *load_study(FILES[name]).profiles):
        assert len(load_study(FILES[name], profile=profile).seed_list) >= 5


def test_names_are_stems_files_or_all():
    assert select(FILES, ("batch_size", "configs/papers/batch_size.yaml")) == {
        "batch_size": FILES["batch_size"]
    }
    assert select(FILES, ("all",)) == FILES
    with pytest.raises(StudyError, match="Did you mean 'batch_size'"):
        select(FILES, ("batchsize",))


def test_a_folder_without_studies_is_named_with_the_option(tmp_path):
    with pytest.raises(StudyError, match=f"in {tmp_path}. Name their folder with --configs"):
        papers(tmp_path)


def test_an_unknown_name_is_status_2_before_anything_is_trained(tmp_path, capsys):
    assert run_cli(["reproduce", "nothing", "--logs", str(tmp_path)]) == 2
    assert "no study of published results" in capsys.readouterr().err


def test_lists_claims_and_what_was_not_run(tmp_path, capsys):
    assert run_cli(["reproduce", "--logs", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["studies"]
    assert [each["name"] for each in listed] == list(ORDER)
    assert {each["trials"] for each in listed} == {None}


TINY = """\
# Does it run?
#
# Source: nobody. Chosen: all.
study: tiny
data: {name: digits, limit: 100}
model: {name: mlp, units: [32]}
train: {epochs: 12, optimizer: adam, learning_rate: 0.01}
seeds: 3
execution: {executor: inline}
variants:
  plain: {}
  bn: {insert: [{layer: BatchNormalization}]}
expect:
  - {claim: value, variant: plain, metric: curve/loss, range: [0.0, 100.0], source: "nobody"}
profiles:
  quick:
    train.epochs: 10
    expect:
      - {claim: value, variant: plain, metric: curve/loss, range: [0.0, 99.0], source: "nobody"}
"""


@pytest.mark.slow
def test_runs_and_writes_the_document(tmp_path, capsys):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(TINY)
    where = ["--configs", str(tmp_path / "configs"), "--logs", str(tmp_path / "logs")]
    output = tmp_path / "found.md"
    again = ["reproduce", "tiny", "--profile", "quick", "--quiet", "-o", str(output)]
    assert run_cli([*again, *where]) == 0
    text = output.read_text()
    assert "| tiny (quick) | value: running loss of the last epoch of plain |" in text
    assert "| consistent |" in text
    assert "ablate reproduce tiny --profile quick" in text
    assert list((tmp_path / "found").glob("tiny-*.png"))
    # Seeds and paths may differ from the file; what was trained decides which profile it was.
    found = look_up("tiny", tmp_path / "configs" / "tiny.yaml", tmp_path / "logs")
    assert (found.profile, found.command) == ("quick", "ablate reproduce tiny --profile quick")


def test_the_profile_is_known_of_a_study_that_began_from_anothers_network():
    path = FILES["vgg_pretrained_bn"]
    saved = f"logs/digits-pretraining/trials/{'0' * 64}.keras"
    network = {"file": saved, "weights": "keep"}
    quick = load_study(path, profile="quick")
    resolved = quick.model_copy(update={"model": Model.model_validate(network)})
    profile, study = profile_of(path, load_study(path), resolved)
    assert (profile, study) == ("quick", quick)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    """Images that look like MNIST to a loader."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("mnist") / "mnist.npz"
    labels = np.arange(1200) % 10
    images = rng.integers(0, 256, (1200, 28, 28), dtype="uint8")
    np.savez(
        path,
        x_train=images[:1000],
        y_train=labels[:1000],
        x_test=images[1000:],
        y_test=labels[1000:],
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FILES if name != "vgg_pretrained_bn"])
def test_every_study_trains(name, stand_in, tmp_path):
    """One seed, one epoch, few rows; every probe that a claim speaks of measures it."""
    from ablate import run
    from ablate.report import report_of

    profile = "quick" if load_study(FILES[name]).profiles else None
    declared = load_study(FILES[name], profile=profile)
    changes = ["seeds=1", "train.epochs=1"]
    if declared.data.name == "mnist":
        changes += [f"data.path={stand_in}", "data.limit=200", "data.validation=0.05"]
    if name == "srivastava2014_datasize":
        changes += [f"factors.rows.{rows}.train.epochs=1" for rows in declared.factors["rows"]]
    study = load_study(FILES[name], profile=profile, overrides=changes)
    results = run(study, logs=tmp_path, executor="inline", watchers=[])
    lost = {each.variant for each in results.results if each.status == "diverged"}
    counts = results.counts()
    assert counts.get("completed", 0) + len(lost) == len(study.resolved)
    known = report_of(results).analysis
    for asked, claim in zip(study.expect, known.expectations, strict=True):
        if {asked.variant, asked.than} & lost:  # a high rate on noise: an outcome, no mistake
            continue
        assert not claim.text.startswith("not judged: no completed trial"), claim.text
