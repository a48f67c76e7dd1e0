import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata

from ablate.events.board import Board, choose, folder_name, session
from ablate.events.files import event_files, read
from ablate.events.shared import share
from ablate.events.tree import rebuild_tree, refresh

BOARD = Board("mine", "plain", texts={"study": "study: mine"})


def contents(root: Path, name: str = "events.out.*") -> dict[str, set[str]]:
    """The tags of every run, of those on request too unless `name` has only what is shown."""
    found: dict[str, set[str]] = {}
    for path in sorted(root.rglob(name)):
        run = path.parent.relative_to(root).as_posix()
        for event in read(path):
            found.setdefault(run, set()).update(each.tag for each in event.summary.value)
    return found


def accumulated(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def series(run: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(each.step, each.tensor_proto.float_val[0]) for each in run.Tensors(tag)]


def test_the_tree_has_the_runs_and_tags_of_the_design(tmp_path, results):
    written = rebuild_tree(tmp_path / "tb", BOARD, results)
    found = contents(tmp_path / "tb")
    expected = {".", "plain", "dropout"}
    for each in results:
        run = f"{each.variant}/seed{each.seed}"
        expected |= {run, f"{run}/train", f"{run}/validation"}
    assert set(found) == expected
    shown = contents(tmp_path / "tb", "*tfevents*")
    assert set(shown) == {".", "plain", "dropout"}
    assert (written.shown, written.left_out, written.runs) == (6, 0, len(shown))
    assert found["plain/seed0/train"] == {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    assert found["plain/seed0/validation"] == {"epoch_accuracy"}
    assert found["dropout/seed2"] == {"final/lost"}
    assert shown["dropout"] > {
        "final/lost",
        "final/test_accuracy",
        "curve_mean/mine/val_accuracy",
        metadata.SESSION_START_INFO_TAG,
        metadata.SESSION_END_INFO_TAG,
    }


def test_tensorboard_accumulates_curves_means_and_differences(tmp_path, results):
    rebuild_tree(tmp_path / "tb", BOARD, results)
    share(tmp_path / "seeds", {".": tmp_path / "tb"}, seeds=True)
    train = accumulated(tmp_path / "seeds/plain/seed1/train")
    assert series(train, "epoch_loss") == [(1, 0.75), (2, 0.5)]
    own = accumulated(tmp_path / "tb/dropout")
    steps, mean = zip(*series(own, "curve_mean/mine/val_accuracy"), strict=True)
    assert steps == (0, 1, 2)
    np.testing.assert_allclose(mean, [0.35, 0.45, 0.55], rtol=1e-6)
    difference = series(own, "difference/mine/val_accuracy")
    np.testing.assert_allclose([value for _, value in difference], 0.2, rtol=1e-6)
    seeds = series(own, "seeds/mine/val_accuracy/curve_mean")
    assert [value for _, value in seeds] == [2.0, 2.0, 2.0]


def test_the_layout_names_tags_that_exist(tmp_path, results):
    root = tmp_path / "tb"
    rebuild_tree(root, BOARD, results)
    value = accumulated(root).Tensors("custom_scalars__config__")[0]
    layout = Layout.FromString(value.tensor_proto.string_val[0])
    means, paired, seeds = layout.category
    assert [chart.title for chart in means.chart] == ["val_accuracy", "loss", "accuracy"]
    tags = contents(root)
    for category, run in ((means, "plain"), (paired, "dropout")):
        for chart in category.chart:
            for each in chart.margin.series:
                assert {each.value, each.lower, each.upper} <= tags[run]
    assert seeds.closed and "mine" in seeds.title
    assert paired.title == "mine: difference to plain, paired by seed, with its interval"


def test_what_probes_stored_becomes_scalars_and_histograms(tmp_path, result, arrays):
    rebuild_tree(tmp_path / "tb", replace(BOARD, arrays=lambda trial: arrays), [
        result(seed=1, probes=("activations",)), result(probes=("activations",)),
    ])  # fmt: skip
    run = accumulated(tmp_path / "tb/plain")
    assert series(run, "activations/dense/p50, seed 0") == [(0, 0.25)]
    assert [each.step for each in run.Tensors("activations/dense, seed 0")] == [0, 2]
    assert not any("table" in tag for tag in run.Tags()["tensors"])


def test_a_budget_gives_every_variant_its_first_seed_and_says_what_is_left_out(tmp_path, result):
    trials = [result(variant, seed) for variant in ("a", "b") for seed in range(4)]
    board = Board("mine", "a", limit=1 + 2 + 3 * 3)
    assert [(each.variant, each.seed) for each in choose(board, trials)] == [
        ("a", 0), ("b", 0), ("a", 1),
    ]  # fmt: skip
    written = rebuild_tree(tmp_path / "tb", board, trials)
    assert (written.shown, written.left_out) == (3, 5)
    assert str(written) == (
        "8 trials in 3 TensorBoard runs; each seed by itself: --seeds, of 3 trials; of the other 5 "
        "too: --all-runs."
    )
    found = contents(tmp_path / "tb")
    assert len(found) == board.limit
    assert "curve_mean/mine/loss" in found["b"]


def test_search_points_stand_apart_and_enter_no_mean(tmp_path, result):
    point = result("plain", 10000)
    board = Board("mine", "plain", points={point.id: "003"})
    assert str(session(board, point)) == "search/plain/003/seed10000"
    rebuild_tree(tmp_path / "tb", board, [result(), point])
    seeds = series(accumulated(tmp_path / "tb/plain"), "seeds/mine/loss/curve_mean")
    assert [value for _, value in seeds] == [1.0, 1.0]


def test_a_rebuild_takes_the_place_of_the_old_tree(tmp_path, results):
    root = tmp_path / "tb"
    (root / "gone/seed0").mkdir(parents=True)
    rebuild_tree(root, BOARD, results)
    assert not (root / "gone").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["tb"]


def test_a_rebuild_that_fails_leaves_the_old_tree(tmp_path, results):
    root = tmp_path / "tb"
    rebuild_tree(root, BOARD, results[:1])
    before = contents(root)

    def broken(trial):
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        rebuild_tree(root, replace(BOARD, arrays=broken), results)
    assert contents(root) == before
    assert [each.name for each in tmp_path.iterdir()] == ["tb"]


def test_a_refresh_writes_only_what_is_missing_and_drops_what_is_gone(tmp_path, results):
    root = tmp_path / "tb"
    refresh(root, BOARD, results[:4])
    kept = event_files(root / "plain/seed1")
    refresh(root, BOARD, [*results[1:4], results[4]])
    assert event_files(root / "plain/seed1") == kept
    assert not (root / "plain/seed0").exists()
    assert (root / "dropout/seed1").exists()
    assert len(event_files(root)) == 2


def test_a_board_that_showed_every_seed_is_written_anew(tmp_path, result):
    root = tmp_path / "tb"
    refresh(root, BOARD, [result()])
    for path in root.rglob("*onrequest*"):
        path.rename(path.with_name(path.name.replace("onrequest", "tfevents")))
    refresh(root, BOARD, [result()])
    assert set(contents(root, "*tfevents*")) == {".", "plain"}


def test_a_search_has_its_scores_against_what_was_searched(tmp_path, result):
    def point(k, rate):
        spec = {"train": {"learning_rate": rate, "optimizer": "adam"}, "insert": []}
        return result("plain", 10000, id=f"p{k}", spec=spec, metrics={"val_loss": rate * 2})

    trials = [point(0, 0.001), point(1, 0.1), point(2, 1.0), point(3, 1.0)]
    board = Board("mine", "plain", points={each.id: each.id for each in trials})
    rebuild_tree(tmp_path / "tb", board, trials)
    tag = "search/mine/val_loss against 1000 log10(train.learning_rate)"
    run = accumulated(tmp_path / "tb/search/plain")
    assert series(run, tag) == [
        (-3000, pytest.approx(0.002)), (-1000, pytest.approx(0.2)), (0, 2.0),
    ]  # fmt: skip
    value = accumulated(tmp_path / "tb").Tensors("custom_scalars__config__")[0]
    (search,) = Layout.FromString(value.tensor_proto.string_val[0]).category
    assert re.search(search.chart[0].multiline.tag[0], tag)
    assert set(contents(tmp_path / "tb", "*tfevents*")) == {
        ".", "search/plain", *(f"search/plain/p{k}/seed10000" for k in range(4)),
    }  # fmt: skip


def test_a_new_column_reaches_the_trials_already_there(tmp_path, result):
    root = tmp_path / "tb"
    refresh(root, BOARD, [result("plain")])
    refresh(root, BOARD, [result("plain"), result("fast")])
    (path,) = event_files(root / "plain")
    first = next(value for event in read(path) for value in event.summary.value)
    info = metadata.parse_session_start_info_plugin_data(first.metadata.plugin_data.content)
    assert info.hparams["train.learning_rate"].number_value == 0.1


def test_long_names_are_cut_and_told_apart():
    long, other = "bn=on," * 20, "bn=on," * 20 + "x"
    assert folder_name("bn=on,dropout=off") == "bn=on,dropout=off"
    assert len(folder_name(long)) == 64
    assert folder_name(long) != folder_name(other)


def test_nothing_here_imports_tensorflow():
    code = (
        "import sys, ablate.events, ablate.cli.board, ablate.events.server\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
