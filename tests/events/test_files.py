import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util.tensor_util import make_ndarray

from ablate.events.files import EventFile, Point, event_files, read, write
from ablate.events.summaries import histogram, image, scalar, text


def loaded(path):
    return [
        (value.tag, event.step, make_ndarray(value.tensor), value.metadata.plugin_data.plugin_name)
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]


def png(folder):
    path = folder / "figure.png"
    Figure(figsize=(1, 2), dpi=10).savefig(path)
    return path.read_bytes()


def test_tensorboard_reads_back_what_was_written(tmp_path):
    picture = png(tmp_path)
    path = write(
        tmp_path / "run",
        "x",
        [
            Point(scalar("loss", 0.5), 3, 1.0),
            Point(histogram("h", np.array([0.0, 1.0, 3.0]), np.array([2, 5])), 4, 1.0),
            Point(text("t", "*words* ü".encode()), 0, 1.0),
            Point(image("i", picture), 0, 1.0),
        ],
    )
    loss, bins, words, drawn = loaded(path)
    assert loss[:2] == ("loss", 3) and loss[2] == np.float32(0.5) and loss[3] == "scalars"
    np.testing.assert_array_equal(bins[2], [[0, 1, 2], [1, 3, 5]])
    assert words[2].item() == "*words* ü".encode() and words[3] == "text"
    assert drawn[2].tolist() == [b"10", b"20", picture] and drawn[3] == "images"


def test_a_tag_is_described_once(tmp_path):
    path = write(tmp_path, "x", [Point(scalar("loss", each), each, 1.0) for each in (1, 2)])
    described = [
        value.HasField("metadata") for event in read(path) for value in event.summary.value
    ]
    assert described == [True, False]


def test_nothing_to_write_writes_nothing(tmp_path):
    assert write(tmp_path / "run", "x", []) is None
    assert not (tmp_path / "run").exists()


def test_a_growing_file_can_be_read_after_each_flush(tmp_path):
    growing = EventFile(tmp_path, "live")
    for step in (1, 2):
        growing.add([Point(scalar("loss", step), step, 1.0)])
        growing.flush()
        assert [each[1] for each in loaded(growing.path)] == list(range(1, step + 1))
    growing.close()
    growing.close()


def test_our_reader_stops_before_a_record_that_is_cut_short(tmp_path):
    path = write(tmp_path, "x", [Point(scalar("loss", each), each, 1.0) for each in (1, 2)])
    path.write_bytes(path.read_bytes()[:-3])
    assert [each.step for each in read(path) if each.summary.value] == [1]


def test_names_are_never_used_twice_and_sort_by_time(tmp_path):
    paths = [write(tmp_path, "x", [Point(scalar("a", 1), 0, 1.0)]) for _ in range(3)]
    assert event_files(tmp_path) == paths
    assert event_files(tmp_path / "absent") == []


def test_wrong_shapes_and_formats_are_refused():
    with pytest.raises(ValueError, match="3 edges"):
        histogram("h", np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="not a PNG"):
        image("i", b"GIF89a")
