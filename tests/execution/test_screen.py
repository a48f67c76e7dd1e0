"""A screening from the design to the confirmation, on an executor that makes up outcomes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from ablate.cli import board, run_cli
from ablate.errors import StudyError
from ablate.execution import run as running
from ablate.execution import worker
from ablate.execution.plan import resolved_before
from ablate.execution.run import run
from ablate.execution.runner import Interrupted
from ablate.execution.screen import report_on, screen, screened
from ablate.execution.status import preview, progress
from ablate.store import Store
from ablate.study.network import LayerNode
from ablate.study.schema.variant import Found
from ablate.study.study import Study
from tests.execution.finished import record
from tests.execution.pretending import Pretending, previews

#: What a layer at each host adds to the accuracy.
WORTH = {"dense1": 0.04, "dense2": -0.03, "dense3": 0.02, "dense4": 0.0, "dense5": -0.01}

BN = {"layer": "BatchNormalization", "at": "before_activation"}


def study(**changes):
    return Study(
        **{
            "study": "where",
            "data": {"name": "digits", "limit": 64},
            "model": {"name": "mlp", "units": [4] * 5},
            "train": {"epochs": 1, "threads": 1},
            "seeds": 2,
            "screen": {"placements": [BN], "confirm_seeds": 4},
            **changes,
        }
    )


def outcome(trial, broken=()):
    """Return a made-up outcome: the worth of its sites, and noise that hangs on the trial."""
    where = [each for placement in trial.spec.insert for each in placement.where]
    hosts = list(WORTH) if "hidden" in [p.where for p in trial.spec.insert] else where
    noise = np.random.default_rng(int(trial.id[:8], 16)).normal(0, 0.002)
    accuracy = 0.8 + sum(WORTH[host] for host in hosts) + noise
    made = record(trial)
    if (trial.variant, trial.seed) in broken:
        return replace(made, status="diverged", metrics={}, diverged={"epoch": 1, "step": 2})
    metrics = {**made.metrics, "val_accuracy": accuracy, "test_accuracy": accuracy}
    return replace(made, metrics=metrics)


def found(variant, rule):
    return [Found(host=host, layer=f"{host}_bn", placement=0) for host in WORTH]


def layers(variant):
    names = ["input", *WORTH, "output"]
    return [LayerNode(n, "Dense", inputs=(i - 1,) if i else ()) for i, n in enumerate(names)]


ANSWERS = {
    worker.look_inside: found,
    worker.network_of: layers,
    worker.preview: previews("val_accuracy", "test_accuracy"),
}


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Run a screening without training; return its results and what was trained."""

    def go(made=None, stop_after=None, broken=()):
        executor = Pretending(lambda trial: outcome(trial, broken), ANSWERS, stop_after)
        monkeypatch.setattr(running, "make_executor", lambda *_: executor)
        try:
            return screen(made or study(), logs=tmp_path, watchers=[]), executor.trained
        except Interrupted:
            return None, executor.trained

    return go


def test_sites_that_help_are_picked_and_confirmed_on_fresh_seeds(pretend):
    results, trained = pretend()
    by_name = {each.name: each for each in results.found.factors}
    for host, worth in WORTH.items():
        each = by_name[f"{host}_bn"]
        assert each.effect == pytest.approx(worth, abs=0.004)
        assert each.low < each.effect < each.high
    assert results.found.picked[:3] == (True, False, True)
    assert results.pick.on["picked"] == results.found.picked
    assert len(trained) == 16 * 2 + 4 * len(set(results.pick.same.values()))
    assert {seed for _, seed in trained} == {0, 1, 20000, 20001, 20002, 20003}
    effect = results.analysis.effect("picked")
    assert effect.mean == pytest.approx(0.06, abs=0.02) and effect.n == 4


@pytest.mark.parametrize("stop", [5, 31, 36])
def test_it_goes_on_to_the_same_pick(pretend, stop):
    whole, trained = pretend(study(study="whole"))
    _, first = pretend(stop_after=stop)
    results, rest = pretend()
    assert results.found == whole.found and results.pick == whole.pick
    assert sorted(first + rest) == sorted(trained)
    assert pretend()[1] == []


def test_seeds_of_the_confirmation_until_decided(pretend):
    until = {"until": "decided", "at_least": 4, "at_most": 9}
    made = study(screen={"placements": [BN], "confirm_seeds": until})
    results, trained = pretend(made)
    counts = {name: int(each) for name, each in results.confirmed.planned.items()}
    # Plainly better variants stop early; all of the sites together are worth 0.02.
    assert counts["picked"] < 9 and max(counts.values()) == counts["none"]
    fresh = {name: [s for v, s in trained if v == name and s >= 20000] for name in counts}
    assert {name: sorted(each) for name, each in fresh.items()} == {
        name: list(range(20000, 20000 + count)) for name, count in counts.items()
    }
    assert pretend(made)[1] == []


def test_the_store_tells_how_far_it_is(pretend, tmp_path):
    pretend(stop_after=8)
    store = Store(tmp_path, "where")
    results, made, confirming = screened(study(), store)
    assert confirming is None and results.confirmed is None
    assert len(made.todo) == 32 - len(results.runs.results)
    text = "\n".join(report_on(results).sections[0].text)
    assert "to come; nothing is picked before" in text
    pretend()
    results, made, confirming = screened(study(), store)
    assert not made.todo and not confirming.todo and not made.dropped
    seen = progress(study(), logs=tmp_path)
    assert (seen.todo, seen.dropped) == (0, 0)
    assert [row.variant for row in seen.rows][:2] == ["16 networks of the screening", "none"]
    assert resolved_before(store).screen.found is not None


def test_a_diverged_training_is_left_out_and_said(pretend):
    results, _ = pretend(broken={("all", 1), ("run02", 0)})
    assert results.found.trials == {"planned": 32, "completed": 30, "lost": 2}
    assert results.found.picked is not None
    text = " ".join(report_on(results).sections[0].text)
    assert "2 trainings of 32 ended without a score" in text


def test_a_design_that_lost_too_much_picks_nothing(pretend):
    every = {(f"run{i:02d}", seed) for i in range(2, 16) for seed in (0, 1)}
    with pytest.warns(match="Nothing was picked"):
        results, _ = pretend(broken=every)
    assert results.pick is None and results.confirmed is None
    text = " ".join(report_on(results).sections[0].text)
    assert "No effects can be given: too few trainings" in text


def table(place):
    return list(csv.DictReader(place.read_text().splitlines()))


def test_files(pretend, tmp_path):
    results, _ = pretend()
    folder = tmp_path / "where"
    rows = table(folder / "screen.csv")
    assert len(rows) == 32
    assert {row["dense1_bn"] for row in rows if row["variant"] == "none"} == {"0"}
    assert not any(key.startswith("test_") for key in rows[0])
    confirmed = table(folder / "results.csv")
    assert {row["variant"] for row in confirmed} == {
        each.name for each in results.confirmed.resolved
    }
    assert any((folder / "tensorboard").rglob("*tfevents*"))


def test_the_commands_know_it(pretend, tmp_path, capsys):
    pretend()
    logs = ["--logs", str(tmp_path)]
    assert run_cli(["report", "where", "--json", *logs]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["screen"]["factors"]] == [f"{h}_bn" for h in WORTH]
    assert document["baseline"] == "none"
    assert run_cli(["report", "where", "--format", "html", *logs]) == 0
    assert (tmp_path / "where" / "plots" / "map.svg").is_file()
    page = (tmp_path / "where" / "report.html").read_text()
    assert page.index("Where they should stand") < page.index('id="headline"')
    assert run_cli(["report", "where", *logs]) == 0
    assert "● dense1" in capsys.readouterr().out
    assert run_cli(["status", "where", *logs]) == 0
    assert "networks of the screening" in capsys.readouterr().out
    written = board._write(Store(tmp_path, "where"), "where", rebuild=True, all_runs=False)
    assert "runs" in written


def test_a_run_names_the_command(tmp_path):
    with pytest.raises(StudyError, match="ablate screen"):
        run(study(), logs=tmp_path, watchers=[])
    with pytest.raises(StudyError, match="no 'screen' section"):
        screen(study(screen=None, variants={"plain": {}}), logs=tmp_path, watchers=[])


def test_a_plan_says_how_wide_the_intervals_will_be(pretend, tmp_path):
    stated = study(screen={"placements": [BN], "sd": 0.01})
    pretend(stated, stop_after=0)
    lines = preview(stated, logs=tmp_path, build=False).screen
    assert "16 networks x 2 seeds = 32 trainings" in lines[0]
    # t(15 degrees) · 2 · 0.01 / sqrt(32)
    assert "about ± 0.0075, going by screen.sd of 0.01" in lines[1]
    pretend(stated)
    lines = preview(stated, logs=tmp_path, build=False).screen
    assert "points, going by trainings that are done" in lines[1]


def test_a_quick_plan_says_that_sites_are_not_known(tmp_path):
    seen = preview(study(), logs=tmp_path, build=False)
    assert seen.open_sites and seen.screen == ()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_map_in_text_fits_its_page(pretend, width):
    results, _ = pretend()
    lines = report_on(results).sections[0].drawing(width)
    # Seven layers; with room for bars their axis and what the marks mean.
    assert len(lines) == (7 if width == 40 else 9) and max(map(len, lines)) <= width
