from ablate.events.board import Board
from ablate.events.files import event_files
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
    assert (logdir / "one/dropout/seed0/train").is_dir()
    assert (logdir / "two/fast").resolve() == (boards["two"] / "fast").resolve()
    assert _declared_in(logdir / "one") is None
    names = {each.name for each in _declared_in(logdir).hparam_infos}
    assert names == {"variant", "insert.Dropout", "insert.Dropout.rate", "train.learning_rate"}


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
    assert (logdir / "one/fast").is_dir()
    assert all(each.exists() for each in (logdir / "one").iterdir())
