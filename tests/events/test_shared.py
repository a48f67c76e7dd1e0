from ablate.events.board import Board
from ablate.events.files import event_files
from ablate.events.server import runs_in
from ablate.events.shared import _declared_in, share
from ablate.events.tree import rebuild_tree


def test_studies_stand_side_by_side_with_one_declaration(tmp_path, result):
    boards = {}
    for name, variant in (("one", "dropout"), ("two", "fast")):
        boards[name] = tmp_path / name / "tensorboard"
        trials = [result("plain"), result(variant)]
        rebuild_tree(boards[name], Board(name, "plain"), trials)
    logdir = tmp_path / "logdir"
    share(logdir, boards)
    assert runs_in(logdir) == [
        ".", "one", "one/dropout", "one/plain", "two", "two/fast", "two/plain"
    ]  # fmt: skip
    assert _declared_in(logdir / "one") is None
    names = {each.name for each in _declared_in(logdir).hparam_infos}
    assert names == {"variant", "insert.Dropout", "insert.Dropout.rate", "train.learning_rate"}


def test_every_seed_is_there_on_request_and_grows(tmp_path, result):
    board, logdir = tmp_path / "one/tensorboard", tmp_path / "logdir"
    rebuild_tree(board, Board("one", "plain"), [result("plain")])
    share(logdir, {".": board}, seeds=True)
    assert runs_in(board) == [".", "plain"]
    assert runs_in(logdir) == [
        ".", "plain", "plain/seed0", "plain/seed0/train", "plain/seed0/validation"
    ]  # fmt: skip
    (linked,) = event_files(logdir / "plain/seed0/train")
    assert linked.samefile(*event_files(board / "plain/seed0/train"))
    assert _declared_in(logdir) is not None


def test_sharing_again_adds_what_is_new_and_nothing_else(tmp_path, result):
    board = tmp_path / "one/tensorboard"
    logdir = tmp_path / "logdir"
    share(logdir, {"one": board})
    rebuild_tree(board, Board("one", "plain"), [result("plain")])
    share(logdir, {"one": board})
    before = event_files(logdir)
    share(logdir, {"one": board})
    assert event_files(logdir) == before
    rebuild_tree(board, Board("one", "plain"), [result("plain"), result("fast")])
    share(logdir, {"one": board})
    assert runs_in(logdir) == [".", "one", "one/fast", "one/plain"]
    assert all(each.exists() for each in logdir.rglob("events.out.*"))
